"""Component documents run for real: those of image/ make an image that passes its tests, and mistakes fail by name."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from rehearsal.hosts.awstoe import StepFailure, run_phase
from rehearsal.hosts.host import Host
from tests.nodes.conftest import IMAGE, PYTHON_VERSIONS, World


def document(*steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"schemaVersion": 1.0, **more, "phases": [{"name": "build", "steps": list(steps)}]}


def bash(*commands: str, name: str = "Step", **more: Any) -> dict[str, Any]:
    return {"name": name, "action": "ExecuteBash", "inputs": {"commands": list(commands)}, **more}


def test_an_instance_of_the_image_boots_as_the_image_wants(world: World, image: Path) -> None:
    host = world.boot(205, image=image)
    try:
        host.run_boot()
        assert host.run("bash /usr/local/sbin/benchwright-boot-check", timeout=60).stdout == ""
        found = host.run(
            "ls /opt/R /opt/python; rstudio-server version; ls /var/lib/rstudio-server /tmp", timeout=60
        ).stdout
        assert "2026.07.1+147.pro6 Workbench" in found
        assert {"4.4.3", "4.5.2", "3.13.9"} <= set(found.split())
        assert "secure-cookie-key" not in found
    finally:
        host.stop()


def test_parameters_constants_outputs_and_loops_are_filled_in(host: Host) -> None:
    steps = [
        {
            "name": "File",
            "action": "CreateFile",
            "inputs": [{"path": "/var/{{ Name }}", "content": "{{ Word }}\n", "permissions": "0640"}],
        },
        bash("cat '{{ build.File.inputs[0].path }}'; stat -c %a /var/{{ Name }}", name="Read"),
        bash(
            "echo '{{ build.Read.outputs.stdout }}' '{{ each.value }}' >>/var/all",
            loop={"name": "each", "forEach": ["a", "b"]},
        ),
    ]
    text = document(
        *steps, parameters=[{"Name": {"type": "string"}}], constants=[{"Word": {"type": "string", "value": "hello"}}]
    )
    assert run_phase(host, text, "build", {"Name": "greeting"}) is None
    assert host.run("cat /var/all", timeout=60).stdout == "hello\n640 a\nhello\n640 b\n"


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (bash("echo {{ Missing }}"), "The reference '{{ Missing }}' is defined nowhere"),
        (bash("echo first; echo second >&2; exit 3"), "first; second"),
        (bash("sleep 9", timeoutSeconds=0.3), "did not end in 0 seconds"),
        ({"name": "Step", "action": "UpdateOS"}, "does not know the action UpdateOS"),
        ({**bash("true"), "if": {"fileExists": "/x"}}, "does not know if"),
        (
            {
                "name": "Step",
                "action": "WebDownload",
                "inputs": [{"source": "https://cdn.posit.co/nothing", "destination": "/var/x"}],
            },
            "404",
        ),
        (
            {
                "name": "Step",
                "action": "WebDownload",
                "inputs": [{"source": "https://example.org/x", "destination": "/var/x"}],
            },
            "Could not resolve host: example.org",
        ),
    ],
    ids=["reference", "exit code", "timeout", "action", "condition", "not there", "no such host"],
)
def test_a_step_that_fails_says_why(host: Host, step: dict[str, Any], message: str) -> None:
    failure = run_phase(host, document(step), "build", {})
    assert failure is not None
    assert failure.step == "Step"
    assert message in failure.message


def test_a_wrong_checksum_fails_the_download(host: Host) -> None:
    source = "https://awscli.amazonaws.com/awscli-exe-linux-x86_64-2.36.40.zip"
    inputs = {"source": source, "destination": "/var/cli.zip", "checksum": "0" * 64, "algorithm": "SHA256"}
    failure = run_phase(host, document({"name": "Get", "action": "WebDownload", "inputs": [inputs]}), "build", {})
    assert failure is not None
    assert f"The sha256 checksum of {source} is a904e3" in failure.message


def test_a_failure_aborts_continues_or_is_ignored_as_the_step_says(host: Host) -> None:
    after = bash("touch /var/after", name="After")
    aborted = run_phase(host, document(bash("exit 1"), after), "build", {})
    assert aborted == StepFailure("Step", "ExecuteBash", "exit code 1")
    assert host.run("test -e /var/after", timeout=60).returncode == 1
    assert run_phase(host, document(bash("exit 1", onFailure="Continue"), after), "build", {}) == aborted
    assert run_phase(host, document(bash("exit 1", onFailure="Ignore"), after), "build", {}) is None
    assert host.run("test -e /var/after", timeout=60).returncode == 0


def test_a_step_is_tried_again(host: Host) -> None:
    flaky = bash("echo x >>/var/tries; [ $(wc -l </var/tries) -ge 3 ]", maxAttempts=3)
    assert run_phase(host, document(flaky), "build", {}) is None


def test_a_fault_fails_the_step_of_its_name(host: Host) -> None:
    failure = run_phase(host, document(bash("true")), "build", {}, before_step=lambda name: f"{name} must fail")
    assert failure == StepFailure("Step", "ExecuteBash", "Step must fail")


def test_a_version_of_workbench_that_no_one_published_cannot_be_installed(host: Host, world: World) -> None:
    commands = [
        "set -e",
        "echo 'deb https://dl.posit.co/public/pro/deb/ubuntu noble main' >/etc/apt/sources.list.d/posit.list",
        "apt-get update",
        "apt-get install -y rstudio-server=2099.01.0+1.pro1",
    ]
    failure = run_phase(host, document(bash(*commands)), "build", {})
    assert failure is not None
    assert "E: Version '2099.01.0+1.pro1' for 'rstudio-server' was not found" in failure.message


KERNELS = "/opt/python/jupyter/share/jupyter/kernels"
# What may be wrong with an image's Jupyter, one after the other, and what its check says then.
BROKEN = {
    "rm -r /opt/python/jupyter/share/jupyter/labextensions/pwb_jupyterlab": "Posit's extension of JupyterLab is not",
    f"sed -i s,/opt/python/3.13.9/,/opt/python/jupyter/, {KERNELS}/python3/kernel.json": (
        "The kernel python3 says '/opt/python/jupyter 5050' instead of '/opt/python/3.13.9 5050'"
    ),
    f"mkdir -p /root/.local/share/jupyter; mv {KERNELS} /root/.local/share/jupyter/": "The kernel python3 does not run",
}


def test_an_image_whose_jupyter_does_not_compute_for_people_is_refused(world: World, image: Path) -> None:
    host = world.boot(206, image=image)
    component = yaml.safe_load((IMAGE / "components/jupyter.yaml").read_text())
    try:
        for breaking, said in BROKEN.items():
            assert host.run(breaking, timeout=60).returncode == 0
            failure = run_phase(host, component, "validate", {"PythonVersions": PYTHON_VERSIONS})
            assert failure, breaking
            assert said in failure.message
    finally:
        host.stop()


SHELL = "setpriv --reuid=65534 --regid=65534 --clear-groups env -i HOME=/tmp bash -lc 'echo ${PIP_CACHE_DIR-none}'"


def test_a_person_s_cache_is_in_no_folder_of_someone_else(world: World, image: Path) -> None:
    host = world.boot(207, image=image)
    try:
        assert host.run(f"{SHELL}; {SHELL}", timeout=60).stdout == "/var/cache/people/nobody/pip\n" * 2
        assert host.run(f"chown 4711 /var/cache/people/nobody; {SHELL}", timeout=60).stdout == "none\n"
        link = "cd /var/cache/people && rm -r nobody && ln -s /tmp nobody && chown -h 65534 nobody"
        assert host.run(f"{link}; {SHELL}", timeout=60).stdout == "none\n"
        assert host.run("env -i HOME=/root bash -lc 'echo ${PIP_CACHE_DIR-none}'", timeout=60).stdout == "none\n"
    finally:
        host.stop()


@pytest.mark.parametrize(
    ("component", "given", "message"),
    [
        (
            "nvidia",
            {"Branch": "999"},
            "Ubuntu 24.04 has no package linux-modules-nvidia-999-server-open-aws nvidia-headless",
        ),
        ("efs-utils", {"Version": "9.9.9"}, "E: Version '9.9.9-1' for 'amazon-efs-utils' was not found"),
    ],
)
def test_a_version_that_its_source_lacks_is_named(
    host: Host, component: str, given: dict[str, str], message: str
) -> None:
    document = yaml.safe_load((IMAGE / f"components/{component}.yaml").read_text())
    document["constants"] = [{name: {"type": "string", "value": value}} for name, value in given.items()]
    document.pop("parameters", None)
    failure = run_phase(host, document, "build", {})
    assert failure
    assert failure.step == "Install"
    assert message in failure.message


def test_a_package_that_ubuntu_lacks_is_named_before_anything_is_installed(host: Host) -> None:
    component = yaml.safe_load((IMAGE / "components/base.yaml").read_text())
    failure = run_phase(host, component, "build", {"Packages": "default-jdk no-such-package"})
    assert failure
    assert failure.step == "FurtherPackagesExist"
    assert "Ubuntu 24.04 has no package no-such-package. Correct image.packages." in failure.message
    assert host.run("dpkg-query -W", timeout=60).stdout == ""
