"""The longest names that an application and a cluster may have, in all that CloudFormation names after them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product
from typing import Any, Final

import pytest

from benchwright.values import APPLICATION_NAME, CLUSTER_NAME, LONGEST_APPLICATION, LONGEST_CLUSTER
from rehearsal.aws.services.cloudformation.context import SUFFIX, generated_name
from rehearsal.aws.services.cloudformation.handlers.rds import identifier
from tests.templates.templates import FOUNDATION, NETWORK, NODES, TEMPLATES, render

# Characters, from the API reference of each service.
LONGEST: Final = {
    ("AWS::AutoScaling::AutoScalingGroup", "AutoScalingGroupName"): 255,
    ("AWS::AutoScaling::LifecycleHook", "LifecycleHookName"): 255,
    ("AWS::CloudWatch::Alarm", "AlarmName"): 255,
    ("AWS::CloudWatch::Dashboard", "DashboardName"): 255,
    ("AWS::EC2::LaunchTemplate", "LaunchTemplateName"): 128,
    ("AWS::IAM::RolePolicy", "PolicyName"): 128,
    ("AWS::ImageBuilder::InfrastructureConfiguration", "Name"): 128,
    ("AWS::Logs::LogGroup", "LogGroupName"): 512,
    ("AWS::Logs::QueryDefinition", "Name"): 255,
    ("AWS::SNS::Topic", "DisplayName"): 100,
    ("AWS::SSM::Association", "AssociationName"): 128,
    ("AWS::SSM::Document", "Name"): 128,
    ("AWS::Scheduler::ScheduleGroup", "Name"): 64,
    ("AWS::SecretsManager::Secret", "Name"): 512,
    ("AWS::Serverless::StateMachine", "Name"): 80,
}
LONGEST_STACK_NAME: Final = 128
SCHEDULES: Final = ("heal-nodes", "monthly-rebuild", "nightly-verify")  # names of events, which SAM makes schedules of
LONGEST_SCHEDULE: Final = 64
NOT_OF_THEM: Final = ("ServiceName", "MetricName")  # names of what others have made
IDENTIFIER: Final = re.compile("[a-z][a-z0-9]*(-[a-z0-9]+)*")
"""Of RDS: https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBCluster.html"""
WITH_AN_IDENTIFIER: Final = ("AWS::RDS::DBCluster", "AWS::RDS::DBInstance")


def given_names() -> Iterator[tuple[str, str, Any]]:
    """Type, property and value of each name that a template gives."""
    for template in TEMPLATES.values():
        for resource in template["Resources"].values():
            for name, value in resource.get("Properties", {}).items():
                is_reference = isinstance(value, dict) and value.get("Ref") != "AWS::StackName" and "Ref" in value
                if re.search("Name$", name) and name not in NOT_OF_THEM and not is_reference:
                    yield resource["Type"], name, value


def test_every_name_that_a_template_gives_fits_at_its_longest() -> None:
    named = {
        "Application": "b" * LONGEST_APPLICATION,
        "AWS::StackName": "b" * LONGEST_APPLICATION,
        "Cluster": "c" * LONGEST_CLUSTER,
        "ScheduledCluster": "c" * LONGEST_CLUSTER,
    }
    too_long = {
        (kind, key): text
        for kind, key, value in given_names()
        if len(text := render(value, named)) > LONGEST[kind, key]
    }
    assert too_long == {}
    assert {(kind, key) for kind, key, _ in given_names()} == LONGEST.keys()
    assert LONGEST_APPLICATION + len("--foundation") + LONGEST_CLUSTER <= LONGEST_STACK_NAME
    assert max(len(f"{'b' * LONGEST_APPLICATION}-{name}") for name in SCHEDULES) <= LONGEST_SCHEDULE


def names_in_rds(application: str, cluster: str) -> dict[str, str]:
    """What CloudFormation calls the cluster and the instances of a foundation, by logical id."""
    stack = f"{application}-{cluster}-foundation"
    return {
        logical_id: identifier(generated_name(stack, logical_id, "X" * SUFFIX, 63)).lower()
        for logical_id, resource in FOUNDATION["Resources"].items()
        if resource["Type"] in WITH_AN_IDENTIFIER
    }


def of_length(length: int) -> list[str]:
    """Names that differ in where their hyphens are, which is where CloudFormation may cut."""
    letters = "b" * length
    return [letters, *(f"{letters[:place]}-{letters[place + 1 :]}" for place in range(1, length - 1))]


def test_rds_accepts_every_generated_name_and_policies_know_it_by_the_application() -> None:
    for application, length in product(of_length(LONGEST_APPLICATION), range(1, LONGEST_CLUSTER + 1)):
        for cluster in of_length(length):
            for name in names_in_rds(application, cluster).values():
                assert IDENTIFIER.fullmatch(name), name
                assert len(name) <= 63, name
                assert name.startswith(f"{application}-"), name


def test_a_longer_name_of_the_application_would_be_cut() -> None:
    application = "b" * (LONGEST_APPLICATION + 3)
    names = names_in_rds(application, "workbench")
    assert [name for name in names.values() if not name.startswith(f"{application}-")] == [
        names["DatabaseInstance1"],
        names["DatabaseInstance2"],
    ]


REFUSED: Final = ("a--b", "a-", "-a", "1a", "A", "a_b", "")
RESERVED: Final = ("default", "aws-workbench", "amazon", "amzn1")


@pytest.mark.parametrize("template", [FOUNDATION, NETWORK, NODES], ids=["foundation", "network", "nodes"])
def test_templates_and_the_first_state_refuse_the_same_names(template: dict[str, Any]) -> None:
    declared = template["Parameters"]["Application"]
    assert (f"^{declared['AllowedPattern']}$", declared["MaxLength"]) == (APPLICATION_NAME, LONGEST_APPLICATION)
    assert [name for name in (*REFUSED, *RESERVED) if re.fullmatch(declared["AllowedPattern"], name)] == []
    accepted = ("a", "benchwright", "team-blue", "default-2", "a1-b2")
    assert [name for name in accepted if not re.fullmatch(declared["AllowedPattern"], name)] == []


@pytest.mark.parametrize(
    ("template", "parameter"),
    [("foundation", "Cluster"), ("nodes", "Cluster"), ("application", "ScheduledCluster")],
)
def test_templates_and_the_first_state_refuse_the_same_clusters(template: str, parameter: str) -> None:
    declared = TEMPLATES[template]["Parameters"][parameter]
    assert (f"^{declared['AllowedPattern']}$", declared["MaxLength"]) == (CLUSTER_NAME, LONGEST_CLUSTER)
    assert [name for name in REFUSED if re.fullmatch(declared["AllowedPattern"], name)] == []
