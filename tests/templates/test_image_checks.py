"""The checks of an image: that they are there, and that each says no to what it is there for.

tests/nodes runs them on an image that is well; here programs of a test stand for one that is not.
"""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from benchwright.models import SMALLEST_VOLUME

IMAGE = Path(__file__).parents[2] / "image"
BOOT_CHECK = (IMAGE / "files/usr/local/sbin/benchwright-boot-check").read_text()
RECIPE = tomllib.loads((IMAGE / "recipe.toml").read_text())
COMPONENTS = {
    path.stem: yaml.load(path.read_text(), yaml.CSafeLoader) for path in sorted((IMAGE / "components").glob("*.yaml"))
}
VALUES = {
    "WorkbenchVersion": "2026.07.1+147.pro6",
    "RVersions": "4.4.3 4.5.2",
    "PythonVersions": "3.13.9",
    "Packages": "default-jdk",
    "ProDrivers": "2026.07.0",
    "TinyTeX": "2026.10",
    "Branch": "580",
}

# An image that is well, as the programs on it report; each is a line of sh.
PROGRAMS = {
    "rstudio-server": "echo 2026.07.1+147.pro6 Workbench",
    "opt/R/4.4.3/bin/R": "echo R version 4.4.3",
    "opt/R/4.5.2/bin/R": "echo R version 4.5.2",
    "opt/python/3.13.9/bin/python": "echo Python 3.13.9",
    "snap": "echo Name Version Rev; echo amazon-ssm-agent 3.3.2746.0 1",
    "getent": "echo rstudio-server:x:900:900::/home/rstudio-server:/bin/sh",
    "stat": 'case "$3" in *.pem) echo 644 root:root ;; *) echo 755 root:root ;; esac',
    "systemctl": (
        'case "$1 $2" in start*) ;; is-enabled*rstudio*) echo disabled; exit 1 ;; is-enabled*) echo enabled ;;'
        " is-active*guard) echo active ;; show*) case $3 in LimitNOFILESoft) echo 65536 ;; LimitNOFILE) echo 524288 ;;"
        " OOMPolicy) echo continue ;; CPUWeight) echo 1000 ;; esac ;; *) echo inactive; exit 3 ;; esac"
    ),
    "swapon": "echo /swapfile",
    "sysctl": "case $2 in *watches) echo 524288 ;; *instances) echo 1024 ;; *) echo 10 ;; esac",
    "etc/security/limits.d/60-benchwright.conf": "* soft nofile 65536\n* hard nofile 524288",
    "etc/pam.d/su": "session required pam_limits.so",
    "curl": "exit 0",
    "setpriv": (  # what curl ends with, and bash says, when the guard refuses a connection
        'case "$*" in *curl*) exit 7 ;; *--version) echo 1.106.2 ;;'
        ' *) echo "bash: connect: Network is unreachable" >&2; exit 1 ;; esac'
    ),
    "etc/amazon/efs/efs-utils.conf": "port_range_lower_bound = 20049\nport_range_upper_bound = 21049",
    "grep": 'case "$*" in *needrestart*) echo 3 ;; *) exec /usr/bin/grep "$@" ;; esac',
    "dpkg-query": "echo installed",
    "locale": "echo UTF-8",
    "readlink": "echo /usr/lib/rstudio-server/bin/quarto/bin/quarto",
    "quarto": "exit 0",
    "find": "echo /opt/ide/bin/server",
    "pkg-config": "exit 0",
    **{f"opt/R/{version}/bin/Rscript": "printf 1" for version in ("4.4.3", "4.5.2")},
    **dict.fromkeys(("aws", "mount.efs", "psql", "chronyc"), "exit 0"),
}


def run(
    phase: str, step: str, folder: Path, broken: dict[str, str] | None = None, component: str = "validate"
) -> tuple[int, str]:
    """Runs a step of a component with what is below the root in a folder; gives its exit code and last line."""
    (commands,) = [
        item["inputs"]["commands"]
        for found in COMPONENTS[component]["phases"]
        if found["name"] == phase
        for item in found["steps"]
        if item["name"] == step
    ]
    script = re.sub(r"\{\{ (\w+) }}", lambda match: VALUES[match[1]], "\n".join(commands))
    code, lines = execute(script, folder, broken)
    return code, lines[-1] if lines else ""


def execute(script: str, folder: Path, broken: dict[str, str] | None = None) -> tuple[int, list[str]]:
    """Runs a script with what is below the root in a folder; gives its exit code and what it printed."""
    programs = PROGRAMS | (broken or {})
    for name, text in programs.items():
        path = folder / (name if "/" in name else f"bin/{name}")
        path.parent.mkdir(parents=True, exist_ok=True)
        if text:
            path.write_text(f"#!/bin/sh\n{text}\n")
            path.chmod(0o755)
    script = re.sub(r"(?<=[\s\"])/(opt|usr/local|usr/lib/x86_64-linux-gnu|etc|var)/", rf"{folder}/\1/", script)
    done = subprocess.run(
        ["/bin/bash", "-c", script],
        env={"PATH": f"{folder / 'bin'}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    return done.returncode, done.stdout.replace(f"{folder}/", "/").splitlines()


def test_every_check_is_there_and_ends_the_build_when_it_fails() -> None:
    """But for Agent: the script copes with an older one."""
    checks = {
        (component, phase["name"], step["name"]): step.get("onFailure", "Abort")
        for component, document in COMPONENTS.items()
        for phase in document["phases"]
        if phase["name"] != "build"
        for step in phase["steps"]
    }
    assert checks == {
        ("aws-cli", "validate", "Version"): "Abort",
        ("cloudwatch-agent", "validate", "Version"): "Abort",
        ("efs-utils", "validate", "Version"): "Abort",
        ("drivers", "validate", "DriversLoad"): "Abort",
        ("jupyter", "validate", "ServesAndComputes"): "Abort",
        ("rds-ca", "validate", "HoldsCertificates"): "Abort",
        ("sssd", "validate", "IsThereAndOff"): "Abort",
        ("caches", "validate", "AreOnTheDisk"): "Abort",
        ("nvidia", "validate", "ModuleAndLibraryAgree"): "Abort",
        ("tinytex", "validate", "MakesPdf"): "Abort",
        ("validate", "validate", "Versions"): "Abort",
        ("validate", "validate", "Libraries"): "Abort",
        ("validate", "validate", "Ides"): "Abort",
        ("validate", "validate", "Agent"): "Ignore",
        ("validate", "validate", "UsersAndFiles"): "Abort",
        ("validate", "validate", "Units"): "Abort",
        ("validate", "validate", "GuardWorks"): "Abort",
    }


def test_the_recipe_uses_every_component_once_and_checks_last() -> None:
    used = [use["name"] for use in RECIPE["components"]]
    assert (sorted(used), used[:2], used[-2:]) == (
        sorted(COMPONENTS),
        ["versions", "base"],
        ["clean-up", "validate"],
    )
    parameters = {
        "WorkbenchVersion": "{workbench_version}",
        "RVersions": "{r_versions}",
        "PythonVersions": "{python_versions}",
    }
    assert RECIPE["components"][0]["parameters"] == parameters | {
        "ProDrivers": "{pro_drivers}",
        "TinyTeX": "{tinytex}",
    }
    assert RECIPE["components"][-1]["parameters"] == parameters | {"Packages": "{packages}"}
    assert RECIPE["block_devices"] == [
        {
            "deviceName": "/dev/sda1",
            "ebs": {"encrypted": True, "deleteOnTermination": True, "volumeType": "gp3", "volumeSize": SMALLEST_VOLUME},
        }
    ]


PHASES = [phase for phase in COMPONENTS["validate"]["phases"] if phase["name"] == "validate"]
CHECKS = [(phase["name"], step["name"]) for phase in PHASES for step in phase["steps"]]


@pytest.mark.parametrize(("phase", "step"), CHECKS, ids=lambda name: name)
def test_an_image_that_is_well_passes(phase: str, step: str, tmp_path: Path) -> None:
    assert run(phase, step, tmp_path) == (0, "")


REACHES = "An ordinary user reaches the instance metadata service (curl ended with"
REACHES_HELPER = "An ordinary user reaches port"
REFUSED = "bash: connect: Network is unreachable"


def asked(port: int, does: str) -> str:
    """A `setpriv` whose user does what the guard should refuse, at one port alone."""
    return f'case "$*" in *curl*) exit 7 ;; *{port}*) {does} ;; *) echo {REFUSED} >&2; exit 1 ;; esac'


SYSCTL = "case $2 in *watches) echo 524288 ;; *instances) echo 1024 ;; *) echo 60 ;; esac"
SOME = "case $3 in *Soft) echo 65536 ;; Limit*) echo 524288 ;; OOMPolicy) echo continue ;; *) case $5 in"
LIMITS = [
    ("swapon", "exit 0", "the swap space is '' instead of '/swapfile'"),
    ("sysctl", "echo 128", "fs.inotify.max_user_watches is '128' instead of '524288'"),
    ("sysctl", "echo 524288", "fs.inotify.max_user_instances is '524288' instead of '1024'"),
    ("sysctl", SYSCTL, "vm.swappiness is '60' instead of '10'"),
    ("systemctl", "echo 9", "the limit of open files of rstudio-server is '9-9' instead of '65536-524288'"),
    (
        "etc/security/limits.d/60-benchwright.conf",
        "* soft nofile 9",
        "the limit of open files of a person is '9' instead of '65536-524288'",
    ),
    (
        "systemctl",
        "case $3 in *Soft) echo 65536 ;; Limit*) echo 524288 ;; *) echo stop ;; esac",
        "OOMPolicy of rstudio-launcher is 'stop' instead of 'continue'",
    ),
    ("systemctl", f"{SOME} *) echo 100 ;; esac ;; esac", "CPUWeight of system.slice is '100' instead of '1000'"),
    (
        "systemctl",
        f"{SOME} *slice) echo 1000 ;; *) echo 100 ;; esac ;; esac",
        "CPUWeight of rstudio-server is '100' instead of '1000'",
    ),
]


@pytest.mark.parametrize(
    ("step", "broken", "said"),
    [
        (
            "Versions",
            {"rstudio-server": "echo 2026.04.0 Workbench"},
            "rstudio-server version says '2026.04.0 Workbench' instead of 2026.07.1+147.pro6",
        ),
        (
            "Versions",
            {"opt/R/4.5.2/bin/R": "echo R version 4.5.1"},
            "R 4.5.2 says 'R version 4.5.1' instead of R version 4.5.2",
        ),
        (
            "Versions",
            {"opt/python/3.13.9/bin/python": "echo Python 3.12.3"},
            "Python 3.13.9 says 'Python 3.12.3' instead of Python 3.13.9",
        ),
        ("Agent", {"snap": "echo Name; echo amazon-ssm-agent 3.3.987.0"}, "The SSM agent is 3.3.987.0"),
        (
            "UsersAndFiles",
            {"getent": "echo rstudio-server:x:998:998::/:/bin/sh"},
            "the service user is '998:998' instead of '900:900'",
        ),
        (
            "UsersAndFiles",
            {"stat": 'case "$3" in *guard) echo 777 root:root ;; *) echo 755 root:root ;; esac'},
            "the guard is '777 root:root' instead of '755 root:root'",
        ),
        (
            "UsersAndFiles",
            {"stat": 'case "$3" in *lifecycle) echo 755 ubuntu:root ;; *) echo 755 root:root ;; esac'},
            "the watcher is '755 ubuntu:root' instead of '755 root:root'",
        ),
        (
            "UsersAndFiles",
            {"stat": "echo 755 root:root"},
            "the RDS bundle is '755 root:root' instead of '644 root:root'",
        ),
        *(
            (
                "UsersAndFiles",
                {"etc/amazon/efs/efs-utils.conf": f"port_range_lower_bound = {low}\nport_range_upper_bound = {high}"},
                f"the range of the mount helper is '{low}-{high}' instead of '20049-21049'",
            )
            for low, high in ((20048, 21049), (20049, 30049))
        ),
        *(
            (
                "UsersAndFiles",
                {file: "a key"},
                f"/{file} is in the image, so every node of every cluster would share it",
            )
            for file in (
                "var/lib/rstudio-server/secure-cookie-key",
                "var/lib/rstudio-server/session-rpc-key",
                "etc/rstudio/secure-cookie-key",
            )
        ),
        ("UsersAndFiles", {"mount.efs": ""}, "mount.efs is not installed"),
        ("Libraries", {"dpkg-query": "exit 1"}, "The package default-jdk is not installed"),
        ("Libraries", {"locale": "echo ANSI_X3.4-1968"}, "The locale en_US.UTF-8 is missing"),
        ("Libraries", {"readlink": "exit 1"}, "quarto is not in the PATH of people"),
        ("Libraries", {"quarto": "exit 1"}, "quarto check fails"),
        ("Libraries", {"pkg-config": "exit 1"}, "Libraries that packages of R need are missing"),
        ("Libraries", {"opt/R/4.5.2/bin/R": "exit 1"}, "R 4.5.2 does not compile against libxml2"),
        (
            "Libraries",
            {"opt/R/4.5.2/bin/Rscript": "echo cannot open shared object file; exit 1"},
            "R 4.5.2 says 'cannot open shared object file' instead of 1 when it loads code that uses libxml2",
        ),
        ("Ides", {"find": "exit 0"}, "Workbench 2026.07.1+147.pro6 brings no VS Code"),
        (
            "Ides",
            {"find": 'case "$*" in *positron*) ;; *) echo /opt/ide ;; esac'},
            "Workbench 2026.07.1+147.pro6 brings no Positron",
        ),
        ("Ides", {"setpriv": "echo Segmentation fault; exit 139"}, "VS Code does not start for people"),
        ("Ides", {"setpriv": "echo what"}, "VS Code does not start for people"),
        (
            "Ides",
            {"find": "echo $1", "setpriv": 'case "$*" in *positron*) exit 1 ;; *) echo 1.106.2 ;; esac'},
            "Positron does not start for people",
        ),
        ("Units", {"systemctl": "echo enabled"}, "rstudio-server is enabled instead of disabled"),
        (
            "Units",
            {"systemctl": "echo disabled; exit 1"},
            "benchwright-metadata-guard is disabled instead of enabled",
        ),
        (
            "Units",
            {"systemctl": 'case "$2" in *guard) echo enabled ;; *) echo disabled ;; esac'},
            "benchwright-lifecycle is disabled instead of enabled",
        ),
        (
            "Units",
            {"systemctl": 'case "$2" in benchwright*) echo enabled ;; *) echo disabled ;; esac'},
            "amazon-cloudwatch-agent is disabled instead of enabled",
        ),
        (
            "Units",
            {"systemctl": 'case "$2" in benchwright* | amazon*) echo enabled ;; *) echo disabled ;; esac'},
            "chrony is disabled instead of enabled",
        ),
        ("GuardWorks", {"curl": "exit 28"}, "root cannot reach the instance metadata service"),
        ("GuardWorks", {"setpriv": "exit 0"}, f"{REACHES} 0)"),
        ("GuardWorks", {"setpriv": "exit 22"}, f"{REACHES} 22)"),
        (
            "GuardWorks",
            {"awk": "echo ens5", "setpriv": 'case "$*" in *--interface*) exit 0 ;; *) exit 7 ;; esac'},
            "An ordinary user reaches the instance metadata service by --interface ens5 (curl ended with 0)",
        ),
        (
            "GuardWorks",
            {"setpriv": asked(20049, "exit 0")},
            f"{REACHES_HELPER} 20049 of the mount helper (it answered)",
        ),
        (
            "GuardWorks",
            {"setpriv": asked(21049, "echo Connection refused >&2; exit 1")},
            f"{REACHES_HELPER} 21049 of the mount helper (Connection refused)",
        ),
        (
            "GuardWorks",
            {"bash": f"echo {REFUSED} >&2; exit 1"},
            f"root cannot reach the mount helper's port: {REFUSED}",
        ),
    ],
)
def test_an_image_that_is_not_well_is_refused_with_what_is_wrong(
    step: str, broken: dict[str, str], said: str, tmp_path: Path
) -> None:
    (phase,) = [phase for phase, name in CHECKS if name == step]
    assert run(phase, step, tmp_path, broken) == (1, said)


R_SOURCE = "https://cdn.posit.co/r/ubuntu-2404/pkgs/r-4.4.3_1_amd64.deb"
PYTHON_SOURCE = "https://cdn.rstudio.com/python/ubuntu-2404/pkgs/python-3.13.9_1_amd64.deb"
TINYTEX_SOURCE = (
    "https://github.com/rstudio/tinytex-releases/releases/download/v2026.10/TinyTeX-linux-x86_64-v2026.10.tar.xz"
)
INDEX = "https://dl.posit.co/public/pro/deb/ubuntu/dists/noble/main/binary-amd64/Packages"
DRIVERS = "The version of Posit's drivers 2026.07.0"
WORKBENCH = "Workbench 2026.07.1+147.pro6"
NOT = " is not published: "
PACKAGES = "Package: other\\nVersion: 2026.07.1+147.pro6\\n\\nPackage: rstudio-server\\nVersion: 2026.07.0+139.pro9\\n"


def sources(
    answers: str = "", published: str = "Package: rstudio-server\\nVersion: 2026.07.1+147.pro6\\n"
) -> dict[str, str]:
    """A curl that answers 200, but for these cases of sh, and the index of Workbench's repository."""
    return {"curl": f'case "$*" in *Packages*) printf "{published}" ;; {answers} *) printf 200 ;; esac'}


@pytest.mark.parametrize(
    ("programs", "reported"),
    [
        (sources(), (0, "")),
        (
            sources("*r-4.4.3*) printf 404 ;;"),
            (1, f"R 4.4.3{NOT}{R_SOURCE} answers 404. Set r_versions to what is published."),
        ),
        (
            sources("*python*) printf 403 ;;"),
            (
                1,
                f"Python 3.13.9{NOT}{PYTHON_SOURCE} answers 403. Set python_versions to what is published.",
            ),
        ),
        (
            sources("*TinyTeX*) printf 404 ;;"),
            (1, f"TinyTeX 2026.10{NOT}{TINYTEX_SOURCE} answers 404. Set image.tinytex to what is published."),
        ),
        (
            sources(published=PACKAGES),
            (
                1,
                f"{WORKBENCH}{NOT}{INDEX} has no such rstudio-server. Set workbench.version to a published version.",
            ),
        ),
        (
            sources(published="Package: rstudio-drivers\\nVersion: 2026.03.0\\n"),
            (
                1,
                f"{DRIVERS}{NOT}{INDEX} has no such rstudio-drivers. Set image.pro_drivers to a published version.",
            ),
        ),
        (sources("*python*) printf 000; exit 6 ;;"), (0, f"{PYTHON_SOURCE} answers 000; going on.")),
        (sources(published="<html>"), (0, "")),
        ({"curl": "exit 6"}, (0, f"{TINYTEX_SOURCE} answers nothing; going on.")),
    ],
    ids=["all", "R", "Python", "TinyTeX", "Workbench", "drivers", "no answer", "no index", "no network"],
)
def test_a_version_that_is_not_published_is_refused_before_anything_is_built(
    programs: dict[str, str], reported: tuple[int, str], tmp_path: Path
) -> None:
    assert run("build", "ArePublished", tmp_path, programs, "versions") == reported


LISTED = "[PostgreSQL]\nDriver = /opt/driver.so"


@pytest.mark.parametrize(
    ("listed", "readable", "libraries", "reported"),
    [
        (LISTED, "exit 0", "echo libc.so.6", (0, "")),
        ("[PostgreSQL]", "exit 0", "echo libc.so.6", (1, "/etc/odbcinst.ini names no driver")),
        (LISTED, "exit 1", "echo libc.so.6", (1, "People cannot read the driver /opt/driver.so")),
        (
            LISTED,
            "exit 0",
            "echo libkrb5.so.3: not found",
            (1, "The driver /opt/driver.so lacks a library: libkrb5.so.3: not found"),
        ),
    ],
    ids=["well", "none", "unreadable", "library"],
)
def test_a_driver_that_people_cannot_load_is_refused(
    listed: str, readable: str, libraries: str, reported: tuple[int, str], tmp_path: Path
) -> None:
    programs = {"etc/odbcinst.ini": listed, "setpriv": readable, "ldd": libraries}
    assert run("validate", "DriversLoad", tmp_path, programs, "drivers") == reported


@pytest.mark.parametrize(
    ("as_person", "reported"),
    [
        ("echo %PDF-1.7 >paper.pdf", (0, "")),
        ("echo '! Undefined control sequence.'; exit 1", (1, "People get no PDF from pdflatex")),
        ("echo nothing is written", (1, "People get no PDF from pdflatex")),
        ("echo '<html>' >paper.pdf", (1, "People get no PDF from pdflatex")),
        ('case "$*" in *quarto*) exit 1 ;; *) echo %PDF >a.pdf ;; esac', (1, "People get no PDF from quarto")),
    ],
    ids=["well", "fails", "nothing", "no PDF", "Quarto"],
)
def test_a_tex_with_which_people_get_no_pdf_is_refused(
    as_person: str, reported: tuple[int, str], tmp_path: Path
) -> None:
    assert run("validate", "MakesPdf", tmp_path, {"setpriv": as_person}, "tinytex") == reported


DRIVER = {
    "find": "echo 6.8.0-1024-aws; echo 6.14.0-1018-aws",
    "modinfo": "echo 580.105.08",
    "nvidia-smi": "exit 9",
    "usr/lib/x86_64-linux-gnu/libcuda.so.580.105.08": "a library",
}


@pytest.mark.parametrize(
    ("broken", "reported"),
    [
        ({}, (0, "")),
        ({"modinfo": "exit 1"}, (1, "The kernel 6.14.0-1018-aws has no module of NVIDIA's driver")),
        (
            {"modinfo": "echo 5800.1"},
            (1, "The module of NVIDIA's driver is 5800.1 instead of branch 580"),
        ),
        ({"modinfo": "echo 580.95.05"}, (1, "The library of NVIDIA's driver is not 580.95.05, as its module is")),
        ({"nvidia-smi": ""}, (1, "nvidia-smi is not installed")),
    ],
    ids=["well", "no module", "branch", "library", "command"],
)
def test_a_driver_whose_parts_do_not_agree_is_refused(
    broken: dict[str, str], reported: tuple[int, str], tmp_path: Path
) -> None:
    assert run("validate", "ModuleAndLibraryAgree", tmp_path, DRIVER | broken, "nvidia") == reported


def test_an_instance_that_boots_as_its_image_wants_is_taken(tmp_path: Path) -> None:
    assert execute(BOOT_CHECK, tmp_path) == (0, [])


@pytest.mark.parametrize(
    ("broken", "reported"),
    [
        ({"etc/pam.d/su": "# none"}, "PAM sets no limits of sessions (pam_limits.so in /etc/pam.d/su)"),
        *(({program: does}, f"After the boot {said}") for program, does, said in LIMITS),
        (
            {"systemctl": "echo inactive; exit 3"},
            "After the boot benchwright-metadata-guard is 'inactive' instead of 'active'",
        ),
        ({"systemctl": "echo active"}, "After the boot rstudio-server is 'active' instead of 'inactive'"),
        ({"setpriv": "exit 0"}, f"{REACHES} 0)"),
        ({"setpriv": "exit 22"}, f"{REACHES} 22)"),
        ({"setpriv": asked(20049, "exit 0")}, f"{REACHES_HELPER} 20049 of the mount helper (it answered)"),
        (
            {"setpriv": asked(21049, "echo Connection refused >&2; exit 1")},
            f"{REACHES_HELPER} 21049 of the mount helper (Connection refused)",
        ),
        (
            {"nvidia-smi": ":", "modinfo": "exit 1", "uname": "echo 6.8"},
            "The kernel 6.8, which runs, has no module of NVIDIA's driver",
        ),
    ],
)
def test_an_instance_that_boots_otherwise_is_refused_with_what_is_wrong(
    broken: dict[str, str], reported: str, tmp_path: Path
) -> None:
    code, lines = execute(BOOT_CHECK, tmp_path, broken)
    assert code == 1
    assert reported in lines


def test_a_driver_whose_kernel_has_its_module_is_taken(tmp_path: Path) -> None:
    assert execute(BOOT_CHECK, tmp_path, {"nvidia-smi": ":", "modinfo": "echo 580"}) == (0, [])


# What a person's shell prints, who has the home of the check.
SHELL = """for word; do case $word in HOME=*) home=${word#HOME=} ;; esac; done
f=/var/cache/people/nobody; printf '%s\\n' $f/pip $f/uv $f/R $f/npm "$home/.cache/R/renv/cache"
"""


@pytest.mark.parametrize(
    ("as_person", "mode", "reported"),
    [
        (SHELL, "700 nobody", (0, "")),
        ("echo $HOME", "700 nobody", (1, "A person's caches are ''")),
        (SHELL, "755 nobody", (1, "Others may read /var/cache/people/nobody")),
    ],
    ids=["well", "elsewhere", "readable"],
)
def test_caches_that_are_not_on_the_disk_are_refused(
    as_person: str, mode: str, reported: tuple[int, str], tmp_path: Path
) -> None:
    programs = {"setpriv": as_person, "stat": f"echo {mode}", "id": "echo nobody"}
    assert run("validate", "AreOnTheDisk", tmp_path, programs, "caches") == reported
