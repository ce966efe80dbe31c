"""`make rehearse`: one deployment from nothing, on this machine, without an AWS account."""

import argparse
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rehearsal import faults, initial_account, launcher, machine
from rehearsal.aws.services import schedules
from rehearsal.aws.services.schedules import Order, ScheduleGrammarError
from rehearsal.faults import FaultGrammarError, Faults
from rehearsal.initial_account import AccountGrammarError, InitialAccount

SECRET_BYTES = 65_536
EXIT_CODES = """exit code: 0 the last execution succeeded and every check holds; 1 it failed, or a check does not hold;
2 an option is wrong, or this machine lacks something; 3 the rehearsal itself failed, which says nothing about the
account; 130 interrupted. make prints it as "Error N" and ends with 2; .venv/bin/python -m rehearsal has it."""
BOTH_WAYS = "Give an object itself, which begins with {, or the name of a file that holds JSON"


def options(arguments: list[str]) -> argparse.Namespace:
    """The options of the rehearsal's contract; argparse ends a misuse with exit code 2 and one sentence."""
    parser = argparse.ArgumentParser(
        prog="make rehearse ARGS='…'",
        description=__doc__,
        epilog=f"{schedules.GRAMMAR}\n\n{faults.GRAMMAR}\n\n{initial_account.GRAMMAR}\n\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--input", metavar="JSON|FILE", type=json_given, help="input of the first execution, itself or in a file ({})"
    )
    parser.add_argument(
        "--parameters", metavar="JSON|FILE", type=json_object, default={}, help="parameters of the stack ({})"
    )
    parser.add_argument(
        "--account",
        metavar="JSON|FILE",
        type=json_object,
        default={},
        help="what the account is like at the start, see below",
    )
    parser.add_argument("--name", default="", help="name of the stack, and of all that it makes (benchwright)")
    parser.add_argument(
        "--secret", metavar="NAME=FILE", type=secret, action="append", default=[], help="a secret that is there before"
    )
    parser.add_argument("--speed", metavar="N", type=positive, default=120.0, help="AWS time per wall time (120)")
    parser.add_argument("--slow", action="store_true", help="AWS takes the longest times that are published")
    parser.add_argument(
        "--state-machine",
        choices=("deploy", "verify", "destroy"),
        default="deploy",
        help="what the first execution is of (deploy)",
    )
    parser.add_argument(
        "--then",
        metavar="JSON|FILE",
        type=further("deploy"),
        action="append",
        default=[],
        help="input of a further deploy",
    )
    parser.add_argument(
        "--destroy",
        metavar="JSON|FILE",
        type=further("destroy"),
        action="append",
        dest="then",
        help="input of a destroy, in its place among those of --then",
    )
    parser.add_argument(
        "--schedule", metavar="SPEC", action="append", default=[], help="a schedule whose time has come, see below"
    )
    parser.add_argument("--fault", metavar="SPEC", action="append", default=[], help="what goes wrong, see below")
    parser.add_argument(
        "--report",
        metavar="DIR",
        type=Path,
        default=Path("build/rehearsal"),
        help="where report.html, report.json and logs are written (build/rehearsal)",
    )
    parser.add_argument(
        "--watch-arguments", action="store_true", help="look for secrets in the arguments of every process, too"
    )
    parsed = parser.parse_args(arguments)
    try:
        parsed.faults = Faults(parsed.fault)
        parsed.account = InitialAccount.parse(parsed.account)
        parsed.schedule = [Order.parse(spec) for spec in parsed.schedule]
    except (AccountGrammarError, FaultGrammarError, ScheduleGrammarError) as error:
        parser.error(str(error))
    if any(_asks_directory(given) for given in (parsed.input, *(content for _, content in parsed.then))):
        parser.error(
            "auth.method sssd cannot be rehearsed: this network has no directory (tests/nodes/test_directory.py)"
        )
    if len(dict(parsed.secret)) < len(parsed.secret):
        parser.error("--secret gives a name twice")
    if parsed.schedule and parsed.state_machine != "deploy" and not parsed.then:
        parser.error("--schedule means a time before, during or after a deployment: order one with --then")
    return parsed


def _asks_directory(given: Any) -> bool:
    auth = given.get("auth") if isinstance(given, dict) else None
    return isinstance(auth, dict) and auth.get("method") == "sssd"


def further(machine: str) -> Callable[[str], tuple[str, Any]]:
    """What reads the input of a further execution of a machine."""

    def read(text: str) -> tuple[str, Any]:
        return machine, json_given(text)

    return read


def json_given(text: str) -> Any:
    """JSON itself where the text begins as an object does, else what the file of this name holds.

    Whatever it is: a wrong input is the state machine's to refuse.
    """
    inline = text.lstrip().startswith("{")
    try:
        return json.loads(text if inline else Path(text).read_text(encoding="utf-8"))
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{text} cannot be read: {error.strerror}. {BOTH_WAYS}") from error
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text} is not JSON: {error}. {BOTH_WAYS}") from error


def json_object(text: str) -> dict[str, Any]:
    content = json_given(text)
    if not isinstance(content, dict):
        raise argparse.ArgumentTypeError(f'{text} must hold an object such as {{"NodeCount": 3}}')
    return content


def secret(text: str) -> tuple[str, str]:
    """Name and value of a secret: what the file holds, without the line break at its end.

    Secrets Manager's limits are refused here, not after the application was deployed:
    docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html
    """
    name, equals, file = text.partition("=")
    if not (name and equals and file):
        raise argparse.ArgumentTypeError(f"{text} is not NAME=FILE, such as benchwright/users/ann=password.txt")
    if not re.fullmatch(r"[A-Za-z0-9/_+.@-]{1,512}", name):
        raise argparse.ArgumentTypeError(f"{name} is not the name of a secret: up to 512 of A-Z a-z 0-9 / _ + . @ -")
    try:
        value = Path(file).read_text(encoding="utf-8").removesuffix("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise argparse.ArgumentTypeError(f"{file} cannot be read: {reason}") from error
    if not 1 <= len(value.encode()) <= SECRET_BYTES:
        raise argparse.ArgumentTypeError(f"{file} holds no secret: it has 1 to {SECRET_BYTES} bytes")
    return name, value


def positive(text: str) -> float:
    number = float(text)
    if not 1 <= number <= 1000:
        raise argparse.ArgumentTypeError(f"{text} is not between 1 (real time) and 1000")
    return number


def main(arguments: list[str]) -> int:
    wanted = options(arguments)
    try:
        machine.require("rehearse")
        from rehearsal import run

        return run.rehearse(wanted)
    except machine.NotAbleError as error:
        print(error, file=sys.stderr)
        return machine.EXIT_MISUSE
    except KeyboardInterrupt:
        print("\nInterrupted: nothing was started.", file=sys.stderr)
        return launcher.INTERRUPTED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
