"""Metrics and audit logs, for which a licence must be of the tier Enhanced or Advanced.

Sources: Posit Workbench administration guide, "Prometheus metrics" and "Auditing configuration", with the tiers that
both pages name; the names of metrics are those of Posit's own dashboard (posit-dev/ptd,
lib/steps/assets/grafana_dashboards). What happens with another tier is not published: here, nothing is shown or kept.
"""

import http.server
import os
import socketserver
import subprocess
import threading
import time

from . import licensing, log, state
from .configuration import Configuration

METRICS_PORT = 8989
AUDIT_FOLDER = f"{state.STATE}/audit"
TIERS = ("enhanced", "advanced")
API_KEYS = {
    "user": "workbench-api-enabled",
    "admin": "workbench-api-admin-enabled",
    "super-admin": "workbench-api-super-admin-enabled",
}
"""The option that each kind of token needs."""
AUDIT_SECONDS = 20
APPEND = """umask 077; mkdir -p "$0" && cd "$0" || exit
[ -e r-sessions.csv ] || echo pid,username,timestamp,type,data >r-sessions.csv
cat >>r-sessions.csv"""


def is_allowed() -> bool:
    """Whether the licence has what the pages ask for."""
    held = licensing.read()
    tier = held.tier if held and held.status == "Activated" else licensing.leased().get("tier", "")
    return tier.lower() in TIERS


def metrics(version: str) -> str:
    """In the text format of Prometheus."""
    number = len(state.sessions())
    return f"""# HELP pwb_build_info Build information of Posit Workbench
# TYPE pwb_build_info gauge
pwb_build_info{{os="Ubuntu Noble",release_name="Rehearsal",version="{version}"}} 1
# HELP pwb_active_user_sessions Number of active user sessions
# TYPE pwb_active_user_sessions gauge
pwb_active_user_sessions {number}
# HELP pwb_sessions Sessions by type and status
# TYPE pwb_sessions gauge
pwb_sessions{{status="Running",type="RStudio"}} {number}
"""


def serve(files: Configuration, version: str) -> None:
    """Answer on the port of the metrics, unless they are off or the licence has none."""
    if files.server.get("metrics-enabled") != "1":
        return
    if not is_allowed():
        log.write("ERROR", "Metrics need a license of the tier Enhanced or Advanced")
        return

    class Handler(http.server.BaseHTTPRequestHandler):
        timeout = 20

        def do_GET(self) -> None:
            found = self.path.partition("?")[0] == "/metrics"
            body = metrics(version).encode() if found else b"Not Found\n"
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    address = files.server.get("metrics-address") or files.server.get("www-address") or "0.0.0.0"
    try:
        server = _Server((address, int(files.server.get("metrics-port") or METRICS_PORT)), Handler)
    except OSError as error:
        log.write("ERROR", f"Could not listen for metrics: {error}")
        return
    threading.Thread(target=server.serve_forever, daemon=True).start()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)


def record(files: Configuration, user: str, event: str, process: int = 0) -> None:
    """Append an event of a person to the audit log of sessions, as the server's user, who must be able to."""
    if files.server.get("audit-r-sessions") != "1" or not is_allowed():
        return
    folder = f"{files.server.get('audit-data-path') or AUDIT_FOLDER}/r-sessions"
    line = f"{process or os.getpid()},{user},{int(time.time() * 1000)},{event},\n"
    written = subprocess.run(
        ["bash", "-c", APPEND, folder],
        input=line,
        text=True,
        capture_output=True,
        user="rstudio-server",
        group="rstudio-server",
        extra_groups=[],
        timeout=AUDIT_SECONDS,
        check=False,
    )
    if written.returncode:
        log.write("ERROR", f"Could not write the audit log: {written.stderr.strip()}")
