"""`sam`, as it is installed, without most of what it computes: a deployment parses the same template ten times.

It reads YAML with libyaml instead of Python, compresses fast instead of well, collects no garbage, not even at its end,
and looks at a stack that goes more often. `sam deploy` writes the address of S3 into the template, and `sam delete`
understands one that begins with https://s3 alone: for it, the local S3 has the address that it has in AWS.
"""

import atexit
import gc
import os
import time
import types
import zlib
from typing import Any

import botocore.waiter
import yaml

LOCAL, IN_AWS = os.environ.get("AWS_ENDPOINT_URL", ""), "https://s3.amazonaws.com"

gc.disable()
atexit.register(gc.freeze)
vars(zlib)["Z_DEFAULT_COMPRESSION"] = zlib.Z_BEST_SPEED
vars(yaml)["SafeLoader"] = yaml.CSafeLoader
if delay := os.environ.get("SAM_CLI_POLL_DELAY"):
    vars(botocore.waiter)["time"] = types.SimpleNamespace(sleep=lambda _seconds: time.sleep(float(delay)))

if __name__ == "__main__":
    from samcli.cli.main import cli  # which takes the loader while it is imported
    from samcli.lib.package import packageable_resources

    parse_s3_url = packageable_resources.parse_s3_url

    def parse_local_url(url: Any, *arguments: Any, **named: Any) -> Any:
        """The bucket and the key that an address means."""
        return parse_s3_url(
            f"{IN_AWS}{url.removeprefix(LOCAL)}" if LOCAL and url.startswith(LOCAL) else url, *arguments, **named
        )

    vars(packageable_resources)["parse_s3_url"] = parse_local_url

    cli(prog_name="sam")
