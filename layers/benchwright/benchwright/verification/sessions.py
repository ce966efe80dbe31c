"""Sessions that a verification opens on demand: how Workbench spreads them over the nodes (infra/node/sessions.py)."""

from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ValidationError

from benchwright.errors import VerificationFailed
from benchwright.nodes import run_command
from benchwright.nodes.report import read_report
from benchwright.nodes.run_command import Command
from benchwright.verification.checks import Verification

# What opens and ends them takes at most 390 seconds (infra/node/sessions.sh), after it has waited for another one.
OPENING_SECONDS = "480"


class Opened(BaseModel):
    """What a node prints. sessions: by the address of a node."""

    opened: int
    sessions: dict[str, int]


class Spread(BaseModel):
    """How many sessions were opened, for whom, and how many ran on each instance. They have ended."""

    account: str
    opened: int
    sessions: dict[str, int]


def open_sessions(document: str, instances: Sequence[str], account: str, count: int, token: Sequence[str]) -> Command:
    """Have one node open sessions for an account, count them on every node, and end them.

    Always the first node, since it finds what an earlier run left there. Raises VerificationFailed where none answers.
    """
    online = sorted(run_command.online(run_command.ping_status(instances)))
    if not online:
        raise VerificationFailed("No session was opened: no node answers Systems Manager. Start the execution again.")
    parameters = {"Mode": "sessions", "Sessions": f"{count} {account}", "ExecutionTimeout": OPENING_SECONDS}
    return run_command.send(document, online[:1], parameters, (*token, "sessions", str(count)))


def spread(command: Command, account: str, addresses: Mapping[str, str]) -> Spread | None:
    """Return how the sessions were spread; None while they are being opened.

    addresses: by instance. Raises VerificationFailed where they could not be opened, or not ended.
    """
    (invocation,) = run_command.invocations([command])
    if invocation.status not in run_command.ENDED:
        return None
    report = read_report(invocation.output)
    found = None if report else _read(invocation.output)
    if found is None:
        said = report.error if report and report.error else f"Run Command says {invocation.detail}"
        raise VerificationFailed(
            f"The cluster is what its plan says, but sessions could not be opened and ended. "
            f"{invocation.instance}: {said}"
        )
    instances = {address: instance for instance, address in addresses.items()}
    counts = dict.fromkeys(sorted(addresses), 0)
    for address, count in found.sessions.items():
        counts[instances.get(address, address)] = count
    return Spread(account=account, opened=found.opened, sessions=counts)


def with_warning(verification: Verification, found: Spread) -> Verification:
    """Warn where one of several nodes has all sessions."""
    busiest = max(found.sessions.values(), default=0)
    if len(found.sessions) < 2 or found.opened < 2 or busiest < found.opened:
        return verification
    instance = max(found.sessions, key=lambda each: found.sessions[each])
    warning = (
        f"sessions: all {found.opened} ran on {instance}. Workbench chooses the node by `balancer` in "
        "/etc/rstudio/load-balancer: look at it, and at the load of the nodes in /load-balancer/status."
    )
    return verification.model_copy(update={"warnings": [*verification.warnings, warning]})


def _read(output: str) -> Opened | None:
    for line in output.splitlines():
        try:
            return Opened.model_validate_json(line)
        except ValidationError:
            continue
    return None
