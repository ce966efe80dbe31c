"""`rstudio-server`, the administration command of Posit Workbench, with output as recorded from real systems."""

from __future__ import annotations

import os
import sys

from . import systemd
from .surroundings import complain, fault, read, write
from .workbench import state
from .workbench.state import STATE, ConfigurationError, Refused

TYPE_CHECKING = False  # typing's own would import typing
if TYPE_CHECKING:
    from collections.abc import Callable

    from psycopg2.extensions import connection as Connection

OFFLINE = f"{STATE}/offline"
TTY = (
    "TTY detected. Printing informational message about logging configuration. "
    "Logging configuration loaded from '/etc/rstudio/logging.conf'. "
    "Logging to '/var/log/rstudio/rstudio-server/rserver.log'."
)
RELEASE = {
    "01": "Apple Blossom",
    "04": "Globemaster Allium",
    "05": "Mariposa Orchid",
    "06": "Sea Holly",
    "07": "Bachelor's Button",
}
LAUNCHER_SECONDS = 10
SLOW_SECONDS = 60


def main(arguments: list[str]) -> int:
    """Everything but `version` needs root, as in life."""
    verb, words = (arguments[1], arguments[2:]) if len(arguments) > 1 else ("", [])
    if verb not in COMMANDS:
        return complain(f"Usage: rstudio-server {{{'|'.join(COMMANDS)}}}")
    if os.geteuid() and verb != "version":
        return complain("This command must be run as root")
    if sys.stdout.isatty() and verb in {"list-nodes", "verify-installation", "license-manager"}:
        print(TTY)
    try:
        return COMMANDS[verb](words)
    except (ConfigurationError, Refused, systemd.UnitError) as error:
        return complain(f"ERROR {error}")


def version(_: list[str]) -> int:
    number = state.version()
    print(f"{number} Workbench (Rehearsal) for Ubuntu Noble")
    return 0


def list_nodes(_: list[str]) -> int:
    """A table of fixed columns, two spaces or more apart."""
    from .workbench import cluster, configuration

    files = configuration.read()
    link = cluster.connect(configuration.database(files), "rstudio-server")
    rows = [("ID", "Host", "IPv4", "Port", "Status", "Last Seen")]
    for node in cluster.nodes(link):
        seen = node.last_seen.strftime("%Y-%b-%d %H:%M:%S")
        rows.append((str(node.id), node.host, node.ipv4, str(node.port), node.status, seen))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    print(f"Cluster\n-------\nProtocol\n{cluster.protocol(link)}\n\nNodes\n-----")
    for row in rows:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
    return 0


def node_status(_: list[str]) -> int:
    import urllib.request

    from .workbench import configuration

    files = configuration.read()
    print(f"Load balancing: {'enabled' if files.balanced else 'disabled'}")
    with urllib.request.urlopen(
        f"http://localhost:{files.port}/load-balancer/status", timeout=LAUNCHER_SECONDS
    ) as response:
        print(response.read().decode(), end="")
    return 0


def delete_node(words: list[str]) -> int:
    if len(words) != 1 or not words[0].isdecimal():
        return complain("Usage: rstudio-server delete-node <node ID>")
    from .workbench import cluster

    cluster.delete_node(_connected(), int(words[0]))
    return 0


def reset_cluster(_: list[str]) -> int:
    from .workbench import cluster

    cluster.reset(_connected())
    return 0


def verify_installation(words: list[str]) -> int:
    """Does not look for unknown options of rserver.conf (rstudio#9709), but for everything else that a start needs.

    Without --verify-user the launcher is not asked; with it, jobs are started as that user, of each kind of session
    unless --verify-test names one.
    """
    from .workbench import cluster, configuration

    options = dict(word.removeprefix("--").partition("=")[::2] for word in words)
    if unknown := options.keys() - {"verify-user", "verify-test"}:
        return complain(f"ERROR unrecognised option '--{min(unknown)}'")
    if fault("slow"):
        _sleep(str(SLOW_SECONDS))
    if fault("hang"):
        _sleep("infinity")
    if state.running():
        return complain("Server is running and must be stopped before running verify-installation")
    files = configuration.read(options_checked=False)
    if files.method == "openid":
        from .workbench import openid

        openid.check(files)
    database = configuration.database(files)
    if database.plain:
        print("A plain text value is potentially being used for the PostgreSQL password.", file=sys.stderr)
    if fault("verify-installation"):
        return complain(
            "ERROR system error 2 (No such file or directory) [description: the rehearsal wants this to fail]"
        )
    if database.provider == "postgresql":
        cluster.connect(database, "verify-installation").close()
    if user := options.get("verify-user"):
        code = _verify_launcher(user, options.get("verify-test", ""))
        if code:
            return code
    print("No errors")
    return 0


def _verify_launcher(user: str, test: str) -> int:
    """Have the launcher start jobs as a user who has a home, with a licence."""
    import json
    import pwd
    import urllib.request

    from . import rstudio_launcher
    from .workbench import licensing

    print("Checking Job Launcher configuration...")
    print("Ensuring server-user is a Job Launcher admin...")
    print("Getting list of Job Launcher clusters...")
    address, port = rstudio_launcher.read()
    host = "127.0.0.1" if address == "0.0.0.0" else address
    try:
        with urllib.request.urlopen(f"http://{host}:{port}/status", timeout=LAUNCHER_SECONDS) as response:
            clusters = json.load(response)["clusters"]
    except OSError as error:
        return complain(f"ERROR Could not connect to the Job Launcher at {host}:{port}: {error}")
    try:
        home = pwd.getpwnam(user).pw_dir
    except KeyError:
        return complain(f"ERROR User {user} does not exist")
    held = licensing.read()
    if not licensing.leased() and (held is None or held.status != "Activated"):
        return complain("ERROR The license does not allow sessions")
    if not os.path.isdir(home):
        return complain(f"ERROR The home directory {home} of {user} does not exist")
    print(f"Job launcher configured with the following clusters: {', '.join(clusters)}")
    print("launcher-adhoc-clusters is empty - all clusters may be used to launch adhoc jobs")
    print("launcher-sessions-clusters is empty - all clusters may be used to launch session jobs")
    for job in ("R session", "adhoc") if test in {"", "r-sessions"} else ():
        print(f"Launched {job} job for cluster {clusters[0]}\nWaiting for job to run...")
        print("Job transitioned to status Pending\nJob is running\nWaiting for job to finish...")
        print("Job has finished running\nJob exited successfully")
    if test in {"", "jupyter-sessions"}:
        return _verify_jupyter(user, clusters[0], asked=bool(test))
    if test == "vscode-sessions":
        return _verify_vscode(user, clusters[0])
    return 0 if test == "r-sessions" else complain(f"ERROR Unknown test '{test}'")


def _verify_vscode(user: str, name: str) -> int:
    """Have VS Code's server start as a user."""
    from .workbench import configuration

    settings = configuration.vscode()
    if settings["enabled"] != "1":
        return complain("ERROR VS Code sessions are not enabled")
    print(f"Launched VS Code session job for cluster {name}\nWaiting for job to run...")
    if problem := _run_as(user, settings["exe"], "--version"):
        return complain(f"ERROR Could not launch VS Code session: {problem}")
    print("Job transitioned to status Pending\nJob is running\nFetching job output...")
    print("VS Code session is running successfully")
    return 0


def _run_as(user: str, *command: str) -> str:
    """What a command complains of that a user cannot run."""
    import subprocess

    job = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", *command]
    said = subprocess.run(job, capture_output=True, text=True, timeout=LAUNCHER_SECONDS, check=False)
    return said.stderr.strip() or f"exit code {said.returncode}" if said.returncode else ""


def _verify_jupyter(user: str, name: str, *, asked: bool) -> int:
    """Have JupyterLab start as a user; it is on where no file says otherwise."""
    from .workbench import configuration

    settings = configuration.jupyter()
    if settings["labs-enabled"] != "1":
        return complain("ERROR JupyterLab sessions are not enabled") if asked else 0
    print(f"Launched JupyterLab session job for cluster {name}\nWaiting for job to run...")
    if not settings["jupyter-exe"]:
        return complain("ERROR Could not launch JupyterLab session: jupyter-exe is not set")
    if problem := _run_as(user, settings["jupyter-exe"], "lab", "--version"):
        return complain(f"ERROR Could not launch JupyterLab session: {problem}")
    print("Job transitioned to status Pending\nJob is running\nFetching job output...")
    print("Jupyter session is running successfully")
    return 0


def license_manager(words: list[str]) -> int:
    from .workbench import licensing

    number = state.version()
    if fault("hang"):
        _sleep("infinity")
    match words:
        case ["status", *options]:
            # Text is the default at a terminal alone (the administration guide, "rstudio-server CLI").
            text = sys.stdout.isatty() if not options else options in (["--output=text"], ["--output", "text"])
            print(licensing.report(number) if text else licensing.json_report(number), end="")
        case ["initialize"]:
            pass
        case ["license-server", address]:
            try:
                licensing.use_server(address)
            except OSError as error:
                return complain(f"ERROR Could not obtain a lease from {address}: {error}")
        case ["clear-license-server"]:
            licensing.forget_server()
        case _:
            return complain(f"This stand-in of license-manager does not know: {' '.join(words)}")
    return 0


def encrypt_password(_: list[str]) -> int:
    """Prompts; whether it reads a pipe is not documented, so a pipe is refused here."""
    if not sys.stdin.isatty():
        return complain("encrypt-password prompts for the password: it needs a terminal")
    from .rskey import Key
    from .workbench import configuration

    key = Key(configuration.read().key)
    print(f"{key.encrypt(input('Enter password to encrypt: '))}\nSecure key hash: {key.fingerprint}")
    return 0


def suspend_all(_: list[str]) -> int:
    return _signal_sessions("SIGUSR1")


def force_suspend_all(_: list[str]) -> int:
    return _signal_sessions("SIGUSR2")


def _signal_sessions(name: str) -> int:
    """Only a signal, as `killall` sends it to every `rsession` and `rworkspaces`: the command does not wait until they
    have suspended themselves (github.com/rstudio/rstudio, src/cpp/server/extras/admin/rstudio-server.in).
    """
    import signal

    for process, _user, _name in state.sessions():
        os.kill(process, signal.Signals[name])
    return 0


def generate_api_token(words: list[str]) -> int:
    """With --token-env the token is that of an environment variable, and is not printed (a use of it that its author
    published: REALWB-029 of the project Hedron; Posit's administration guide, "Workbench API", has the kinds).
    """
    import hashlib
    import pwd
    import secrets

    from .workbench import administration, cluster

    if len(words) not in {3, 5} or words[0] not in administration.API_KEYS or words[3:4] not in ([], ["--token-env"]):
        return complain(
            "Usage: rstudio-server generate-api-token {user|admin|super-admin} NAME USER [--token-env NAME]"
        )
    if not administration.is_allowed():
        return complain("ERROR The license does not include the Workbench API")
    kind, name, user = words[:3]
    try:
        pwd.getpwnam(user)
    except KeyError:
        return complain(f"ERROR User {user} does not exist")
    token = os.environ.get(words[4], "") if words[3:] else secrets.token_hex(16)
    if not token:
        return complain(f"ERROR The environment variable {words[4]} is empty")
    cluster.add_token(_connected(), name, kind, user, hashlib.sha256(token.encode()).hexdigest())
    if not words[3:]:
        print(f"| {token} |")
    return 0


def revoke_api_token(words: list[str]) -> int:
    from .workbench import cluster

    if len(words) != 1:
        return complain("Usage: rstudio-server revoke-api-token NAME")
    cluster.delete_token(_connected(), words[0])
    return 0


def active_sessions(_: list[str]) -> int:
    for process, user, name in state.sessions():
        print(f"{process}  {user}  {name}")
    return 0


def check_config(_: list[str]) -> int:
    from .workbench import configuration

    return configuration.check(configuration.RSERVER_CONF)


def test_config(_: list[str]) -> int:
    from .workbench import configuration

    return configuration.check(configuration.RSERVER_CONF, deprecated=True)


def start(_: list[str]) -> int:
    systemd.start("rstudio-server")
    return 0


def stop(_: list[str]) -> int:
    systemd.stop("rstudio-server")
    return 0


def reload(_: list[str]) -> int:
    """Only a signal, as src/cpp/server/extras/admin/rstudio-server.in sends it."""
    import signal

    if not state.running():
        return complain("rserver is not running")
    os.kill(int(read(state.PID_FILE)), signal.SIGHUP)
    return 0


def restart(words: list[str]) -> int:
    return stop(words) or start(words)


def status(_: list[str]) -> int:
    import subprocess

    return subprocess.run(["systemctl", "status", "rstudio-server"], timeout=30, check=False).returncode


def offline(words: list[str]) -> int:
    write(OFFLINE, "")
    return restart(words)


def online(words: list[str]) -> int:
    if os.path.exists(OFFLINE):
        os.unlink(OFFLINE)
    return restart(words)


def _sleep(seconds: str) -> None:
    """As a script of the node does, in whose time it is."""
    import subprocess

    subprocess.run(["sleep", seconds], check=True)


def _connected() -> Connection:
    from .workbench import cluster, configuration

    return cluster.connect(configuration.database(configuration.read()), "rstudio-server")


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "active-sessions": active_sessions,
    "check-config": check_config,
    "delete-node": delete_node,
    "encrypt-password": encrypt_password,
    "force-suspend-all": force_suspend_all,
    "generate-api-token": generate_api_token,
    "license-manager": license_manager,
    "list-nodes": list_nodes,
    "node-status": node_status,
    "offline": offline,
    "online": online,
    "reload": reload,
    "reset-cluster": reset_cluster,
    "restart": restart,
    "revoke-api-token": revoke_api_token,
    "start": start,
    "status": status,
    "stop": stop,
    "suspend-all": suspend_all,
    "test-config": test_config,
    "verify-installation": verify_installation,
    "version": version,
}
