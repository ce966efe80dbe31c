"""Hosts of the rehearsal: a node or a build instance is a set of Linux namespaces over an overlay of this machine's
root.

Mounts, processes, host name, IPC and network are the host's own; what it writes goes to an upper layer on a tmpfs. An
AMI is such a layer (`capture`), a node that is booted from it has it below its own. A host lives as long as the pipe to
its first process: whatever dies, the kernel ends it. Needs root, or CAP_SYS_ADMIN and CAP_NET_ADMIN in a container.
"""

import compileall
import contextlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import trustme

from rehearsal.aws.clock import Clock
from rehearsal.hosts import logs, naps
from rehearsal.hosts.base_image import REHEARSAL, STANDINS, make_base_image, mounts_of_the_interpreter
from rehearsal.hosts.exports import export, withdraw
from rehearsal.hosts.identity_provider import HOST as IDENTITY_HOST
from rehearsal.hosts.identity_provider import IdentityProvider
from rehearsal.hosts.license_server import HOST as LICENSE_HOST
from rehearsal.hosts.license_server import LicenseServer
from rehearsal.hosts.metadata import InstanceMetadata, MetadataService
from rehearsal.hosts.mirror import HOSTS as MIRRORED
from rehearsal.hosts.mirror import Mirror
from rehearsal.hosts.network import Network
from rehearsal.machine import NEW_NAMESPACES

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
READY_SECONDS = 120
BOOT_SECONDS = 120
DISK_BYTES = 8 << 30  # as Ubuntu's images have; of memory only what is written is taken
_CREATING = threading.Lock()

SET_UP = r"""
set -euo pipefail
name=$1 root=$2 lower=$3 upper=$4 work=$5; shift 5
mount -t overlay -o "lowerdir=$lower,upperdir=$upper,workdir=$work,metacopy=off,redirect_dir=off" overlay "$root"
cd "$root"
mount -t proc proc proc
mount --rbind /dev dev
mount -t tmpfs -o mode=1777 shm dev/shm
mount -t tmpfs -o mode=755 run run
mount -t tmpfs -o mode=1777 tmp tmp
while (($#)); do mount --rbind "$1" ".$2"; shift 2; done
hostname "$name"
exec chroot . /bin/bash -c 'exec 3<&0; trap "exit 0" TERM; echo ready; exec >/dev/null 2>&1; cat <&3 & wait $!'
"""
"""Pid 1 waits for the end of its standard input, which is the end of whoever started it, and reaps orphans."""

PLACE_AND_RUN = 'cat >"$0" && chmod "$1" "$0" && shift && exec "$@" </dev/null'
"""The host itself writes the script. Were it this process, every child that another thread makes at that moment would
have the file open for writing until it executes, and the kernel runs no such file (ETXTBSY).
"""


class HostError(Exception):
    """When a host cannot be made: the message says which one, and what the kernel answered."""


@dataclass(frozen=True)
class Completed:
    """The end of a script.

    A script that was killed because its time was over has the return code -9 and says `timed_out`.
    """

    returncode: int
    stdout: str
    stderr: str
    timed_out: bool = False


@dataclass(frozen=True)
class AccessPoint:
    """An EFS access point: the directory here that it stands for, and the CreationInfo of its root directory."""

    directory: Path
    uid: int = 0
    gid: int = 0
    permissions: int = 0o755

    def create_root(self) -> None:
        """What EFS does at the first mount; several hosts may boot at the same time."""
        with _CREATING:
            if not self.directory.exists():
                self.directory.mkdir(parents=True)
                os.chown(self.directory, self.uid, self.gid)
                self.directory.chmod(self.permissions)


@dataclass(frozen=True)
class FileSystems:
    """The EFS file systems in the host's network, access points by file system, and what the host's role may do with
    them.
    """

    access_points: Mapping[str, Mapping[str, AccessPoint]] = field(default_factory=dict)
    actions: frozenset[str] = frozenset({"ClientMount", "ClientWrite", "ClientRootAccess"})


class Host:
    """One running host. Made by `Hosts.boot`."""

    def __init__(self, name: str, address: str, directory: Path, hosts: "Hosts", image: Path | None) -> None:
        self.name = name
        self.address = address
        self.image = image
        self._directory = directory
        self._hosts = hosts
        self._keeper: subprocess.Popen[str] | None = None
        self._pid = 0
        self._runs = itertools.count(1)

    @property
    def pid(self) -> int:
        """The host's first process, as this process sees it; 0 when stopped."""
        return self._pid

    def run(
        self,
        script: str,
        *,
        environment: Mapping[str, str] | None = None,
        timeout: float,
        user: str = "root",
        directory: str = "",
        clock: Clock | None = None,
    ) -> Completed:
        """Run a script as the SSM agent and cloud-init do: from a file, whose first line may name the interpreter (`sh`
        otherwise).

        It runs in `directory`, or in the root. The environment is a fresh one plus `environment`; `timeout` is in
        seconds of the wall clock, and ends the script with all its children, except what became a daemon. With a
        `clock`, which the caller holds, both `timeout` and what the script sleeps are in seconds of that clock, and the
        script waits for one of its processors; that wait is no part of `timeout`.
        """
        if not self._pid:
            return Completed(255, "", f"{self.name} is not running\n")
        name = f"script-{next(self._runs)}"
        file, seen = self._directory / "host" / name, REHEARSAL / "host" / name
        command = [*(["env", "-C", directory] if directory else []), "/bin/sh", "-c", str(seen)]
        if user != "root":
            command = ["runuser", "-u", user, "--", *command]
        mode = "0700" if user == "root" else "0755"
        command = ["/bin/sh", "-c", PLACE_AND_RUN, str(seen), mode, *command]
        variables = {"HOME": "/root" if user == "root" else "/", "USER": user, **(environment or {})}
        sleeps = None
        if clock:
            sleeps = naps.Naps(file.with_suffix(".naps"), Path(f"/proc/{self._pid}/root/proc"), clock)
            variables |= naps.variables(REHEARSAL / "host" / f"{name}.naps", PATH)
        try:
            with clock.processor() if clock else contextlib.nullcontext():
                return self._enter(command, variables, timeout, script=script, sleeps=sleeps)
        finally:
            file.unlink(missing_ok=True)
            if sleeps:
                sleeps.forget()

    def run_boot(self) -> None:
        """Start what starts with the machine: the mounts of fstab and the enabled units, in their order."""
        completed = self._enter([str(REHEARSAL / "boot")], {}, BOOT_SECONDS)
        if completed.returncode:
            raise HostError(f"{self.name} did not boot: {completed.stderr[-2000:]}")

    def reboot(self) -> None:
        """Stop the units and boot again; what is in memory file systems stays."""
        completed = self._enter([str(REHEARSAL / "boot"), "--again"], {}, BOOT_SECONDS)
        if completed.returncode:
            raise HostError(f"{self.name} did not boot again: {completed.stderr[-2000:]}")

    def capture(self, target: Path) -> None:
        """Make the AMI layer of what was changed on this host since it was booted from the base image."""
        if self.image:
            raise HostError(
                f"{self.name} was booted from {self.image}: an image is made of a host booted from the parent image"
            )
        subprocess.run(["cp", "-a", f"{self._disk / 'upper'}/.", str(target)], check=True, timeout=60)
        for leftover in ("var/lib/dbus/machine-id", "var/lib/rehearsal/units"):
            shutil.rmtree(target / leftover, ignore_errors=True)

    def stop(self) -> None:
        """End the host and everything that runs on it, as a power cut does; its logs are kept."""
        if self._keeper:
            self._keeper.kill()
            self._keeper.communicate(timeout=10)
            self._keeper = None
        self._pid = 0
        self._hosts.forget(self)
        logs.keep(self._directory)
        subprocess.run(["umount", "--lazy", str(self._disk)], capture_output=True, check=False, timeout=10)
        shutil.rmtree(self._directory, ignore_errors=True)

    def fill_disk(self) -> None:
        """Leave no room on the root volume: it becomes as small as what is on it.

        The kernel refuses less than that, and something may write between the question and the change.
        """
        end = time.monotonic() + 10
        while True:
            reported = os.statvfs(self._disk)
            used = (reported.f_blocks - reported.f_bfree) * reported.f_frsize
            try:
                return self._resize_disk(max(used, reported.f_frsize))  # 0 would be no limit
            except subprocess.CalledProcessError:
                if time.monotonic() > end:
                    raise

    def empty_disk(self) -> None:
        """Take `fill_disk` back."""
        self._resize_disk(DISK_BYTES)

    def _resize_disk(self, size: int) -> None:
        subprocess.run(["mount", "-o", f"remount,size={size}", str(self._disk)], check=True, timeout=10)

    def connect(self, *, connected: bool) -> None:
        """Plug the cable to the network in, or out."""
        self._hosts.network.plug(self._pid, connected=connected)

    @property
    def mirror(self) -> Mirror:
        """Where this host downloads from."""
        return self._hosts.mirror

    def start(self, mounts: Mapping[Path, Path]) -> None:
        """Raise the namespaces; `mounts` is source by target."""
        lower = ":".join(str(layer) for layer in (self.image, self._hosts.base, "/") if layer)
        mount = ["mount", "-t", "tmpfs", "-o", f"mode=755,size={DISK_BYTES}", "disk", str(self._disk)]
        mounted = subprocess.run(mount, capture_output=True, text=True, check=False, timeout=10)
        if mounted.returncode:
            raise HostError(f"cannot make {self.name}: {mounted.stderr.strip()}")
        root, upper, work = self._directory / "root", self._disk / "upper", self._disk / "work"
        for part in (upper, work):
            part.mkdir()
        pairs = [str(part) for target, source in mounts.items() for part in (source, target)]
        self._keeper = subprocess.Popen(
            [
                *NEW_NAMESPACES,
                "bash",
                "-c",
                SET_UP,
                "set-up",
                self.name,
                str(root),
                lower,
                str(upper),
                str(work),
                *pairs,
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"PATH": PATH},
            text=True,
        )
        watchdog = threading.Timer(READY_SECONDS, self._keeper.kill)
        watchdog.start()
        assert self._keeper.stdout and self._keeper.stderr
        ready = self._keeper.stdout.readline()
        watchdog.cancel()
        if ready != "ready\n":
            self._keeper.kill()
            raise HostError(f"cannot make {self.name}: {self._keeper.stderr.read().strip() or 'not ready in time'}")
        children = Path(f"/proc/{self._keeper.pid}/task/{self._keeper.pid}/children")
        self._pid = int(children.read_text().split()[0])

    def write_names(self, names: Iterable[tuple[str, str]]) -> None:
        """Rewrite /etc/hosts in place, with names and their addresses: it is a mount of this file."""
        lines = [f"{address} {name}" for name, address in names]
        (self._directory / "etc-hosts").write_text("\n".join(["127.0.0.1 localhost", *lines, ""]))

    def provide(self, name: str, text: str) -> None:
        """Put a file where the host's stand-ins look for what their surroundings are."""
        (self._directory / "host" / name).write_text(text)

    @property
    def _disk(self) -> Path:
        return self._directory / logs.DISK

    def _enter(
        self,
        command: list[str],
        environment: Mapping[str, str],
        timeout: float,
        *,
        script: str = "",
        sleeps: naps.Naps | None = None,
    ) -> Completed:
        entry = f"nsenter --target={self._pid} --mount --uts --ipc --net --pid --root --wd".split()
        with (
            tempfile.TemporaryFile() as given,
            tempfile.TemporaryFile() as output,
            tempfile.TemporaryFile() as errors,
        ):
            given.write(script.encode())
            given.seek(0)
            process = subprocess.Popen(
                [*entry, *command],
                stdin=given,
                stdout=output,
                stderr=errors,
                env={"PATH": PATH, "LANG": "C.UTF-8", **environment},
                start_new_session=True,
            )
            timed_out = not (sleeps.wait(process, timeout) if sleeps else _ends(process, timeout))
            if timed_out:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(10)
            texts = []
            for stream in (output, errors):
                stream.seek(0)
                texts.append(stream.read().decode(errors="replace"))
        return Completed(process.returncode, texts[0], texts[1], timed_out)


def _ends(process: subprocess.Popen[bytes], seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


class Hosts:
    """All hosts of a rehearsal, with their network, metadata service and base image."""

    def __init__(
        self,
        directory: Path,
        *,
        endpoint: str = "",
        region: str = "us-east-1",
        account: str = "123456789012",
        authority: trustme.CA | None = None,
    ) -> None:
        """Hosts write below `directory`; their AWS CLI talks to `endpoint`, the local AWS as seen from the bridge.

        `authority` signs what hosts download over HTTPS, and stands for the authorities of Amazon RDS on the image: the
        local PostgreSQL must use the same one.
        """
        self.directory = directory
        self.base = directory / "base"
        self.crashes = directory / "crashes"  # where stand-ins leave what they did not expect
        self.endpoint = endpoint
        self.region = region
        self.mirror = Mirror(authority or trustme.CA())
        self.licenses = LicenseServer()
        self.provider = IdentityProvider(self.mirror.authority)
        self.network = Network()
        self.metadata = MetadataService(account)
        self.running: dict[str, Host] = {}
        self._published: Mapping[str, Sequence[str]] = {}
        self._lock = threading.Lock()

    def start(self) -> None:
        """Make the network, the metadata service and the base image.

        The directory becomes a tmpfs: overlayfs needs one that holds whiteouts.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "hosts", str(self.directory)], check=True, timeout=10)
        compileall.compile_dir(STANDINS, quiet=1)
        self.base.mkdir()
        self.crashes.mkdir()
        self.crashes.chmod(0o1777)  # ordinary users of nodes run stand-ins, too
        make_base_image(self.base, self.mirror.authority.cert_pem.bytes())
        self.network.start()
        self.metadata.start()
        address = self.network.service_address("mirror")
        self.network.names |= dict.fromkeys(MIRRORED, address)
        self.mirror.start(address)
        self.network.names[LICENSE_HOST] = address
        self.licenses.start(address)
        self.provider.start(self.network.service_address(IDENTITY_HOST))

    def stop(self) -> None:
        """End every host and give the memory back."""
        for host in list(self.running.values()):
            host.stop()
        self.metadata.stop()
        self.mirror.stop()
        self.licenses.stop()
        self.provider.stop()
        subprocess.run(["umount", "--lazy", str(self.directory)], check=False, timeout=10)

    def boot(
        self, name: str, address: str, *, image: Path | None, metadata: InstanceMetadata, file_systems: FileSystems
    ) -> Host:
        """Start a host with this name and private address from an AMI layer (None: from the parent image); its metadata
        service answers.

        Its units are not started yet (`run_boot`). Raises HostError when the kernel refuses.
        """
        directory = self.directory / logs.RUNNING / name
        for part in ("root", logs.DISK, "host", "efs"):
            (directory / part).mkdir(parents=True)
        host = Host(name, address, directory, self, image)
        host.provide("instance.json", json.dumps(self._surroundings(metadata, file_systems)))
        with self._lock:
            self.running[name] = host
            self.metadata.instances[address] = metadata
        self.write_names()
        try:
            host.start(self._mounts(directory, file_systems))
            self.network.connect(host.pid, address)
        except Exception:
            host.stop()
            raise
        return host

    def forget(self, host: Host) -> None:
        """Called when a host has ended: its address answers no more, and its name no longer resolves."""
        with self._lock:
            self.running.pop(host.name, None)
            self.metadata.instances.pop(host.address, None)
        for exported in (self.directory / "exports" / host.name).glob("*"):
            withdraw(exported)
        self.write_names()

    def add_name(self, name: str, address: str | None = None) -> str:
        """Make `name` resolve on every host, now and later; without an address it gets one of its own on the bridge.

        Returns the address.
        """
        if address is None:
            address = self.network.service_address(name)
        self.network.names[name] = address
        self.write_names()
        return address

    def publish(self, names: Mapping[str, Sequence[str]]) -> None:
        """Make names resolve on every host, each to several addresses, in the place of those that were published before
        and no others.
        """
        self._published = names
        self.write_names()

    def write_names(self) -> None:
        """Give every host every name: services, and hosts by the names that EC2's resolver gives them."""
        with self._lock:
            names = dict(self.network.names)
            for host in self.running.values():
                names |= {f"{host.name}.ec2.internal": host.address, host.name: host.address}
            published = [(name, address) for name, addresses in self._published.items() for address in addresses]
            for host in self.running.values():
                host.write_names([*names.items(), *published])

    def _surroundings(self, metadata: InstanceMetadata, file_systems: FileSystems) -> dict[str, object]:
        access_points = {
            file_system: {name: str(REHEARSAL / "efs" / file_system / name) for name in points}
            for file_system, points in file_systems.access_points.items()
        }
        return {
            "instance_id": metadata.instance_id,
            "endpoint": self.endpoint,
            "region": self.region,
            "access_points": access_points,
            "file_system_actions": sorted(file_systems.actions),
        }

    def _mounts(self, directory: Path, file_systems: FileSystems) -> dict[Path, Path]:
        mounts = {
            **mounts_of_the_interpreter(),
            REHEARSAL / "host": directory / "host",
            Path("/etc/hosts"): directory / "etc-hosts",
            REHEARSAL / "efs": directory / "efs",
            REHEARSAL / "crashes": self.crashes,
        }
        for file_system, points in file_systems.access_points.items():
            for name, point in points.items():
                point.create_root()
                exported = self.directory / "exports" / directory.name / name
                exported.mkdir(parents=True)
                export(point.directory, exported, file_systems.actions)
                (directory / "efs" / file_system / name).mkdir(parents=True)
                mounts[REHEARSAL / "efs" / file_system / name] = exported
        return mounts
