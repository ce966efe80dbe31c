"""Namespaces: what runs inside cannot leave anything behind."""

import contextlib
import http.server
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from rehearsal import launcher
from tests.namespaces import visit_network_and_mounts
from tests.waiting import PATIENCE, until

ROOT = Path(__file__).resolve().parents[3]
INSIDE = """
import subprocess, sys
from rehearsal import launcher
def work(scratch):
    (scratch / "file").touch()
    subprocess.Popen(["sleep", sys.argv[1]], start_new_session=True)
    {then}
sys.exit(launcher.isolated(work))
"""


def running(seconds: str) -> list[str]:
    found = []
    for process in Path("/proc").iterdir():
        with contextlib.suppress(OSError):  # no process, or one that has just ended
            if (process / "cmdline").read_bytes() == f"sleep\0{seconds}\0".encode():
                found.append(process.name)
    return found


def start(then: str, seconds: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", INSIDE.format(then=then), seconds]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


@pytest.mark.root
def test_the_exit_code_of_the_work_comes_out_and_its_orphans_die() -> None:
    with start("return 7", "3071") as process:
        assert process.wait(timeout=PATIENCE) == 7
    assert running("3071") == []


@pytest.mark.root
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_is_left_when_the_launcher_is_killed(number: signal.Signals) -> None:
    seconds = f"308{number.value}"
    mounts = Path("/proc/self/mounts").read_text()
    with start("print('ready', flush=True); import time; time.sleep(60)", seconds) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        until(lambda: running(seconds), "its command line, which a process gets after exec has closed its files")
        process.send_signal(number)
        process.wait(timeout=PATIENCE)
    until(lambda: running(seconds) == [], "the end of what it had started")
    assert Path("/proc/self/mounts").read_text() == mounts


def namespaces() -> list[int]:
    return [Path(f"/proc/thread-self/ns/{kind}").stat().st_ino for kind in ("net", "mnt")]


@pytest.mark.root
def test_a_thread_comes_back_from_other_namespaces_though_one_that_it_started_there_still_runs(tmp_path: Path) -> None:
    before, over = namespaces(), threading.Event()
    try:
        with contextlib.chdir(tmp_path):
            with visit_network_and_mounts():
                assert set(namespaces()).isdisjoint(before)
                threading.Thread(target=over.wait).start()
            assert namespaces() == before
            assert Path.cwd() == tmp_path
    finally:
        over.set()


def test_a_server_ends_at_once_though_it_looks_once_an_hour() -> None:
    server = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    serving = threading.Thread(target=server.serve_forever, args=(3600,), daemon=True)
    serving.start()
    ending = threading.Thread(target=launcher.stop_serving, args=(server,), daemon=True)
    ending.start()
    ending.join(PATIENCE)
    serving.join(PATIENCE)
    assert (ending.is_alive(), serving.is_alive()) == (False, False)
