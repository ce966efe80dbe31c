"""`systemctl`: the verbs that scripts of a node use, with the texts and exit codes of systemd 255."""

from __future__ import annotations

import os
import sys

from . import systemd
from .surroundings import complain, names_in, read
from .systemd import SYSTEM, UnitError

TYPE_CHECKING = False  # typing's own would import typing
if TYPE_CHECKING:
    from collections.abc import Callable


def main(arguments: list[str]) -> int:
    """Options are accepted anywhere, as systemctl does."""
    words = [word for word in arguments[1:] if not word.startswith("-")]
    options = [word for word in arguments[1:] if word.startswith("-")]
    if not words:
        return complain("systemctl: this stand-in needs a verb")
    verb, *names = words
    if verb == "show":
        return _show(options, words[1:])
    if verb in QUESTIONS:
        return QUESTIONS[verb](names, "--quiet" in options or "-q" in options)
    if verb not in VERBS:
        return complain(f"Unknown command verb '{verb}', did you mean one of {', '.join([*VERBS, *QUESTIONS])}?")
    if not names and verb not in {"daemon-reload", "daemon-reexec", "reset-failed"}:
        return complain("Too few arguments.")
    if verb == "start" and "--no-block" in options:
        return _begin(names)
    code = 0
    for name in names or [""]:
        try:
            VERBS[verb](name)
            if "--now" in options and verb in {"enable", "disable"}:
                VERBS["start" if verb == "enable" else "stop"](name)
        except UnitError as error:
            code = complain(str(error), error.code)
    return code


def _begin(names: list[str]) -> int:
    """Start units and wait for none of them."""
    import subprocess

    for name in names:
        if not systemd.exists(name):
            return complain(f"Failed to start {systemd.full_name(name)}: Unit {systemd.full_name(name)} not found.", 5)
    nowhere = subprocess.DEVNULL
    subprocess.Popen(
        ["systemctl", "start", *names], stdin=nowhere, stdout=nowhere, stderr=nowhere, start_new_session=True
    )
    return 0


def _restart(name: str) -> None:
    systemd.stop(name)
    systemd.start(name)


def _try_restart(name: str) -> None:
    if systemd.load(name).state == "active":
        _restart(name)


def _reload(name: str) -> None:
    unit = systemd.load(name)
    if unit.state != "active":
        raise UnitError(f"{unit.name} is not active, cannot reload.")


def _enable(name: str) -> None:
    unit = _installable("enable", name)
    for target in unit.words("WantedBy"):
        folder = f"{SYSTEM}/{target}.wants"
        link = f"{folder}/{unit.name}"
        if not os.path.islink(link):
            os.makedirs(folder, exist_ok=True)
            os.symlink(unit.files[0], link)
            print(f"Created symlink {link} → {unit.files[0]}.", file=sys.stderr)


def _disable(name: str) -> None:
    unit = _installable("disable", name)
    for link in _links_of(unit.name):
        os.unlink(link)
        print(f'Removed "{link}".', file=sys.stderr)


def _links_of(name: str) -> list[str]:
    """What enables a unit."""
    links = [f"{SYSTEM}/{folder}/{name}" for folder in names_in(SYSTEM, ".wants")]
    return [link for link in links if os.path.islink(link)]


def _installable(verb: str, name: str) -> systemd.Unit:
    if not systemd.exists(name):
        raise UnitError(f"Failed to {verb} unit: Unit file {systemd.full_name(name)} does not exist.")
    return systemd.load(name)


def _mask(name: str) -> None:
    link = f"{SYSTEM}/{systemd.full_name(name)}"
    if os.path.exists(link) and not os.path.islink(link):
        raise UnitError(f"Failed to mask unit: File {link} already exists.")
    _unmask(name)
    os.symlink("/dev/null", link)


def _unmask(name: str) -> None:
    link = f"{SYSTEM}/{systemd.full_name(name)}"
    if os.path.islink(link):
        os.unlink(link)


def _nothing(_: str) -> None:
    """Unit files are read again by each command, so there is nothing to reload."""


def _is_active(names: list[str], quiet: bool) -> int:
    states = [systemd.load(name).state if systemd.exists(name) else "inactive" for name in names]
    if not quiet:
        print("\n".join(states))
    if "active" in states:
        return 0
    return 3 if any(map(systemd.exists, names)) else 4


def _is_failed(names: list[str], quiet: bool) -> int:
    states = [systemd.load(name).state if systemd.exists(name) else "inactive" for name in names]
    if not quiet:
        print("\n".join(states))
    return 0 if "failed" in states else 1


def _is_enabled(names: list[str], quiet: bool) -> int:
    answers = [_enablement(name) for name in names]
    if not quiet:
        print("\n".join(answers))
    if "enabled" in answers or "static" in answers:
        return 0
    return 4 if answers == ["not-found"] else 1


def _enablement(name: str) -> str:
    name = systemd.full_name(name)
    if systemd.is_masked(f"{SYSTEM}/{name}"):
        return "masked"
    if not systemd.exists(name):
        return "not-found"
    if not systemd.load(name).words("WantedBy", "RequiredBy", "Also"):
        return "static"
    return "enabled" if _links_of(name) else "disabled"


def _status(names: list[str], _: bool) -> int:
    for name in names:
        if not systemd.exists(name):
            return complain(f"Unit {systemd.full_name(name)} could not be found.", 4)
        unit = systemd.load(name)
        print(f"{unit.name} - {unit.one('Description')}\n     Active: {unit.state}")
        if os.path.exists(unit.journal):
            print("\n" + "\n".join(read(unit.journal).splitlines()[-10:]))
        if unit.state != "active":
            return 3
    return 0


def _cat(names: list[str], _: bool) -> int:
    for name in names:
        if not systemd.exists(name):
            return complain(f"No files found for {systemd.full_name(name)}.")
        for file in systemd.load(name).files:
            print(f"# {file}\n{read(file)}")
    return 0


def _show(options: list[str], words: list[str]) -> int:
    """`show -p NAMES [--value] UNIT`: ActiveState, MainPID, UnitFileState and the directives of the unit file."""
    *given, name = words
    wanted = [part for option in options if option.startswith("--property=") for part in option[11:].split(",")]
    wanted += [part for option in options if option.startswith("-p") and option[2:] for part in option[2:].split(",")]
    wanted += [part for word in given for part in word.split(",")]
    unit = systemd.load(name) if systemd.exists(name) else systemd.Unit(systemd.full_name(name), [])
    processes = unit.processes()
    known = {
        "ActiveState": unit.state,
        "LoadState": "loaded" if unit.files else "not-found",
        "UnitFileState": _enablement(name),
        "MainPID": str(min(processes, default=0)),
    }
    for directive in [name for name in unit.settings if name.startswith("Limit")]:
        soft, _, hard = unit.one(directive).partition(":")
        known |= {f"{directive}Soft": soft, directive: hard or soft}
    for key in wanted or list(known):
        value = known.get(key, " ".join(unit.settings.get(key, [])))
        print(value if "--value" in options else f"{key}={value}")
    return 0


VERBS: dict[str, Callable[[str], None]] = {
    "start": systemd.start,
    "stop": systemd.stop,
    "restart": _restart,
    "try-restart": _try_restart,
    "reload": _reload,
    "reload-or-restart": _restart,
    "enable": _enable,
    "disable": _disable,
    "mask": _mask,
    "unmask": _unmask,
    "daemon-reload": _nothing,
    "daemon-reexec": _nothing,
    "reset-failed": _nothing,
}
QUESTIONS: dict[str, Callable[[list[str], bool], int]] = {
    "is-active": _is_active,
    "is-failed": _is_failed,
    "is-enabled": _is_enabled,
    "status": _status,
    "cat": _cat,
}
