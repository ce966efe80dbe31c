"""`make watch`: an execution of an account, shown in this terminal as `make rehearse` shows a rehearsal.

Reads only: ListStateMachines, ListExecutions, DescribeExecution and GetExecutionHistory, with the credentials and the
region of the AWS CLI.
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping
from typing import Any, Final

from botocore import exceptions
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console

from benchwright.report.history import clock_face
from watch import executions, summary
from watch.executions import History, NoExecutionError
from watch.progress import Progress, Watched

EXIT_MISUSE: Final = 2
INTERRUPTED: Final = 130
LOOK_SECONDS: Final = 3.0
"""Between two looks, which are two calls. The account's quota is 15 of them a second for each API, and others ask, too:
https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
"""

PASSING: Final = frozenset({"ThrottlingException", "RequestLimitExceeded", "ServiceUnavailable", "InternalFailure"})
EXPIRED: Final = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
UNREACHABLE: Final = (exceptions.ConnectionError, exceptions.HTTPClientError, exceptions.IncompleteReadError)
SIGNED_OUT: Final = (exceptions.SSOError, exceptions.TokenRetrievalError, exceptions.CredentialRetrievalError)
SIGN_IN: Final = "The credentials have expired: sign in again, and this goes on."


def options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make watch", description=__doc__, allow_abbrev=False)
    parser.add_argument("execution", nargs="?", default="", help="its ARN (the one that was started last)")
    parser.add_argument("--application", default="benchwright", help="the name of its stack (benchwright)")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """0 when the execution SUCCEEDED, 1 when it ended otherwise, 2 when it cannot be watched."""
    wanted = options(arguments)
    arn = wanted.execution
    try:
        states = executions.client(executions.region_of(arn) if arn else None)
        arn = arn or executions.newest(states, wanted.application)
        return Watch(arn, Console(highlight=False)).run(states)
    except NoExecutionError as error:
        print(error, file=sys.stderr)
    except exceptions.NoRegionError:
        print("No region is known: give AWS_REGION=, or run `aws configure`.", file=sys.stderr)
    except (BotoCoreError, ClientError) as error:
        print(f"The execution cannot be read: {error}", file=sys.stderr)
        print("`aws sts get-caller-identity` shows whose credentials these are.", file=sys.stderr)
    except KeyboardInterrupt:
        print(f"\nThe execution goes on. To watch it again: make watch EXECUTION={arn}", file=sys.stderr)
        return INTERRUPTED
    return EXIT_MISUSE


class Watch:
    """One execution, from the first look to its end."""

    def __init__(self, arn: str, console: Console) -> None:
        self._arn, self._console = arn, console
        self._history = History(arn)

    def run(self, states: Any) -> int:
        """The exit code. Raises what AWS answers to the first look; later ones are tried until they succeed."""
        described = states.describe_execution(executionArn=self._arn)
        expected, durations = executions.earlier(states, described)
        given = json.dumps(json.loads(described["input"])) if described.get("input") else "(its input is not shown)"
        title = f"{self._arn.rsplit(':', 2)[1]} {given}"
        with Progress(self._console).execution(title, _range(durations), expected=expected) as watched:
            described = self._follow(watched, states)
        seconds = (described["stopDate"] - described["startDate"]).total_seconds()
        summary.show_end(
            self._console,
            described["status"],
            described.get("error"),
            f" after {clock_face(seconds).strip()}",
            output=json.loads(described.get("output") or "null"),
            cause=described.get("cause"),
        )
        return 0 if described["status"] == "SUCCEEDED" else 1

    def _follow(self, watched: Watched, states: Any) -> Mapping[str, Any]:
        """What DescribeExecution says when the execution has ended."""
        now = executions.Now()
        while True:
            try:
                described: Mapping[str, Any] = states.describe_execution(executionArn=self._arn)
                events = self._history.news(states)
                watched.read(events, now(described, events))
                watched.notice = ""
                if described["status"] not in ("RUNNING", "PENDING_REDRIVE"):
                    return described
            except (BotoCoreError, ClientError) as error:
                notice = lost(error)
                if notice is None:
                    raise
                if notice != watched.notice and not self._console.is_terminal:
                    watched.say(notice)
                watched.notice = notice
                states = executions.client(executions.region_of(self._arn))
            time.sleep(LOOK_SECONDS)


def lost(error: BotoCoreError | ClientError) -> str | None:
    """The sentence for an error after which the next look may succeed; None for one that stays."""
    if isinstance(error, ClientError):
        code = error.response.get("Error", {}).get("Code", "")
        if code in EXPIRED:
            return SIGN_IN
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return f"AWS answered {code}: trying again." if code in PASSING or status >= 500 else None
    if isinstance(error, SIGNED_OUT):
        return SIGN_IN
    return "The connection to AWS is lost: trying again." if isinstance(error, UNREACHABLE) else None


def _range(durations: list[float]) -> str:
    if not durations:
        return ""
    low, high = (clock_face(seconds).strip() for seconds in (min(durations), max(durations)))
    number = "the last one of this cluster" if len(durations) == 1 else f"the last {len(durations)} of this cluster"
    return f"{number} took {low}" + (f" to {high}" if low != high else "")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
