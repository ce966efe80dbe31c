"""Units as systemd reads and runs them, as far as a node needs it: this stands for pid 1 of a machine.

Understood: drop-ins, Requires, Wants, BindsTo, After, Before, RequiresMountsFor, ConditionPathExists,
ConditionDirectoryNotEmpty, the Exec lines, Type simple, exec, forking, notify and oneshot, RemainAfterExit, User,
Group, WorkingDirectory, Environment, EnvironmentFile, RuntimeDirectory, StateDirectory, Restart, RestartSec,
TimeoutStartSec, TimeoutStopSec, KillMode, the Install section,
and the mount units of fstab. A process belongs to a unit when the INVOCATION_ID of its environment says so, which
replaces the control group.
"""

from __future__ import annotations

import os
import pwd
import time

from .surroundings import names_in, read, write

TYPE_CHECKING = False  # typing's own would import typing
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import TextIO

SYSTEM = "/etc/systemd/system"
PLACES = (SYSTEM, "/run/systemd/system", "/usr/lib/systemd/system")
STATE = "/run/systemd/rehearsal"
RECORD = ".state"
"""The end of the name of a unit's record in STATE: its state and its invocation, a line each."""
JOURNAL = "/var/log/journal"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
KINDS = (".service", ".timer", ".socket", ".target", ".mount", ".path", ".slice")
SPANS = {"min": 60.0, "ms": 0.001, "s": 1.0, "": 1.0, "h": 3600.0}

# Runs a service in the foreground and again when it failed and must be restarted: WORD SECONDS COMMAND...
SUPERVISOR = """
word=$1 pause=$2; shift 2
while :; do
  "$@" & echo $! >"$MAINPIDFILE"; wait $!; code=$?; echo "$code" >"$MAINPIDFILE.exit"
  case $word in always) ;; on-failure) [ "$code" -ne 0 ] || exit 0 ;; *) exit "$code" ;; esac
  sleep "$pause"
done
"""


class UnitError(Exception):
    """When systemctl must refuse: `code` is its exit code."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


class Unit:
    """One unit: the text of its file and drop-ins, and what it is doing."""

    def __init__(self, name: str, files: list[str]) -> None:
        self.name = name
        self.files = files
        self.settings = _settings(files)
        self.record = f"{STATE}/{name}{RECORD}"
        self.supervisor = f"{STATE}/{name}.supervisor"
        self.pid_file = f"{STATE}/{name}.pid"
        self.exit_file = f"{STATE}/{name}.pid.exit"
        self.journal = f"{JOURNAL}/{name}.log"

    def one(self, directive: str, default: str = "") -> str:
        values = self.settings.get(directive)
        return values[-1] if values else default

    def words(self, *directives: str) -> list[str]:
        return [
            word for directive in directives for value in self.settings.get(directive, []) for word in value.split()
        ]

    def yes(self, directive: str) -> bool:
        return self.one(directive).lower() in {"yes", "true", "on", "1"}

    def seconds(self, directive: str, default: float) -> float:
        text = self.one(directive)
        number = text.rstrip("minsh ")
        return float(number) * SPANS[text[len(number) :].strip()] if text else default

    def processes(self) -> list[int]:
        """The living processes of the unit's present invocation."""
        _, invocation = self.recorded()
        if not invocation:
            return []
        mark = f"INVOCATION_ID={invocation}".encode()
        found = []
        for entry in names_in("/proc"):
            if entry.isdecimal() and int(entry) != os.getpid():
                try:
                    with open(f"/proc/{entry}/environ", "rb") as environ:
                        if mark in environ.read().split(b"\0"):
                            found.append(int(entry))
                except OSError:  # it has ended
                    pass
        return found

    @property
    def state(self) -> str:
        """`active`, `inactive` or `failed`."""
        state, _ = self.recorded()
        if state != "active" or self.yes("RemainAfterExit") or self.processes():
            return state
        code = read(self.exit_file).strip() if os.path.exists(self.exit_file) else "0"
        return "failed" if self.one("Type") == "forking" or code != "0" else "inactive"

    def remember(self, state: str, invocation: str = "") -> None:
        os.makedirs(STATE, exist_ok=True)
        write(self.record, f"{state}\n{invocation}\n")

    def log(self, line: str) -> None:
        os.makedirs(JOURNAL, exist_ok=True)
        with open(self.journal, "a") as file:
            file.write(f"{time.strftime('%b %d %H:%M:%S')} {os.uname().nodename} systemd[1]: {line}\n")

    def job(self) -> TextIO:
        """The only job of this unit until this is closed: who wants another one waits, as in systemd's queue."""
        import fcntl

        os.makedirs(STATE, exist_ok=True)
        queue = open(f"{STATE}/{self.name}.lock", "w")  # noqa: SIM115
        fcntl.flock(queue, fcntl.LOCK_EX)
        return queue

    def recorded(self) -> tuple[str, str]:
        """State and invocation; also where another command is just writing them."""
        try:
            state, invocation = read(self.record).splitlines()
        except (OSError, ValueError):
            return "inactive", ""
        return state, invocation


class Mount(Unit):
    """A mount unit that systemd makes of a line of fstab."""

    def __init__(self, name: str, point: str) -> None:
        super().__init__(name, [])
        self.point = point

    @property
    def state(self) -> str:
        if os.path.ismount(self.point):
            return "active"
        return "failed" if self.recorded()[0] == "failed" else "inactive"

    def mount(self) -> None:
        """Mount; raises UnitError. A mount that failed is not tried again."""
        import subprocess

        with self.job():
            if os.path.ismount(self.point):
                return
            os.makedirs(self.point, exist_ok=True)
            self.log(f"Mounting {self.name} - {self.point}...")
            done = subprocess.run(["mount", self.point], capture_output=True, text=True, timeout=120, check=False)
            if done.returncode:
                self.remember("failed")
                self.log(done.stderr.strip())
                self.log(f"{self.name}: Mount process exited, code=exited, status={done.returncode}/FAILURE")
                raise _job_failed(self)
            self.remember("active")


def _settings(files: list[str]) -> dict[str, list[str]]:
    """Values by directive over all sections; an empty assignment clears what came before, as systemd does."""
    settings: dict[str, list[str]] = {}
    for file in files:
        for line in map(str.strip, read(file).replace("\\\n", " ").splitlines()):
            name, equals, value = line.partition("=")
            if not equals or line.startswith(("#", ";", "[")):
                continue
            values = settings.setdefault(name.strip(), [])
            if value.strip():
                values.append(value.strip())
            else:
                values.clear()
    return settings


def mounts() -> dict[str, str]:
    """The mount points of fstab, by the names of their units."""
    return {full_name(fields[1]): fields[1] for fields in fstab()}


def full_name(name: str) -> str:
    if name.startswith("/"):  # as systemd-escape --path --suffix=mount
        return f"{name.strip('/').replace('-', r'\x2d').replace('/', '-')}.mount"
    return name if name.endswith(KINDS) else f"{name}.service"


def load(name: str) -> Unit:
    """The unit of this name. Raises UnitError when there is none, or it is masked."""
    name = full_name(name)
    if name in (points := mounts()):
        return Mount(name, points[name])
    for place in PLACES:
        file = f"{place}/{name}"
        if is_masked(file):
            raise UnitError(f"Failed to start {name}: Unit {name} is masked.")
        if os.path.isfile(file):
            folders = [f"{place}/{name}.d" for place in reversed(PLACES)]
            drop_ins = {each: f"{folder}/{each}" for folder in folders for each in names_in(folder, ".conf")}
            return Unit(name, [file, *(drop_ins[key] for key in sorted(drop_ins))])
    raise UnitError(f"Failed to start {name}: Unit {name} not found.", 5)


def is_masked(file: str) -> bool:
    return os.path.islink(file) and os.readlink(file) == "/dev/null"


def exists(name: str) -> bool:
    name = full_name(name)
    return name in mounts() or any(os.path.isfile(f"{place}/{name}") for place in PLACES)


def start(name: str) -> None:
    """Start a unit after what it requires. Raises UnitError with the text of systemctl."""
    unit = load(name)
    if unit.state == "active":
        return
    if isinstance(unit, Mount):
        unit.mount()
        return
    if unit.name.endswith((".target", ".timer", ".socket", ".path")):
        unit.remember("active")
        return
    after = {full_name(word) for word in unit.words("After")}
    wanted = [word for word in unit.words("Wants") if full_name(word) in after and exists(word)]
    for other in [*wanted, *(word for word in unit.words("Requires", "BindsTo") if word != "-.mount")]:
        try:
            start(other)
        except UnitError as error:
            if other not in wanted:
                raise _dependency_failed(unit, f"{other}: {error}") from error
    for path in unit.words("RequiresMountsFor"):
        mount_for(unit, path)
    with unit.job():
        if unit.state == "active":  # another command has started it since
            return
        if unmet := _unmet_condition(unit):
            unit.log(f"{unit.name} was skipped because of an unmet condition check ({unmet}).")
            return
        _launch(unit)


def _unmet_condition(unit: Unit) -> str:
    """The first condition that does not hold, or "". Of those marked with `|`, one is enough."""
    triggering = []
    for directive, holds in (
        ("ConditionPathExists", os.path.exists),
        ("ConditionDirectoryNotEmpty", lambda path: bool(names_in(path))),
    ):
        for word in unit.words(directive):
            path = word.lstrip("|!")
            met = holds(path) != ("!" in word[: len(word) - len(path)])
            if word.startswith("|"):
                triggering.append((met, f"{directive}={word}"))
            elif not met:
                return f"{directive}={word}"
    return "" if not triggering or any(met for met, _ in triggering) else triggering[0][1]


def stop(name: str) -> None:
    """Stop a unit: its ExecStop lines, then signals to what is left of it."""
    import subprocess

    unit = load(name)
    with unit.job():
        if isinstance(unit, Mount):
            if unit.state == "active":
                subprocess.run(["umount", unit.point], check=False, timeout=30)
            unit.remember("inactive")
        else:
            _stop(unit)


def _stop(unit: Unit) -> None:
    import signal

    alive = unit.processes()
    if unit.state == "active":
        environment = _environment(unit, unit.recorded()[1])
        for line in unit.settings.get("ExecStop", []):
            _execute(unit, line, environment, unit.seconds("TimeoutStopSec", 90))
    if os.path.exists(unit.supervisor):
        _signal([int(read(unit.supervisor))], signal.SIGKILL)
        os.unlink(unit.supervisor)
    if unit.one("KillMode") != "none":
        alive = unit.processes()
        _signal(alive, signal.SIGTERM)
        deadline = time.monotonic() + unit.seconds("TimeoutStopSec", 90)
        while (alive := unit.processes()) and time.monotonic() < deadline:
            time.sleep(0.02)
        _signal(alive, signal.SIGKILL)
    unit.remember("inactive")
    unit.log(f"Stopped {unit.name}.")


def mount_for(unit: Unit, path: str) -> None:
    """Mount what fstab says about `path` or a folder above it; a path that fstab does not know needs nothing."""
    for name, point in mounts().items():
        if path == point or path.startswith(point.rstrip("/") + "/"):
            try:
                start(name)
            except UnitError as error:
                raise _dependency_failed(unit, f"{name}: {error}") from error


def fstab() -> list[list[str]]:
    """The fields of each line of /etc/fstab that mounts something, in order."""
    lines = [line.split() for line in read("/etc/fstab").splitlines() if line.strip() and not line.startswith("#")]
    return [fields for fields in lines if len(fields) >= 4 and fields[2] != "swap"]


def in_order(names: Iterable[str]) -> list[str]:
    """The units in an order that After and Before allow; a circle is cut where it is met."""
    units = {full_name(name): load(name) for name in names}
    earlier: dict[str, set[str]] = {
        name: {full_name(word) for word in unit.words("After")} for name, unit in units.items()
    }
    for name, unit in units.items():
        for word in unit.words("Before"):
            earlier.setdefault(full_name(word), set()).add(name)
    ordered: list[str] = []
    visiting: set[str] = set()

    def visit(name: str) -> None:
        if name in ordered or name in visiting or name not in units:
            return
        visiting.add(name)
        for other in sorted(earlier.get(name, ())):
            visit(other)
        ordered.append(name)

    for name in sorted(units):
        visit(name)
    return ordered


def recorded() -> list[str]:
    """The units that were started, or failed to, since the machine has started."""
    return [name.removesuffix(RECORD) for name in names_in(STATE, RECORD)]


def wanted_at_boot() -> list[str]:
    """The units that are enabled and there."""
    folders = [*names_in(SYSTEM, ".target.wants"), *names_in(SYSTEM, ".target.requires")]
    links = {name for folder in folders for name in names_in(f"{SYSTEM}/{folder}")}
    return [name for name in links if exists(name)]


def _launch(unit: Unit) -> None:
    import signal

    invocation = os.urandom(16).hex()
    environment = _environment(unit, invocation)
    unit.remember("active", invocation)
    unit.log(f"Starting {unit.name}...")
    kind = unit.one("Type", "simple")
    patience = unit.seconds("TimeoutStartSec", 90)
    before = unit.settings.get("ExecStartPre", [])
    lines = unit.settings.get("ExecStart", [])
    for line in [*before, *(lines if kind in {"oneshot", "forking"} else [])]:
        if _execute(unit, line, environment, patience):
            _signal(unit.processes(), signal.SIGKILL)
            unit.remember("failed")
            unit.log(f"{unit.name}: Failed with result 'exit-code'.")
            if unit.one("Restart", "no") in {"on-failure", "always"}:
                _start_later(unit)
            raise _job_failed(unit)
    if kind == "notify":
        _await_notice(unit, lines[-1], environment, patience)
    elif kind not in {"oneshot", "forking"}:
        _supervise(unit, lines[-1], environment)
    for line in unit.settings.get("ExecStartPost", []):
        _execute(unit, line, environment, patience)
    if kind == "oneshot" and not unit.yes("RemainAfterExit"):
        unit.remember("inactive")
    unit.log(f"Started {unit.name}.")


def _start_later(unit: Unit) -> None:
    """Start a unit again whose commands have failed, after its pause, unless it is stopped meanwhile."""
    import subprocess

    again = f"sleep {unit.seconds('RestartSec', 0.1)}; exec systemctl start {unit.name}"
    waiting = subprocess.Popen(
        ["/bin/bash", "-c", again],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={"PATH": PATH, "LANG": "C.UTF-8"},
        start_new_session=True,
    )
    write(unit.supervisor, str(waiting.pid))


def _await_notice(unit: Unit, line: str, environment: dict[str, str], patience: float) -> None:
    """Start a service that says itself when it is ready (sd_notify(3)). Raises UnitError where it ends before."""
    import signal
    import socket

    path = f"{STATE}/{unit.name}.notify"
    if os.path.exists(path):
        os.unlink(path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notices:
        notices.bind(path)
        notices.settimeout(0.05)
        environment["NOTIFY_SOCKET"] = path
        _supervise(unit, line, environment)
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            try:
                if b"READY=1" in notices.recv(4096).split(b"\n"):
                    return
            except TimeoutError:
                if os.path.exists(unit.exit_file):
                    break
        result = "exit-code" if os.path.exists(unit.exit_file) else "timeout"
    _stop(unit)
    _signal(unit.processes(), signal.SIGKILL)
    unit.remember("failed")
    unit.log(f"{unit.name}: Failed with result '{result}'.")
    raise _job_failed(unit, result)


def _supervise(unit: Unit, line: str, environment: dict[str, str]) -> None:
    import subprocess

    command = _command(line, environment)
    if not os.path.exists(command[0]):
        unit.remember("failed")
        unit.log(f"{unit.name}: Failed at step EXEC spawning {command[0]}: No such file or directory")
        raise _job_failed(unit)
    pause = str(unit.seconds("RestartSec", 0.1))
    if os.path.exists(unit.exit_file):
        os.unlink(unit.exit_file)
    if user := unit.one("User"):
        group = unit.one("Group") or str(pwd.getpwnam(user).pw_gid)
        command = ["setpriv", f"--reuid={user}", f"--regid={group}", "--init-groups", *command]
    with open(unit.journal, "a") as journal:
        supervisor = subprocess.Popen(
            ["/bin/bash", "-c", SUPERVISOR, "supervisor", unit.one("Restart", "no"), pause, *command],
            stdin=subprocess.DEVNULL,
            stdout=journal,
            stderr=journal,
            env={**environment, "MAINPIDFILE": unit.pid_file},
            cwd=unit.one("WorkingDirectory", "/"),
            start_new_session=True,
        )
    write(unit.supervisor, str(supervisor.pid))


def _execute(unit: Unit, line: str, environment: dict[str, str], patience: float) -> int:
    """Run one Exec line to its end; 0 when it succeeded or is prefixed with `-`."""
    import grp
    import subprocess

    command = _command(line, environment)
    user = unit.one("User") if not line.startswith("+") else ""
    account = pwd.getpwnam(user) if user else None
    group = unit.one("Group")
    with open(unit.journal, "a") as journal:
        try:
            code = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=journal,
                stderr=journal,
                env=environment,
                cwd=unit.one("WorkingDirectory", "/"),
                user=account.pw_uid if account else None,
                group=(grp.getgrnam(group).gr_gid if group else account.pw_gid) if account else None,
                extra_groups=os.getgrouplist(user, account.pw_gid) if account else None,
                timeout=patience,
                start_new_session=True,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired:
            unit.log(f"{unit.name}: {command[0]} operation timed out. Terminating.")
            code = 1
        except OSError as error:
            unit.log(f"{unit.name}: Failed at step EXEC spawning {command[0]}: {error.strerror}")
            code = 203
    if code:
        unit.log(f"{unit.name}: Control process exited, code=exited, status={code}")
    return 0 if line.startswith("-") else code


def _command(line: str, environment: dict[str, str]) -> list[str]:
    import shlex

    words = shlex.split(line.lstrip("-@+!:"))
    expanded = []
    for word in words:
        for name, value in environment.items():
            word = word.replace(f"${{{name}}}", value)  # noqa: PLW2901
        expanded.append(word.replace("%%", "%").replace("$$", "$"))
    return expanded


def _environment(unit: Unit, invocation: str) -> dict[str, str]:
    import shlex

    environment = {"PATH": PATH, "LANG": "C.UTF-8", "INVOCATION_ID": invocation, "SYSTEMD_EXEC_PID": str(os.getpid())}
    if user := unit.one("User"):
        account = pwd.getpwnam(user)
        environment |= {"USER": user, "LOGNAME": user, "HOME": account.pw_dir, "SHELL": account.pw_shell}
    for value in unit.settings.get("Environment", []):
        environment |= dict(_assignments(shlex.split(value)))
    for name in unit.settings.get("EnvironmentFile", []):
        file = name.lstrip("-")
        if os.path.exists(file):
            environment |= dict(_assignments(shlex.split(read(file), comments=True)))
        elif not name.startswith("-"):
            unit.remember("failed")
            unit.log(f"{unit.name}: Failed to load environment files: No such file or directory")
            raise _job_failed(unit)
    for directive, place, variable in (
        ("RuntimeDirectory", "/run", "RUNTIME_DIRECTORY"),
        ("StateDirectory", "/var/lib", "STATE_DIRECTORY"),
    ):
        for name in unit.words(directive):
            environment[variable] = folder = f"{place}/{name}"
            os.makedirs(folder, exist_ok=True)
            if user:
                os.chown(folder, account.pw_uid, account.pw_gid)
    return environment


def _assignments(words: Iterable[str]) -> Iterator[tuple[str, str]]:
    for word in words:
        name, equals, value = word.partition("=")
        if equals:
            yield name, value


def _signal(processes: Iterable[int], number: int) -> None:
    for process in processes:
        try:
            os.kill(process, number)
        except ProcessLookupError:  # it has ended
            pass


def _job_failed(unit: Unit, result: str = "exit-code") -> UnitError:
    why = "a timeout was exceeded" if result == "timeout" else "the control process exited with error code"
    return UnitError(
        f"Job for {unit.name} failed because {why}.\n"
        f'See "systemctl status {unit.name}" and "journalctl -xeu {unit.name}" for details.'
    )


def _dependency_failed(unit: Unit, cause: str) -> UnitError:
    unit.log(f"Dependency failed for {unit.name}: {cause}")
    return UnitError(f"A dependency job for {unit.name} failed. See 'journalctl -xe' for details.")
