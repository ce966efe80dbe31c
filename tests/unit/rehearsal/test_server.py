"""The local endpoint: operations that moto lacks, limits that moto does not check, and the record of who called."""

import datetime
import json
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError
from moto.core.responses import ActionResult
from moto.ssm.responses import SimpleSystemManagerResponse
from moto.stepfunctions.parser.models import stepfunctions_parser_backends
from urllib3 import HTTPConnectionPool

from rehearsal.aws import direct
from rehearsal.aws.calls import PROCEED, Call, ServiceError
from rehearsal.aws.clock import Clock
from rehearsal.aws.local_aws import LocalAws
from rehearsal.aws.server import NoFaults
from tests.waiting import PATIENCE, PAUSE

RECIPE = "arn:aws:imagebuilder:us-east-1:123456789012:image-recipe/{}/1.0.0"
CONFIGURATION = "arn:aws:imagebuilder:us-east-1:123456789012:infrastructure-configuration/x"


class OneFault(NoFaults):
    """Throttles the next call of one operation."""

    def __init__(self) -> None:
        self.operation: str | None = None

    def take(self, kind: str, **facts: Any) -> dict[str, Any] | None:
        if kind != "call" or facts["operation"] != self.operation:
            return None
        self.operation = None
        return {"code": "ThrottlingException", "message": "Rate exceeded"}


@pytest.fixture(scope="module", params=["directly", "over HTTP"])
def aws(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[LocalAws]:
    local = LocalAws(Clock(7200), tmp_path_factory.mktemp("aws"), faults=OneFault(), modules=())
    local.start()
    if request.param == "over HTTP":
        del direct.SERVERS[os.getpid(), local.port]
    yield local
    local.stop()


def test_a_call_of_this_process_opens_a_connection_only_over_http(aws: LocalAws) -> None:
    urlopen = HTTPConnectionPool.urlopen
    with mock.patch.object(HTTPConnectionPool, "urlopen", autospec=True, side_effect=urlopen) as connected:
        aws.client("sts").get_caller_identity()
    assert connected.called is not ((os.getpid(), aws.port) in direct.SERVERS)


@pytest.fixture(scope="module")
def role(aws: LocalAws) -> str:
    trust = {"Version": "2012-10-17", "Statement": []}
    made = aws.client("iam").create_role(RoleName="caller", Path="/app/", AssumeRolePolicyDocument=json.dumps(trust))
    return str(made["Role"]["Arn"])


def last(aws: LocalAws) -> dict[str, Any]:
    return list(aws.recorder.entries())[-1]


def test_a_service_that_moto_lacks_is_answered_by_its_model(aws: LocalAws, role: str) -> None:
    def create_image(call: Call) -> dict[str, Any]:
        if "taken" in call["imageRecipeArn"]:
            raise ServiceError("ResourceInUseException", "it is in use")
        return {"imageBuildVersionArn": call["imageRecipeArn"].replace("image-recipe", "image") + "/1"}

    aws.server.add("imagebuilder", "CreateImage", create_image)
    client = aws.client("imagebuilder", role, "BuildImage", "the execution")
    answer = client.create_image(imageRecipeArn=RECIPE.format("r"), infrastructureConfigurationArn=CONFIGURATION)
    assert answer["imageBuildVersionArn"] == "arn:aws:imagebuilder:us-east-1:123456789012:image/r/1.0.0/1"
    with pytest.raises(client.exceptions.ResourceInUseException, match="it is in use"):
        client.create_image(imageRecipeArn=RECIPE.format("taken"), infrastructureConfigurationArn=CONFIGURATION)
    entry = last(aws)
    assert (entry["caller"], entry["role"], entry["execution"]) == ("BuildImage", role, "the execution")
    assert (entry["service"], entry["operation"], entry["outcome"]) == (
        "imagebuilder",
        "CreateImage",
        "ResourceInUseException",
    )


def test_an_operation_can_look_first_and_let_moto_answer(aws: LocalAws, role: str) -> None:
    seen: list[str] = []

    def look(call: Call) -> Any:
        seen.append(call["Name"])
        return PROCEED

    aws.server.add("ssm", "PutParameter", look)

    ssm = aws.client("ssm", role, "cli")
    ssm.put_parameter(Name="/a", Value="1", Type="String")
    assert (seen, ssm.get_parameter(Name="/a")["Parameter"]["Value"]) == (["/a"], "1")


def test_what_the_model_forbids_is_refused_as_aws_words_it(aws: LocalAws, role: str) -> None:
    ssm = aws.client("ssm", role, "cli")
    with pytest.raises(
        ClientError, match=r"ValidationException.*at 'documentFormat' failed.*enum value set: \[YAML, JSON, TEXT\]"
    ):
        ssm.create_document(Name="document", Content="{}", DocumentFormat="XML")
    assert last(aws)["outcome"] == "ValidationException"


def test_s3_is_recorded_too_and_its_keys_are_found_again(aws: LocalAws, role: str) -> None:
    s3 = aws.client("s3", role, "i-0123456789")
    s3.create_bucket(Bucket="bundles")
    s3.put_object(Bucket="bundles", Key="clusters/a b/current", Body=b"hash")
    assert s3.get_object(Bucket="bundles", Key="clusters/a b/current")["Body"].read() == b"hash"
    with pytest.raises(ClientError, match="NoSuchKey"):
        s3.get_object(Bucket="bundles", Key="nothing")
    entry = last(aws)
    assert (entry["caller"], entry["operation"], entry["outcome"]) == ("i-0123456789", "GetObject", "NoSuchKey")
    assert entry["parameters"]["Key"] == "nothing"


def test_a_bucket_that_denies_plain_http_answers(aws: LocalAws, role: str) -> None:
    s3 = aws.client("s3", role, "cli")
    s3.create_bucket(Bucket="guarded")
    s3.put_object(Bucket="guarded", Key="kept", Body=b"kept")
    only_tls = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": "arn:aws:s3:::guarded/*",
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    s3.put_bucket_policy(Bucket="guarded", Policy=json.dumps({"Version": "2012-10-17", "Statement": [only_tls]}))
    assert s3.get_object(Bucket="guarded", Key="kept")["Body"].read() == b"kept"


def test_a_key_that_no_one_registered_goes_by_its_session(aws: LocalAws, role: str) -> None:
    import boto3

    keys = aws.client("sts").assume_role(RoleArn=role, RoleSessionName="i-0abc")["Credentials"]
    boto3.client(
        "sns",
        region_name=aws.region,
        endpoint_url=aws.endpoint,
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    ).list_topics()
    entry = last(aws)
    assert (entry["caller"], entry["role"], entry["operation"]) == ("i-0abc", role, "ListTopics")


def test_a_fault_of_a_call_happens_before_anything_else(aws: LocalAws, role: str) -> None:
    assert isinstance(aws.faults, OneFault)
    aws.faults.operation = "CreateTopic"
    sns = aws.client("sns", role, "cli", attempts=1)
    with pytest.raises(ClientError, match=r"ThrottlingException.*Rate exceeded"):
        sns.create_topic(Name="notices")
    assert last(aws)["outcome"] == "ThrottlingException"
    assert sns.create_topic(Name="notices")["TopicArn"].endswith(":notices")


def test_times_are_the_clocks(aws: LocalAws, role: str) -> None:
    aws.clock.wait(3600)
    before = aws.clock.now()
    aws.client("ssm", role, "cli").put_parameter(Name="/later", Value="1", Type="String")
    after = aws.clock.now()
    modified = aws.client("ssm").get_parameter(Name="/later")["Parameter"]["LastModifiedDate"]
    assert before - 1 <= modified.timestamp() <= after + 1


def test_policies_are_written_with_their_documents(tmp_path: Path) -> None:
    local = LocalAws(Clock(60), tmp_path, modules=())
    local.start()
    iam = local.client("iam")
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}
    trust = {"Version": "2012-10-17", "Statement": []}
    role = iam.create_role(RoleName="reader", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    managed = iam.create_policy(PolicyName="more", PolicyDocument=json.dumps(document))["Policy"]["Arn"]
    iam.put_role_policy(RoleName="reader", PolicyName="read", PolicyDocument=json.dumps(document))
    iam.attach_role_policy(RoleName="reader", PolicyArn=managed)
    local.stop()
    assert json.loads((tmp_path / "policies.json").read_text())[role] == {
        "name": "reader",
        "trust": trust,
        "boundary": None,
        "inline": {"read": document},
        "managed": {managed: document},
    }


class Lost(NoFaults):
    """Every PutParameter is lost, with whoever made it."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.ended: list[str] = []

    def take(self, kind: str, **facts: Any) -> dict[str, Any] | None:
        if kind != "call" or facts["operation"] != "PutParameter":
            return None
        return {"lost": self.what, "with_it": lambda: self.ended.append(facts["caller"])}


@pytest.mark.parametrize(("lost", "parameters"), [("request", []), ("answer", ["/lost/answer"])])
def test_a_connection_breaks_before_or_after_the_call_takes_effect(
    aws: LocalAws, role: str, lost: str, parameters: list[str]
) -> None:
    faults = Lost(lost)
    before, aws.server.faults = aws.server.faults, faults
    client = aws.client("ssm", role, "BuildImage", "the execution", attempts=1)
    with pytest.raises(ConnectionClosedError):
        client.put_parameter(Name=f"/lost/{lost}", Value="x", Type="String")
    aws.server.faults = before
    found = client.get_parameters(Names=[f"/lost/{lost}"])["Parameters"]
    assert ([parameter["Name"] for parameter in found], faults.ended) == (parameters, ["BuildImage"])


def test_moto_answers_one_request_at_a_time(aws: LocalAws, role: str, monkeypatch: pytest.MonkeyPatch) -> None:
    arrived, inside, together = threading.Barrier(2), [0], []

    def meet(_call: Call) -> Any:
        arrived.wait(PATIENCE)
        return PROCEED

    aws.server.add("ssm", "PutParameter", meet)

    def put(_response: Any) -> ActionResult:
        inside[0] += 1
        deadline = time.monotonic() + 1
        while inside[0] < 2 and time.monotonic() < deadline:
            time.sleep(PAUSE)
        together.append(inside[0])
        inside[0] -= 1
        return ActionResult({"Version": 1, "Tier": "Standard"})

    monkeypatch.setattr(SimpleSystemManagerResponse, "put_parameter", put)
    client = aws.client("ssm", role, "BuildImage", "the execution")
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda name: client.put_parameter(Name=name, Value="x", Type="String"), ["/one", "/two"]))
    aws.server.add("ssm", "PutParameter", lambda _call: PROCEED)
    assert together == [1, 1]


def test_a_handler_changes_what_moto_holds_only_under_its_lock(aws: LocalAws) -> None:
    class Backend:
        name = "held by moto"

        def change(self, *values: int, **named: int) -> tuple[Any, ...]:
            return values, named, aws.server.moto_lock._is_owned()  # type: ignore[attr-defined]

    backend = aws.moto_backend({aws.account: {aws.region: Backend()}})
    assert backend.name == "held by moto"
    assert backend.change(1, more=2) == ((1,), {"more": 2}, True)
    assert not aws.server.moto_lock._is_owned()  # type: ignore[attr-defined]


def test_a_refusal_of_moto_out_of_an_added_operation_keeps_its_name(aws: LocalAws, role: str) -> None:
    def describe(call: Call) -> dict[str, Any]:
        backend = stepfunctions_parser_backends[aws.account][aws.region]
        return {"execution": backend.describe_execution(call["executionArn"])}

    aws.server.add("stepfunctions", "DescribeExecution", describe)
    unknown = "arn:aws:states:us-east-1:123456789012:execution:machine:unknown"
    with pytest.raises(ClientError) as refused:
        aws.client("stepfunctions", role, "ResolvePlan").describe_execution(executionArn=unknown)
    assert refused.value.response["Error"]["Code"] == "ExecutionDoesNotExist"


@pytest.mark.parametrize(
    ("call", "minutes", "refusal"),
    [
        ("secretsmanager:list_secrets", -6, "InvalidSignatureException: Signature expired: "),
        ("secretsmanager:list_secrets", 6, "InvalidSignatureException: Signature not yet current: "),
        ("lambda:list_functions", -6, "InvalidSignatureException: Signature expired: "),
        ("sns:list_topics", -6, "SignatureDoesNotMatch: Signature expired: "),
        ("s3:list_buckets", -16, "RequestTimeTooSkewed: The difference between the request time and "),
        ("secretsmanager:list_secrets", -4, ""),
        ("s3:list_buckets", -6, ""),
    ],
)
def test_who_signs_at_another_time_is_refused(aws: LocalAws, role: str, call: str, minutes: int, refusal: str) -> None:
    moment = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=minutes)
    service, operation = call.split(":")
    client = aws.client(service, role, f"a clock {minutes} minutes off")

    def sign(request: Any, **_: Any) -> None:
        request.headers["X-Amz-Date"] = moment.strftime("%Y%m%dT%H%M%SZ")

    client.meta.events.register("before-send", sign)
    try:
        getattr(client, operation)()
        reported = ""
    except ClientError as error:
        reported = f"{error.response['Error']['Code']}: {error.response['Error']['Message']}"
    assert reported.startswith(refusal)
    assert bool(reported) == bool(refusal)
