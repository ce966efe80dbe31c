"""The templates as a whole: what a person reads, what CloudFormation limits, what must never be lost."""

from __future__ import annotations

import re
from typing import Any

import pytest

from benchwright.healing.decision import BETWEEN
from benchwright.settings import Settings
from rehearsal.aws.services.cloudformation.intrinsics import Scope
from tests.templates.templates import (
    APPLICATION,
    FOUNDATION,
    NETWORK,
    NODES,
    ROOT,
    TEMPLATES,
    folder_of,
    render,
    resources,
    translated,
)

# Data, and what cannot be reached or used again without it.
STATEFUL = {
    "AWS::CloudFormation::Stack",  # the network
    "AWS::DynamoDB::Table",
    "AWS::EFS::AccessPoint",
    "AWS::EFS::FileSystem",
    "AWS::EFS::MountTarget",
    "AWS::KMS::Key",
    "AWS::RDS::DBCluster",
    "AWS::RDS::DBInstance",
    "AWS::S3::Bucket",
    "AWS::S3::BucketPolicy",
    "AWS::SecretsManager::Secret",
}
SUBSTITUTION = re.compile(r"\$\{(\w+)}")


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_parameter_explains_itself_in_sentences(name: str) -> None:
    silent = {
        parameter
        for parameter, declared in TEMPLATES[name].get("Parameters", {}).items()
        if not declared.get("Description", "").endswith(".")
        or (
            {"AllowedPattern", "AllowedValues", "MinValue"} & set(declared)
            and not declared.get("ConstraintDescription", "").endswith(".")
        )
    }
    assert silent == set()


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_console_groups_every_parameter_once(name: str) -> None:
    groups = TEMPLATES[name]["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    grouped = [parameter for group in groups for parameter in group["Parameters"]]
    assert sorted(grouped) == sorted(TEMPLATES[name]["Parameters"])


NETWORK_ID, SUBNETS, ZONES = "vpc-0123456789abcdef0", "subnet-0123456789abcdef0,subnet-0fedcba9876543210", "a-1a,a-1b"


@pytest.mark.parametrize(
    ("given", "broken"),
    [
        ({}, []),
        ({"VpcId": NETWORK_ID, "PrivateSubnetIds": SUBNETS}, []),
        ({"AvailabilityZones": ZONES}, []),
        ({"VpcId": NETWORK_ID}, ["YourOwnNetworkIsComplete"]),
        ({"PrivateSubnetIds": SUBNETS}, ["SubnetsHaveTheirNetwork"]),
        (
            {"VpcId": NETWORK_ID, "PrivateSubnetIds": SUBNETS, "AvailabilityZones": ZONES},
            ["ZonesAreOfTheNetworkThatIsMade"],
        ),
    ],
)
def test_parameters_of_a_network_that_would_have_no_effect_are_refused(
    given: dict[str, str], broken: list[str]
) -> None:
    values = {name: parameter.get("Default", "") for name, parameter in APPLICATION["Parameters"].items()} | given
    scope = Scope(APPLICATION, values, {}, lambda *_: "", lambda _: [])
    assert [rule.partition(":")[0] for rule in scope.broken_rules()] == broken


def test_everything_in_the_foundation_outlives_its_stack_but_not_a_first_creation_that_fails() -> None:
    kept = {
        name: (item.get("DeletionPolicy"), item.get("UpdateReplacePolicy"))
        for name, item in FOUNDATION["Resources"].items()
    }
    assert kept == dict.fromkeys(FOUNDATION["Resources"], ("RetainExceptOnCreate", "Retain"))


def test_what_the_application_remembers_and_what_its_clusters_need_outlives_it() -> None:
    kept = {
        name for name, item in APPLICATION["Resources"].items() if item.get("DeletionPolicy") == "RetainExceptOnCreate"
    }
    assert kept == {
        *resources(APPLICATION, *STATEFUL),
        "CloudFormationRole",
        "CloudFormationDatabasePolicy",
        "CloudFormationStoragePolicy",
        "CloudFormationIdentityPolicy",
        "CloudFormationNodesPolicy",
        "CloudFormationAccessPolicy",
        "CloudFormationMonitoringPolicy",
        "DatabaseClientSecurityGroup",
    }
    assert all(APPLICATION["Resources"][name]["UpdateReplacePolicy"] == "Retain" for name in kept)


def test_nothing_disposable_is_stateful() -> None:
    assert resources(NODES, *STATEFUL) == {}


def test_a_first_creation_of_the_database_is_not_protected_from_its_own_rollback() -> None:
    assert FOUNDATION["Parameters"]["DeletionProtection"]["Default"] == "false"
    assert FOUNDATION["Resources"]["DatabaseCluster"]["Properties"]["DeletionProtection"] == {
        "Ref": "DeletionProtection"
    }


def test_no_statement_reaches_the_log_of_postgresql() -> None:
    parameters = FOUNDATION["Resources"]["DatabaseParameters"]["Properties"]["Parameters"]
    assert {
        name: value for name, value in parameters.items() if name.startswith("log_") or name == "rds.force_ssl"
    } == {
        "rds.force_ssl": "1",
        "log_connections": "1",
        "log_statement": "none",
        "log_min_duration_statement": "-1",
        "log_min_error_statement": "panic",
    }


def test_generated_secrets_are_long_and_mean_the_same_everywhere() -> None:
    generated = {
        name: item["Properties"]["GenerateSecretString"]
        for name, item in resources(FOUNDATION, "AWS::SecretsManager::Secret").items()
    }
    assert generated == {
        "DatabaseSecret": {
            "SecretStringTemplate": '{"username": "rstudio"}',
            "GenerateStringKey": "password",
            "PasswordLength": 32,
            "ExcludePunctuation": True,
        },
        "SecureCookieKeySecret": {
            "PasswordLength": 64,
            "ExcludePunctuation": True,
            "ExcludeUppercase": True,
            "ExcludeCharacters": "ghijklmnopqrstuvwxyz",
        },
    }


def test_homes_are_reached_over_tls_through_access_points_by_nodes_alone() -> None:
    deny, allow = FOUNDATION["Resources"]["FileSystem"]["Properties"]["FileSystemPolicy"]["Statement"]
    assert (deny["Effect"], deny["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
    assert (allow["Effect"], allow["Principal"]) == ("Allow", {"AWS": {"Fn::GetAtt": ["NodeRole", "Arn"]}})
    assert set(allow["Condition"]["StringLike"]) == {"elasticfilesystem:AccessPointArn"}


def test_no_access_point_gives_its_files_to_one_owner() -> None:
    points = {name: item["Properties"] for name, item in resources(FOUNDATION, "AWS::EFS::AccessPoint").items()}
    assert {name: (point["RootDirectory"], "PosixUser" in point) for name, point in points.items()} == {
        "Home": ({"Path": "/home", "CreationInfo": {"OwnerUid": "0", "OwnerGid": "0", "Permissions": "0755"}}, False),
        "SharedStorage": (
            {"Path": "/shared-storage", "CreationInfo": {"OwnerUid": "0", "OwnerGid": "0", "Permissions": "1777"}},
            False,
        ),
    }


def test_no_port_is_open_to_addresses_but_those_of_the_load_balancer() -> None:
    """Whoever comes in is a security group: nodes among themselves, nodes and one function to the database. To the load
    balancer come the ranges of an input, to the metrics one.
    """
    rules = [
        (name, rule.get("FromPort"), rule.get("ToPort"), _names(rule))
        for template in TEMPLATES.values()
        for name, group in resources(template, "AWS::EC2::SecurityGroup").items()
        for rule in map(_there, group["Properties"].get("SecurityGroupIngress", []))
    ] + [
        (
            item["Properties"]["GroupId"]["Ref"],
            item["Properties"]["FromPort"],
            item["Properties"]["ToPort"],
            _names(item["Properties"]),
        )
        for template in TEMPLATES.values()
        for item in resources(template, "AWS::EC2::SecurityGroupIngress").values()
    ]
    assert sorted(rules) == [
        ("DatabaseSecurityGroup", 5432, 5432, "DatabaseClientSecurityGroupId"),
        ("DatabaseSecurityGroup", 5432, 5432, "NodeSecurityGroup"),
        ("FileSystemSecurityGroup", 2049, 2049, "NodeSecurityGroup"),
        *[("LoadBalancerSecurityGroup", 80, 80, f"AllowedCidrs {number}") for number in range(5)],
        *[("LoadBalancerSecurityGroup", 443, 443, f"AllowedCidrs {number}") for number in range(5)],
        ("LoadBalancerSecurityGroup", 443, 443, "NodeSecurityGroupId"),
        ("NodeSecurityGroup", 5559, 5559, "NodeSecurityGroup"),
        ("NodeSecurityGroup", 8787, 8787, "NodeSecurityGroup"),
        ("NodeSecurityGroup", 32768, 60999, "NodeSecurityGroup"),
        ("NodeSecurityGroupId", 8787, 8787, "LoadBalancerSecurityGroup"),
        ("NodeSecurityGroupId", 8989, 8989, "MetricsCidr"),
    ]


def test_ec2_accepts_the_descriptions_of_security_groups() -> None:
    """EC2 refuses other characters, an apostrophe for one (CreateSecurityGroup, GroupDescription)."""
    groups = [
        item["Properties"]
        for template in TEMPLATES.values()
        for item in resources(template, "AWS::EC2::SecurityGroup").values()
    ]
    rules = [
        item["Properties"]
        for template in TEMPLATES.values()
        for item in resources(template, "AWS::EC2::SecurityGroupIngress").values()
    ]
    for group in groups:
        rules += [*map(_there, group.get("SecurityGroupIngress", [])), *group["SecurityGroupEgress"]]
    texts = [render(group["GroupDescription"]) for group in groups] + [rule["Description"] for rule in rules]
    assert [text for text in texts if not re.fullmatch(r"[a-zA-Z0-9 ._\-:/()#,@\[\]+=&;{}!$*]{1,255}", text)] == []


def _there(rule: dict[str, Any]) -> dict[str, Any]:
    """A rule, also where it depends on a condition."""
    return rule["Fn::If"][1] if "Fn::If" in rule else rule


def test_no_subnet_gives_public_addresses() -> None:
    assert [
        name
        for name, item in resources(NETWORK, "AWS::EC2::Subnet").items()
        if item["Properties"].get("MapPublicIpOnLaunch")
    ] == []


OF_ONE_FUNCTION = {"VerifyCluster": {"LICENSE_WARNING_DAYS": {"Ref": "LicenseWarningDays"}}}
"""What one function alone has in its environment."""


def test_functions_get_the_environment_that_they_read() -> None:
    given = (
        set(APPLICATION["Globals"]["Function"]["Environment"]["Variables"]) | OF_ONE_FUNCTION["VerifyCluster"].keys()
    )
    others = {"pgsslrootcert", "aws_region"}  # a user's own setting, and what Lambda gives to every function
    read = {name.upper() for name in Settings.model_fields if name not in others}
    assert given == read | {"POWERTOOLS_LOG_LEVEL", "POWERTOOLS_METRICS_NAMESPACE", "PYDANTIC_DISABLE_PLUGINS"}


def test_each_function_is_named_in_its_logs_and_writes_to_a_group_of_its_own() -> None:
    functions = {name: item["Properties"] for name, item in resources(APPLICATION, "AWS::Serverless::Function").items()}
    folders = {name: folder_of(name) for name in functions}
    assert set(folders.values()) == {path.parent.name for path in (ROOT / "functions").glob("*/app.py")}
    for name, properties in functions.items():
        folder = folders[name]
        own = OF_ONE_FUNCTION.get(name, {})
        assert properties["Environment"]["Variables"] == {"POWERTOOLS_SERVICE_NAME": folder} | own
        assert properties["LoggingConfig"]["LogGroup"] == {"Ref": f"{name}LogGroup"}


def test_only_the_function_of_the_database_lives_in_the_network_and_carries_the_client() -> None:
    functions = {name: item["Properties"] for name, item in resources(APPLICATION, "AWS::Serverless::Function").items()}
    assert [name for name, properties in functions.items() if "VpcConfig" in properties] == ["CreateDatabase"]
    assert {name: [layer["Ref"] for layer in properties["Layers"]] for name, properties in functions.items()} == {
        "ResolvePlan": ["BenchwrightLayer"],
        "BuildImage": ["BenchwrightLayer", "ImageLayer"],
        "DeployStack": ["BenchwrightLayer", "InfraLayer"],
        "CreateDatabase": ["BenchwrightLayer", "Psycopg2Layer"],
        "RequestCertificate": ["BenchwrightLayer"],
        "ConfigureNodes": ["BenchwrightLayer", "InfraLayer"],
        "VerifyCluster": ["BenchwrightLayer"],
        "DestroyCluster": ["BenchwrightLayer"],
        "ExplainFailure": ["BenchwrightLayer"],
        "WriteReport": ["BenchwrightLayer"],
        "HealNodes": ["BenchwrightLayer"],
    }


@pytest.mark.parametrize("name", ["DeployStateMachine", "VerifyStateMachine", "DestroyStateMachine"])
def test_state_machines_name_exactly_what_the_template_gives_them(name: str) -> None:
    properties = APPLICATION["Resources"][name]["Properties"]
    used = set(SUBSTITUTION.findall((ROOT / properties["DefinitionUri"]).read_text()))
    assert used == set(properties["DefinitionSubstitutions"])


@pytest.mark.parametrize("name", ["DeployStateMachine", "VerifyStateMachine", "DestroyStateMachine"])
def test_state_machines_are_traced_and_log_everything_but_data(name: str) -> None:
    properties = APPLICATION["Resources"][name]["Properties"]
    assert properties["Tracing"] == {"Enabled": True}
    assert (properties["Logging"]["Level"], properties["Logging"]["IncludeExecutionData"]) == ("ALL", False)


def test_each_schedule_starts_its_machine_with_its_input_at_its_hour() -> None:
    """The name of the stack lets two applications live in one account. No RetryPolicy: Scheduler tries for a day."""
    common = {
        "GroupName": {"Ref": "ScheduleGroup"},
        "ScheduleExpressionTimezone": "UTC",
        "FlexibleTimeWindow": {"Mode": "OFF"},
    }
    schedules = [item["Properties"] for item in resources(translated(), "AWS::Scheduler::Schedule").values()]
    heal, *others = sorted(schedules, key=lambda item: str(item["Name"]["Fn::Sub"]))
    assert heal == {
        "GroupName": {"Ref": "ScheduleGroup"},
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "Name": {"Fn::Sub": "${AWS::StackName}-heal-nodes"},
        "Description": "Replaces a node whose Workbench has not answered for 15 minutes.",
        "State": {"Ref": "HealScheduleState"},
        "ScheduleExpression": f"rate({BETWEEN} minutes)",
        "Target": {
            "Arn": {"Fn::GetAtt": ["HealNodes", "Arn"]},
            "RoleArn": {"Fn::GetAtt": ["HealScheduleRole", "Arn"]},
            "Input": "{}",
        },
    }
    assert others == [
        common
        | {
            "Name": {"Fn::Sub": "${AWS::StackName}-monthly-rebuild"},
            "Description": "Rebuilds the image on the newest Ubuntu and replaces the nodes, a tenth of them at a time.",
            "State": {"Ref": "RebuildScheduleState"},
            "ScheduleExpression": "cron(0 4 ? * SUN#1 *)",  # the first Sunday of a month at 04:00
            "Target": {
                "Arn": {"Ref": "DeployStateMachine"},
                "RoleArn": {"Fn::GetAtt": ["RebuildScheduleRole", "Arn"]},
                "Input": {
                    "Fn::Sub": (
                        '{"cluster": "${ScheduledCluster}", "image": {"rebuild": true}, "only_if_deployed": true}'
                    )
                },
            },
        },
        common
        | {
            "Name": {"Fn::Sub": "${AWS::StackName}-nightly-verify"},
            "Description": "Proves that every recorded cluster is what its record says.",
            "State": {"Ref": "VerifyScheduleState"},
            "ScheduleExpression": "cron(0 3 * * ? *)",  # every day at 03:00
            "Target": {
                "Arn": {"Ref": "VerifyStateMachine"},
                "RoleArn": {"Fn::GetAtt": ["VerifyScheduleRole", "Arn"]},
                "Input": '{"every_cluster": true}',
            },
        },
    ]
    parameters = APPLICATION["Parameters"]
    states = ("VerifyScheduleState", "RebuildScheduleState", "HealScheduleState")
    assert [parameters[state]["Default"] for state in states] == ["ENABLED", "DISABLED", "ENABLED"]


def test_the_topic_hears_of_executions_that_could_not_speak_for_themselves() -> None:
    rule = APPLICATION["Resources"]["StoppedExecutions"]["Properties"]
    assert rule["EventPattern"]["detail"] == {
        "status": ["ABORTED", "TIMED_OUT"],
        "stateMachineArn": [
            {"Ref": "DeployStateMachine"},
            {"Ref": "VerifyStateMachine"},
            {"Ref": "DestroyStateMachine"},
        ],
    }
    assert [target["Arn"] for target in rule["Targets"]] == [{"Ref": "Topic"}]


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_check_that_is_skipped_has_its_reason_beside_it(name: str) -> None:
    skips = [
        (where, skip)
        for where, item in TEMPLATES[name]["Resources"].items()
        for skip in item.get("Metadata", {}).get("checkov", {}).get("skip", [])
    ]
    assert [(where, skip["id"]) for where, skip in skips if len(skip.get("comment", "")) < 20] == []
    assert "skip-check" not in (ROOT / ".checkov.yaml").read_text()


def _names(rule: dict[str, Any]) -> str:
    """Name the group that may come in, or the addresses, which the test then shows."""
    source = rule.get("SourceSecurityGroupId", rule.get("CidrIp"))
    if isinstance(source, dict) and "Fn::Select" in source:
        number, listed = source["Fn::Select"]
        return f"{listed['Ref']} {number}"
    return source["Ref"] if isinstance(source, dict) else str(source)
