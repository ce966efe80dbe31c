"""The events of events/, as `sam local invoke` gives them to the functions of local.yaml, and what they then did.

They are given in the order of their names, which is not that of a deployment, and twice.
"""

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import pytest

from rehearsal import launcher, local_invoke
from rehearsal.application import ROOT
from rehearsal.aws.postgres import DOCKER_HOST
from rehearsal.aws.services.cloudformation.templates import load
from rehearsal.forwarder import Forwarder
from rehearsal.hosts.network import GATEWAY
from tests.deployment.account import Account, new_account
from tests.deployment.emulator import Emulator

CLUSTER: Final = "local"
FUNCTIONS: Final = sorted(
    name
    for name, resource in load((ROOT / "template.yaml").read_text(encoding="utf-8"))["Resources"].items()
    if resource["Type"] == "AWS::Serverless::Function"
)

pytestmark = pytest.mark.root


@dataclass(frozen=True)
class Invoked:
    """What the functions answered, first and then again, and where one can go on asking them."""

    account: Account
    emulators: Mapping[str, Emulator]
    first: dict[str, Any]
    again: dict[str, Any]


@pytest.fixture(scope="module")
def invoked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Invoked]:
    """Here the rehearsal's bridge stands for Docker's: the machine's address as containers see it."""
    directory = tmp_path_factory.mktemp("emulators")
    template = directory / "local.yaml"
    names = {"localhost": "127.0.0.1", DOCKER_HOST: GATEWAY}
    with contextlib.ExitStack() as stack:
        account = stack.enter_context(new_account(tmp_path_factory.mktemp("account"), speed=120, invoked=False))
        database = local_invoke.prepare(account.aws, account.application)
        forwarder = Forwarder(launcher.listening(GATEWAY, local_invoke.database_port()), lambda: database)
        stack.callback(forwarder.stop)
        local_invoke.write_template(account.aws, account.application, template)
        runtime = account.aws.functions.runtime
        emulators = {
            name: stack.enter_context(Emulator(template, name, directory / name, runtime=runtime, names=names))
            for name in FUNCTIONS
        }
        first, again = (
            {name: emulator.invoke(local_invoke.event_of(name)) for name, emulator in emulators.items()}
            for _ in range(2)
        )
        yield Invoked(account, emulators, first, again)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_each_function_answers_its_event_without_error_every_time(invoked: Invoked, function: str) -> None:
    for answer in (invoked.first[function], invoked.again[function]):
        assert "done" in answer, answer
        assert "errorType" not in answer


def test_build_image_starts_a_build(invoked: Invoked) -> None:
    answer = invoked.first["BuildImage"]
    image = answer["build_arn"].split("/", 1)[1]
    assert answer == {
        "done": False,
        "ami": "",
        "build_arn": f"arn:aws:imagebuilder:us-east-1:123456789012:image/{image}",
        "build_state": "",
        "built": False,
        "waiting_for": f"Image Builder: {image} was started",
        "wait_seconds": 90,
        "retired": [],
        "warnings": [],
    }
    found = invoked.account.aws.client("imagebuilder").get_image(imageBuildVersionArn=answer["build_arn"])["image"]
    assert found["name"] == "benchwright-image"
    assert invoked.again["BuildImage"]["build_arn"] == answer["build_arn"]


def test_configure_nodes_publishes_the_configuration(invoked: Invoked) -> None:
    answer = invoked.first["ConfigureNodes"]
    bucket, folder = invoked.account.application.outputs["BucketName"], f"clusters/{CLUSTER}/configuration"

    def published(name: str) -> bytes:
        found: bytes = invoked.account.aws.client("s3").get_object(Bucket=bucket, Key=f"{folder}/{name}")["Body"].read()
        return found

    event = local_invoke.event_of("ConfigureNodes")  # that of DestroyCluster has deleted what was published
    assert invoked.emulators["ConfigureNodes"].invoke(event) == answer
    assert answer == {
        "done": True,
        "waiting_for": "",
        "wait_seconds": 0,
        "configuration": answer["configuration"],
        "node_script": hashlib.sha256(published(f"node-{answer['node_script']}.tar.gz")).hexdigest(),
        "commands": [],
    }
    current = published("current").decode()
    assert current == invoked.again["ConfigureNodes"]["configuration"] == answer["configuration"]


def test_create_database_makes_role_and_database_and_then_leaves_them(invoked: Invoked) -> None:
    (server,) = invoked.account.aws.postgres.values()
    version = server.execute("SHOW server_version")[0][0].split()[0]
    assert invoked.first["CreateDatabase"] == {
        "done": True,
        "role": "created",
        "database": "created",
        "server_version": version,
    }
    assert invoked.again["CreateDatabase"] == {
        **invoked.first["CreateDatabase"],
        "role": "unchanged",
        "database": "unchanged",
    }
    owner = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'rstudio'"
    assert server.execute(owner) == [("rstudio",)]


def test_deploy_stack_makes_change_sets_until_the_foundation_is_what_the_plan_says(invoked: Invoked) -> None:
    stack = f"benchwright-{CLUSTER}-foundation"
    asks = {
        "done": False,
        "waiting_for": f"CloudFormation: what would change in {stack}",
        "wait_seconds": 7,
        "change_set": "",
        "refresh": "",
        "outputs": {},
        "is_protected": True,
    }
    # Between the two the event of ResolvePlan changed the plan.
    assert (invoked.first["DeployStack"], invoked.again["DeployStack"]) == (asks, asks)
    deploy, event = invoked.emulators["DeployStack"], local_invoke.event_of("DeployStack")
    while not (answer := deploy.invoke(event))["done"]:
        assert stack in answer["waiting_for"]
    assert answer["outputs"].keys() == local_invoke.event_of("ConfigureNodes")["foundation"].keys()
    (cluster,) = invoked.account.aws.client("rds").describe_db_clusters()["DBClusters"]
    wanted = local_invoke.event_of("ResolvePlan")["input"]["database"]["max_capacity"]
    assert (cluster["DeletionProtection"], cluster["ServerlessV2ScalingConfiguration"]["MaxCapacity"]) == (True, wanted)


def test_explain_failure_writes_text_for_people(invoked: Invoked) -> None:
    answer = invoked.first["ExplainFailure"]
    assert answer["subject"] == f"Benchwright: {CLUSTER}: ImageBuildFailed in Build image"
    assert answer["text"].startswith("ImageBuildFailed in step 'Build image'\n\nThe image build arn:aws:imagebuilder:")
    assert answer["text"].endswith(f"\nExecution: {local_invoke.event_of('ExplainFailure')['execution']}")
    assert "\nEvidence:\n- log of the build benchwright-image/1.409733403.81569085/1: https://" in answer["text"]


def test_write_report_writes_what_it_says(invoked: Invoked) -> None:
    answer = invoked.first["WriteReport"]
    bucket, _, key = answer["report"]["data"].removeprefix("s3://").partition("/")
    s3 = invoked.account.aws.client("s3")
    report = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    assert (
        report["execution"]["output"]["message"]
        in invoked.account.aws.client("stepfunctions").describe_execution(
            executionArn=local_invoke.event_of("WriteReport")["execution"]
        )["output"]
    )


def test_resolve_plan_records_what_the_event_changes(invoked: Invoked) -> None:
    plan = invoked.first["ResolvePlan"]["plan"]
    assert (plan["cluster"], plan["sources"]["database.max_capacity"]) == (CLUSTER, "input")
    table = invoked.account.application.outputs["TableName"]
    key = {"cluster": {"S": CLUSTER}}
    item = invoked.account.aws.client("dynamodb").get_item(TableName=table, Key=key)["Item"]
    changed = local_invoke.event_of("ResolvePlan")["input"]
    assert json.loads(item["input"]["S"]) == {key: value for key, value in changed.items() if key != "cluster"}
    assert json.loads(item["plan"]["S"])["wanted"] == plan["wanted"]


def test_verify_cluster_finds_that_no_node_is_there_yet(invoked: Invoked) -> None:
    assert invoked.first["VerifyCluster"] == {
        "done": False,
        "waiting_for": "Systems Manager: a node to come online",
        "wait_seconds": 5,
        "needs_lock": False,
        "round": 1,
        "stale": [],
        "questions": None,
        "opening": None,
        "problems": "- reports: no node answers Systems Manager (there is none). Start a deployment with {}: it "
        "replaces a node that never registered, and says how to replace one that stopped reporting.",
        "summary": None,
        "brief": "",
    }


def test_what_is_there_already_is_kept_when_the_cluster_is_made_again(invoked: Invoked) -> None:
    stacks = invoked.account.aws.client("cloudformation").describe_stacks()["Stacks"]
    (server,) = invoked.account.aws.postgres.values()
    made = local_invoke.prepare(invoked.account.aws, invoked.account.application)
    assert made == (server.addresses[0], server.port)
    again = invoked.account.aws.client("cloudformation").describe_stacks()["Stacks"]
    assert [stack["StackId"] for stack in again] == [stack["StackId"] for stack in stacks]
