"""What audit logs, metrics and the API for tests are in rserver.conf."""

from typing import Any

import pytest

from benchwright.nodes.administration import PRIVATE_ADDRESS, options
from benchwright.planning.administration import KEYS
from tests.unit.benchwright.verification.test_checks import a_plan

AUDIT = {"audit-data-path": f"/efs/shared-storage/audit/{PRIVATE_ADDRESS}", "audit-r-sessions": "1"}
LIMITED = {"audit-r-sessions-limit-months": "13"}
CONSOLE = {"audit-r-console": "all", "audit-r-console-user-limit-months": "13"}


@pytest.mark.parametrize(
    ("raw", "keys"),
    [
        ({}, {}),
        ({"audit": {}}, AUDIT),
        ({"audit": {"months": 13}}, AUDIT | LIMITED),
        ({"audit": {"r_console": "all"}}, AUDIT | {"audit-r-console": "all"}),
        ({"audit": {"r_console": "all", "months": 13}}, AUDIT | LIMITED | CONSOLE),
        ({"metrics": {"allowed_cidr": "10.0.1.0/24"}}, {"metrics-enabled": "1", "metrics-port": "8989"}),
        ({"users": {"ann": {}}, "acceptance": {"account": "ann"}}, {"workbench-api-enabled": "1"}),
    ],
)
def test_each_part_is_its_keys(raw: dict[str, Any], keys: dict[str, str]) -> None:
    assert options(a_plan(raw).wanted, "/efs/shared-storage") == keys
    assert set(keys) <= set(KEYS)  # what an input may not give beside it
