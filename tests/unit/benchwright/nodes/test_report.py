"""What the script on a node answers about licence, clock, node and cluster, whatever the tools there print."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from benchwright.nodes.identity_provider import Answer
from benchwright.nodes.report import read_report
from benchwright.verification.list_nodes import (
    ListedNode,
    read_list_nodes,
    read_load_balancer_status,
    split_output,
    table,
)
from rehearsal.aws.services.ssm import agent_output
from tests.unit.benchwright.hostile import drawn, texts
from tests.unit.benchwright.node_script import bash, function


def test_any_text_that_a_node_reports_is_json(tmp_path: Path) -> None:
    found = [text[:2_000].replace("\0", "") for text in drawn(200)]
    files = []
    for number, text in enumerate(found):
        files.append(tmp_path / f"{number:04}")
        files[-1].write_bytes(text.encode(errors="surrogatepass"))
    script = f'{function("json")}\nfor file; do json "$(<"$file")"; echo; done'
    printed = bash(script, *map(str, files), folder=tmp_path)
    kept = ["".join(letter for letter in text if letter in "\n\t" or " " <= letter <= "~") for text in found]
    assert [json.loads(line) for line in printed.splitlines()] == [
        text.rstrip("\n").replace("\t", " ") for text in kept
    ]


WITHOUT_SERVER = "LICENSE_FOLDER=.\nwork=.\n: >health"


@pytest.mark.parametrize(
    ("status", "has_file", "reported"),
    [
        ("Status: Activated\n", True, "Activated"),
        ("   Status:   Activated  \r\n", True, "Activated"),
        ("Status: Expired\n\nStatus: Activated\n", True, "Expired"),
        ("Status: Expired\n\nStatus: Activated\n", False, "Activated"),
        ("License-Status: Activated\n", True, "unknown"),
        ("Licensee: Status: Activated\n", True, "unknown"),
        ("Status: Activated soon\n", False, "missing"),
        ("Status: not Activated\n", False, "missing"),
        ('{"floating":{"status":"Expired"},"license-file":{"status":"Activated"}}', True, "Activated"),
        ('{\n  "License-File": {\n    "Status" : "Expired"\n  }\n}', True, "Expired"),
        ('{"local": {"status": "Activated"}}', False, "Activated"),
        ('{"local": {"status": "Not Activated"}}', False, "missing"),
        ("Status: Not\nActivated\n", False, "missing"),
        ("", True, "unknown"),
        ("", False, "missing"),
        ("\0\x01%s $(id) `id` ' \" \\\n", True, "unknown"),
    ],
)
def test_the_status_of_the_licence_is_that_of_its_own_section(
    status: str, has_file: bool, reported: str, tmp_path: Path
) -> None:
    (tmp_path / "status").write_text(status)
    if has_file:
        (tmp_path / "benchwright.lic").touch()
    script = f"{WITHOUT_SERVER}\nrstudio-server() {{ cat status; }}\n{function('license_status')}\nlicense_status"
    assert bash(script, folder=tmp_path) == f"{reported}\n"


@pytest.mark.parametrize(
    ("health", "reported"),
    [
        ("active-sessions: 1\nlicense-status: Activated\n", "Activated"),
        ("license-status: Activated \r\n", "Activated"),
        ("license-status: Activated soon\n", "missing"),
        ("x-license-status: Activated\n", "missing"),
        ("license-status: Expired\n", "missing"),
    ],
)
def test_a_server_that_runs_knows_of_every_kind_of_licence(health: str, reported: str, tmp_path: Path) -> None:
    (tmp_path / "health").write_text(health)
    around = "LICENSE_FOLDER=.\nwork=.\nrstudio-server() { false; }"
    assert bash(f"{around}\n{function('license_status')}\nlicense_status", folder=tmp_path) == f"{reported}\n"


def answered(name: str, said: Sequence[str], folder: Path, around: str = "") -> list[str]:
    """What a function of the script makes of each of these answers of a tool, which stand in files by number."""
    for number, text in enumerate(said):
        (folder / f"{number:04}").write_bytes(text.encode(errors="surrogatepass"))
    loop = f'for answer in [0-9]*; do ({name}) >"answer.$answer"; done'
    bash(f"{around}\n{function(name)}\n{loop}", folder=folder)
    answers = [(folder / f"answer.{number:04}").read_bytes().decode() for number in range(len(said))]
    return "".join(answer.replace("\n", "~") + "\n" for answer in answers).splitlines()


OF_A_FILE = """RStudio License Manager 2026.05.0+764.pro1

-- License file status --

Status: Activated
Tier: Enhanced
Users: 25
User-Activity-Days: 365
Days-Left: 153\r

-- Local license status --

Status: Expired
Days-Left: 4
"""
NOTHING = {"tier": None, "seats": None, "days_left": None}


@pytest.mark.parametrize(
    ("said", "has_file", "health", "terms"),
    [
        (OF_A_FILE, True, "", {"tier": "Enhanced", "seats": 25, "days_left": 153}),
        (OF_A_FILE, True, "license-days-left: 152\n", {"tier": "Enhanced", "seats": 25, "days_left": 152}),
        ("-- License file status --\nStatus: Expired\n-- Local --\nTier: Basic\nUsers: 3\n", True, "", NOTHING),
        ("-- Local --\nDays-Left: 4\n-- Floating --\nTier: Advanced\n", False, "license-days-left: 20", None),
        ('{"license-file": {"tier": "Advanced", "users": 0, "days-left": "12"}}', True, "", None),
        ("Tier: \nUsers: many\nDays-Left: -3\n", True, "license-days-left: soon\n", NOTHING),
        ("", True, "", NOTHING),
        ('Tier: "\\$(id)\n', True, "", {**NOTHING, "tier": "\\$(id)"}),
    ],
)
def test_the_terms_of_a_licence_are_those_of_its_own_section(
    said: str, has_file: bool, health: str, terms: dict[str, Any] | None, tmp_path: Path
) -> None:
    (tmp_path / "said").write_text(said)
    (tmp_path / "health").write_text(health)
    if has_file:
        (tmp_path / "benchwright.lic").touch()
    around = 'LICENSE_FOLDER=.\nwork=.\ntimeout() { shift; "$@"; }\nrstudio-server() { cat said; }'
    names = ("json", "json_or_null", "license_field", "number_or_null", "license_terms")
    script = "\n".join([around, *map(function, names), "license_terms"])
    seats = 0 if "users" in said else None
    expected = terms or {"tier": "Advanced", "seats": seats, "days_left": 12 if seats == 0 else 20}
    assert json.loads(bash(script, folder=tmp_path)) == expected


STATUS_LINES = st.sampled_from(
    ["Status: Activated", "\tStatus:  Expired ", "Status:", "License-Status: Activated", "\0"]
)


@pytest.mark.parametrize("has_file", [True, False])
def test_any_status_of_a_licence_is_one_line_and_activated_only_where_it_says_so(
    has_file: bool, tmp_path: Path
) -> None:
    said = ["\n".join(lines) for lines in drawn(100, st.lists(STATUS_LINES | texts, max_size=4))]
    if has_file:
        (tmp_path / "benchwright.lic").touch()
    around = f'{WITHOUT_SERVER}\nrstudio-server() {{ cat "$answer"; }}'
    for text, line in zip(said, answered("license_status", said, tmp_path, around), strict=True):
        assert line.endswith("~")
        reported, statuses = line[:-1], re.findall(r"^[ \t]*Status:[ \t]*(.*[^\s])", text, re.MULTILINE)
        if reported == "Activated":
            assert statuses[0] == "Activated" if has_file else "Activated" in statuses
        elif not has_file:
            assert reported == "missing"


FIELDS = st.sampled_from(["0", "3", "-0.000012345", "0.5", "007", "-", "1e3", "+1", "12\n", "A9FEA97B"])


def test_any_answer_of_the_clock_is_a_number_or_null(tmp_path: Path) -> None:
    said = [",".join(fields) for fields in drawn(300, st.lists(FIELDS | texts, max_size=7))]
    for text, line in zip(said, answered("clock_offset", said, tmp_path, 'chronyc() { cat "$answer"; }'), strict=True):
        assert line.endswith("~")
        if line != "null~":
            fields = text.rstrip("\n").replace("\0", "").split(",")
            assert (json.loads(line[:-1]), fields[2] != "0") == (float(fields[4]), True)


# What the script's functions ask of the node that they run on.
STAND_INS = """
SSM_Mode=report SSM_LoadBalancer='' MAXIMUM_REPORT=2400 MAXIMUM_CLUSTER_OUTPUT=23900 STATE=. work=. restarted=false
VSCODE=.
provider_answer=''
LOG=./log own_log=./log log_start=0
MOUNTS=(/efs/home /efs/shared-storage) changed=(var/lib/rstudio-server/benchwright.lic)
changed+=(etc/rstudio/{secure-cookie-key,load-balancer,file-locks,{rserver,database,launcher,launcher.local}.conf})
begin() { :; }
metadata() { echo i-0123456789abcdef0; }
installed_workbench() { echo 2026.07.1+147.pro6; }
users_here() { :; }
groups_here() { :; }
mountpoint() { :; }
SERVICES=(rstudio-server rstudio-launcher) AGENT=amazon-cloudwatch-agent
service_state() { printf 'active\n%.0s' "$@"; }
health() { head -c 150 health; }
license_status() { echo Activated; }
license_terms() { printf %s '{"tier":"Advanced","seats":100,"days_left":365}'; }
metadata_for_users() { echo refused; }
helper_for_users() { echo refused; }
clock_offset() { echo 0.001; }
kernels() { printf '%s\n' 3.{9..16}.25; }
jupyterlab() { echo 4.6.10; }
server_version() { echo 1.106.2; }
positron() { echo 2026.07.1-1234567890; }
quarto_version() { echo 1.8.25; }
tinytex() { echo 2026.10.01; }
gpus() { printf %s '{"count":8,"driver":"580.105.08"}'; }
limits() { echo '"off"'; }
audit_status() { echo rstudio-server 700; }
metrics_status() { head -c 150 health; }
probe_account() { echo 2147483646:2147483646; }
differences() { cat differences; }
"""
FUNCTIONS = ["contents", "version_of", "ides", "json", "json_or_null", "fact", "fact_or_null", "json_list", "digest"]
FUNCTIONS += ["shortened", "print_report", "cluster"]


def run_on_a_node(script: str, folder: Path) -> str:
    return bash("\n".join([STAND_INS, *map(function, FUNCTIONS), "exec 3>&1; touch steps", script]), folder=folder)


@pytest.mark.parametrize("steps", ["", "--- a step\n" * 50])
@pytest.mark.parametrize("letter", ["x", '"', "\\", "\n", "\t", "é", "\x1b", "%s", "$(id)", "'", '"\n\\'])
def test_a_report_of_any_failure_fits_into_what_run_command_keeps(letter: str, steps: str, tmp_path: Path) -> None:
    reason, remedy = "PostgreSQL refuses the login of rstudio: ", ". Deploy again, which sets its password."
    error = reason + (letter * 700)[:600] + remedy
    for name, text in {"error": error, "log": letter * 9_000, "health": letter * 150}.items():
        (tmp_path / name).write_text(text[:7_000])
    script = f'printf "{"x" * len(steps)}" >steps\nprint_report "$(shortened "$(<error)" 700)"; tail -c 7000 log'
    kept = agent_output.both(run_on_a_node(script, tmp_path), f"{steps}failed to run commands: exit status 1")
    reported = read_report(kept)
    assert reported
    assert reported.error
    assert reported.error.startswith(reason)
    assert reported.error.endswith(remedy)
    assert len(reported.error) >= 350 or not letter[0].isprintable() or not letter.isascii()
    assert (reported.health or "").startswith(letter[0]) or not letter[0].isprintable() or not letter.isascii()


@pytest.mark.parametrize("said", [{"issuer": "https://idp.example.com/" + "x" * 476}, {"problem": "y" * 300}])
def test_a_report_with_what_an_identity_provider_says_fits(said: Any, tmp_path: Path) -> None:
    answer = {"method": "oidc", "place": "https://idp.example.com/" + "x" * 276, **said}
    (tmp_path / "provider").write_text(json.dumps(answer))
    (tmp_path / "log").write_text("z" * 9_000)
    (tmp_path / "health").write_text("ok")
    (tmp_path / "error").write_text("w" * 400)
    steps = "--- a step\n" * 12
    script = f'printf "{"x" * len(steps)}" >steps; provider_answer=$(<provider); print_report "$(<error)"; cat log'
    reported = read_report(agent_output.both(run_on_a_node(script, tmp_path), f"{steps}failed: exit status 1"))
    assert reported
    assert reported.sign_in == Answer(**answer)


@pytest.mark.parametrize(
    ("changed", "reported"),
    [
        ([], []),
        (["/etc/rstudio/rserver.conf: content", 'user:ann: shell=/bin/"\\, not shell=/bin/bash'], None),
        ([f"user:{n:0500}: missing" for n in range(500)], [*["user:" + "0" * 95] * 4, "and 496 more"]),
        (['"' * 500] * 9, [*['"' * 100] * 2, "and 7 more"]),
    ],
)
def test_a_report_names_what_differs_and_fits(changed: list[str], reported: list[str] | None, tmp_path: Path) -> None:
    (tmp_path / "differences").write_text("".join(f"{line}\n" for line in changed))
    (tmp_path / "health").write_text('"' * 150)
    step = "--- look for room on the disk"
    printed = run_on_a_node(f"echo '{step}' >steps; print_report ''", tmp_path)
    assert len(printed) <= 2_400 - len(f"{step}\n")
    found = read_report(printed)
    assert found
    assert found.differences == (changed if reported is None else reported)


@pytest.mark.parametrize("code", [1, 127, 137, 168, 194])
def test_no_code_with_which_a_step_ends_means_something_to_the_agent(code: int, tmp_path: Path) -> None:
    """To the agent 137 is a script that it ended, 194 the wish to restart the machine."""
    script = f"{function('finish')}\nLOG_GROUP=logs step=start\n(trap finish EXIT; exit {code}) || echo $?"
    *_, last = run_on_a_node(f"touch log health; {script}", tmp_path).splitlines()
    assert last == "1"


@pytest.mark.parametrize("sessions", [0, 1, 10, 200])
def test_no_node_and_no_answer_is_cut_off_by_the_sessions_of_others(sessions: int, tmp_path: Path) -> None:
    addresses = [f"10.0.{number}.255" for number in range(50)]
    listed = [
        ListedNode(id=number, host=f"ip-{address}", ipv4=address, port=8787, status="Online", last_seen="now")
        for number, address in enumerate(addresses)
    ]
    (tmp_path / "listing").write_text(f"Nodes\n-----\n{table(listed)}\n")
    lines = "".join(f"   {number} – someone-{number} rsession\n" for number in range(sessions))
    (tmp_path / "page").write_text("\n".join(f"h:8787 – {address}  Load: 0, 0, 0\n{lines}" for address in addresses))
    (tmp_path / "rserver.conf").write_text("auth-saml=1\nauth-saml-metadata-path=/nowhere\n")
    asking = "".join(
        map(function, ("option", "complaint", "provider_of", "ask_identity_provider", "read_saml_metadata"))
    )
    programs = "rstudio-server() { cat listing; }\ncurl() { cat page; }\n"
    script = f"{asking}{programs}SSM_StaleNodes= RSERVER_CONF=rserver.conf\ncluster"
    printed = run_on_a_node(script, tmp_path)
    assert len(printed) <= 24_000
    assert printed.endswith(
        '\n=== sign-in ===\n{"method":"saml","place":"/nowhere","problem":"there is no such file"}\n'
    )
    listing, page = split_output(printed)
    balanced, _ = read_load_balancer_status(page)
    assert [node.ipv4 for node in read_list_nodes(listing)] == [node.ipv4 for node in balanced] == addresses
    assert {len(node.sessions) for node in balanced} == {sessions if sessions < 100 else 0}


SMI = "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver."


@pytest.mark.parametrize(
    ("devices", "said", "reported"),
    [
        ([("0x030000", "0x1d0f")], "exit 127", {"count": 0, "driver": None}),
        ([("0x030200", "0x10de")], "echo 580.105.08", {"count": 1, "driver": "580.105.08"}),
        (
            [("0x030200", "0x10de"), ("0x068000", "0x10de"), ("0x030200", "0x10de")],
            "exit 9",
            {"count": 2, "driver": None},
        ),
        ([("0x030200", "0x10de")], f'echo "{SMI}"; exit 9', {"count": 1, "driver": None}),
        ([], "echo 580.105.08; echo 580.105.08", {"count": 0, "driver": "580.105.08"}),
    ],
    ids=["none", "one", "two beside a bridge", "no driver", "no device"],
)
def test_gpus_are_what_pci_and_the_driver_say(
    devices: list[tuple[str, str]], said: str, reported: Any, tmp_path: Path
) -> None:
    for number, (kind, vendor) in enumerate(devices):
        folder = tmp_path / "pci" / f"0000:00:{number:02}.0"
        folder.mkdir(parents=True)
        (folder / "class").write_text(f"{kind}\n")
        (folder / "vendor").write_text(f"{vendor}\n")
    script = [
        *map(function, ("json", "json_or_null", "gpus")),
        f"PCI_DEVICES=pci; nvidia-smi() {{ ({said}); }}",
        "gpus",
    ]
    assert json.loads(bash("\n".join(script), folder=tmp_path)) == reported


BUNDLED = {
    "bin/positron-server": "",
    "product.json": '{\n\t"version": "1.106.2",\n\t"positronVersion": "2026.07.1"\n}\n',
}
NEW = {"bin/positron-server": "", "product.json": '{"version":"1.107.0","positronVersion":"2026.09.0"}'}


@pytest.mark.parametrize(
    ("found", "reported"),
    [
        ({}, ""),
        ({"bundled": BUNDLED}, "2026.07.1\n"),
        ({"bundled": BUNDLED, "new": NEW}, "2026.09.0\n"),
        ({".": BUNDLED}, "2026.07.1\n"),
        ({"bundled": {"bin/positron-server": ""}}, "unknown\n"),
        ({"bundled": {"product.json": BUNDLED["product.json"]}}, ""),
    ],
    ids=["none", "brought", "newer", "older package", "without a version", "without a program"],
)
def test_the_version_of_positron_is_that_of_the_newest_there(
    found: dict[str, dict[str, str]], reported: str, tmp_path: Path
) -> None:
    for place, files in found.items():
        for name, text in files.items():
            path = tmp_path / "positron-server" / place / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            path.chmod(0o755)
    script = [*map(function, ("server_version", "positron")), "BROUGHT=.; positron"]
    assert bash("\n".join(script), folder=tmp_path) == reported
