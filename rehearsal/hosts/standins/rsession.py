"""`rsession --test-config`: what a session of RStudio says of rsession.conf before it does anything else.

It ends at the first option that it does not know, unlike the server, which names them all (rstudio/rstudio,
src/cpp/core/ProgramOptions.cpp). What a session does then is bash: rehearsal/hosts/packages.py.
"""

import getopt
import os
import sys
from pathlib import Path

from benchwright import rstudio_files

from .workbench.configuration import check_values, refuse_unknown, settings
from .workbench.state import ETC, ConfigurationError

NAME = "rsession.conf"


def main(arguments: list[str]) -> int:
    given = dict(getopt.getopt(arguments[1:], "", ["test-config", "config-file="])[0])
    path = Path(given.get("--config-file", Path(os.environ.get("RSTUDIO_CONFIG_DIR", ETC), NAME)))
    try:
        refuse_unknown(path, (given := settings(path)).keys() - (rstudio_files.FILES[NAME].keys or {})[""])
        check_values(NAME, path, given)
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        return 1
    return 0
