"""One secret planted in each place of an account: the search finds it there, and names the place."""

import base64
import io
import json
import math
import os
import shutil
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from rehearsal.aws.clock import Clock
from rehearsal.aws.local_aws import LocalAws
from rehearsal.hosts import logs as hosts_logs
from rehearsal.judges import secrets

VALUE = "kX8mN2pQ4rT6"
ROLE = "arn:aws:iam::123456789012:role/any"
MODULES = ("step_functions", "secretsmanager", "ec2", "ssm", "cloudformation")


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """An account with one secret, and nothing else."""
    with mock.patch.dict(os.environ):
        modules = tuple(f"rehearsal.aws.services.{name}" for name in MODULES)
        local = LocalAws(clock=Clock(math.inf), directory=tmp_path_factory.mktemp("aws"), modules=modules)
        local.start()
        content = json.dumps({"username": "rstudio", "password": VALUE})
        local.client("secretsmanager").create_secret(Name="benchwright/workbench/database", SecretString=content)
        try:
            yield local
        finally:
            local.stop()


def search(
    aws: LocalAws,
    client: secrets.ClientFactory | None = None,
    logs: tuple[Path, ...] = (),
    hosts: Path | None = None,
) -> list[str]:
    findings = secrets.search(secrets.stored(aws.client), secrets.places(client or aws.client, logs, hosts))
    assert findings.checked == 1
    return findings.where


def in_an_execution(aws: LocalAws) -> None:
    states = aws.client("stepfunctions")
    definition = {"StartAt": "Only", "States": {"Only": {"Type": "Succeed"}}}
    arn = states.create_state_machine(name="deploy", definition=json.dumps(definition), roleArn=ROLE)["stateMachineArn"]
    states.start_execution(stateMachineArn=arn, name="first", input=json.dumps({"nested": json.dumps({"p": VALUE})}))


def in_a_log(aws: LocalAws) -> None:
    logs = aws.client("logs")
    logs.create_log_group(logGroupName="/aws/lambda/x")
    logs.create_log_stream(logGroupName="/aws/lambda/x", logStreamName="s")
    event = {"timestamp": int(time.time() * 1000), "message": f"password={VALUE}"}
    logs.put_log_events(logGroupName="/aws/lambda/x", logStreamName="s", logEvents=[event])


def in_a_parameter(aws: LocalAws) -> None:
    aws.client("ssm").put_parameter(Name="/benchwright/p", Value=VALUE, Type="SecureString")


def in_a_stack(aws: LocalAws) -> None:
    template = {
        "Parameters": {"Given": {"Type": "String"}},
        "Resources": {"Store": {"Type": "AWS::S3::Bucket"}},
    }
    stacks = aws.client("cloudformation")
    parameters = [{"ParameterKey": "Given", "ParameterValue": VALUE}]
    stacks.create_stack(StackName="foundation", TemplateBody=json.dumps(template), Parameters=parameters)


def in_a_template(aws: LocalAws) -> None:
    resources = {"Store": {"Type": "AWS::S3::Bucket", "Metadata": {"p": VALUE}}}
    aws.client("cloudformation").create_stack(StackName="nodes", TemplateBody=json.dumps({"Resources": resources}))


def in_a_stack_under_review(aws: LocalAws) -> None:
    aws.client("cloudformation").create_change_set(
        StackName="reviewed",
        ChangeSetName="first",
        ChangeSetType="CREATE",
        TemplateBody=json.dumps({"Resources": {"Store": {"Type": "AWS::S3::Bucket"}}}),
        Tags=[{"Key": "p", "Value": VALUE}],
    )


def in_a_bundle(aws: LocalAws) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        entry = tarfile.TarInfo("files/etc/rstudio/database.conf")
        entry.size = len(VALUE)
        tar.addfile(entry, io.BytesIO(VALUE.encode()))
    aws.client("s3").create_bucket(Bucket="application")
    aws.client("s3").put_object(Bucket="application", Key="bundle.tar.gz", Body=packed.getvalue())


def in_a_table(aws: LocalAws) -> None:
    key: dict[str, Any] = {"AttributeName": "cluster"}
    aws.client("dynamodb").create_table(
        TableName="clusters",
        KeySchema=[key | {"KeyType": "HASH"}],
        AttributeDefinitions=[key | {"AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    item = {"cluster": {"S": "workbench"}, "input": {"M": {"p": {"S": VALUE}}}}
    aws.client("dynamodb").put_item(TableName="clusters", Item=item)


def in_user_data(aws: LocalAws) -> None:
    user_data = base64.b64encode(f"#!/bin/bash\necho {VALUE}".encode()).decode()
    aws.client("ec2").create_launch_template(LaunchTemplateName="nodes", LaunchTemplateData={"UserData": user_data})


@pytest.mark.parametrize(
    ("plant", "place"),
    [
        (in_an_execution, "execution history of first"),
        (in_a_log, "log group /aws/lambda/x"),
        (in_a_parameter, "SSM parameter /benchwright/p"),
        (in_a_stack, "parameters and outputs of stack foundation"),
        (in_a_template, "template of stack nodes"),
        (in_a_stack_under_review, "change set first of stack reviewed"),
        (in_a_bundle, "s3://application/bundle.tar.gz (unpacked)!files/etc/rstudio/database.conf"),
        (in_a_table, "table clusters"),
        (in_user_data, "user data of nodes"),
    ],
)
def test_a_planted_secret_is_found(aws: LocalAws, plant: Callable[[LocalAws], None], place: str) -> None:
    found = f"benchwright/workbench/database (plain) in {place}"
    assert found not in search(aws)
    plant(aws)
    assert found in search(aws)


@pytest.mark.parametrize(
    ("operation", "key", "place"),
    [
        ("list_commands", "Commands", "parameters of command c-1"),
        ("list_command_invocations", "CommandInvocations", "output of command c-1 on i-1"),
    ],
)
def test_a_planted_secret_is_found_in_a_command(aws: LocalAws, operation: str, key: str, place: str) -> None:
    class Commands:
        """Systems Manager with one command more."""

        def __getattr__(self, name: str) -> Any:
            return getattr(aws.client("ssm"), name)

        def can_paginate(self, name: str) -> bool:
            return name != operation and aws.client("ssm").can_paginate(name)

    planted = {
        "CommandId": "c-1",
        "InstanceId": "i-1",
        "CommandPlugins": [{"Output": VALUE}],
        "Parameters": {"a": [VALUE]},
    }
    commands = Commands()
    setattr(commands, operation, lambda **_: {key: [planted]})
    where = search(aws, lambda service: commands if service == "ssm" else aws.client(service))
    assert f"benchwright/workbench/database (plain) in {place}" in where


def test_a_planted_secret_is_found_in_the_log_of_postgres(aws: LocalAws, tmp_path: Path) -> None:
    log = tmp_path / "postgres.log"
    log.write_text(f"LOG:  statement: ALTER ROLE rstudio PASSWORD '{VALUE}'\n")
    assert "benchwright/workbench/database (plain) in log postgres.log" in search(aws, logs=(log,))


@pytest.mark.parametrize("log", ["benchwright/configure.log", "rstudio/rstudio-server/rserver.log"])
def test_a_planted_secret_is_found_in_a_log_of_a_node_that_runs_or_has_ended(
    aws: LocalAws, tmp_path: Path, log: str
) -> None:
    node = tmp_path / hosts_logs.RUNNING / "ip-10-0-1-10"
    file = node / hosts_logs.LOGS / log
    file.parent.mkdir(parents=True)
    file.write_text(f"+ password={VALUE}\n")
    found = "benchwright/workbench/database (plain) in log ip-10-0-1-10{}:/var/log/" + log
    assert found.format("") in search(aws, hosts=tmp_path)
    hosts_logs.keep(node)
    shutil.rmtree(node)
    (kept,) = (tmp_path / hosts_logs.ENDED).iterdir()
    assert found.format(kept.name.removeprefix("ip-10-0-1-10")) in search(aws, hosts=tmp_path)
