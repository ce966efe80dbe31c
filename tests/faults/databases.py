"""PostgreSQL, real and quick: the data of a new server are made once and copied."""

import shutil
from pathlib import Path

from rehearsal.aws.postgres import Postgres
from rehearsal.aws.services.rds import clusters


class Copied(Postgres):
    """A server whose data are a copy; only its certificate, port and master are its own."""

    pattern: Postgres

    def _initialise(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        self.authority.cert_pem.write_to_path(str(self.ca))
        self._administrator_password = self.pattern._administrator_password
        shutil.copytree(self.pattern.data, self.data, symlinks=True)
        self._identify()
        self._write_access(reload=False)


def install(directory: Path) -> None:
    """Have every database of this process's local AWS begin as a copy."""
    pattern = Postgres(directory / "postgres")
    pattern._initialise()
    Copied.pattern = pattern
    vars(clusters)["Postgres"] = Copied
