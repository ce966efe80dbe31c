"""The API of the server: a token opens sessions for its account on whichever node the balancer chooses, and ends them.

Sources: Posit Workbench administration guide, "Workbench API"; the client of Posit's own tests (posit-dev/vip,
src/vip/clients/workbench.py) for paths, parameters and answers: `launch_session` takes `launch_parameters` where
sessions are of the launcher, `stop_session` takes `session_ids` with commas. Answers to what is wrong are not
published.
"""

import contextlib
import hashlib
import json
import os
import signal
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

from . import administration, cluster, pages, state
from .identity import FailedError
from .pages import Answer
from .sign_in import Headers

if TYPE_CHECKING:
    from .server import Server

PATH, OWN = "/api/", "/load-balancer/api/"
"""Of an account's requests, and of those that one node sends to another."""
WORKBENCHES = ("RStudio", "VS Code", "JupyterLab", "Jupyter Notebook", "Positron")


def post(server: "Server", path: str, body: bytes, headers: Headers, caller: str) -> Answer:
    """The answer to a request with a token, or to another node."""
    if path.startswith(OWN):
        is_node = caller in {node.ipv4 for node in server.nodes()}
        return post_own(server, path, body) if is_node else Answer(403, "Forbidden\n")
    method = path.removeprefix(PATH)
    found = _account(server, headers)
    if found is None:
        return _answer(401, {"error": {"code": 401, "message": "Unauthorized"}})
    kind, user = found
    if server.files.server.get(administration.API_KEYS[kind]) != "1" or not administration.is_allowed():
        return _answer(403, {"error": {"code": 403, "message": "The API is not enabled for this token"}})
    try:
        asked = json.loads(body)
        parameters = asked["kwparams"]
        if asked["method"] != method:
            raise ValueError("method")
    except (ValueError, KeyError, TypeError):
        return _wrong("The request is not JSON with method and kwparams")
    if kind != "user":
        return _wrong("This stand-in knows tokens of users only")
    match method:
        case "launch_session":
            return _launch(server, user, parameters)
        case "stop_session":
            return _stop(server, user, str(parameters.get("session_ids", "")))
    return _answer(404, {"error": {"code": 404, "message": f"Unknown method {method}"}})


def post_own(server: "Server", path: str, body: bytes) -> Answer:
    """The answer to another node, which has judged the token."""
    asked = json.loads(body)
    if path.removeprefix(OWN) == "launch":
        try:
            return _answer(200, {"process": pages.start(server, asked["user"])})
        except FailedError as error:
            return _wrong(str(error))
    for process, user, _name in state.sessions():
        if user == asked["user"] and process == asked["process"]:
            with contextlib.suppress(ProcessLookupError, ChildProcessError):  # or it is no child of this server
                os.kill(process, signal.SIGKILL)
                os.waitpid(process, 0)
    return _answer(200, {})


def _account(server: "Server", headers: Headers) -> tuple[str, str] | None:
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    if scheme != "Bearer" or not token:
        return None
    with server.link() as link:
        return cluster.user_of_token(link, hashlib.sha256(token.encode()).hexdigest())


def _launch(server: "Server", user: str, parameters: dict[str, Any]) -> Answer:
    if parameters.get("workbench") not in WORKBENCHES:
        return _wrong(f"Unknown workbench {parameters.get('workbench')}")
    if parameters["workbench"] != "RStudio":
        return _wrong(f"{parameters['workbench']} is not available in this rehearsal")
    if server.files.server.get("launcher-sessions-enabled") == "1":
        given = parameters.get("launch_parameters")
        if not isinstance(given, dict) or not given.get("name") or given.get("cluster") != "Local":
            return _wrong("launch_parameters needs a name and a cluster")
    nodes = [node for node in server.nodes() if node.status == cluster.ONLINE]
    node = min(nodes, key=lambda each: (_burden(server, each), each.id), default=None)
    if node is None:
        return _wrong("No node is online")
    answer = _ask(server, node, "launch", {"user": user})
    if "process" not in answer:
        return _wrong(str(answer))
    number = f"{node.id}-{answer['process']}"
    return _answer(200, {"result": {"id": number, "url": f"{pages.SESSION}{number}/", "project_id": ""}})


def _stop(server: "Server", user: str, ids: str) -> Answer:
    known = {str(node.id): node for node in server.nodes()}
    for each in filter(None, ids.split(",")):
        node, _, process = each.partition("-")
        if node not in known or not process.isdecimal():
            return _wrong(f"There is no session {each}")
        _ask(server, known[node], "stop", {"user": user, "process": int(process)})
    return _answer(200, {"result": True})


def _burden(server: "Server", node: cluster.Node) -> float:
    """What the balancer compares: the load of a node, or its sessions."""
    block = server.own_status() if node.id == server.number else cluster.status_of(node)
    if server.files.load_balancer.get("balancer") == "system-load":
        return float(block.partition("Load: ")[2].partition(",")[0] or "inf")
    return sum(line.startswith(" ") for line in block.splitlines())


def _ask(server: "Server", node: cluster.Node, action: str, asked: dict[str, Any]) -> dict[str, Any]:
    body = json.dumps(asked).encode()
    if node.id == server.number:
        return dict(json.loads(post_own(server, f"{OWN}{action}", body).text))
    place = f"http://{node.host}:{node.port}{OWN}{action}"
    try:
        with urllib.request.urlopen(urllib.request.Request(place, data=body), timeout=pages.PEER_SECONDS) as answer:
            return dict(json.load(answer))
    except urllib.error.HTTPError as error:
        return dict(json.load(error))
    except OSError as error:
        return {"error": f"{node.host} does not answer: {error}"}


def _wrong(text: str) -> Answer:
    return _answer(400, {"error": {"code": 400, "message": text}})


def _answer(status: int, content: dict[str, Any]) -> Answer:
    return Answer(status, json.dumps(content), (("Content-Type", "application/json"),))
