"""Nodes that misbehave on order, `--fault node:WORD`: what goes wrong on the real host, and how it is taken back.

What a stand-in on the node does wrong it finds out from a file of the fault's name.
"""

import contextlib
import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, Literal

from rehearsal.aws.local_aws import LocalAws
from rehearsal.aws.services import work
from rehearsal.hosts.host import HostError
from rehearsal.hosts.standins.surroundings import FAULTS

if TYPE_CHECKING:
    from .instances import Machine

SCRIPT_SECONDS: Final = 60
MIDDLE_SECONDS: Final = 20
"""AWS seconds after which a node that works slowly is met in the middle of it."""

SLOW: Final = -300.0  # seconds by which a clock is fast, unless it is said
SILENT: Final = 8
"""AWS seconds for which a metadata service does not answer, unless it is said."""

OLD_WORKBENCH: Final = "2026.07.0+139.pro9"

type Moment = Literal["boot", "command"]
type Lift = Callable[[], object]
type Begin = Callable[[LocalAws, "Machine", Mapping[str, str]], Lift]


def begin(aws: LocalAws, machine: "Machine", moment: Moment) -> None:
    """Begin the faults of a node that are due: before its units start, or before a command runs on it."""
    facts = _facts(aws, machine)
    for word, start in BEGINNINGS[moment].items():
        details = None if word in machine.faults else _take(aws, word, facts)
        if details is not None:
            machine.faults.add(word)
            aws.faults.at_end(functools.partial(_end, aws, machine, word, start(aws, machine, details)))


def take(aws: LocalAws, machine: "Machine", word: str) -> dict[str, str] | None:
    """The details of a fault that is to happen on this node now; None for an instance that is no node."""
    return _take(aws, word, _facts(aws, machine))


def _take(aws: LocalAws, word: str, facts: Mapping[str, object]) -> dict[str, str] | None:
    return aws.faults.take(f"node:{word}", **facts) if facts else None


def _facts(aws: LocalAws, machine: "Machine") -> dict[str, object]:
    """What a fault of a node is chosen by; nothing of an instance that is no node."""
    if machine.group is None:
        return {}
    machines = list(aws.machines.by_id.values())  # others are launched meanwhile
    living = {other.id for other in machines if not other.ending and other.group == machine.group}
    return {"instance": machine.id, "node": sorted({*living, machine.id}).index(machine.id) + 1}


def _end(aws: LocalAws, machine: "Machine", word: str, lift: Lift) -> None:
    machine.faults.discard(word)
    if machine.host:
        with aws.clock.busy():
            lift()


def _write(machine: "Machine", word: str, text: str = "") -> None:
    machine.run(f"mkdir -p {FAULTS} && printf '%s' '{text}' >{FAULTS}/{word}", timeout=SCRIPT_SECONDS)


def _remove(machine: "Machine", *words: str) -> None:
    files = " ".join(f"{FAULTS}/{word}" for word in words)
    machine.run(f"rm -f {files}", timeout=SCRIPT_SECONDS)


def _ordered(word: str) -> Begin:
    """The stand-ins do it all."""

    def start(_: LocalAws, machine: "Machine", _details: Mapping[str, str]) -> Lift:
        _write(machine, word)
        return functools.partial(_remove, machine, word)

    return start


def _in_the_middle(act: Callable[[LocalAws, "Machine"], None], back: Callable[[LocalAws, "Machine"], None]) -> Begin:
    """verify-installation takes its time, as in life, and meanwhile `act` happens."""

    def start(aws: LocalAws, machine: "Machine", _: Mapping[str, str]) -> Lift:
        _write(machine, "slow")

        def wait_and_act() -> None:
            aws.clock.sleep(MIDDLE_SECONDS)
            act(aws, machine)

        def lift() -> None:
            _remove(machine, "slow")
            back(aws, machine)

        work.start(aws.clock, wait_and_act)
        return lift

    return start


def _fill_the_disk(_: LocalAws, machine: "Machine", _details: Mapping[str, str]) -> Lift:
    assert machine.host
    machine.host.fill_disk()
    return machine.host.empty_disk


def _set_the_clock(*words: str) -> Begin:
    def start(_: LocalAws, machine: "Machine", details: Mapping[str, str]) -> Lift:
        for word in words:
            _write(machine, word, str(float(details.get("seconds", SLOW))))
        return functools.partial(_remove, machine, *words)

    return start


def _change_the_key(_: LocalAws, machine: "Machine", _details: Mapping[str, str]) -> Lift:
    """Nothing takes it back but who puts the right key in place."""
    change = "printf '%s' 1111111111111111111111111111111111 >/etc/rstudio/secure-cookie-key"
    machine.run(f"{change}; systemctl restart rstudio-server", timeout=SCRIPT_SECONDS)
    return lambda: None


def _change_workbench(_: LocalAws, machine: "Machine", details: Mapping[str, str]) -> Lift:
    file, version = "/usr/lib/rstudio-server/VERSION", details.get("version", OLD_WORKBENCH)
    machine.run(f"cp {file} {file}.kept; echo '{version}' >{file}", timeout=SCRIPT_SECONDS)
    return functools.partial(machine.run, f"mv {file}.kept {file}", timeout=SCRIPT_SECONDS)


def _silence_the_metadata(aws: LocalAws, machine: "Machine", details: Mapping[str, str]) -> Lift:
    silent, address = aws.hosts.metadata.silent, machine.address
    silent[address] = lambda _path: True

    def lift() -> None:
        silent.pop(address, None)

    def answer_later() -> None:
        aws.clock.sleep(float(details.get("seconds", SILENT)))
        lift()

    work.start(aws.clock, answer_later)
    return lift


def _refuse_mounts(aws: LocalAws, machine: "Machine", details: Mapping[str, str]) -> Lift:
    _write(machine, "mounts")
    lift = functools.partial(_remove, machine, "mounts")
    if seconds := details.get("seconds"):

        def answer_later() -> None:
            aws.clock.sleep(float(seconds), lambda: machine.ending)
            lift()

        work.start(aws.clock, answer_later)
    return lift


def _boot_again_without_mounts(aws: LocalAws, machine: "Machine", details: Mapping[str, str]) -> Lift:
    lift = _refuse_mounts(aws, machine, details)
    machine.run("systemctl stop rstudio-server; umount --lazy /efs/home /efs/shared-storage", timeout=SCRIPT_SECONDS)
    assert machine.host
    with contextlib.suppress(HostError):
        machine.host.reboot()
    return lift


BEGINNINGS: Final[Mapping[Moment, Mapping[str, Begin]]] = {
    "boot": {"mounts": _refuse_mounts},
    "command": {
        "verify-installation": _ordered("verify-installation"),
        "hang": _ordered("hang"),
        "network": _in_the_middle(
            lambda aws, machine: aws.machines.disconnect(machine), lambda aws, machine: aws.machines.reconnect(machine)
        ),
        "terminated": _in_the_middle(
            lambda aws, machine: aws.machines.terminate(machine.id), lambda _aws, _machine: None
        ),
        "disk": _fill_the_disk,
        "clock": _set_the_clock("clock"),
        "time-source": _set_the_clock("clock", "time-source"),
        "key": _change_the_key,
        "workbench": _change_workbench,
        "metadata": _silence_the_metadata,
        "mounts": _boot_again_without_mounts,
    },
}
