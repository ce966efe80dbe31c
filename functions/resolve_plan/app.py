"""Resolve plan: validates the input, takes and gives back the lock, and records what this execution must make true."""

from collections.abc import Iterable
from typing import Any, Literal

from benchwright import record
from benchwright.destruction.secrets import taken_names
from benchwright.dry_run import Step, pack, unpack
from benchwright.errors import ClusterLocked, InvalidInput
from benchwright.models import Plan
from benchwright.planning import account_check, address, dry_run_summary, generation, service_roles, unproven
from benchwright.planning.changes import changes
from benchwright.planning.lookup import look_up
from benchwright.planning.plan import make_plan, shown
from benchwright.planning.problems import Problem, refusal
from benchwright.planning.read_input import Reading, cluster_of, read_input, read_verify_input, warn
from benchwright.record import Known
from benchwright.settings import settings
from benchwright.step import StepEvent, StepResult, step


class Event(StepEvent):
    """input: the execution's input as it was given. quiet: a cluster that is busy or absent is no error (schedules).

    destroys: whether the lock is that of an execution that destroys the cluster.
    Of a dry run, packed: the plan. steps: what each step would do. sessions: what becomes of those that run. standing:
    the parameters of the stacks. nodes: what becomes of them. warnings: of the validation.
    """

    action: Literal["validate", "find", "inspect", "lock", "plan", "release", "preview", "summarize"]
    cluster: str = ""
    input: Any = None
    quiet: bool = False
    destroys: bool = False
    packed: str = ""
    steps: list[Step] = []
    sessions: list[str] = []
    standing: dict[str, str] = {}
    nodes: dict[str, Any] = {}
    changes: list[str] = []
    warnings: list[str] = []


class Result(StepResult):
    """proceed: False where there is nothing to do; message says why. plan: each effective value and where it came
    from. changes: a line for each that differs from what the cluster was last verified with. warnings: what keeps
    nothing from beginning, but may fail later. dry_run: whether the execution is to say what it would do, and
    no more. packed: the plan of one, as it travels.
    """

    cluster: str
    proceed: bool = True
    quiet: bool = False
    message: str = ""
    revision: str = ""
    plan: dict[str, Any] = {}
    changes: list[str] = []
    warnings: list[str] = []
    dry_run: bool = False
    packed: str = ""


class Summary(StepResult):
    """The output of a dry run, but for plan and changes, which the report of the execution looks for as in Result."""

    output: dict[str, Any]
    plan: dict[str, Any]
    changes: list[str]


class Found(StepResult):
    """What a verification is about. left_out: clusters for which the history of one execution has no room. sessions:
    how many it opens.
    """

    clusters: list[str]
    every_cluster: bool
    sessions: int
    left_out: list[str]


# Clusters that one execution verifies: the history of an execution has 25,000 events, a verification that looks to the
# end, also under the lock, about 550. AWS gives an account 40 Aurora clusters in a region until it asks for more.
MOST_CLUSTERS = 40


@step(Event)
def handler(event: Event) -> Result | Found | Summary:
    """Do one of the things that concern a cluster as a whole."""
    match event.action:
        case "find":
            return _find(event)
        case "validate":
            return _validate(event)
        case "inspect":
            return _inspect(event)
        case "lock":
            return _lock(event)
        case "plan":
            return _plan(event)
        case "preview":
            return _preview(event)
        case "summarize":
            return _summarize(event)
        case _:
            released = record.release_lock(event.cluster, event.execution)
            return Result(cluster=event.cluster, message="the lock is free" if released else "the lock was not ours")


def _validate(event: Event) -> Result:
    known = record.read(cluster_of(event.input))
    reading = _read(event, known)
    request = reading.request
    if request.once.only_if_deployed and not known.verified and not reading.problems:
        return Result(
            cluster=request.cluster, proceed=False, message=f"{request.cluster} is not deployed: nothing to do"
        )
    if request.once.only_if_deployed and request.once.rebuild and reading.named.ami and not reading.problems:
        message = f"{request.cluster} uses the AMI {reading.named.ami} of its own: nothing to rebuild"
        return Result(cluster=request.cluster, proceed=False, message=message)
    account = account_check.Judgement()
    if reading.wanted:
        begun = known.verified or known.plan is not None
        account = account_check.check(reading.wanted, request.cluster, begun=begun, deployed=known.verified)
    problems = list(account.problems)
    problems += taken_names(request.cluster, is_begun=bool(known.foundation))
    if reading.named.access:
        problems += address.problems_of_change(reading.named.access, known)
    if request.once.only_if_deployed:
        problems += unproven.repeated(known, request.patch)
    # What only the whole input shows, too: ids that contradict each other, and the length.
    wanted = _planned(event, known, reading, problems, is_checked=True)[0].wanted
    return Result(
        cluster=request.cluster,
        quiet=request.once.only_if_deployed,
        proceed=not request.once.dry_run,
        warnings=[*account.warnings, *warn(wanted)],
        dry_run=request.once.dry_run,
    )


def _read(event: Event, found: record.Record) -> Reading:
    known = found.known
    return read_input(
        event.input,
        known.input,
        settings().defaults,
        settings().application,
        earlier_users=known.accounts,
        earlier_groups=known.groups,
    )


def _find(event: Event) -> Found:
    request = read_verify_input(event.input)
    clusters = record.names() if request.every_cluster else [request.cluster]
    if request.sessions and (known := record.read(request.cluster)).verified:
        plan = record.plan_of(known, request.cluster)
        if not plan.wanted.acceptance:
            wrong = f"{request.cluster} has no account for which they could be opened"
            give = 'it after a deployment with {"acceptance": {"account": "NAME"}}'
            raise refusal([("sessions", request.sessions, wrong, give)])
    return Found(
        clusters=clusters[:MOST_CLUSTERS],
        every_cluster=request.every_cluster,
        left_out=clusters[MOST_CLUSTERS:],
        sessions=request.sessions,
    )


def _inspect(event: Event) -> Result:
    cluster = event.cluster
    known = record.read(cluster)
    if not known.verified:
        return Result(cluster=cluster, proceed=False, message=f"{cluster} is not deployed: nothing to verify")
    if record.is_locked(known):
        return Result(
            cluster=cluster, proceed=False, message=f"deployment in progress ({known.holder}): nothing was verified"
        )
    return Result(cluster=cluster, revision=record.revision(known))


def _lock(event: Event) -> Result:
    try:
        dead = record.take_lock(event.cluster, event.execution)
    except ClusterLocked as error:
        if not event.quiet:
            raise
        return Result(cluster=event.cluster, proceed=False, message=f"deployment in progress: {error}")
    if event.destroys:
        record.save_leaving(event.cluster, event.execution)
    return Result(cluster=event.cluster, message=f"taken over from {dead}, which no longer runs" if dead else "")


def _plan(event: Event) -> Result:
    found = record.confirm_lock(event.cluster, event.execution)
    plan, known = _planned(event, found, _read(event, found))
    if not found.verified:  # later it has used them all
        service_roles.ensure()
    if plan.wanted.access and not found.known.has_access:
        service_roles.ensure([service_roles.LOAD_BALANCING])
    record.save_plan(event.cluster, event.execution, plan, known)
    return Result(cluster=event.cluster, plan=shown(plan), changes=changes(found, plan, known))


def _preview(event: Event) -> Result:
    """Make the plan of a dry run, which nothing records, whoever holds the lock."""
    found = record.read(event.cluster)
    plan, known = _planned(event, found, _read(event, found))
    warnings = []
    if record.is_locked(found):
        warnings.append(
            f"{found.holder} deploys {event.cluster} now: this input would be refused (ClusterLocked) until it has "
            "ended, and what it still changes is not in what a dry run says."
        )
    return Result(
        cluster=event.cluster,
        packed=pack(plan),
        changes=changes(found, plan, known),
        warnings=[*event.warnings, *warnings],
    )


def _summarize(event: Event) -> Summary:
    steps = dry_run_summary.in_order([*event.steps, dry_run_summary.VERIFICATION])
    plan = unpack(event.packed)
    costs = dry_run_summary.bill(event.standing, plan)
    return Summary(
        output={
            "cluster": event.cluster,
            "dry_run": True,
            "message": f"Nothing was changed. This is what a deployment of {event.cluster} with this input would do.",
            "would": dry_run_summary.sentences(steps, costs, event.sessions),
            "steps": [each.model_dump(mode="json") for each in steps],
            "nodes": event.nodes,
            "sessions": event.sessions,
            "minutes": dry_run_summary.minutes(steps),
            "bill": costs,
            "warnings": event.warnings,
        },
        plan=shown(plan),
        changes=event.changes,
    )


def _planned(
    event: Event, found: record.Record, reading: Reading, problems: Iterable[Problem] = (), *, is_checked: bool = False
) -> tuple[Plan, Known]:
    """Make the plan. is_checked: it is made for its problems alone, and the image may be any."""
    try:
        looked = look_up(reading, problems)
        request, wanted = reading.whole()
        begins = generation.begins(found.known, event.execution, rebuild=request.once.rebuild)
        return make_plan(
            request,
            wanted,
            found.known,
            looked,
            defaults=settings().defaults,
            execution=event.execution,
            others=record.read_readable(without=request.cluster) if begins and not is_checked else (),
        )
    except InvalidInput as error:  # of a recorded value, perhaps
        cluster = reading.request.cluster
        lines = unproven.describe(found, cluster, event.execution, str(error))
        raise InvalidInput("\n".join([str(error), *lines])) from error
