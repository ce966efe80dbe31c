"""What counts as verified, and what does not."""

from typing import Any

import pytest

from benchwright.models import Plan
from benchwright.nodes.report import LicenseTerms, NodeReport, accounts_digest, groups_digest, read_report
from benchwright.planning.plan import LookupResult, make_plan
from benchwright.planning.read_input import read_input
from benchwright.record import Known
from benchwright.secrets import Secret
from benchwright.verification.checks import REMEDIES, Observed, verify
from benchwright.verification.list_nodes import BalancedNode, ListedNode
from tests.unit.benchwright.planning.test_plan import DEFAULTS


def a_plan(raw: Any) -> Plan:
    reading = read_input(raw, {}, DEFAULTS, "benchwright")
    request, wanted = reading.whole()
    secrets = {name: Secret(f"arn:{name}", "v1") for name in reading.named.secrets.values()}
    return make_plan(request, wanted, Known(), LookupResult(secrets, "ami-p"), defaults=DEFAULTS, execution="e")[0]


PLAN = a_plan(
    {
        "users": {"ann": {"password": "benchwright/users/ann"}},
        "audit": {"r_console": "input"},
        "metrics": {"allowed_cidr": "10.0.1.0/24"},
    }
)


IDES: dict[str, Any] = {
    "jupyterlab": "4.6.6",
    "kernels": PLAN.wanted.python_versions,
    "vscode": "1.106.2",
    "positron": "2026.07.1",
    "quarto": "1.8.25",
    "tinytex": None,
}


def report(instance: str, **changed: Any) -> NodeReport:
    values: dict[str, Any] = {
        "instance": instance,
        "ami": "ami-1",
        "workbench": "2026.07.1+147.pro6",
        "configuration": "hash",
        "rstudio_server": "900:900",
        "users": {"count": 1, "digest": accounts_digest(PLAN)},
        "groups": groups_digest(PLAN),
        "clock_offset": 0.001,
        "services": {"rstudio-server": "active", "rstudio-launcher": "active"},
        "agent": "active",
        "health": "ok",
        "license": "Activated",
        "metadata": "refused",
        "helper": "refused",
        "audit": "rstudio-server 700",
        "metrics": "ok",
        "ides": IDES,
        "gpus": {"count": 0, "driver": None},
        "mounts": ["/efs/home", "/efs/shared-storage"],
        "differences": [],
    }
    return NodeReport.model_validate(values | changed)


def row(number: int, address: str, status: str = "Online") -> ListedNode:
    return ListedNode(id=number, host=f"h{number}", ipv4=address, port=8787, status=status, last_seen="now")


def observed(**changed: Any) -> Observed:
    values: dict[str, Any] = {
        "in_service": {"i-1": "10.0.0.1", "i-2": "10.0.0.2"},
        "images": {"i-1": "ami-1", "i-2": "ami-1"},
        "reports": {"i-1": report("i-1"), "i-2": report("i-2")},
        "listed": [row(1, "10.0.0.1"), row(2, "10.0.0.2")],
        "balanced": [BalancedNode(host="h", ipv4=f"10.0.0.{n}", load=[0], sessions=[]) for n in (1, 2)],
    }
    return Observed(**(values | changed))


def test_a_cluster_as_planned_is_verified() -> None:
    found = verify(PLAN, "ami-1", "hash", observed())
    assert found.verified
    assert (found.license, found.warnings, found.stale) == ("Activated", [], [])


TERMS = {"tier": "Advanced", "seats": 25, "days_left": 153}


@pytest.mark.parametrize(
    ("of_nodes", "terms", "days"),
    [
        ((None, None), LicenseTerms(), None),
        ((TERMS, None), LicenseTerms(**TERMS), None),
        ((TERMS, {**TERMS, "days_left": 29}), LicenseTerms(**TERMS | {"days_left": 29}), 29),
        (({**TERMS, "days_left": 0}, TERMS), LicenseTerms(**TERMS | {"days_left": 0}), 0),
        (({**TERMS, "days_left": 30}, TERMS), LicenseTerms(**TERMS | {"days_left": 30}), None),
        (({**TERMS, "days_left": None}, {"tier": "Basic"}), LicenseTerms(tier="Advanced", seats=25), None),
    ],
)
def test_a_licence_that_expires_soon_is_a_warning(of_nodes: Any, terms: LicenseTerms, days: int | None) -> None:
    reports = {f"i-{number}": report(f"i-{number}", license_terms=each) for number, each in enumerate(of_nodes, 1)}
    found = verify(PLAN, "ami-1", "hash", observed(reports=reports))
    assert found.verified
    assert found.license_terms == terms
    assert [warning.partition(". ")[0] for warning in found.warnings] == (
        [] if days is None else [f"license: {days} days left"]
    )
    assert verify(PLAN, "ami-1", "hash", observed(reports=reports), license_warning_days=0).warnings == []


def test_the_groups_of_a_node_are_those_of_the_plan() -> None:
    plan = a_plan({"users": {"ann": {}}, "groups": {"analysts": {"members": ["ann"]}}})
    emptied = a_plan({"users": {"ann": {}}, "groups": {"analysts": {}}})

    def failed(groups: str) -> list[str]:
        people = {"count": 1, "digest": accounts_digest(plan)}
        reports = {instance: report(instance, users=people, groups=groups) for instance in ("i-1", "i-2")}
        checks = verify(plan, "ami-1", "hash", observed(reports=reports)).checks
        return [check.name for check in checks if not check.holds]

    assert failed(groups_digest(plan)) == []
    assert failed(groups_digest(emptied)) == failed(groups_digest(PLAN)) == ["groups"]


@pytest.mark.parametrize(
    ("given", "agent", "holds", "warned"),
    [
        ({}, None, True, False),
        ({"image": {"ami": "ami-0123456789abcdef0"}}, "inactive", None, True),
        ({"image": {"ami": "ami-0123456789abcdef0"}}, "active", None, False),
    ],
    ids=["an earlier release", "an AMI of their own without it", "one with it"],
)
def test_where_the_agent_cannot_run_it_fails_no_verification(
    given: dict[str, Any], agent: str | None, holds: bool | None, warned: bool
) -> None:
    reports = {"i-1": report("i-1", agent=agent), "i-2": report("i-2", agent=agent)}
    found = verify(a_plan(given), "ami-1", "hash", observed(reports=reports))
    checks = [check.holds for check in found.checks if check.name == "agent"]
    assert checks == ([] if holds is None else [holds])
    assert any(warning.startswith("agent: i-1: inactive") for warning in found.warnings) is warned


def test_people_and_groups_are_reported_by_their_names() -> None:
    def found(raw: Any) -> dict[str, str]:
        plan = a_plan(raw)
        people = {"count": len(plan.accounts), "digest": accounts_digest(plan)}
        reports = {name: report(name, users=people, groups=groups_digest(plan)) for name in ("i-1", "i-2")}
        checks = verify(plan, "ami-1", "hash", observed(reports=reports)).checks
        return {check.name: check.found for check in checks if check.name in ("users", "groups") and check.holds}

    assert found({}) == {"users": "none", "groups": "none"}
    users = {"users": {"ben": {}, "ann": {}}, "groups": {"analysts": {"members": ["ann"]}}}
    assert found(users) == {"users": "ann, ben", "groups": "analysts"}
    many = found({"users": {f"u{number}": {} for number in range(30)}})
    assert many["users"].endswith(" and 10 more")


@pytest.mark.parametrize(
    ("probes", "found"),
    [
        (("70001:70000", "70001:70000"), None),
        (("70001:70000", "71001:70000"), "i-1: 70001:70000; i-2: 71001:70000"),
        (("70001:70000", None), "i-1: 70001:70000; i-2: unknown"),
        ((None, None), "unknown"),
    ],
)
def test_an_account_of_the_directory_has_the_same_ids_on_every_node(
    probes: tuple[str | None, ...], found: str | None
) -> None:
    auth = {"method": "sssd", "sssd_conf": "benchwright/auth/sssd", "probe_account": "svc-probe"}
    plan = a_plan({"users": {"ann": {}}, "auth": auth})
    reports = {f"i-{number}": report(f"i-{number}", probe=probe) for number, probe in enumerate(probes, 1)}
    (check,) = [
        check
        for check in verify(plan, "ami-1", "hash", observed(reports=reports)).checks
        if check.name == "directory account"
    ]
    assert (check.holds, check.found, check.remedy) == (
        (True, "70001:70000", "") if found is None else (False, found, REMEDIES["directory account"])
    )


def test_without_a_licence_there_is_nothing_to_measure() -> None:
    unlicensed = {instance: report(instance, license="missing", metrics=None) for instance in ("i-1", "i-2")}
    found = verify(PLAN, "ami-1", "hash", observed(reports=unlicensed))
    assert found.verified
    assert "metrics" not in {check.name for check in found.checks}


def two(**changed: Any) -> dict[str, Any]:
    return {"reports": {"i-1": report("i-1"), "i-2": report("i-2", **changed)}}


WRONG: dict[str, list[dict[str, Any]]] = {
    "instances": [
        {"in_service": {"i-1": "10.0.0.1"}, "reports": {"i-1": report("i-1")}, "listed": [row(1, "10.0.0.1")]}
    ],
    "reports": [{"reports": {"i-1": report("i-1")}}, two(error="no space left")],
    "online": [
        {"listed": [row(1, "10.0.0.1"), row(2, "10.0.0.2", "Offline")]},
        {"listed": [row(1, "10.0.0.1"), row(2, "10.0.0.2", "Invalid secure cookie key")]},
        {"listed": [row(1, "10.0.0.1")]},
        {"listed": []},
        {"listed": [row(1, "10.0.0.1"), row(2, "10.0.0.2"), row(3, "10.0.0.9")]},
        {"listed": [row(1, "10.0.0.1"), row(2, "10.0.0.2"), row(3, "10.0.0.2", "Offline")]},
    ],
    "node table": [{"unreadable": "i-1: no table", "listed": [], "balanced": []}],
    "stale rows": [{"listed": [row(1, "10.0.0.1"), row(2, "10.0.0.2"), row(3, "10.0.0.9", "Offline")]}],
    "image": [{"images": {"i-1": "ami-1", "i-2": "ami-0"}}],
    "workbench version": [two(workbench="2026.01.0+1.pro1"), two(workbench=None)],
    "configuration": [two(configuration="other"), two(configuration=None)],
    "service user": [two(rstudio_server="901:901"), two(rstudio_server=None)],
    "files and accounts": [two(differences=["/etc/rstudio/rserver.conf: content"]), two(differences=None)],
    "users": [two(users={"count": 1, "digest": "x"}), two(users=None)],
    "groups": [two(groups="x"), two(groups=None)],
    "clocks": [two(clock_offset=-300.0), two(clock_offset=None)],
    "services": [two(services={"rstudio-server": "active", "rstudio-launcher": "failed"}), two(services={})],
    "health": [two(health="HTTP 500"), two(health=None)],
    "load balancer": [{"balanced": []}],
    "ides": [two(ides=IDES | {name: None}) for name in ("jupyterlab", "vscode", "positron", "quarto")]
    + [two(ides=IDES | {"kernels": []})],
    "agent": [two(agent="failed"), two(agent="")],
    "audit logs": [two(audit="ann 700"), two(audit="rstudio-server 755"), two(audit=None)],
    "metrics": [two(metrics="curl: (7) Failed to connect"), two(metrics=None)],
    "mounts": [two(mounts=["/efs/home"])],
    "instance metadata": [two(metadata="reachable"), two(metadata=None)],
    "mount helper": [two(helper="reachable"), two(helper=None)],
    "license": [two(license="Expired"), two(license=None)],
}
OF_ADDRESS = {"targets", "address", "operational paths", "certificate"}
"""What test_address.py lets go wrong; test_sign_in.py the check `sign in`."""


@pytest.mark.parametrize(("name", "changed"), [(name, changed) for name, cases in WRONG.items() for changed in cases])
def test_each_wrong_thing_fails_its_check_with_a_remedy(name: str, changed: dict[str, Any]) -> None:
    found = verify(PLAN, "ami-1", "hash", observed(**changed))
    assert not found.verified
    failed = {check.name: check for check in found.checks if not check.holds}
    assert name in failed
    assert failed[name].remedy == REMEDIES[name]


@pytest.mark.parametrize(
    ("name", "changed", "found"),
    [
        (
            "services",
            {"services": {"rstudio-server": "inactive", "rstudio-launcher": "active"}},
            "rstudio-server inactive, rstudio-launcher active",
        ),
        ("services", {"services": {}}, "unknown"),
        ("users", {"users": {"count": 1, "digest": "x"}}, "1 accounts, not all as planned"),
        ("users", {"users": None}, "unknown"),
        ("groups", {"groups": "x"}, "not all as planned"),
        ("groups", {"groups": None}, "unknown"),
        ("health", {"health": None}, "unknown"),
        ("mounts", {"mounts": ["/efs/home"]}, "/efs/home"),
        ("mounts", {"mounts": []}, "none"),
        (
            "ides",
            {"ides": {}},
            ", ".join(
                f"{each} is missing"
                for each in ("JupyterLab", "VS Code", "Positron", "Quarto", "the kernel of Python 3.13.1")
            ),
        ),
        ("files and accounts", {"differences": None}, "not compared"),
        (
            "files and accounts",
            {"differences": ["/etc/rstudio/rserver.conf: content", "user:ann: groups=sudo, not groups="]},
            "/etc/rstudio/rserver.conf: content, user:ann: groups=sudo, not groups=",
        ),
    ],
)
def test_what_a_node_reports_is_reported_in_words(name: str, changed: dict[str, Any], found: str) -> None:
    checks = verify(PLAN, "ami-1", "hash", observed(**two(**changed))).checks
    assert [check.found for check in checks if check.name == name] == [f"i-2: {found}"]


def test_a_launcher_that_makes_no_control_groups_is_a_warning() -> None:
    reports = {"i-1": report("i-1", limits="on"), "i-2": report("i-2", limits="off")}
    found = verify(PLAN, "ami-1", "hash", observed(reports=reports))
    assert found.verified
    (warning,) = [text for text in found.warnings if text.startswith("limits: ")]
    assert warning.startswith(
        "limits: the job launcher of i-2 logs that it cannot make control groups, so it enforces "
    )
    reports["i-2"] = report("i-2")
    assert not [text for text in verify(PLAN, "ami-1", "hash", observed(reports=reports)).warnings if "limits" in text]


OLD = {"workbench": {"version": "2024.04.2+764.pro1"}}
AMI = "ami-0123456789abcdef0"
WITHOUT_JUPYTER = IDES | {"jupyterlab": None, "kernels": []}


@pytest.mark.parametrize(
    ("given", "ides", "holds", "warned"),
    [
        ({}, None, True, False),
        ({"image": {"jupyter": False}}, WITHOUT_JUPYTER, True, False),
        ({"python_versions": []}, WITHOUT_JUPYTER, True, False),
        (OLD, IDES | {"vscode": None, "positron": None}, True, False),
        ({"image": {"tinytex": "2026.10"}}, IDES | {"tinytex": "2026.10"}, True, False),
        ({"image": {"tinytex": "2026.10"}}, IDES | {"tinytex": "2026.08"}, False, False),
        ({"image": {"tinytex": "2026.10"}}, IDES, False, False),
        ({"image": {"ami": AMI}}, WITHOUT_JUPYTER, None, True),
        ({"image": {"ami": AMI, "jupyter": False}}, WITHOUT_JUPYTER, None, False),
    ],
    ids=[
        "an earlier release",
        "without JupyterLab",
        "no Python",
        "an older Workbench",
        "TinyTeX",
        "another TinyTeX",
        "no TinyTeX",
        "an AMI of their own",
        "one without JupyterLab",
    ],
)
def test_an_image_has_the_ides_that_it_was_built_with(
    given: dict[str, Any], ides: dict[str, Any] | None, holds: bool | None, warned: bool
) -> None:
    reports = {"i-1": report("i-1", ides=ides), "i-2": report("i-2", ides=ides)}
    found = verify(a_plan(given), "ami-1", "hash", observed(reports=reports))
    assert [check.holds for check in found.checks if check.name == "ides"] == ([] if holds is None else [holds])
    assert any(warning.startswith("ides: i-1: JupyterLab is missing") for warning in found.warnings) is warned


@pytest.mark.parametrize(
    ("given", "gpus", "wrong"),
    [
        ({}, {"count": 1, "driver": None}, None),
        ({"nvidia": "580"}, {"count": 4, "driver": "580.105.08"}, None),
        ({"nvidia": "580"}, {"count": 0, "driver": None}, None),
        ({"nvidia": "580"}, None, None),
        ({"nvidia": "580"}, {"count": 1, "driver": None}, "1 GPUs with no driver, not one of branch 580"),
        ({"nvidia": "580"}, {"count": 8, "driver": "570.195.03"}, "8 GPUs with 570.195.03, not one of branch 580"),
    ],
    ids=["not wanted", "as planned", "no GPU", "an earlier release", "no driver", "another branch"],
)
def test_the_gpus_of_a_node_have_the_driver_of_the_plan(given: dict[str, str], gpus: Any, wrong: str | None) -> None:
    reports = {"i-1": report("i-1", gpus=gpus), "i-2": report("i-2")}
    (check,) = [
        each
        for each in verify(a_plan({"image": given}), "ami-1", "hash", observed(reports=reports)).checks
        if each.name == "gpus"
    ]
    right = given.get("nvidia", "no driver")
    assert (check.holds, check.found) == ((True, right) if wrong is None else (False, f"i-1: {wrong}"))


def test_nodes_are_not_blamed_for_a_table_that_no_one_could_read() -> None:
    missing = {"reports": {"i-1": report("i-1")}, "unreadable": "i-1: no table", "listed": [], "balanced": []}
    found = verify(PLAN, "ami-1", "hash", observed(**missing))
    failed = {check.name: check.found for check in found.checks if not check.holds}
    assert failed == {"reports": "i-2: no report", "node table": "i-1: no table"}
    assert (found.verified, found.stale) == (False, [])


def test_every_check_has_a_remedy_and_can_fail() -> None:
    names = [check.name for check in verify(PLAN, "ami-1", "hash", observed()).checks]
    assert set(names) == set(WRONG) | {"gpus"}
    assert set(REMEDIES) == set(WRONG) | OF_ADDRESS | {"sign in", "directory account", "gpus"}


def test_nothing_observed_is_not_verified() -> None:
    found = verify(PLAN, "ami-1", "hash", Observed({}, {}, {}, [], []))
    assert not found.verified


def test_a_missing_licence_is_a_warning_when_none_was_planned() -> None:
    unlicensed = {"reports": {name: report(name, license="missing") for name in ("i-1", "i-2")}}
    found = verify(PLAN, "ami-1", "hash", observed(**unlicensed))
    assert found.verified
    assert found.license == "missing"
    assert [warning.partition(". ")[0] for warning in found.warnings] == ["license: missing"]


@pytest.mark.parametrize(
    ("given", "warned"),
    [
        ({}, ["users: none"]),
        ({"users": {"ann": {}}}, ["users: none of them has a password"]),
        ({"users": {"ann": {"password": "benchwright/users/ann"}, "ben": {}}}, []),
        ({"image": {"ami": "ami-0123456789abcdef0"}}, []),
    ],
)
def test_a_cluster_that_no_one_can_sign_in_to_says_so(given: dict[str, Any], warned: list[str]) -> None:
    plan = a_plan(given)
    users = {"count": len(plan.accounts), "digest": accounts_digest(plan)}
    found = verify(plan, "ami-1", "hash", observed(reports={i: report(i, users=users) for i in ("i-1", "i-2")}))
    assert found.verified
    assert [warning.partition(". ")[0] for warning in found.warnings if warning.startswith("users")] == warned


def test_only_rows_that_no_one_owns_and_no_one_calls_online_are_stale() -> None:
    listed = [row(1, "10.0.0.1"), row(2, "10.0.0.2", "Offline"), row(3, "10.0.0.9"), row(4, "10.0.0.8", "Offline")]
    assert verify(PLAN, "ami-1", "hash", observed(listed=listed)).stale == [4]


def test_the_row_of_a_node_that_is_just_coming_is_not_stale() -> None:
    listed = [row(1, "10.0.0.1"), row(2, "10.0.0.2"), row(3, "10.0.0.9", "Starting"), row(4, "10.0.0.8", "Offline")]
    found = verify(PLAN, "ami-1", "hash", observed(listed=listed, coming_or_leaving=frozenset(["10.0.0.9"])))
    assert found.stale == [4]


def test_a_report_is_the_first_line_that_is_one() -> None:
    output = 'noise\n{"broken\n{"instance": "i-1", "license": "missing"}\n{"instance": "i-2"}\n--- a log that follows'
    assert read_report(output) == NodeReport(instance="i-1", license="missing")
    assert read_report("no report") is None
    assert read_report('{"other": 1}') is None


@pytest.mark.parametrize(("check", "remedy"), REMEDIES.items())
def test_a_remedy_is_an_instruction(check: str, remedy: str) -> None:
    first, *_ = remedy.split()
    assert first in {"Delete", "Look", "Put", "Run", "Start", "Terminate"}, check
    assert remedy.endswith("."), check


def test_a_node_is_called_by_its_instance_wherever_only_its_address_was_seen() -> None:
    (first, *rest) = observed().in_service.items()
    seen = observed(
        listed=[node for node in observed().listed if node.ipv4 != first[1]],
        balanced=[node for node in observed().balanced if node.ipv4 != first[1]],
    )
    checks = {check.name: check.found for check in verify(PLAN, "ami-1", "hash", seen).checks if not check.holds}
    named = f"{first[0]} ({first[1]})"
    assert checks == {
        "online": f"{named}: not in the node table",
        "load balancer": f"names {', '.join(address for _, address in rest)}; not {named}",
    }
