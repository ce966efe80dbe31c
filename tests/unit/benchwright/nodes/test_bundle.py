"""The files of /etc/rstudio and the bundle."""

import io
import tarfile
from typing import Any

import pytest

from benchwright.nodes.bundle import Bundle, Endpoint, make_bundle, render_files
from benchwright.secrets import Secret
from tests.unit.benchwright.verification.test_checks import a_plan

ENDPOINT = Endpoint("db.cluster-x.rds.amazonaws.com", 5432)
DATABASE, KEY = Secret("arn:database", "v1"), Secret("arn:key", "v2")


def unpacked(bundle: Bundle) -> dict[str, str]:
    """The texts of a bundle, by name."""
    with tarfile.open(fileobj=io.BytesIO(bundle.archive)) as archive:
        return {name: archive.extractfile(name).read().decode() for name in archive.getnames()}  # type: ignore[union-attr]


def test_the_files() -> None:
    entries = render_files(a_plan({"config": {"admin-enabled": "1"}}), ENDPOINT)
    assert {entry.path: (entry.mode, entry.content) for entry in entries} == {
        "/etc/rstudio/rserver.conf": (
            "0644",
            (
                "load-balancing-enabled=1\nserver-shared-storage-path=/efs/shared-storage\nserver-project-sharing=0\n"
                "server-health-check-enabled=1\nlauncher-address=127.0.0.1\nlauncher-port=5559\nlauncher-sessions-enabled=1\n"
                "launcher-default-cluster=Local\nlauncher-sessions-callback-address=http://127.0.0.1:8787\nadmin-enabled=1\n"
            ),
        ),
        "/etc/rstudio/database.conf": (
            "0600",
            (
                "provider=postgresql\nconnection-uri=postgresql://rstudio@db.cluster-x.rds.amazonaws.com:5432/rstudio"
                "?sslmode=verify-full&sslrootcert=/etc/benchwright/rds-ca.pem\n"
            ),
        ),
        "/etc/rstudio/load-balancer": (
            "0644",
            "www-host-name=@PRIVATE_ADDRESS@\ndelete-node-on-exit=1\nbalancer=sessions\n",
        ),
        "/etc/rstudio/launcher.conf": (
            "0644",
            (
                "[server]\naddress=0.0.0.0\nport=5559\nserver-user=rstudio-server\nadmin-group=rstudio-server\n"
                "authorization-enabled=1\nthread-pool-size=4\n\n[cluster]\nname=Local\ntype=Local\n"
            ),
        ),
        "/etc/rstudio/launcher.local.conf": (
            "0644",
            "scratch-path=/efs/shared-storage/launcher-local\nload-balancer-preference=nfs\n",
        ),
        "/etc/rstudio/file-locks": ("0644", "lock-type=advisory\n"),
        "/etc/rstudio/jupyter.conf": (
            "0644",
            "labs-enabled=1\nnotebooks-enabled=0\njupyter-exe=/opt/python/jupyter/bin/jupyter\n",
        ),
        "/etc/rstudio/vscode.conf": (
            "0644",
            "enabled=1\nexe=/usr/lib/rstudio-server/bin/pwb-code-server/bin/code-server\nargs=--host=0.0.0.0\n",
        ),
        "/etc/rstudio/positron.conf": ("0644", "enabled=1\n"),
        "/etc/rstudio/repos.conf": ("0644", "CRAN=https://packagemanager.posit.co/cran/__linux__/noble/latest\n"),
        "/etc/pip.conf": ("0644", "[global]\nindex-url=https://packagemanager.posit.co/pypi/latest/simple\n"),
        "/etc/systemd/system/system.slice.d/benchwright-memory.conf": ("0644", "[Slice]\nMemoryMin=10%\n"),
        "/etc/systemd/system/rstudio-server.service.d/benchwright-memory.conf": ("0644", "[Service]\nMemoryMin=10%\n"),
    }


@pytest.mark.parametrize("given", [{"image": {"jupyter": False}}, {"python_versions": []}])
def test_workbench_offers_no_jupyterlab_that_the_image_lacks(given: dict[str, Any]) -> None:
    (conf,) = [each for each in render_files(a_plan(given), ENDPOINT) if each.path == "/etc/rstudio/jupyter.conf"]
    assert conf.content == "labs-enabled=0\nnotebooks-enabled=0\n"


@pytest.mark.parametrize(
    ("version", "written"),
    [
        ("2024.04.2+764.pro1", set()),
        ("2024.12.0+467.pro1", {"vscode.conf"}),
        ("2025.05.1+513.pro3", {"vscode.conf"}),
        ("2025.09.2+418.pro4", {"vscode.conf", "positron.conf"}),
    ],
)
def test_an_older_workbench_gets_no_file_of_an_ide_that_it_does_not_bring(version: str, written: set[str]) -> None:
    names = {
        each.path.rpartition("/")[2] for each in render_files(a_plan({"workbench": {"version": version}}), ENDPOINT)
    }
    assert names & {"vscode.conf", "positron.conf"} == written


def test_a_key_of_vscode_conf_is_added_to_what_benchwright_writes() -> None:
    given = {"files": {"vscode.conf": {"keys": {"enabled": "0", "session-timeout-kill-hours": "12"}}}}
    (conf,) = [each for each in render_files(a_plan(given), ENDPOINT) if each.path == "/etc/rstudio/vscode.conf"]
    assert conf.content.startswith("enabled=0\nexe=/usr/lib/rstudio-server/bin/pwb-code-server/bin/code-server\n")
    assert conf.content.endswith("session-timeout-kill-hours=12\n")


def test_the_bundle_holds_everything_a_node_needs() -> None:
    groups = {"analysts": {"gid": 6000, "members": ["ann", "ben"]}, "writers": {"gid": 6001}}
    people = {"ann": {"uid": 5000}, "ben": {"uid": 5001}}
    bundle = make_bundle(a_plan({"users": people, "groups": groups}), ENDPOINT, DATABASE, KEY)
    texts = unpacked(bundle)
    assert texts["users"] == "ann 5000 5000 - -\nben 5001 5001 - -\n"
    assert texts["groups"] == "analysts 6000 ann,ben\nwriters 6001 -\n"
    assert (texts["locked"], texts["emptied"]) == ("", "")
    assert "0600 root root /etc/rstudio/database.conf\n" in texts["manifest"]
    assert texts["files/etc/rstudio/file-locks"] == "lock-type=advisory\n"
    assert texts["env"].splitlines() == [
        f"CONFIGURATION={bundle.configuration}",
        "WORKBENCH_VERSION=2026.07.1+147.pro6",
        "DATABASE_SECRET_ARN=arn:database",
        "DATABASE_SECRET_VERSION=v1",
        "SECURE_COOKIE_KEY_SECRET_ARN=arn:key",
        "SECURE_COOKIE_KEY_SECRET_VERSION=v2",
        "LICENSE_SECRET_ARN=",
        "LICENSE_SECRET_VERSION=",
        "LICENSE_SERVER=",
        "AUTH_SECRET_ARN=",
        "AUTH_SECRET_VERSION=",
        "SCIM_SECRET_ARN=",
        "SCIM_SECRET_VERSION=",
        "PROBE_ACCOUNT=",
    ]


def test_the_bundle_has_the_ids_of_who_left() -> None:
    """Files keep them, so a node looks whom a directory gives them to."""
    left = {"locked_accounts": {"ann": (5000, 5001)}, "emptied_groups": {"old": 6000}}
    texts = unpacked(make_bundle(a_plan({}).model_copy(update=left), ENDPOINT, DATABASE, KEY))
    assert (texts["locked"], texts["emptied"]) == ("ann 5000 5001\n", "old 6000\n")


def test_the_same_plan_gives_the_same_bytes_and_each_change_another_hash() -> None:
    first = make_bundle(a_plan({}), ENDPOINT, DATABASE, KEY)
    assert make_bundle(a_plan({}), ENDPOINT, DATABASE, KEY) == first
    others = [
        make_bundle(a_plan({"config": {"x": "1"}}), ENDPOINT, DATABASE, KEY),
        make_bundle(a_plan({"users": {"ann": {}}}), ENDPOINT, DATABASE, KEY),
        make_bundle(a_plan({"groups": {"ann": {}}}), ENDPOINT, DATABASE, KEY),
        make_bundle(a_plan({}), Endpoint("other", 5432), DATABASE, KEY),
        make_bundle(a_plan({}), ENDPOINT, Secret("arn:database", "v9"), KEY),
        make_bundle(a_plan({}), ENDPOINT, DATABASE, Secret("arn:key", "v9")),
    ]
    assert len({bundle.configuration for bundle in [first, *others]}) == 7
