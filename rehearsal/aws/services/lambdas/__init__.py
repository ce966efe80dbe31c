"""Lambda: the built artifacts in real processes, under the real runtime client and a small Runtime API of ours.

One execution environment serves one call at a time; a second concurrent call gets one of its own.
"""

from typing import Any

from rehearsal.aws import moto_clock

from .functions import Functions
from .moto_functions import keep_logging_config, prepare_what_is_deployed


def install(aws: Any) -> None:
    """lambda:Invoke runs processes; moto keeps what it would forget of a function."""
    functions = Functions(aws, aws.directory / "functions")
    aws.functions = functions
    aws.server.add("lambda", "Invoke", functions.invoke)
    for operation in ("CreateFunction", "UpdateFunctionConfiguration"):
        aws.server.add("lambda", operation, functions.check_subnets)
    keep_logging_config()
    prepare_what_is_deployed(aws)
    moto_clock.patch_datetimes()


def stop(aws: Any) -> None:
    aws.functions.stop()
