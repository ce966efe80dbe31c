"""`make check-input FILE=…`: what the first state says of an input, without an account, a rehearsal or root.

It reads the input with the code of that state, as for a cluster that was never deployed, with the defaults of
template.yaml.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from benchwright.errors import InvalidInput
from benchwright.planning.plan import LookupResult, make_plan
from benchwright.planning.read_input import read_input, warn
from benchwright.record import Known
from benchwright.secrets import Secret
from tests.documentation.input_reference import defaults

NOT_CHECKED = (
    "Only an execution can check what needs the account: that the secrets, the AMI, the hosted zone and the "
    "certificate that the input names exist, quotas, and how the input goes with what earlier executions recorded."
)


def main(arguments: list[str]) -> int:
    """Print what is wrong with the input of a file; 0 where nothing is, 1 where the state would refuse it."""
    parser = argparse.ArgumentParser(prog="make check-input FILE=events/production.json", description=__doc__)
    parser.add_argument("file", type=Path, help="an input of `deploy`, as JSON")
    parser.add_argument("--name", default="benchwright", help="name of the stack of the application (benchwright)")
    wanted = parser.parse_args(arguments)
    try:
        text = wanted.file.read_text(encoding="utf-8")
        warnings = check(json.loads(text), wanted.name)
    except (OSError, UnicodeDecodeError) as error:
        parser.error(f"{wanted.file} cannot be read: {error}")
    except (ValueError, RecursionError) as error:
        parser.error(f"{wanted.file} is not JSON: {error}")
    except InvalidInput as error:
        print(error)
        return 1
    for warning in warnings:
        print(f"Warning: {warning}")
    print(f"The first state would accept {wanted.file}. {NOT_CHECKED}")
    return 0


def check(raw: object, application: str = "benchwright") -> list[str]:
    """Return the warnings about an input; raises InvalidInput that lists every problem."""
    reading = read_input(raw, {}, defaults(), application)
    request, wanted = reading.whole()
    looked = LookupResult({name: Secret(f"arn:{name}", "1") for name in reading.named.secrets.values()}, "ami-parent")
    plan, _ = make_plan(request, wanted, Known(), looked, defaults=defaults(), execution="check-input")
    return warn(plan.wanted)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
