"""What a machine lacks is named in one sentence with its remedy, before anything is installed."""

import ast
import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rehearsal import launcher, machine

ROOT = Path(__file__).resolve().parents[3]
PYTHON = os.path.realpath(sys.executable)
"""As on a machine on which nothing is installed: outside of the virtual environment."""

CHECK = [PYTHON, "-m", "rehearsal.machine", "rehearse"]
TARGETS = ("rehearse", "serve", "faults", "test")


def run(command: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, timeout=600, check=False
    )


def without(folder: Path, program: str, argument: str) -> str:
    """A PATH in which `program` fails, as the kernel would make it fail, when it is given `argument`."""
    real = shutil.which(program)
    folder.mkdir()
    (folder / program).write_text(
        f'#!/bin/bash\n[[ " $* " == *" {argument} "* ]] && {{ echo "{program}: the kernel refuses" >&2; exit 1; }}\n'
        f'exec {real} "$@"\n'
    )
    (folder / program).chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


@pytest.mark.root
def test_a_machine_that_can_is_silent() -> None:
    done = run(CHECK)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_without_root_one_sentence_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(machine.NotAbleError, match="sudo make serve"):
        machine.require("serve")


@pytest.mark.root
@pytest.mark.parametrize(
    ("program", "argument", "sentence"),
    [
        ("unshare", "--user", "cannot run PostgreSQL as an ordinary user in a user namespace (unshare: the kernel"),
        ("unshare", "--pid", "cannot give a node namespaces of its own (unshare: the kernel refuses): "),
        ("mount", "tmpfs", "cannot mount a directory in memory (mount: the kernel refuses): /media or /srv must be"),
        ("mount", "overlay", "cannot make a node's file system of overlays (mount: the kernel refuses): "),
    ],
)
def test_each_capability_is_tried_and_named(tmp_path: Path, program: str, argument: str, sentence: str) -> None:
    done = run(CHECK, PATH=without(tmp_path / "bin", program, argument))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert sentence in done.stderr
    assert "docker run --cap-add SYS_ADMIN --cap-add NET_ADMIN" in done.stderr


@pytest.mark.root
@pytest.mark.parametrize("capability", ["sys_admin", "net_admin"])
@pytest.mark.parametrize("program", ["rehearsal.machine", "rehearsal"])
def test_root_without_capabilities_learns_how_to_start_a_container(capability: str, program: str) -> None:
    bounded = ["setpriv", f"--bounding-set=-{capability}", f"--inh-caps=-{capability}"]
    command = [PYTHON, "-m", program, "rehearse"] if program.endswith("machine") else [sys.executable, "-m", program]
    done = run([*bounded, *command])
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith(
        "This machine cannot give root network and mount namespaces (Operation not permitted)"
    )
    assert "--cap-add SYS_ADMIN --cap-add NET_ADMIN" in done.stderr


@pytest.mark.root
def test_programs_that_are_missing_are_named_together_with_their_packages(tmp_path: Path) -> None:
    for name in set(machine.PROGRAMS) - {"unshare", "nsenter", "hostname"}:
        (tmp_path / name).symlink_to(shutil.which(name) or "")
    done = run(CHECK, PATH=str(tmp_path))
    assert done.returncode == 2
    assert done.stderr == (
        "The rehearsal runs unshare, nsenter, hostname, which this PATH does not have: "
        "on Debian and Ubuntu, `apt-get install hostname util-linux` brings it.\n"
    )


@pytest.mark.root
@pytest.mark.parametrize(("libc", "said"), [("glibc 2.31", "has glibc 2.31:"), (None, "has another C library:")])
def test_a_c_library_without_wheels_is_named(monkeypatch: pytest.MonkeyPatch, libc: str | None, said: str) -> None:
    monkeypatch.setattr(machine, "_libc", lambda: libc)
    with pytest.raises(machine.NotAbleError, match=said):
        machine.require("rehearse")


@pytest.mark.root
def test_only_root_in_the_list_of_accounts_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pwd.getpwall", list)
    with pytest.raises(machine.NotAbleError, match=r"\(no account but root's is in /etc/passwd\)"):
        machine.require("rehearse")


@pytest.mark.root
def test_no_directory_for_the_scratch_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launcher, "SCRATCH_CANDIDATES", ("/there-is-no-such-directory",))
    with pytest.raises(machine.NotAbleError, match="/there-is-no-such-directory must be a directory"):
        machine.require("rehearse")


@pytest.mark.root
@pytest.mark.parametrize("kind", ["bridge", "veth"])
def test_a_network_device_that_the_kernel_does_not_have_is_named(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """The kernel answers for a kind that it really does not know."""
    real = machine._add_link
    monkeypatch.setattr(machine, "_add_link", lambda wanted: real("no-such-kind" if wanted == kind else wanted))
    with pytest.raises(machine.NotAbleError, match=rf"\({os.strerror(errno.EOPNOTSUPP)}\): `modprobe {kind}`"):
        machine.require("rehearse")


@pytest.mark.root
def test_the_root_of_a_plain_chroot_will_do_and_nothing_is_left_in_it(tmp_path: Path) -> None:
    """Its root is no mount, and the mount that it lies in hands on what is mounted in it: as with systemd."""
    entries = [entry for entry in Path("/").iterdir() if entry.name not in {"media", "srv", "mnt", "tmp"}]
    script = ["mount -t tmpfs tmpfs $0", "mkdir -p $0/root/{media,srv,mnt,tmp}"]
    for entry in entries:
        place = f"$0/root/{entry.name}"
        if entry.is_symlink():
            script.append(f"ln -s {entry.readlink()} {place}")
        elif entry.is_dir():
            script.append(f"mkdir -p {place}; mount --rbind {entry} {place}")
    script += [
        'mkdir -p "$0/root$1"; mount --bind "$1" "$0/root$1"',  # the working copy may be in /tmp
        "mount --make-rshared $0",
        "cat /proc/self/mountinfo >$0/before",
        'chroot $0/root bash -c \'cd "$0" && exec "$@"\' "$@"',
        "cat /proc/self/mountinfo >$0/after",
        "cmp $0/before $0/after",
    ]
    scripted = "set -e\n" + "\n".join(script)
    isolated = ["unshare", "--mount", "--propagation", "private", "bash", "-c", scripted, str(tmp_path), str(ROOT)]
    done = run([*isolated, *CHECK])
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    program = "import os; from rehearsal import launcher; launcher.own_network_and_mounts(); print(os.listdir('/'))"
    done = run([*isolated, PYTHON, "-c", program])
    assert (done.returncode, done.stderr) == (0, "")
    assert {*ast.literal_eval(done.stdout)} == {entry.name for entry in Path("/").iterdir() if not entry.is_file()}


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    """A working copy in which nothing is installed, as far as make looks at it before it installs something."""
    for name in ("Makefile", "rehearsal/machine.py", "rehearsal/launcher.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, tmp_path / name)
    for source in [*ROOT.glob("*/requirements*.txt"), *ROOT.glob("tests/package*.json")]:
        (tmp_path / source.relative_to(ROOT)).parent.mkdir(exist_ok=True)
        (tmp_path / source.relative_to(ROOT)).touch()
    return tmp_path


@pytest.mark.parametrize("target", [*TARGETS, "lint"])
@pytest.mark.parametrize(
    ("python", "sentence"),
    [
        ("there-is-none", "Python 3.13 is needed, and there-is-none does not run it: on Debian 13 `apt-get install"),
        ("older", "Python 3.13 is needed, and older does not run it: on Debian 13 `apt-get install"),
        ("bare", "bare cannot make a virtualenv: on Debian and Ubuntu `apt-get install python3.13-venv` brings"),
    ],
)
def test_make_asks_for_python_before_it_installs(fresh: Path, target: str, python: str, sentence: str) -> None:
    programs = fresh / "programs"
    programs.mkdir()
    (programs / "older").write_text(f"#!/bin/sh\nexec {PYTHON} -c 'import sys; sys.exit(1)'\n")
    (programs / "bare").write_text(
        f'#!/bin/sh\ncase $* in *ensurepip*) echo "No module named ensurepip" >&2; exit 1;; esac\nexec {PYTHON} "$@"\n'
    )
    for program in programs.iterdir():
        program.chmod(0o755)
    done = run(["make", "-C", str(fresh), target, f"PYTHON={python}"], PATH=f"{programs}:{os.environ['PATH']}")
    assert done.returncode == 2
    assert done.stderr.startswith(sentence)
    assert not (fresh / ".venv").exists()


@pytest.mark.root
@pytest.mark.parametrize("target", TARGETS)
def test_make_tries_the_machine_before_it_installs(fresh: Path, target: str, tmp_path: Path) -> None:
    path = without(tmp_path / "bin", "unshare", "--user")
    done = run(["make", "-C", str(fresh), target, f"PYTHON={PYTHON}"], PATH=path)
    assert done.returncode == 2
    assert "This machine cannot run PostgreSQL as an ordinary user in a user namespace" in done.stderr
    assert not (fresh / ".venv").exists()
