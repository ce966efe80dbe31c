"""The parent image of every node: this machine's root file system, made to look like Ubuntu 24.04 as Canonical hands it
out on AWS.

It is one overlay layer between the host's `/` and the layers of an AMI. It hides what the host happens to have (R,
Workbench, a psql, users, units), so that only what the components install is there, and puts the stand-ins in the place
of what a namespace cannot run (systemd) or must not run (apt, which would need the Internet).
"""

import os
import shutil
import stat
import sys
import sysconfig
from pathlib import Path

from rehearsal.hosts import naps

REHEARSAL = Path("/opt/rehearsal")
"""Where a node finds the interpreter, the stand-ins and what its host passes to it."""

PYTHON = Path(os.path.realpath(sys.executable))
"""The interpreter itself, outside of any virtual environment."""

STANDINS = Path(__file__).parent / "standins"
PRODUCT = Path(__file__).parents[2] / "layers/benchwright/benchwright"
"""For what Workbench publishes and both need: the keys of rserver.conf."""

HIDDEN_COMMANDS = [
    "R",
    "Rscript",
    "quarto",
    "aws",
    "aws_completer",
    "rskey",
    "rserver",
    "rstudio-server",
    "psql",
    "pg_dump",
    "chronyc",
    "chronyd",
    "mount.efs",
    "mount.nfs",
    "mount.nfs4",
    "umount.nfs",
    "amazon-efs-mount-watchdog",
    "stunnel",
    "go",
    "nvidia-smi",
    "pdflatex",
    "xelatex",
    "lualatex",
    "tlmgr",
    "cargo",
    "rustc",
    "rustup",
    "uv",
    "docker",
]
HIDDEN_PATHS = [
    "efs",
    "etc/rstudio",
    "etc/R",
    "etc/benchwright",
    "etc/chrony",
    "etc/amazon",
    "etc/aws",
    "etc/machine-id",
    "etc/sssd",
    "usr/lib/rstudio-server",
    "usr/lib/R",
    "usr/share/R",
    "var/lib/rstudio-server",
    "var/lib/rstudio-launcher",
    "var/lib/sss",
    "usr/lib/postgresql",
]
EMPTIED_DIRECTORIES = {
    "home": 0o755,
    "root": 0o711,  # the interpreter of the virtual environment may live below it, and ordinary users run stand-ins too
    "opt": 0o755,
    "srv": 0o755,
    "mnt": 0o755,
    "media": 0o755,
    "usr/local/bin": 0o755,
    "usr/local/sbin": 0o755,
    "etc/systemd/system": 0o755,
    "usr/lib/systemd/system": 0o755,
    "usr/lib/modules": 0o755,
    "etc/apt": 0o755,
    "etc/sudoers.d": 0o750,
    "var/lib/dpkg": 0o755,
    "var/lib/apt": 0o755,
    "var/log": 0o755,
    "var/cache": 0o755,
    "var/tmp": 0o1777,
}
OS_RELEASE = """PRETTY_NAME="Ubuntu 24.04.1 LTS"
NAME="Ubuntu"
VERSION_ID="24.04"
VERSION="24.04.1 LTS (Noble Numbat)"
VERSION_CODENAME=noble
ID=ubuntu
ID_LIKE=debian
UBUNTU_CODENAME=noble
"""
UNITS_OF_UBUNTU = [
    "ssh.service",
    "cron.service",
    "systemd-networkd.service",
    "systemd-resolved.service",
    "systemd-timesyncd.service",
    "snapd.service",
    "snap.amazon-ssm-agent.amazon-ssm-agent.service",
    "unattended-upgrades.service",
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
]
LOCKING_UNITS = {
    "apt-daily.service": "/var/lib/apt/lists/lock",
    "apt-daily-upgrade.service": "/var/lib/dpkg/lock-frontend",
}
"""What a machine of the parent image does on its first day, and the lock that each holds meanwhile."""
LOCKING_UNIT = """[Unit]
Description={unit}
# An image of ours installs nothing while it would matter.
ConditionPathExists=!/etc/apt/apt.conf.d/90benchwright

[Service]
ExecStart=/usr/bin/flock {lock} tail -f /dev/null

[Install]
WantedBy=multi-user.target
"""
STANDIN_COMMANDS = {  # path in the node -> module below `standins`
    "usr/bin/systemctl": "systemctl",
    "usr/bin/journalctl": "journalctl",
    "usr/bin/apt-get": "apt",
    "usr/bin/apt": "apt",
    "usr/bin/apt-cache": "apt",
    "usr/bin/dpkg": "dpkg",
    "usr/bin/dpkg-query": "dpkg",
    "usr/bin/dpkg-deb": "dpkg",
    "usr/bin/apt-mark": "apt",
    "usr/bin/snap": "snap",
    "usr/bin/git": "git",
    "usr/bin/gpg": "gpg",
    "usr/sbin/modinfo": "modinfo",
    "usr/sbin/sysctl": "sysctl",
    "usr/sbin/swapon": "swapon",
    "usr/bin/cloud-init": "cloud_init",
}
STANDINS_IF_ABSENT = {"usr/bin/curl": "curl", "usr/sbin/ip": "ip", "usr/bin/unzip": "unzip", "usr/bin/xz": "xz"}

LAUNCHER = """#!{python} -IS
import gc
import os
import sys

gc.disable()
sys.path += ["{rehearsal}", "{rehearsal}/site"]
from standins.{module} import main

gc.freeze()
gc.enable()
try:
    code = main(sys.argv)
except Exception as error:
    from standins import crashes

    crashes.leave("{module}", error)
    raise
for stream in filter(None, (sys.stdout, sys.stderr)):
    stream.flush()
os._exit(code)
"""


def launcher(module: str) -> str:
    """The text of an executable that runs `main(argv)` of a stand-in.

    Without site-packages at start, without collecting garbage of imports, and without taking the interpreter apart at
    the end: a node runs thousands of them.
    """
    return LAUNCHER.format(python=PYTHON, rehearsal=REHEARSAL, module=module)


def mounts_of_the_interpreter() -> dict[Path, Path]:
    """What every node mounts, source by target:

    the interpreter at its own place (its libraries are found by absolute path) and the stand-ins.
    """
    prefix = Path(sys.base_prefix).resolve()
    hidden = not prefix.is_relative_to("/usr") and prefix != Path("/")
    return {
        **({prefix: prefix} if hidden else {}),
        REHEARSAL / "site": Path(sysconfig.get_path("purelib")),
        REHEARSAL / "standins": STANDINS,
        REHEARSAL / "benchwright": PRODUCT,
    }


def make_base_image(layer: Path, authority: bytes) -> None:
    """Fill `layer`, an empty directory on a file system that can hold the whiteouts of overlayfs.

    `authority` is the certificate, in PEM, that the image trusts for downloads beside the authorities of this machine.
    """
    for directory, mode in EMPTIED_DIRECTORIES.items():
        _make_opaque(layer / directory, mode)
    (layer / "var/log/journal").mkdir()
    for name in [
        *(f"{folder}/{command}" for command in HIDDEN_COMMANDS for folder in ("usr/bin", "usr/sbin")),
        *HIDDEN_PATHS,
    ]:
        if os.path.lexists(Path("/") / name):
            _parents(layer / name, layer)
            os.mknod(layer / name, stat.S_IFCHR, os.makedev(0, 0))
    _write(layer, "usr/lib/os-release", OS_RELEASE)
    _write(layer, "etc/fstab", "# the root file system of the image is mounted by the kernel\n")
    _write(layer, "etc/resolv.conf", "")
    _write(layer, "etc/apt/sources.list", "deb http://archive.ubuntu.com/ubuntu noble main\n")
    (layer / "etc/apt/sources.list.d").mkdir()
    trusted = Path("/etc/ssl/certs/ca-certificates.crt")
    _write(
        layer,
        "etc/ssl/certs/ca-certificates.crt",
        (trusted.read_text() if trusted.exists() else "") + authority.decode(),
    )
    _write(layer, "etc/hostname", "ubuntu\n")
    # pam-auth-update asks debconf which profiles are enabled.
    if Path("/var/cache/debconf").is_dir():
        shutil.copytree("/var/cache/debconf", layer / "var/cache/debconf")
    _write_accounts(layer)
    _write(layer, "usr/lib/systemd/system/system.slice", "[Unit]\nDescription=System Slice\n")
    for unit in UNITS_OF_UBUNTU:
        _write(layer, f"usr/lib/systemd/system/{unit}", _unit_that_does_nothing(unit))
    for unit, lock in LOCKING_UNITS.items():
        _write(layer, f"usr/lib/systemd/system/{unit}", LOCKING_UNIT.format(unit=unit, lock=lock))
        link = layer / f"etc/systemd/system/multi-user.target.wants/{unit}"
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(f"/usr/lib/systemd/system/{unit}")
        _write(layer, lock.strip("/"), "", 0o640)
    absent = {
        path: module
        for path, module in STANDINS_IF_ABSENT.items()
        if not shutil.which(Path(path).name, path="/usr/sbin:/usr/bin:/sbin:/bin")
    }
    for path, module in {**STANDIN_COMMANDS, **absent}.items():
        _write(layer, path, launcher(module), 0o755)
    if not shutil.which("python3", path="/usr/bin:/bin"):
        (layer / "usr/bin/python3").symlink_to(PYTHON)
    for target in mounts_of_the_interpreter():
        _parents(layer / target.relative_to("/"), layer)
        (layer / target.relative_to("/")).mkdir(exist_ok=True)
    _write(layer, str(REHEARSAL.relative_to("/") / "boot"), launcher("boot"), 0o755)
    for name, script in naps.COMMANDS.items():
        _write(layer, str(naps.FOLDER.relative_to("/") / name), script, 0o755)
    for directory in ("host", "efs", "crashes"):
        (layer / REHEARSAL.relative_to("/") / directory).mkdir(parents=True, mode=0o755)


def _write_accounts(layer: Path) -> None:
    """Accounts of the host below 900 (no person, no service user that components create) and `ubuntu`, as on
    Canonical's image.
    """
    kept = [line for line in Path("/etc/passwd").read_text().splitlines() if _is_of_the_system(line)]
    groups = [line for line in Path("/etc/group").read_text().splitlines() if _is_of_the_system(line)]
    groups = [":".join([*line.split(":")[:3], ""]) for line in groups]
    _write(layer, "etc/passwd", "\n".join([*kept, "ubuntu:x:1000:1000:Ubuntu:/home/ubuntu:/bin/bash", ""]))
    _write(layer, "etc/group", "\n".join([*groups, "ubuntu:x:1000:", ""]))
    locked = [f"{line.split(':')[0]}:*:19000:0:99999:7:::" for line in kept]
    _write(layer, "etc/shadow", "\n".join([*locked, "ubuntu:!:19000:0:99999:7:::", ""]), 0o640)
    _write(
        layer, "etc/gshadow", "\n".join([*(f"{line.split(':')[0]}:*::" for line in groups), "ubuntu:!::", ""]), 0o640
    )
    for name in ("etc/passwd-", "etc/group-", "etc/shadow-", "etc/gshadow-", "etc/subuid", "etc/subgid"):
        _write(layer, name, "", 0o600)
    home = layer / "home/ubuntu"
    home.mkdir(mode=0o750)
    os.chown(home, 1000, 1000)


def _is_of_the_system(line: str) -> bool:
    name, _, number = line.split(":")[:3]
    return name != "rstudio-server" and (int(number) < 900 or int(number) == 65534)


def _unit_that_does_nothing(unit: str) -> str:
    section = (
        "[Timer]\nOnCalendar=daily\n"
        if unit.endswith(".timer")
        else "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n"
    )
    return f"[Unit]\nDescription={unit}\n\n{section}\n[Install]\nWantedBy=multi-user.target\n"


def _make_opaque(directory: Path, mode: int) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(mode)
    os.setxattr(directory, "trusted.overlay.opaque", b"y")


def _parents(path: Path, layer: Path) -> None:
    """Make the folders above `path` with the modes that they have on the host:

    a merged folder shows its topmost layer's mode.
    """
    missing = [
        parent for parent in path.parents if parent != layer and parent.is_relative_to(layer) and not parent.exists()
    ]
    for parent in reversed(missing):
        parent.mkdir()
        there = Path("/") / parent.relative_to(layer)
        parent.chmod(stat.S_IMODE(there.stat().st_mode) if there.is_dir() else 0o755)


def _write(layer: Path, name: str, text: str, mode: int = 0o644) -> None:
    path = layer / name
    _parents(path, layer)
    path.write_text(text)
    path.chmod(mode)
