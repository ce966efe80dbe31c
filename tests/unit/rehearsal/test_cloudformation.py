"""The local CloudFormation through unmodified boto3: what it refuses, in which order it works, and how it fails."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError

from rehearsal.aws.clock import Clock
from rehearsal.aws.local_aws import LocalAws
from rehearsal.aws.server import NoFaults
from rehearsal.aws.services.cloudformation.engine import Engine
from rehearsal.aws.services.cloudformation.model import Resource, Stack
from tests.waiting import until

"""Wall seconds within which everything here ends."""

GROUP = {"Type": "AWS::Logs::LogGroup"}
TRUST = {"Version": "2012-10-17", "Statement": []}


class Orders(NoFaults):
    """Reasons by logical id, as `--fault stack:resource=…,reason=…` orders them, and codes by operation."""

    def __init__(self) -> None:
        self.reasons: dict[str, str] = {}

    def take(self, kind: str, **facts: Any) -> dict[str, str] | None:
        if kind == "call":
            code = self.reasons.get(facts["operation"])
            return {"code": code} if code else None
        reason = self.reasons.get(facts.get("resource", ""))
        return {"reason": reason} if kind == "stack" and reason else None


class Cloud:
    """CloudFormation as a user sees it, with the waiting that a user does."""

    def __init__(self, aws: LocalAws) -> None:
        self.aws = aws
        self.api = aws.client("cloudformation")

    def change_set(
        self, stack: str, template: Mapping[str, Any] | None, name: str = "first", type_: str = "CREATE", **more: Any
    ) -> dict[str, Any]:
        """A change set, described when it is computed. `template` None: the previous one."""
        body = {"UsePreviousTemplate": True} if template is None else {"TemplateBody": json.dumps(template)}
        made = self.api.create_change_set(StackName=stack, ChangeSetName=name, ChangeSetType=type_, **body, **more)
        described: dict[str, Any] = self._until(
            lambda: self.api.describe_change_set(ChangeSetName=made["Id"]),
            lambda described: described["Status"] in ("FAILED", "CREATE_COMPLETE"),
        )
        return described

    def execute(self, stack: str, name: str = "first", **more: Any) -> str:
        """The stack's status after a change set was executed."""
        self.api.execute_change_set(StackName=stack, ChangeSetName=name, **more)
        return self.status(stack)

    def deploy(self, stack: str, template: Mapping[str, Any], name: str = "first", **more: Any) -> str:
        """The stack's status after a change set was made and executed."""
        type_ = "CREATE" if name == "first" else "UPDATE"
        assert self.change_set(stack, template, name, type_, **more)["Status"] == "CREATE_COMPLETE"
        return self.execute(stack, name)

    def status(self, stack: str) -> str:
        """The stack's status when its operation has ended."""
        described = self._until(
            lambda: self.api.describe_stacks(StackName=stack)["Stacks"][0],
            lambda stack: not stack["StackStatus"].endswith("_IN_PROGRESS"),
        )
        return str(described["StackStatus"])

    def delete(self, stack: str) -> str:
        """The status after a deletion, asked by the stack's id: its name is free again."""
        stack_id = self.api.describe_stacks(StackName=stack)["Stacks"][0]["StackId"]
        self.api.delete_stack(StackName=stack)
        return self.status(stack_id)

    def events(self, stack: str, *, since: str = "") -> list[tuple[str, str, str]]:
        """Logical id, status and reason of the events, oldest first, from the last event of status `since` on."""
        shown = [
            (event["LogicalResourceId"], event["ResourceStatus"], event.get("ResourceStatusReason", ""))
            for page in self.api.get_paginator("describe_stack_events").paginate(StackName=stack)
            for event in page["StackEvents"]
        ]
        shown.reverse()
        starts = [index for index, event in enumerate(shown) if event[:2] == (stack, since)]
        return shown[starts[-1] :] if starts else shown

    def ended(self, stack: str, *, since: str = "") -> list[tuple[str, str]]:
        """Logical id and status of the events that end something."""
        return [event[:2] for event in self.events(stack, since=since) if not event[1].endswith("IN_PROGRESS")]

    def groups(self, prefix: str) -> dict[str, int | None]:
        """The log groups that exist, with their retention."""
        found = self.aws.client("logs").describe_log_groups(logGroupNamePrefix=prefix)["logGroups"]
        return {group["logGroupName"]: group.get("retentionInDays") for group in found}

    def everything(self) -> set[str]:
        """What there is of the types whose creation takes several calls: names, and ids of keys in use."""
        iam, kms = self.aws.client("iam"), self.aws.client("kms")
        keys = [kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"] for key in kms.list_keys()["Keys"]]
        return {
            *(role["RoleName"] for role in iam.list_roles()["Roles"]),
            *(policy["PolicyName"] for policy in iam.list_policies(Scope="Local")["Policies"]),
            *(profile["InstanceProfileName"] for profile in iam.list_instance_profiles()["InstanceProfiles"]),
            *(rule["Name"] for rule in self.aws.client("events").list_rules()["Rules"]),
            *(key["KeyId"] for key in keys if key["Enabled"]),
            *(group["logGroupName"] for group in self.aws.client("logs").describe_log_groups()["logGroups"]),
        }

    def _until(self, ask: Any, done: Any) -> Any:
        answers: list[Any] = []

        def is_done() -> bool:
            answers[:] = [ask()]
            return bool(done(answers[0]))

        until(is_done, "what was begun")
        return answers[0]


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    services = ("secretsmanager", "cloudwatch", "logs")
    modules = (*(f"rehearsal.aws.services.{name}" for name in services), "rehearsal.aws.services.cloudformation")
    aws = LocalAws(Clock(math.inf), tmp_path_factory.mktemp("aws"), faults=Orders(), modules=modules)
    aws.start()
    yield Cloud(aws)
    aws.stop()


@pytest.fixture
def faults(cloud: Cloud) -> Iterator[dict[str, str]]:
    reasons = cloud.aws.faults.reasons  # type: ignore[attr-defined]
    yield reasons
    reasons.clear()


@pytest.fixture
def operator(cloud: Cloud) -> Iterator[None]:
    """A role of this name."""
    iam = cloud.aws.client("iam")
    iam.create_role(RoleName="operator", AssumeRolePolicyDocument=json.dumps(TRUST))
    yield
    iam.delete_role(RoleName="operator")


def stack_of(text: str) -> str:
    """A name for the stack of one case."""
    return "case" + re.sub(r"[^a-zA-Z]", "", text)


def group(**properties: Any) -> dict[str, Any]:
    return {"Type": "AWS::Logs::LogGroup", "Properties": properties}


def template(**resources: Any) -> dict[str, Any]:
    return {"Resources": resources}


# --- Creating


def test_resources_come_in_the_order_of_their_references_and_together_where_they_can(cloud: Cloud) -> None:
    wanted = template(
        Last=group(LogGroupName={"Fn::Sub": "order-${Left}-${Right}"}),
        Left=group(LogGroupName={"Fn::Join": ["-", ["order", {"Ref": "First"}, "l"]]}),
        Right=group(LogGroupName={"Fn::Sub": ["order-${name}-r", {"name": {"Ref": "First"}}]}),
        First=group(LogGroupName="one"),
    ) | {"Outputs": {"Name": {"Value": {"Ref": "Last"}, "Description": "the last one"}}}
    assert cloud.deploy("order", wanted) == "CREATE_COMPLETE"
    ended = cloud.ended("order")
    assert [ended[0], ended[3:]] == [
        ("First", "CREATE_COMPLETE"),
        [("Last", "CREATE_COMPLETE"), ("order", "CREATE_COMPLETE")],
    ]
    begun = [event for event in cloud.events("order") if event[1:] == ("CREATE_IN_PROGRESS", "")]
    assert {event[0] for event in begun[1:3]} == {"Left", "Right"}, "both begin before either ends"
    described = cloud.api.describe_stacks(StackName="order")["Stacks"][0]
    assert described["Outputs"] == [
        {"OutputKey": "Name", "OutputValue": "order-order-one-l-order-one-r", "Description": "the last one"}
    ]


def test_a_resource_is_shown_once_an_event_shows_of_it(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    event, shown = Engine.event, list[Any]()

    def looks_before(engine: Engine, stack: Stack, resource: Resource | None, *reported: Any) -> None:
        if resource and reported == ("CREATE_IN_PROGRESS",):
            shown.append(cloud.api.describe_stack_resources(StackName=stack.name)["StackResources"])
            shown.append(cloud.api.list_stack_resources(StackName=stack.name)["StackResourceSummaries"])
        event(engine, stack, resource, *reported)

    monkeypatch.setattr(Engine, "event", looks_before)
    assert cloud.deploy("begun", template(Group=group(LogGroupName="begun"))) == "CREATE_COMPLETE"
    assert shown == [[], []]


def test_a_resource_takes_aws_time_and_siblings_take_it_at_once(cloud: Cloud) -> None:
    roles = {
        name: {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {"Version": "2012-10-17"}}}
        for name in ("One", "Two", "Three")
    }
    assert cloud.deploy("time", template(**roles), Capabilities=["CAPABILITY_IAM"]) == "CREATE_COMPLETE"
    events = cloud.api.describe_stack_events(StackName="time")["StackEvents"]
    begun = min(event["Timestamp"] for event in events if event["ResourceStatus"] == "CREATE_IN_PROGRESS")
    assert 21 <= (events[0]["Timestamp"] - begun).total_seconds() < 25


def test_a_change_and_a_deletion_take_aws_time_too(cloud: Cloud) -> None:
    def key(description: str) -> dict[str, Any]:
        policy = {"Version": "2012-10-17", "Statement": []}
        return template(Key={"Type": "AWS::KMS::Key", "Properties": {"Description": description, "KeyPolicy": policy}})

    def seconds(begin: str, end: str) -> float:
        events = cloud.api.describe_stack_events(StackName=stack_id)["StackEvents"]
        at = {event["ResourceStatus"]: event["Timestamp"] for event in events if event["LogicalResourceId"] == "Key"}
        return float((at[end] - at[begin]).total_seconds())

    assert cloud.deploy("times", key("first")) == "CREATE_COMPLETE"
    stack_id = cloud.api.describe_stacks(StackName="times")["Stacks"][0]["StackId"]
    assert cloud.deploy("times", key("second"), "again") == "UPDATE_COMPLETE"
    assert cloud.delete("times") == "DELETE_COMPLETE"
    assert 60 <= seconds("UPDATE_IN_PROGRESS", "UPDATE_COMPLETE") < 65
    assert 15 <= seconds("DELETE_IN_PROGRESS", "DELETE_COMPLETE") < 20


def test_a_failed_resource_cancels_its_siblings_and_everything_is_taken_back(
    cloud: Cloud, faults: dict[str, str]
) -> None:
    faults["Bad"] = "No capacity in this zone"
    slow = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {"Version": "2012-10-17"}}}
    wanted = template(
        Good=group(LogGroupName="rolled-back"),
        Bad={
            "Type": "AWS::Logs::QueryDefinition",
            "Properties": {"Name": "bad", "QueryString": "fields @message"},
            "DependsOn": "Good",
        },
        Slow=slow,
        Never={"DependsOn": "Bad"} | GROUP,
    )
    assert cloud.deploy("broken", wanted, Capabilities=["CAPABILITY_IAM"]) == "ROLLBACK_COMPLETE"
    failed = [event for event in cloud.events("broken") if event[1].endswith("FAILED")]
    assert failed == [
        ("Bad", "CREATE_FAILED", "No capacity in this zone"),
        ("Slow", "CREATE_FAILED", "Resource creation cancelled"),
    ]
    assert (
        "broken",
        "ROLLBACK_IN_PROGRESS",
        "The following resource(s) failed to create: [Bad, Slow]. Rollback requested by user.",
    ) in cloud.events("broken")
    assert ("Never", "CREATE_IN_PROGRESS", "") not in cloud.events("broken")
    assert cloud.groups("rolled-back") == {}
    roles = cloud.aws.client("iam").list_roles()["Roles"]
    assert [role["RoleName"] for role in roles if role["RoleName"].startswith("broken")] == []
    with pytest.raises(ClientError, match="is in ROLLBACK_COMPLETE state and can not be updated"):
        cloud.change_set("broken", wanted, "again", "UPDATE", Capabilities=["CAPABILITY_IAM"])


def test_the_error_of_a_service_is_the_reason(cloud: Cloud) -> None:
    cloud.aws.client("logs").create_log_group(logGroupName="taken")
    assert cloud.deploy("conflict", template(Group=group(LogGroupName="taken"))) == "ROLLBACK_COMPLETE"
    (reason,) = [event[2] for event in cloud.events("conflict") if event[1] == "CREATE_FAILED"]
    assert reason.startswith('Resource handler returned message: "The specified log group already exists (Service:')
    assert reason.endswith("HandlerErrorCode: AlreadyExists)")
    assert "taken" in cloud.groups("taken"), "what the stack did not make stays"


POLICY = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}],
}
OWNED = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
            "Action": "kms:*",
            "Resource": "*",
        }
    ],
}


@pytest.mark.parametrize(
    ("type_", "properties", "refused"),
    [
        (
            "AWS::IAM::Role",
            {"AssumeRolePolicyDocument": TRUST, "ManagedPolicyArns": ["arn:aws:iam::aws:policy/ReadOnlyAccess"]},
            "AttachRolePolicy",
        ),
        ("AWS::IAM::ManagedPolicy", {"PolicyDocument": POLICY, "Roles": ["operator"]}, "AttachRolePolicy"),
        ("AWS::IAM::InstanceProfile", {"Roles": ["operator"]}, "AddRoleToInstanceProfile"),
        ("AWS::Logs::LogGroup", {"RetentionInDays": 7}, "PutRetentionPolicy"),
        ("AWS::KMS::Key", {"KeyPolicy": OWNED, "EnableKeyRotation": True}, "EnableKeyRotation"),
        (
            "AWS::Events::Rule",
            {
                "ScheduleExpression": "rate(1 day)",
                "Targets": [{"Id": "notices", "Arn": "arn:aws:sns:us-east-1:123456789012:notices"}],
            },
            "PutTargets",
        ),
    ],
)
@pytest.mark.usefixtures("operator")
def test_what_is_half_made_is_taken_back_too(
    cloud: Cloud, faults: dict[str, str], type_: str, properties: dict[str, Any], refused: str
) -> None:
    before, stack = cloud.everything(), stack_of(type_)
    faults[refused] = "AccessDenied"
    half = template(Half={"Type": type_, "Properties": properties})
    assert cloud.deploy(stack, half, Capabilities=["CAPABILITY_IAM"]) == "ROLLBACK_COMPLETE"
    assert ("Half", "DELETE_COMPLETE", "") in cloud.events(stack)
    assert cloud.everything() == before


@pytest.mark.parametrize(
    ("policy", "left"), [("Retain", {"kept-on-rollback"}), ("RetainExceptOnCreate", set()), ("Delete", set())]
)
def test_only_retain_survives_the_rollback_of_a_creation(
    cloud: Cloud, faults: dict[str, str], policy: str, left: set[str]
) -> None:
    faults["Bad"] = "no"
    wanted = template(
        Kept={**group(LogGroupName="kept-on-rollback"), "DeletionPolicy": policy}, Bad={"DependsOn": "Kept"} | GROUP
    )
    assert cloud.deploy(f"retain-{policy}", wanted) == "ROLLBACK_COMPLETE"
    assert set(cloud.groups("kept-on-rollback")) == left
    for name in left:
        cloud.aws.client("logs").delete_log_group(logGroupName=name)


def test_a_stack_whose_creation_failed_can_be_deleted_by_order(cloud: Cloud, faults: dict[str, str]) -> None:
    faults["Bad"] = "no"
    described = cloud.change_set("vanishing", template(Bad=GROUP), OnStackFailure="DELETE")
    cloud.api.execute_change_set(ChangeSetName=described["ChangeSetId"])
    assert cloud.status(described["StackId"]) == "DELETE_COMPLETE"
    with pytest.raises(ClientError, match="Stack with id vanishing does not exist"):
        cloud.api.describe_stacks(StackName="vanishing")


# --- Updating


def test_an_update_changes_in_place_makes_replaces_and_cleans_up(cloud: Cloud) -> None:
    before = template(
        Changed=group(RetentionInDays=7),
        Replaced=group(LogGroupName="update-old"),
        Removed=group(LogGroupName="update-removed"),
        Same=group(),
    )
    after = template(
        Changed=group(RetentionInDays=14),
        Replaced=group(LogGroupName="update-new"),
        Added=group(LogGroupName={"Fn::Sub": "update-${Replaced}-added"}),
        Same=group(),
    )
    cloud.deploy("update", before)
    described = cloud.change_set("update", after, "second", "UPDATE")
    assert [
        (c["Action"], c["LogicalResourceId"], c.get("Replacement"), c.get("PolicyAction"))
        for c in (change["ResourceChange"] for change in described["Changes"])
    ] == [
        ("Modify", "Changed", "False", None),
        ("Modify", "Replaced", "True", "ReplaceAndDelete"),
        ("Add", "Added", None, None),
        ("Remove", "Removed", None, "Delete"),
    ]
    assert cloud.execute("update", "second") == "UPDATE_COMPLETE"
    ended = cloud.ended("update", since="UPDATE_IN_PROGRESS")
    assert sorted(ended[:2]) == [("Changed", "UPDATE_COMPLETE"), ("Replaced", "UPDATE_COMPLETE")]
    assert ended[2] == ("Added", "CREATE_COMPLETE")
    assert sorted(ended[3:5]) == [("Removed", "DELETE_COMPLETE"), ("Replaced", "DELETE_COMPLETE")]
    assert ended[5:] == [("update", "UPDATE_COMPLETE")]
    assert set(cloud.groups("update-")) - set(cloud.groups("update-Same")) - set(cloud.groups("update-Changed")) == {
        "update-new",
        "update-update-new-added",
    }
    assert list(cloud.groups("update-Changed").values()) == [14]


def test_a_failed_update_returns_to_what_was(cloud: Cloud, faults: dict[str, str]) -> None:
    before = template(
        Changed=group(RetentionInDays=7, LogGroupName="back-changed"), Replaced=group(LogGroupName="back-old")
    )
    after = template(
        Changed=group(RetentionInDays=14, LogGroupName="back-changed"),
        Replaced=group(LogGroupName="back-new"),
        Added=group(LogGroupName="back-added") | {"DependsOn": ["Changed", "Replaced"]},
        Bad={"DependsOn": "Added"} | GROUP,
    )
    cloud.deploy("back", before)
    faults["Bad"] = "no"
    cloud.change_set("back", after, "second", "UPDATE")
    assert cloud.execute("back", "second") == "UPDATE_ROLLBACK_COMPLETE"
    assert cloud.groups("back-") == {"back-changed": 7, "back-old": None}
    events = cloud.events("back", since="UPDATE_ROLLBACK_IN_PROGRESS")
    assert events[0] == (
        "back",
        "UPDATE_ROLLBACK_IN_PROGRESS",
        "The following resource(s) failed to create: [Bad]. ",
    )
    ended = [event[:2] for event in events if not event[1].endswith("IN_PROGRESS")]
    assert sorted(ended[:2]) == [("Changed", "UPDATE_COMPLETE"), ("Replaced", "UPDATE_COMPLETE")]
    assert sorted(ended[2:-1]) == [
        ("Added", "DELETE_COMPLETE"),
        ("Bad", "DELETE_COMPLETE"),
        ("Replaced", "DELETE_COMPLETE"),
    ]
    assert cloud.change_set("back", before, "third", "UPDATE")["StatusReason"].startswith(
        "The submitted information didn't contain changes."
    )


def test_a_rollback_that_fails_can_be_continued(cloud: Cloud, faults: dict[str, str]) -> None:
    before = template(Changed=group(RetentionInDays=7, LogGroupName="stuck"))
    after = template(Changed=group(RetentionInDays=14, LogGroupName="stuck"), Bad={"DependsOn": "Changed"} | GROUP)
    cloud.deploy("stuck", before)
    cloud.change_set("stuck", after, "second", "UPDATE")
    faults["Bad"] = "no"
    logs = cloud.aws.client("logs")

    class Deleting(dict[str, str]):
        """Takes the log group away at the moment at which the update fails."""

        def get(self, key: str, default: Any = None) -> Any:
            if key == "Bad":
                logs.delete_log_group(logGroupName="stuck")
                return "no"
            return default

    orders = cloud.aws.faults
    orders.reasons = Deleting()  # type: ignore[attr-defined]
    try:
        assert cloud.execute("stuck", "second") == "UPDATE_ROLLBACK_FAILED"
    finally:
        orders.reasons = faults  # type: ignore[attr-defined]
    faults.clear()
    logs.create_log_group(logGroupName="stuck")
    cloud.api.continue_update_rollback(StackName="stuck")
    assert cloud.status("stuck") == "UPDATE_ROLLBACK_COMPLETE"
    assert cloud.groups("stuck") == {"stuck": 7}


def test_update_replace_policy_keeps_what_is_replaced(cloud: Cloud) -> None:
    def wanted(name: str) -> dict[str, Any]:
        return template(Group={**group(LogGroupName=name), "UpdateReplacePolicy": "Retain"})

    cloud.deploy("keeping", wanted("keeping-old"))
    assert cloud.deploy("keeping", wanted("keeping-new"), "second") == "UPDATE_COMPLETE"
    assert set(cloud.groups("keeping-")) == {"keeping-old", "keeping-new"}
    assert ("Group", "DELETE_SKIPPED") in cloud.ended("keeping")


def test_a_changed_rule_of_generation_generates_a_new_secret_and_the_same_one_does_not(cloud: Cloud) -> None:
    def wanted(length: int, description: str) -> dict[str, Any]:
        generated = {"PasswordLength": length, "SecretStringTemplate": '{"a": 1}', "GenerateStringKey": "password"}
        properties = {"Name": "made", "Description": description, "GenerateSecretString": generated}
        return template(Secret={"Type": "AWS::SecretsManager::Secret", "Properties": properties})

    def value() -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(
            cloud.aws.client("secretsmanager").get_secret_value(SecretId="made")["SecretString"]
        )
        return answer

    cloud.deploy("generated", wanted(32, "one"))
    first = value()
    assert (first["a"], len(first["password"])) == (1, 32)
    cloud.deploy("generated", wanted(32, "two"), "second")
    assert value() == first
    cloud.deploy("generated", wanted(40, "two"), "third")
    assert len(value()["password"]) == 40


# --- Change sets


def test_an_unknown_outcome_is_conditional(cloud: Cloud) -> None:
    """`Fn::GetAtt` of a modified resource in a property that replaces: CloudFormation does not look ahead."""

    name_by_arn = {"Fn::Select": [6, {"Fn::Split": [":", {"Fn::GetAtt": "Group.Arn"}]}]}

    def wanted(days: int) -> dict[str, Any]:
        return template(
            Group=group(RetentionInDays=days),
            ByAttribute=group(LogGroupName={"Fn::Join": ["-", ["a", name_by_arn]]}),
            ByReference=group(LogGroupName={"Fn::Sub": "${Group}-r"}),
        )

    cloud.deploy("looking", wanted(7))
    changes = [change["ResourceChange"] for change in cloud.change_set("looking", wanted(14), "b", "UPDATE")["Changes"]]
    assert [(change["LogicalResourceId"], change["Replacement"]) for change in changes] == [
        ("Group", "False"),
        ("ByAttribute", "Conditional"),
    ]
    assert changes[1]["Details"] == [
        {
            "Target": {"Attribute": "Properties", "Name": "LogGroupName", "RequiresRecreation": "Always"},
            "Evaluation": "Dynamic",
            "ChangeSource": "ResourceAttribute",
            "CausingEntity": "Group.Arn",
        }
    ]
    assert cloud.execute("looking", "b") == "UPDATE_COMPLETE"
    assert cloud.ended("looking", since="UPDATE_IN_PROGRESS")[:-1] == [("Group", "UPDATE_COMPLETE")]


@pytest.mark.parametrize("repeat", ["the same body", "the previous template", "the previous value"])
def test_no_change_is_a_failed_change_set(cloud: Cloud, repeat: str) -> None:
    wanted = {"Parameters": {"Days": {"Type": "Number", "Default": 7}}} | template(
        Group=group(RetentionInDays={"Ref": "Days"})
    )
    stack = f"same-{repeat.replace(' ', '-')}"
    cloud.deploy(stack, wanted)
    previous = [{"ParameterKey": "Days", "UsePreviousValue": True}]
    described = {
        "the same body": lambda: cloud.change_set(stack, wanted, "b", "UPDATE"),
        "the previous template": lambda: cloud.change_set(stack, None, "b", "UPDATE"),
        "the previous value": lambda: cloud.change_set(stack, wanted, "b", "UPDATE", Parameters=previous),
    }[repeat]()
    assert (described["Status"], described["ExecutionStatus"]) == ("FAILED", "UNAVAILABLE")
    assert described["StatusReason"].startswith("The submitted information didn't contain changes.")
    with pytest.raises(ClientError, match="cannot be executed in its current status of \\[FAILED\\]"):
        cloud.api.execute_change_set(StackName=stack, ChangeSetName="b")


def test_executing_one_change_set_makes_the_others_obsolete(cloud: Cloud) -> None:
    cloud.deploy("race", template(Group=group(RetentionInDays=7)))
    cloud.change_set("race", template(Group=group(RetentionInDays=14)), "b", "UPDATE")
    cloud.change_set("race", template(Group=group(RetentionInDays=30)), "c", "UPDATE")
    cloud.execute("race", "b")
    with pytest.raises(ClientError, match="execution status of \\[OBSOLETE\\]") as refused:
        cloud.api.execute_change_set(StackName="race", ChangeSetName="c")
    assert refused.value.response["Error"]["Code"] == "InvalidChangeSetStatus"


def test_a_repeated_request_is_reported_by_its_token(cloud: Cloud) -> None:
    made = cloud.change_set("token", template(Group=GROUP), "first", ClientToken="mine")
    again = cloud.api.create_change_set(
        StackName="token",
        ChangeSetName="first",
        ChangeSetType="CREATE",
        TemplateBody=json.dumps(template(Group=GROUP)),
        ClientToken="mine",
    )
    assert again["Id"] == made["ChangeSetId"]
    with pytest.raises(ClientError, match="ChangeSet first already exists") as refused:
        cloud.change_set("token", template(Group=GROUP), "first", ClientToken="other")
    assert refused.value.response["Error"]["Code"] == "AlreadyExistsException"
    assert cloud.execute("token", ClientRequestToken="run") == "CREATE_COMPLETE"
    cloud.api.execute_change_set(StackName="token", ChangeSetName="first", ClientRequestToken="run")
    tokens = {e.get("ClientRequestToken") for e in cloud.api.describe_stack_events(StackName="token")["StackEvents"]}
    assert tokens == {None, "run"}


PARAMETERS = {
    "Count": {"Type": "Number", "MinValue": 1, "MaxValue": 5, "Default": 2},
    "Zone": {"Type": "String", "AllowedValues": ["a", "b"], "Default": "a"},
    "Name": {"Type": "String", "AllowedPattern": "[a-z]+", "ConstraintDescription": "Give letters.", "Default": "x"},
    "Vpc": {"Type": "AWS::EC2::VPC::Id", "Default": ""},
}


@pytest.mark.parametrize(
    ("parameter", "value", "message"),
    [
        ("Count", "0", "Parameter 'Count' must be a number not less than 1"),
        ("Count", "six", "Parameter 'Count' must be a number."),
        ("Zone", "c", "Parameter 'Zone' must be one of AllowedValues"),
        ("Name", "A", "Parameter Name failed to satisfy constraint: Give letters."),
        ("Vpc", "vpc-1", "parameter value vpc-1 for parameter name Vpc does not exist"),
        ("Nobody", "1", "Parameters: \\[Nobody\\] do not exist in the template"),
    ],
)
def test_a_parameter_is_refused(cloud: Cloud, parameter: str, value: str, message: str) -> None:
    declared = {name: PARAMETERS[name] for name in (parameter,) if name in PARAMETERS}
    with pytest.raises(ClientError, match=message):
        cloud.change_set(
            "refused",
            {"Parameters": declared} | template(Group=GROUP),
            Parameters=[{"ParameterKey": parameter, "ParameterValue": value}],
        )


def test_a_parameter_without_value_is_refused(cloud: Cloud) -> None:
    with pytest.raises(ClientError, match="Parameters: \\[Needed\\] must have values"):
        cloud.change_set("refused", {"Parameters": {"Needed": {"Type": "String"}}} | template(Group=GROUP))


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (template(Group=group(RetentionInDays=7, Colour="red")), "#: extraneous key \\[Colour\\] is not permitted"),
        (template(P={"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String"}}), "required key \\[Value\\]"),
        (template(Group=group(RetentionInDays=[7])), "#/RetentionInDays: expected type: integer, found: JSONArray"),
        (
            template(Group=GROUP, Other=group(LogGroupName={"Fn::GetAtt": ["Group", "Name"]})),
            "resource Group does not support attribute type Name in Fn::GetAtt",
        ),
        (
            template(B={"Type": "AWS::Backup::BackupVault"}),
            "does not implement the resource type AWS::Backup::BackupVault",
        ),
    ],
)
def test_validation_fails_the_change_set_and_says_why(cloud: Cloud, wanted: dict[str, Any], message: str) -> None:
    described = cloud.change_set(stack_of(message), wanted)
    assert described["Status"] == "FAILED"
    assert "[AWS::EarlyValidation::PropertyValidation]" in described["StatusReason"]
    events = cloud.api.describe_events(ChangeSetName=described["ChangeSetId"])["OperationEvents"]
    (reason,) = [event["ValidationStatusReason"] for event in events]
    assert re.search(message, reason)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (template(A=group(LogGroupName={"Ref": "B"})), "Unresolved resource dependencies \\[B\\]"),
        (
            template(A=group(LogGroupName={"Ref": "B"}), B=group(LogGroupName={"Ref": "A"})),
            "Circular dependency between resources: \\[A, B\\]",
        ),
        ({"Resources": {}}, "At least one Resources member must be defined"),
        (template(Group=GROUP) | {"Extra": 1}, "Invalid template property or properties \\[Extra\\]"),
        (
            template(Group=GROUP)
            | {
                "Parameters": {"A": {"Type": "String", "Default": ""}},
                "Rules": {
                    "Given": {
                        "Assertions": [
                            {
                                "Assert": {"Fn::Not": [{"Fn::Equals": [{"Ref": "A"}, ""]}]},
                                "AssertDescription": "Give A.",
                            }
                        ]
                    }
                },
            },
            "Rule Given: Give A.",
        ),
        (
            template(Role={"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {}}}),
            "Requires capabilities : \\[CAPABILITY_IAM\\]",
        ),
        (template(Group=GROUP) | {"Description": "x" * 51_200}, "Member must have length less than or equal to 51200"),
    ],
)
def test_a_template_is_refused(cloud: Cloud, wanted: dict[str, Any], message: str) -> None:
    with pytest.raises(ClientError, match=message):
        cloud.change_set("refused", wanted)
    with pytest.raises(ClientError, match="does not exist"):
        cloud.api.describe_stacks(StackName="refused")


# --- Tags, deletion, roles, nesting


def test_the_tags_of_a_stack_reach_its_resources_and_change_with_it(cloud: Cloud) -> None:
    own = [{"Key": "own", "Value": "1"}]

    def tags() -> dict[str, str]:
        (name,) = cloud.groups("tagged-")
        answer: dict[str, str] = cloud.aws.client("logs").list_tags_log_group(logGroupName=name)["tags"]
        return answer

    cloud.deploy("tagged", template(Group=group(Tags=own)), Tags=[{"Key": "team", "Value": "a"}])
    assert tags() == {"own": "1", "team": "a"}
    cloud.deploy("tagged", template(Group=group(Tags=own)), "second", Tags=[{"Key": "cost", "Value": "b"}])
    assert tags() == {"own": "1", "cost": "b"}


def test_a_protected_stack_is_not_deleted_and_retained_resources_stay(cloud: Cloud) -> None:
    wanted = template(
        Kept={**group(LogGroupName="left-kept"), "DeletionPolicy": "RetainExceptOnCreate"},
        Gone=group(LogGroupName={"Fn::Sub": "left-${Kept}-gone"}),
    )
    cloud.deploy("leaving", wanted)
    cloud.api.update_termination_protection(StackName="leaving", EnableTerminationProtection=True)
    with pytest.raises(ClientError, match="cannot be deleted while TerminationProtection is enabled"):
        cloud.api.delete_stack(StackName="leaving")
    cloud.api.update_termination_protection(StackName="leaving", EnableTerminationProtection=False)
    stack_id = cloud.api.describe_stacks(StackName="leaving")["Stacks"][0]["StackId"]
    assert cloud.delete("leaving") == "DELETE_COMPLETE"
    assert set(cloud.groups("left-")) == {"left-kept"}
    events = cloud.api.describe_stack_events(StackName=stack_id)["StackEvents"]
    ended = [(e["LogicalResourceId"], e["ResourceStatus"]) for e in reversed(events)][-5:]
    assert ended == [
        ("leaving", "DELETE_IN_PROGRESS"),
        ("Gone", "DELETE_IN_PROGRESS"),
        ("Gone", "DELETE_COMPLETE"),
        ("Kept", "DELETE_SKIPPED"),
        ("leaving", "DELETE_COMPLETE"),
    ]


def test_what_a_resource_needs_goes_although_the_resource_could_not(cloud: Cloud, faults: dict[str, str]) -> None:
    parameter = {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": {"Ref": "Needed"}}}
    cloud.deploy("partly", template(Needed=group(LogGroupName="partly-needed"), Stays=parameter))
    faults["DeleteParameter"] = "AccessDeniedException"
    assert cloud.delete("partly") == "DELETE_FAILED"
    assert cloud.groups("partly-") == {}
    assert cloud.ended("partly", since="DELETE_IN_PROGRESS") == [
        ("Stays", "DELETE_FAILED"),
        ("Needed", "DELETE_COMPLETE"),
        ("partly", "DELETE_FAILED"),
    ]
    del faults["DeleteParameter"]
    assert cloud.delete("partly") == "DELETE_COMPLETE"


def test_a_creation_in_progress_is_given_up_when_the_stack_is_deleted(cloud: Cloud) -> None:
    first, then = group(LogGroupName="early-first"), group(LogGroupName="early-then")
    cloud.change_set("early", template(First=first, Then={**then, "DependsOn": "First"}))
    with cloud.aws.clock.busy():  # time does not run fast
        cloud.api.execute_change_set(StackName="early", ChangeSetName="first")
        begun = ("First", "CREATE_IN_PROGRESS", "Resource creation Initiated")
        until(lambda: begun in cloud.events("early"), "the first resource")
        stack_id = cloud.api.describe_stacks(StackName="early")["Stacks"][0]["StackId"]
        cloud.api.delete_stack(StackName="early")
        assert cloud.api.describe_stacks(StackName="early")["Stacks"][0]["StackStatus"] == "DELETE_IN_PROGRESS"
    assert (cloud.status(stack_id), cloud.groups("early-")) == ("DELETE_COMPLETE", {})
    assert [(name, status) for name, status, _ in cloud.events(stack_id)] == [
        ("early", "REVIEW_IN_PROGRESS"),
        ("early", "CREATE_IN_PROGRESS"),
        ("First", "CREATE_IN_PROGRESS"),
        ("First", "CREATE_IN_PROGRESS"),
        ("early", "DELETE_IN_PROGRESS"),
        ("First", "CREATE_FAILED"),
        ("First", "DELETE_IN_PROGRESS"),
        ("First", "DELETE_COMPLETE"),
        ("early", "DELETE_COMPLETE"),
    ]


def test_an_update_in_progress_is_rolled_back_when_it_is_cancelled(cloud: Cloud) -> None:
    cloud.deploy("undone", template(First=group(LogGroupName="undone-first")))
    first = group(LogGroupName="undone-first", RetentionInDays=7)
    later = {**group(LogGroupName="undone-later"), "DependsOn": "First"}
    cloud.change_set("undone", template(First=first, Later=later), "second", "UPDATE")
    with cloud.aws.clock.busy():  # no time passes
        cloud.api.execute_change_set(StackName="undone", ChangeSetName="second")
        until(lambda: cloud.groups("undone-")["undone-first"] == 7, "the change of the first resource")
        cloud.api.cancel_update_stack(StackName="undone")
        with pytest.raises(ClientError, match="CancelUpdateStack cannot be called from current stack status"):
            cloud.api.cancel_update_stack(StackName="undone")
    assert (cloud.status("undone"), cloud.groups("undone-")) == ("UPDATE_ROLLBACK_COMPLETE", {"undone-first": None})
    events = [(name, status, reason) for name, status, reason in cloud.events("undone") if name == "undone"]
    assert [status for _, status, _ in events][-3:] == [
        "UPDATE_ROLLBACK_IN_PROGRESS",
        "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
        "UPDATE_ROLLBACK_COMPLETE",
    ]


def test_calls_are_made_and_recorded_with_the_service_role(cloud: Cloud) -> None:
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    arn = cloud.aws.client("iam").create_role(RoleName="service", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    cloud.deploy("recorded", template(Group=group(LogGroupName="recorded")), RoleARN=arn)
    made = [line for line in cloud.aws.recorder.entries() if line["operation"] == "CreateLogGroup"]
    assert [(line["caller"], line["role"]) for line in made] == [("cloudformation", arn)]
    assert cloud.api.describe_stacks(StackName="recorded")["Stacks"][0]["RoleARN"] == arn


def test_a_nested_stack_is_waited_for_and_its_failure_is_the_parents(cloud: Cloud, faults: dict[str, str]) -> None:
    s3 = cloud.aws.client("s3")
    s3.create_bucket(Bucket="templates")
    child = template(Inner=group(LogGroupName={"Ref": "Name"})) | {
        "Parameters": {"Name": {"Type": "String"}},
        "Outputs": {"Group": {"Value": {"Ref": "Inner"}}},
    }
    s3.put_object(Bucket="templates", Key="child.json", Body=json.dumps(child))
    url = f"{cloud.aws.endpoint}/templates/child.json"

    def wanted(name: str) -> dict[str, Any]:
        nested = {"TemplateURL": url, "Parameters": {"Name": name}}
        return template(
            Child={"Type": "AWS::CloudFormation::Stack", "Properties": nested},
            Beside=group(LogGroupName={"Fn::Sub": "${Child.Outputs.Group}-beside"}),
        )

    assert cloud.deploy("parent", wanted("nested-one")) == "CREATE_COMPLETE"
    assert set(cloud.groups("nested-")) == {"nested-one", "nested-one-beside"}
    assert cloud.deploy("parent", wanted("nested-two"), "second") == "UPDATE_COMPLETE"
    assert set(cloud.groups("nested-")) == {"nested-two", "nested-two-beside"}
    assert cloud.delete("parent") == "DELETE_COMPLETE"
    assert cloud.groups("nested-") == {}
    faults["Inner"] = "no"
    assert cloud.deploy("parent", wanted("nested-three")) == "ROLLBACK_COMPLETE"
    (reason,) = [event[2] for event in cloud.events("parent") if event[:2] == ("Child", "CREATE_FAILED")]
    assert reason.endswith("was not successfully created: The following resource(s) failed to create: [Inner].")


def test_what_watches_an_application_is_made_changed_retagged_and_deleted(cloud: Cloud) -> None:
    role = "arn:aws:iam::123456789012:role/schedule"
    machine = "arn:aws:states:us-east-1:123456789012:stateMachine:machine"

    def wanted(title: str, threshold: int) -> dict[str, Any]:
        alarm = {
            "AlarmName": "watched-alarm",
            "Namespace": "Benchwright",
            "MetricName": "Verdict",
            "Statistic": "Minimum",
            "Period": 60,
            "EvaluationPeriods": 1,
            "Threshold": threshold,
            "ComparisonOperator": "LessThanThreshold",
        }
        schedule = {
            "Name": "watched-schedule",
            "GroupName": {"Ref": "Group"},
            "ScheduleExpression": "rate(1 day)",
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "Target": {"Arn": machine, "RoleArn": role, "Input": "{}"},
        }
        markdown = f"{title} ${{Alarm.Arn}} ${{!Label}}"
        body = {"Fn::Sub": json.dumps({"widgets": [{"type": "text", "properties": {"markdown": markdown}}]})}
        return template(
            Alarm={"Type": "AWS::CloudWatch::Alarm", "Properties": alarm},
            Dashboard={
                "Type": "AWS::CloudWatch::Dashboard",
                "Properties": {"DashboardName": "watched", "DashboardBody": body},
            },
            Group={"Type": "AWS::Scheduler::ScheduleGroup", "Properties": {"Name": "watched-group"}},
            Schedule={"Type": "AWS::Scheduler::Schedule", "Properties": schedule},
        )

    watch, scheduler = cloud.aws.client("cloudwatch"), cloud.aws.client("scheduler")

    def state() -> Any:
        (alarm,) = watch.describe_alarms(AlarmNames=["watched-alarm"])["MetricAlarms"]
        body = json.loads(watch.get_dashboard(DashboardName="watched")["DashboardBody"])
        tags = {tag["Key"]: tag["Value"] for tag in watch.list_tags_for_resource(ResourceARN=alarm["AlarmArn"])["Tags"]}
        (widget,) = body["widgets"]
        return (
            alarm["Threshold"],
            widget["properties"]["markdown"],
            {key: value for key, value in tags.items() if not key.startswith("aws:")},
        )

    arn = "arn:aws:cloudwatch:us-east-1:123456789012:alarm:watched-alarm"
    assert cloud.deploy("watched", wanted("a", 1), Tags=[{"Key": "team", "Value": "a"}]) == "CREATE_COMPLETE"
    assert state() == (1, f"a {arn} ${{Label}}", {"team": "a"})
    listed = scheduler.list_schedules(GroupName="watched-group")["Schedules"]
    assert [schedule["Name"] for schedule in listed] == ["watched-schedule"]
    changed = cloud.deploy("watched", wanted("b", 2), "second", Tags=[{"Key": "cost", "Value": "b"}])
    assert changed == "UPDATE_COMPLETE"
    assert state() == (2, f"b {arn} ${{Label}}", {"cost": "b"})
    assert cloud.delete("watched") == "DELETE_COMPLETE"
    assert watch.describe_alarms(AlarmNames=["watched-alarm"])["MetricAlarms"] == []
    assert watch.list_dashboards(DashboardNamePrefix="watched").get("DashboardEntries", []) == []
    groups = [group["Name"] for group in scheduler.list_schedule_groups()["ScheduleGroups"]]
    assert "watched-group" not in groups


def test_an_operation_that_is_missing_says_so(cloud: Cloud) -> None:
    with pytest.raises(ClientError, match="does not implement cloudformation:DetectStackDrift"):
        cloud.api.detect_stack_drift(StackName="any")


def test_a_saved_query_is_made_changed_and_deleted(cloud: Cloud) -> None:
    def saved(text: str) -> dict[str, Any]:
        properties = {"Name": "wb/one", "QueryString": text, "LogGroupNames": [{"Ref": "Group"}]}
        query = {"Type": "AWS::Logs::QueryDefinition", "Properties": properties}
        return template(Group=group(LogGroupName="queried"), Query=query)

    def found() -> list[dict[str, Any]]:
        return list(
            cloud.aws.client("logs").describe_query_definitions(queryDefinitionNamePrefix="wb/")["queryDefinitions"]
        )

    assert cloud.deploy("queries", saved("limit 1")) == "CREATE_COMPLETE"
    (made,) = found()
    assert (made["name"], made["queryString"], made["logGroupNames"]) == ("wb/one", "limit 1", ["queried"])
    assert cloud.deploy("queries", saved("limit 2"), "second") == "UPDATE_COMPLETE"
    (changed,) = found()
    assert (changed["queryDefinitionId"], changed["queryString"]) == (made["queryDefinitionId"], "limit 2")
    assert cloud.delete("queries") == "DELETE_COMPLETE"
    assert found() == []
