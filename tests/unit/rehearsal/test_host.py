"""A host that cannot be made, and scripts of hosts beside children of other threads."""

import contextlib
import os
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rehearsal.hosts.host import AccessPoint, Host, HostError
from tests.unit.rehearsal.fake_hosts import FakeHosts


def test_a_host_without_a_root_volume_is_none_and_says_what_the_kernel_answered(tmp_path: Path) -> None:
    hosts: Any = SimpleNamespace(base=tmp_path)
    with pytest.raises(HostError, match="cannot make ip-10-0-0-4: mount: "):
        Host("ip-10-0-0-4", "10.0.0.4", tmp_path / "nowhere", hosts, image=None).start({})


def test_a_script_is_never_busy_though_another_thread_makes_a_child_while_it_is_written(tmp_path: Path) -> None:
    """A descriptor that this process had open for writing would live on in the child, and no such file is executed."""
    hosts = FakeHosts(tmp_path)
    access: Any = SimpleNamespace(access_points={})
    host = hosts.boot("node", "10.0.0.4", image=None, metadata=None, file_systems=access)
    children: list[int] = []

    def make_child() -> None:
        while not list(host.files.iterdir()):
            pass
        child = os.fork()
        if child == 0:
            time.sleep(2)
            os._exit(0)
        children.append(child)

    forker = threading.Thread(target=make_child)
    script = "echo done\nexit\n" + "#" * 8_000_000
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside threads: this child only sleeps
        forker.start()
        done = host.run(script, timeout=60)
        forker.join()
    os.waitpid(children[0], 0)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


def test_hosts_that_boot_at_the_same_time_create_the_root_of_an_access_point_once(tmp_path: Path) -> None:
    missed = threading.Barrier(2)

    class Missing(type(tmp_path)):  # type: ignore[misc]
        def exists(self, **_: Any) -> bool:
            """Where there is none, wait until the other host has seen so, too."""
            found: bool = super().exists()
            if not found:
                with contextlib.suppress(threading.BrokenBarrierError):
                    missed.wait(1)
            return found

    point = AccessPoint(Missing(tmp_path / "root"), os.getuid(), os.getgid(), 0o1777)
    with ThreadPoolExecutor(2) as hosts:
        for booted in [hosts.submit(point.create_root) for _ in range(2)]:
            booted.result()
    assert (tmp_path / "root").stat().st_mode & 0o7777 == 0o1777
