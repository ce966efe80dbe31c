"""What the stacks of a cluster must be, by the plan and by what was observed of them."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from benchwright.settings import Settings
from benchwright.stacks import desired_state
from benchwright.stacks.decision import Stack
from tests.unit.benchwright.verification.test_checks import a_plan


def stack(**parameters: str) -> Stack:
    return Stack("CREATE_COMPLETE", parameters=parameters)


@pytest.mark.parametrize(
    ("parameters", "instances", "offline"),
    [
        ({"WorkbenchVersion": "2026.07.1+147.pro6", "NodeCount": "2"}, 2, False),
        ({"WorkbenchVersion": "2026.01.0+392.pro5", "NodeCount": "2"}, 2, True),
        ({"WorkbenchVersion": "2026.01.0+392.pro5", "NodeCount": "0"}, 1, True),
        ({"WorkbenchVersion": "2026.01.0+392.pro5", "NodeCount": "0"}, 0, False),
        ({}, 0, False),
    ],
)
def test_another_version_takes_all_nodes_offline_first(
    parameters: Mapping[str, str], instances: int, offline: bool
) -> None:
    assert desired_state.must_go_offline(a_plan({}), stack(**parameters), instances) is offline


def test_deletion_protection_comes_after_the_creation() -> None:
    settings = Settings(application="benchwright")
    directory = Path(__file__).parents[4] / "infra"
    first = desired_state.foundation(settings, a_plan({}), None, directory)
    later = desired_state.foundation(settings, a_plan({}), stack(), directory)
    assert (first.parameters["DeletionProtection"], later.parameters["DeletionProtection"]) == ("false", "true")


def test_a_load_balancer_is_protected_once_it_exists_and_lies_in_the_subnets_of_its_scheme() -> None:
    settings = Settings(application="benchwright", private_subnet_ids="subnet-1,subnet-2", public_subnet_ids="subnet-3")
    directory = Path(__file__).parents[4] / "infra"
    outputs = {"NodeSecurityGroupId": "sg-1"}
    private = a_plan({"access": {"hostname": "wb.example.com"}})
    public = a_plan(
        {"access": {"hostname": "wb.example.com", "scheme": "internet-facing", "allowed_cidrs": ["0.0.0.0/0"]}}
    )
    first = desired_state.access(settings, private, None, outputs, "", directory=directory)
    later = desired_state.access(
        settings, public, stack(Scheme="internet-facing"), outputs, "arn:c", directory=directory
    )
    protection = [desired.parameters["DeletionProtection"] for desired in (first, later)]
    assert protection == ["false", "true"]
    assert [desired.parameters["SubnetIds"] for desired in (first, later)] == ["subnet-1,subnet-2", "subnet-3"]
    assert [desired.parameters["CertificateArn"] for desired in (first, later)] == ["", "arn:c"]
    there = stack(Scheme="internal", CertificateArn="arn:before")
    renamed = desired_state.access(settings, private, there, outputs, "", directory=directory)
    assert renamed.parameters["CertificateArn"] == "arn:before"
    assert later.parameters["AllowedCidrs"] == "0.0.0.0/0"
