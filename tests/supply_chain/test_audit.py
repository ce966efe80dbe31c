"""`make audit` before databases that answer, find something, leave something out, talk nonsense or are away."""

import gzip
import json
import os
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.supply_chain import audit
from tests.supply_chain.audit import NotAuditedError, audit_npm, audit_python
from tests.supply_chain.requirements import ROOT

HASH = f"--hash=sha256:{'0' * 64}"
PINS = f"left==1.0 \\\n    {HASH}\nright==2.0 ; sys_platform == 'win32' \\\n    {HASH}\nmiddle==3.0 {HASH}\n"
LOCK = {
    "name": "tools",
    "lockfileVersion": 3,
    "packages": {
        "": {"name": "tools", "dependencies": {"left": "1.0.0"}},
        "node_modules/left": {"version": "1.0.0", "integrity": "sha512-AAAA", "dependencies": {"middle": "^3.0.0"}},
        "node_modules/middle": {"version": "3.0.0", "integrity": "sha512-BBBB"},
    },
}


class Databases(BaseHTTPRequestHandler):
    """OSV at /osv, npm's registry elsewhere. `answers` is what is reported of a package; `status` of every answer."""

    answers: ClassVar[dict[str, Any]]
    asked: ClassVar[list[str]]
    status = 200

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        asked = json.loads(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
        if self.path == "/osv":
            name = asked["package"]["name"]
            self.asked.append(name)
            self.answer(self.answers.get(name, {}))
        else:
            self.asked.extend(asked)
            self.answer({name: reported for name, reported in self.answers.items() if name in asked})

    def do_GET(self) -> None:
        """What npm wants to know of a package that an advisory names: its versions."""
        name = self.path.strip("/")
        versions = {version: {"name": name, "version": version} for version in ("1.0.0", "3.0.0", "9.0.0")}
        self.answer({"name": name, "dist-tags": {"latest": "9.0.0"}, "versions": versions})

    def answer(self, document: Any) -> None:
        content = json.dumps(document).encode()
        self.send_response(self.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def databases() -> Iterator[tuple[type[Databases], str]]:
    class Mine(Databases):
        answers: ClassVar[dict[str, Any]] = {}
        asked: ClassVar[list[str]] = []

    with ThreadingHTTPServer(("127.0.0.1", 0), Mine) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Mine, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def requirements(tmp_path: Path) -> Path:
    path = tmp_path / "requirements.txt"
    path.write_text(PINS)
    return path


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    (tmp_path / "package.json").write_text(json.dumps(LOCK["packages"][""]))  # type: ignore[index]
    path = tmp_path / "package-lock.json"
    path.write_text(json.dumps(LOCK))
    return path


def npm(registry: str, home: Path) -> dict[str, str]:
    """An environment in which npm knows no registry but this one."""
    return {
        "PATH": f"{audit.NPM.parent}:{os.environ['PATH']}",
        "HOME": str(home),
        "npm_config_registry": registry,
        "npm_config_update_notifier": "false",
    }


def advisory(name: str) -> dict[str, Any]:
    kind = {"package": {"name": name, "ecosystem": "PyPI"}, "versions": ["1.0"]}
    events = [{"introduced": "0"}, {"fixed": "1.1"}]
    affected = kind | {"ranges": [{"type": "ECOSYSTEM", "events": events}]}
    return {"vulns": [{"id": "GHSA-1", "summary": "bad", "details": "worse", "affected": [affected]}]}


def test_python_without_known_vulnerabilities(databases: tuple[type[Databases], str], requirements: Path) -> None:
    reported, address = databases
    assert audit_python(requirements, f"{address}/osv") == []
    assert sorted(reported.asked) == ["left", "middle"]


def test_a_vulnerability_is_reported_with_the_version_that_fixes_it(
    databases: tuple[type[Databases], str], requirements: Path
) -> None:
    reported, address = databases
    reported.answers["left"] = advisory("left")
    assert audit_python(requirements, f"{address}/osv") == ["left 1.0 has GHSA-1, fixed in 1.1"]


@pytest.mark.parametrize("status", [404, 500])
def test_a_database_that_does_not_answer_is_no_clean_bill(
    databases: tuple[type[Databases], str], requirements: Path, lock: Path, status: int
) -> None:
    reported, address = databases
    reported.status = status
    with pytest.raises(NotAuditedError, match=r"requirements\.txt: "):
        audit_python(requirements, f"{address}/osv")
    with pytest.raises(NotAuditedError, match=r"package-lock\.json: "):
        audit_npm(lock, npm(address, lock.parent))


def test_a_database_that_is_away_is_no_clean_bill(requirements: Path, lock: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = f"http://127.0.0.1:{taken.getsockname()[1]}"
    with pytest.raises(NotAuditedError, match="Connection refused"):
        audit_python(requirements, f"{nobody}/osv")
    with pytest.raises(NotAuditedError, match="ECONNREFUSED"):
        audit_npm(lock, npm(nobody, lock.parent))


def test_what_is_not_answered_about_is_no_clean_bill(requirements: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answered = {
        "dependencies": [{"name": "left", "version": "1.0", "vulns": []}, {"name": "middle", "skip_reason": "?"}]
    }
    monkeypatch.setattr(audit, "_answer", lambda *_, **__: answered)
    with pytest.raises(NotAuditedError, match=r"no answer about middle$"):
        audit_python(requirements)


def test_npm_without_known_vulnerabilities(databases: tuple[type[Databases], str], lock: Path) -> None:
    reported, address = databases
    assert audit_npm(lock, npm(address, lock.parent)) == []
    assert sorted(reported.asked) == ["left", "middle"]


def test_an_advisory_of_npm_is_reported_once(databases: tuple[type[Databases], str], lock: Path) -> None:
    reported, address = databases
    about = {
        "id": 1,
        "url": "https://example.org/GHSA-2",
        "title": "bad",
        "severity": "high",
        "vulnerable_versions": "<9",
    }
    reported.answers["middle"] = [about]
    assert audit_npm(lock, npm(address, lock.parent)) == ["middle <9 has https://example.org/GHSA-2, high"]


@pytest.mark.parametrize(
    ("python", "node", "code", "reported"),
    [
        ([], [], 0, "No known vulnerabilities.\n"),
        (["left 1.0 has GHSA-1"], [], 1, "requirements.txt: left 1.0 has GHSA-1\n"),
        (["left 1.0 has GHSA-1"], None, 2, "requirements.txt: left 1.0 has GHSA-1\n"),
        (None, [], 2, ""),
    ],
)
def test_the_exit_code_shows_findings_from_silence(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    python: list[str] | None,
    node: list[str] | None,
    code: int,
    reported: str,
) -> None:
    def answering(findings: list[str] | None) -> Any:
        def audited(path: Path) -> list[str]:
            if findings is None:
                raise NotAuditedError(f"{path.name}: no one is there")
            return findings

        return audited

    monkeypatch.setattr(audit, "FILES", [ROOT / "requirements.txt"])
    monkeypatch.setattr(audit, "audit_python", answering(python))
    monkeypatch.setattr(audit, "audit_npm", answering(node))
    assert audit.main() == code
    out, err = capsys.readouterr()
    lines = [line for line in out.splitlines(keepends=True) if not line.startswith("Asking about ")]
    assert "".join(lines) == reported
    assert (err.count("\n"), "nothing is said about vulnerabilities" in err) == ((1, True) if code == 2 else (0, False))
