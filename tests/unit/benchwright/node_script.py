"""Functions of the script that configures nodes, each run by itself in a real bash."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[3] / "infra" / "node"
SCRIPT = "".join(path.read_text() for path in sorted(FOLDER.glob("*.sh")))
SEARCH = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
"""The `python3` of these tests comes first: that of the machine may be an older one, or a slow wrapper of another."""


def function(name: str) -> str:
    """A function of the script, as it stands there, on one line or several."""
    found = re.search(rf"^{name}\(\) \{{(?: .* \}}|\n(?s:.*?)^\}})\n", SCRIPT, re.MULTILINE)
    assert found
    return found[0]


def constant(name: str) -> str:
    """A quoted constant of the script, as it stands there."""
    found = re.search(rf"^readonly {name}='[^']*'$", SCRIPT, re.MULTILINE)
    assert found
    return found[0]


def bash(script: str, *arguments: str, folder: Path) -> str:
    """What a script prints that is run in a folder, by the options of the whole script."""
    done = subprocess.run(
        # A shell cannot trap what is ignored when it starts, as nohup has it.
        ["env", "--default-signal=HUP", "bash", "-euo", "pipefail", "-c", script, "bash", *arguments],
        env={"PATH": SEARCH, "LC_ALL": "C.UTF-8", "FOLDER": str(FOLDER)},
        cwd=folder,
        capture_output=True,
        timeout=120,
        check=True,
    )
    return done.stdout.decode()
