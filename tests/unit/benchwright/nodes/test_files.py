"""Files of an input in the bundle, and what a node makes of a change of each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchwright.models import FileSecret
from benchwright.nodes.bundle import make_bundle, render_files
from benchwright.nodes.files import PIP_CONF
from benchwright.nodes.limits import SHARES
from benchwright.rstudio_files import FILES
from tests.unit.benchwright.node_script import bash, function
from tests.unit.benchwright.nodes.test_bundle import DATABASE, ENDPOINT, KEY, unpacked
from tests.unit.benchwright.verification.test_checks import a_plan

SHARED = "/efs/shared-storage"


def rendered(files: Any, **more: Any) -> dict[str, str]:
    """The content of each file by its name."""
    return {
        entry.path.removeprefix("/etc/rstudio/"): entry.content
        for entry in render_files(a_plan({"files": files, **more}), ENDPOINT)
    }


def test_keys_of_an_input_win_over_defaults_and_come_after_them_in_the_order_of_their_names() -> None:
    files = {
        "rserver.conf": {"keys": {"www-frame-origin": "same"}},
        "load-balancer": {"keys": {"timeout": "20", "balancer": "user-hash"}},
        "launcher.conf": {"sections": {"server": {"thread-pool-size": "8", "enable-cgroups": "1"}}},
        "launcher.local.conf": {"keys": {"job-expiry-hours": "1"}},
        "file-locks": {"keys": {"timeout-interval": "30"}},
    }
    found = rendered(files, config={"auth-timeout-minutes": "5"})
    assert found["rserver.conf"].endswith(":8787\nauth-timeout-minutes=5\nwww-frame-origin=same\n")
    assert found["load-balancer"] == (
        "www-host-name=@PRIVATE_ADDRESS@\ndelete-node-on-exit=1\nbalancer=user-hash\ntimeout=20\n"
    )
    assert "authorization-enabled=1\nthread-pool-size=8\nenable-cgroups=1\n\n[cluster]\n" in found["launcher.conf"]
    assert found["launcher.local.conf"] == (
        f"scratch-path={SHARED}/launcher-local\nload-balancer-preference=nfs\njob-expiry-hours=1\n"
    )
    assert found["file-locks"] == "lock-type=advisory\ntimeout-interval=30\n"


def test_sections_hold_for_everyone_then_groups_then_users() -> None:
    sections = {"ann": {"b": "1", "a": "2"}, "@writers": {"c": "3"}, "@analysts": {}, "*": {"d": "4"}}
    people: Any = {"users": {"ann": {}}, "groups": {"analysts": {}, "writers": {}}}
    assert rendered({"profiles": {"sections": sections}}, **people)["profiles"] == (
        "[*]\nd=4\n\n[@analysts]\n\n[@writers]\nc=3\n\n[ann]\na=2\nb=1\n"
    )


def test_the_order_of_an_input_is_not_part_of_a_configuration() -> None:
    """A record sorts keys, so the second deployment has another order than the first."""
    one = {
        "profiles": {"sections": {"*": {"nice": "1"}, "ann": {"nice": "2"}}},
        "env-vars": {"keys": {"A": "1", "B": "2"}},
    }
    other = {
        "env-vars": {"keys": {"B": "2", "A": "1"}},
        "profiles": {"sections": {"ann": {"nice": "2"}, "*": {"nice": "1"}}},
    }
    bundles = [
        make_bundle(a_plan({"files": files, "config": config, "users": {"ann": {}}}), ENDPOINT, DATABASE, KEY)
        for files, config in ((one, {"x": "1", "y": "2"}), (other, {"y": "2", "x": "1"}))
    ]
    assert bundles[0] == bundles[1]


def test_what_is_empty_is_as_the_image_has_it() -> None:
    nothing: Any = {"rsession.conf": {}, "repos.conf": {"keys": {}}, "jupyter.conf": {}, "profiles": {"sections": {}}}
    assert rendered(nothing) == rendered({})


def test_a_bundle_says_what_a_secret_is_and_what_each_change_needs() -> None:
    plan = a_plan({"files": {"databricks.conf": {"secret": "benchwright/files/x"}, "of-a-team": {"text": "x"}}})
    plan = plan.model_copy(update={"file_secrets": {"databricks.conf": FileSecret(arn="arn:x", version="v1")}})
    texts = unpacked(make_bundle(plan, ENDPOINT, DATABASE, KEY))
    assert texts["secrets"] == "/etc/rstudio/databricks.conf arn:x v1\n"
    assert "0600 rstudio-server rstudio-server /etc/rstudio/databricks.conf\n" in texts["manifest"]
    assert (texts["files/etc/rstudio/databricks.conf"], texts["files/etc/rstudio/of-a-team"]) == ("", "x\n")
    lines = [line.split() for line in texts["effects"].splitlines()]
    effects = {path: effect for effect, path in lines}
    assert effects.keys() == {PIP_CONF, *SHARES, *(f"/etc/rstudio/{name}" for name in FILES)}
    assert {effects[path] for path in SHARES} == {"none"}
    assert (effects["/etc/rstudio/rsession.conf"], effects["/etc/rstudio/launcher.conf"]) == (
        "reload",
        "restart-launcher",
    )


NEEDED = "".join(function(name) for name in ("effect_of", "find_effects", "needs", "launcher_takes_hangup"))
BUNDLE = "reload /etc/rstudio/rsession.conf\nreload-launcher /etc/rstudio/p\nnone /etc/rstudio/repos.conf\n"
TAKES_HANGUP, OLDER = "trap : HUP; launcher_process() { echo $$; }", "launcher_process() { echo 1; }"


@pytest.mark.parametrize(
    ("changed", "launcher", "effects"),
    [
        ("", OLDER, []),
        ("etc/rstudio/repos.conf", OLDER, ["none"]),
        ("etc/rstudio/rsession.conf etc/rstudio/repos.conf", OLDER, ["none", "reload"]),
        ("etc/rstudio/of-a-team", OLDER, ["restart"]),
        ("etc/pam.d/x etc/rstudio/repos.conf", OLDER, ["none", "restart"]),
        ("etc/rstudio/secure-cookie-key", OLDER, ["restart-launcher", "restart"]),
        ("etc/rstudio/launcher.kubernetes.conf", OLDER, ["restart-launcher", "restart"]),
        ("etc/rstudio/p", TAKES_HANGUP, ["reload-launcher"]),
        ("etc/rstudio/p", "launcher_process() { echo 0; }", ["reload-launcher", "restart-launcher", "restart"]),
    ],
)
def test_a_node_does_what_its_changes_need(tmp_path: Path, changed: str, launcher: str, effects: list[str]) -> None:
    (tmp_path / "work/bundle").mkdir(parents=True)
    (tmp_path / "work/bundle/effects").write_text(BUNDLE)
    script = f"work=work STATE=. changed=({changed})\n{NEEDED}{launcher}\nfind_effects\necho $effects"
    assert bash(script, folder=tmp_path).split() == effects


def test_a_bundle_of_an_earlier_release_restarts_and_what_a_killed_run_left_is_done(tmp_path: Path) -> None:
    script = f"work=work STATE=. changed=(etc/rstudio/rsession.conf)\n{NEEDED}find_effects\necho $effects"
    assert bash(script, folder=tmp_path).split() == ["restart"]
    (tmp_path / "effects").write_text("reload\n")
    assert bash(script.replace("etc/rstudio/rsession.conf", ""), folder=tmp_path).split() == ["reload"]


def test_systemd_reads_again_what_comes_back_though_nothing_restarts(tmp_path: Path) -> None:
    """A share of memory needs no restart, and a profile beside it may be refused."""
    unit = tmp_path / "unit.conf"
    for path, text in {
        unit: "new",
        tmp_path / "before" / str(unit)[1:]: "old",
        tmp_path / "before.state/files": "",
    }.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    script = (
        f"work=. STATE=. SERVER_LOG=log changed=({str(unit)[1:]}) account_files=()\n"
        'begin() { :; }\nneeds() { false; }\nreload_workbench() { :; }\nsystemctl() { echo "$1: $(<unit.conf)"; }\n'
        f"{function('place_copy')}\n{function('put_back')}\nput_back"
    )
    assert bash(script, folder=tmp_path) == "daemon-reload: old\n"


@pytest.mark.parametrize(
    ("path", "prepared"),
    [
        ("/efs/shared-storage/audit/10.0.1.7", "/efs/shared-storage/audit/10.0.1.7\n"),
        ("/efs/shared-storage/audit/..", ""),
        ("/efs/shared-storage/audit/10.0.1.7/../../..", ""),
        ("/efs/shared-storage/audit/", ""),
        ("/var/lib/rstudio-server/audit", ""),
    ],
)
def test_a_node_prepares_no_folder_but_its_own_for_audit_logs(path: str, prepared: str, tmp_path: Path) -> None:
    (tmp_path / "rserver.conf").write_text(f"audit-data-path={path}\n")
    script = f"AUDIT={SHARED}/audit\n{function('server_option')}\n{function('audit_folder')}\naudit_folder rserver.conf"
    assert bash(script, folder=tmp_path) == prepared
