"""Opens sessions of Workbench for an account, reports on which nodes they ran, and ends them, also when it fails.

Usage: sessions.py COUNT ACCOUNT, with a token of that account in WORKBENCH_API_TOKEN. It prints one line of JSON:
{"opened": 6, "sessions": {"10.0.0.1": 3, "10.0.0.2": 3}}, by the address of each node. When it fails it says why on
standard error, in a sentence.

The token belongs to the account alone, so it cannot end a session of anyone else. Sources: Posit Workbench
administration guide, "Workbench API"; the client of Posit's own tests (github.com/posit-dev/vip,
src/vip/clients/workbench.py) for paths, parameters and answers.
"""

import json
import os
import re
import signal
import sys
import time
import urllib.error
import urllib.request

SERVER = "http://localhost:8787"
SECONDS_TO_START, SECONDS_TO_END, SECONDS_OF_AN_ANSWER = 120, 60, 30
NODE = re.compile(r"\S+ . (\d{1,3}(?:\.\d{1,3}){3})\s+Load:.*")
SESSION = re.compile(r"\s+\d+ . (\S+) rsession\s*")
NAME = "Benchwright verification"
OF_API = "The Workbench API needs a licence of the tier Enhanced or Advanced"


class FailedError(Exception):
    """A sentence about what is wrong, and one about what to do."""


def call(method: str, parameters: dict[str, object]) -> object:
    request = urllib.request.Request(
        f"{SERVER}/api/{method}",
        data=json.dumps({"method": method, "kwparams": parameters}).encode(),
        headers={
            "Authorization": f"Bearer {os.environ['WORKBENCH_API_TOKEN']}",
            "Content-Type": "application/json",
        },
    )
    try:
        with urllib.request.urlopen(request, timeout=SECONDS_OF_AN_ANSWER) as answer:
            text = answer.read().decode(errors="replace")
    except urllib.error.HTTPError as error:
        said = f"HTTP {error.code} {error.read().decode(errors='replace')[:200].strip()}"
        raise FailedError(f"Workbench answers {method} with {said}. {OF_API}") from error
    except OSError as error:
        raise FailedError(f"Workbench does not answer {method}: {error}") from error
    try:
        found = json.loads(text)
    except ValueError as error:
        raise FailedError(f"Workbench answers {method} without JSON: {text[:200].strip()!r}. {OF_API}") from error
    if not isinstance(found, dict) or "result" not in found:
        raise FailedError(f"Workbench refuses {method}: {text[:200].strip()}")
    return found["result"]


def launch(number: int) -> str:
    """Open a session on whichever node Workbench chooses; returns its id."""
    name = f"{NAME} {number}"
    result = call(
        "launch_session",
        {"workbench": "RStudio", "name": name, "launch_parameters": {"name": name, "cluster": "Local"}},
    )
    if not isinstance(result, dict) or not isinstance(result.get("id"), str):
        raise FailedError(f"Workbench opened a session without an id: {json.dumps(result)[:200]}")
    return str(result["id"])


def running(account: str) -> dict[str, int]:
    """Return how many sessions of the account each node runs."""
    try:
        with urllib.request.urlopen(f"{SERVER}/load-balancer/status", timeout=SECONDS_OF_AN_ANSWER) as answer:
            text = answer.read().decode(errors="replace")
    except OSError as error:
        raise FailedError(f"/load-balancer/status does not answer: {error}") from error
    found: dict[str, int] = {}
    address = ""
    for line in text.splitlines():
        if node := NODE.fullmatch(line):
            address = node[1]
            found[address] = 0
        elif address and (session := SESSION.fullmatch(line)) and session[1] == account:
            found[address] += 1
    return found


def wait(account: str, sessions: int, seconds: float, *, at_least: bool) -> dict[str, int]:
    """Wait until the account has at least, or at most, so many sessions; returns what it has at the end, by node."""
    end = time.monotonic() + seconds
    while True:
        found = running(account)
        total = sum(found.values())
        if (total >= sessions if at_least else total <= sessions) or time.monotonic() > end:
            return found
        time.sleep(1)


def end(opened: list[str], account: str) -> None:
    """End the sessions. Of one whose answer was lost the id is not known, so what is still there is counted, too."""
    said = ""
    if opened:
        try:
            call("stop_session", {"session_ids": ",".join(opened), "force_quit": True})
        except FailedError as error:
            said = f": {error}"
    if left := sum(wait(account, 0, SECONDS_TO_END, at_least=False).values()):
        raise FailedError(
            f"{left} sessions of {account} did not end{said}. Sign in as {account}, and quit those named {NAME}"
        )


def main(count: int, account: str) -> None:
    before = running(account)
    if there := sum(before.values()):
        raise FailedError(
            f"{account} already has sessions ({there}), which would be counted as new ones. End them in Workbench, and "
            "use this account for nothing else"
        )
    opened: list[str] = []
    try:
        for number in range(1, count + 1):
            opened.append(launch(number))  # noqa: PERF401 - what is open is ended when the next one fails
        found = wait(account, count, SECONDS_TO_START, at_least=True)
        if sum(found.values()) < count:
            raise FailedError(
                f"of {count} sessions that Workbench opened for {account}, {sum(found.values())} run after "
                f"{SECONDS_TO_START} seconds. Look at /var/log/rstudio/launcher and at the limits of the account"
            )
    finally:
        end(opened, account)
    print(json.dumps({"opened": count, "sessions": found}))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("it took too long"))
    try:
        main(int(sys.argv[1]), sys.argv[2])
    except FailedError as problem:
        sys.exit(str(problem))
