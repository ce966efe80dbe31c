"""`sam`, as it is installed, without most of what it computes: a deployment parses the same template ten times.

It reads YAML with libyaml instead of Python, compresses fast instead of well, and collects no garbage.
"""

import gc
import zlib

import yaml

gc.disable()
vars(zlib)["Z_DEFAULT_COMPRESSION"] = zlib.Z_BEST_SPEED
vars(yaml)["SafeLoader"] = yaml.CSafeLoader

if __name__ == "__main__":
    from samcli.cli.main import cli  # which takes the loader while it is imported

    cli(prog_name="sam")
