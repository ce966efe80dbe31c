"""What an input says of audit logs and metrics that cannot be."""

from typing import Any

import pytest

from benchwright.errors import InvalidInput
from benchwright.planning.administration import KEYS
from benchwright.planning.read_input import read_input
from tests.unit.benchwright.planning.test_plan import DEFAULTS

PARTS: dict[str, Any] = {
    "acceptance": {"account": "ann"},
    "audit": {"r_console": "all"},
    "metrics": {"allowed_cidr": "10.0.1.0/24"},
}


def problems(raw: Any) -> list[str]:
    try:
        read_input(raw, {}, DEFAULTS, "benchwright").whole()
    except InvalidInput as error:
        return str(error).splitlines()[1:]
    return []


@pytest.mark.parametrize(("key", "part"), KEYS.items())
@pytest.mark.parametrize("path", ["config", "files.rserver.conf.keys"])
def test_a_key_that_belongs_to_a_part_is_refused_with_it_alone(key: str, part: str, path: str) -> None:
    given = {"config": {key: "x"}} if path == "config" else {"files": {"rserver.conf": {"keys": {key: "x"}}}}
    assert problems(given) == []
    (problem,) = problems(given | {"users": {"ann": {}}, part: PARTS[part]})
    assert problem == (
        f'- {path}.{key}: "x" is refused: with `{part}`, Benchwright writes this key itself. Remove it; if it is '
        f"recorded, give null. Or give null for `{part}`."
    )


OLDER = {"workbench": {"version": "2023.12.1+402.pro1"}}


@pytest.mark.parametrize(
    ("raw", "wrong"),
    [
        ({"metrics": {"allowed_cidr": "0.0.0.0/0"}}, "it is every address, and the metrics ask for no password"),
        (
            {"metrics": PARTS["metrics"]} | OLDER,
            "Workbench has them since 2024.04, and workbench.version is 2023.12.1+402.pro1",
        ),
        ({"metrics": {}}, "it is missing"),
        ({"acceptance": {"account": "ben"}, "users": {"ann": {}}}, "no such user is in the input"),
        (
            {"acceptance": {"account": "prob"}, "users": {"probe": {}}},
            "no such user is in the input (did you mean probe?)",
        ),
        ({"audit": {"months": 0}}, "it is below 1"),
        ({"audit": {"r_console": "output"}}, "it is neither 'input' nor 'all'"),
    ],
)
def test_what_cannot_be_is_refused(raw: Any, wrong: str) -> None:
    (problem,) = problems(raw)
    assert f" is refused: {wrong}. Give " in problem


def test_an_older_release_may_have_audit_logs() -> None:
    assert problems({"audit": PARTS["audit"]} | OLDER) == []


def test_an_account_of_a_directory_may_be_for_tests() -> None:
    sssd = {"method": "sssd", "sssd_conf": "benchwright/auth/sssd", "probe_account": "svc-probe"}
    assert problems({"acceptance": {"account": "svc-probe"}, "auth": sssd}) == []
