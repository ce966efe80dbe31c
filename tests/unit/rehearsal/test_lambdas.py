"""Functions run as Lambda runs them: what they see, how they fail, what they may not do."""

import io
import json
import os
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rehearsal.aws.clock import Clock
from rehearsal.aws.local_aws import LocalAws
from rehearsal.aws.services.lambdas import deployment_packages, execution_environment
from tests.waiting import PATIENCE, until

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="mount namespaces of functions need root: run it with sudo"),
]
CODE = """
import os, socket, time
import shared
print("imported")

def handler(event, context):
    print("event", event["do"])
    return globals()[event["do"]](event, context)

def look(event, context):
    return {
        "shared": shared.VALUE,
        "certificates": open("/opt/python/certificates/bundle.pem").read(),
        "opt": sorted(os.listdir("/opt")),
        "database": socket.gethostbyname("db.example"),
        "temporary": os.listdir("/tmp"),
        "arn": context.invoked_function_arn,
        "variable": os.environ["VARIABLE"],
        "endpoint": os.environ["AWS_ENDPOINT_URL"],
    }

def library(event, context):
    import boto3

def process(event, context):
    time.sleep(event.get("seconds", 0))
    return os.getpid()

def leave(event, context):
    os._exit(3)

def fail(event, context):
    raise KeyError("plan")

def read_only(event, context):
    for folder in ("/opt", os.environ["LAMBDA_TASK_ROOT"]):
        assert os.statvfs(folder).f_flag & os.ST_RDONLY, folder

def fill(event, context):
    memory = bytearray(300 * 2**20)
    memory[::4096] = b"x" * len(memory[::4096])

def much(event, context):
    return "x" * 7_000_000
"""


def archive(files: dict[str, str]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as packed:
        for name, text in files.items():
            packed.writestr(name, text)
    return content.getvalue()


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    modules = ("rehearsal.aws.services.step_functions", "rehearsal.aws.services.lambdas")
    local = LocalAws(Clock(60), tmp_path_factory.mktemp("aws"), modules=modules)
    local.start()
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    role = local.client("iam").create_role(RoleName="function", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    layers = [
        {"python/shared.py": "VALUE = 1", "python/certificates/bundle.pem": "Amazon's"},
        {"python/shared.py": "VALUE = 2", "recipe.yaml": "name: image"},
    ]
    client = local.client("lambda")
    arns = []
    for number, files in enumerate(layers):
        content = {"ZipFile": archive(files)}
        arns.append(client.publish_layer_version(LayerName=f"layer-{number}", Content=content)["LayerVersionArn"])
    subnet, *_ = local.client("ec2").describe_subnets()["Subnets"]
    ours = local.directory / "ours.pem"
    ours.write_text("ours")
    local.binds.append((ours, "python/certificates/bundle.pem"))
    client.create_function(
        FunctionName="app-Look-ABCDEF",
        Runtime="python3.13",
        Role=role,
        Handler="app.handler",
        Code={"ZipFile": archive({"app.py": CODE})},
        Timeout=60,
        MemorySize=256,
        Layers=arns,
        Environment={"Variables": {"VARIABLE": "value"}},
        VpcConfig={"SubnetIds": [subnet["SubnetId"]], "SecurityGroupIds": ["sg-12345678"]},
        LoggingConfig={"LogGroup": "/app/look", "LogFormat": "JSON"},
    )
    client.create_function(
        FunctionName="app-Broken-ABCDEF",
        Runtime="python3.13",
        Role=role,
        Handler="app.handler",
        Code={"ZipFile": archive({"app.py": "import missing_package"})},
    )
    yield local
    local.stop()


def invoke(aws: LocalAws, do: str = "", function: str = "app-Look-ABCDEF", **fields: Any) -> tuple[str | None, Any]:
    answer = aws.client("lambda").invoke(FunctionName=function, Payload=json.dumps({"do": do, **fields}))
    return answer.get("FunctionError"), json.loads(answer["Payload"].read())


def error(aws: LocalAws, do: str = "", **fields: Any) -> tuple[str, str]:
    failed, payload = invoke(aws, do, **fields)
    assert failed == "Unhandled"
    return payload["errorType"], payload["errorMessage"]


def test_a_function_sees_its_layers_in_order_the_names_of_the_network_and_an_empty_tmp(aws: LocalAws) -> None:
    aws.names["db.example"] = "10.9.8.7"
    assert invoke(aws, "look") == (
        None,
        {
            "shared": 2,
            "certificates": "ours",
            "opt": ["python", "recipe.yaml"],
            "database": "10.9.8.7",
            "temporary": [],
            "arn": "arn:aws:lambda:us-east-1:123456789012:function:app-Look-ABCDEF",
            "variable": "value",
            "endpoint": aws.endpoint,
        },
    )


def test_a_name_that_comes_later_is_seen_by_a_process_that_runs(aws: LocalAws) -> None:
    aws.names["db.example"] = "10.9.8.7"
    invoke(aws, "look")
    aws.names["db.example"] = "10.9.8.8"
    assert invoke(aws, "look")[1]["database"] == "10.9.8.8"


def test_a_package_that_no_layer_has_is_missing(aws: LocalAws) -> None:
    assert error(aws, "library") == ("ModuleNotFoundError", "No module named 'boto3'")
    kind, message = error(aws, function="app-Broken-ABCDEF")
    assert (kind, message) == (
        "Runtime.ImportModuleError",
        "Unable to import module 'app': No module named 'missing_package'",
    )


def test_code_and_layers_are_read_only(aws: LocalAws) -> None:
    assert invoke(aws, "read_only") == (None, None)


def test_an_exception_arrives_by_its_class(aws: LocalAws) -> None:
    assert error(aws, "fail") == ("KeyError", "'plan'")


def test_a_process_is_used_again_and_a_second_concurrent_call_gets_its_own(
    aws: LocalAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = invoke(aws, "process")[1]
    assert invoke(aws, "process")[1] == first
    processes: list[int] = []
    both_have_one, run = threading.Barrier(2, timeout=PATIENCE), execution_environment.ExecutionEnvironment.invoke

    def meet(self: Any, *arguments: Any, **named: Any) -> Any:
        both_have_one.wait()
        return run(self, *arguments, **named)

    monkeypatch.setattr(execution_environment.ExecutionEnvironment, "invoke", meet)
    threads = [threading.Thread(target=lambda: processes.append(invoke(aws, "process")[1])) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(processes)) == 2
    assert first in processes


def test_the_first_call_of_a_process_is_a_cold_start_however_early_the_process_began(
    aws: LocalAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execution_environment, "COLD_START_SECONDS", 600)
    aws.client("lambda").update_function_configuration(FunctionName="app-Look-ABCDEF", MemorySize=255)
    times = []
    for _ in range(2):
        began = aws.clock.now()
        assert invoke(aws, "process")[0] is None
        times.append(aws.clock.now() - began)
    assert times[0] >= 600 > times[1]


def test_a_timeout_ends_the_process_and_the_next_call_begins_again(aws: LocalAws) -> None:
    client = aws.client("lambda")
    client.update_function_configuration(FunctionName="app-Look-ABCDEF", Timeout=3)
    before = invoke(aws, "process")[1]
    kind, message = error(aws, "process", seconds=30)
    client.update_function_configuration(FunctionName="app-Look-ABCDEF", Timeout=60)
    assert kind == "Sandbox.Timedout"
    assert message.endswith("Error: Task timed out after 3.00 seconds")
    assert invoke(aws, "process")[1] != before


def test_a_process_that_leaves_is_an_exit_error(aws: LocalAws) -> None:
    kind, message = error(aws, "leave")
    assert kind == "Runtime.ExitError"
    assert message.endswith("Runtime exited with error: exit status 3")


def test_memory_and_response_are_limited(aws: LocalAws) -> None:
    assert error(aws, "fill")[0] == "Runtime.OutOfMemory"
    assert error(aws, "much")[0] == "Function.ResponseSizeTooLarge"


def test_output_goes_to_the_log_group_of_the_template(aws: LocalAws) -> None:
    invoke(aws, "process")
    logs = aws.client("logs")

    def lines() -> list[str]:
        events = logs.filter_log_events(logGroupName="/app/look")["events"]
        return [event["message"].partition("\t")[0].split("RequestId")[0] for event in events]

    until(lambda: "event process" in lines(), "the output of the function")
    assert {"START ", "imported", "event process", "END ", "REPORT "} <= set(lines())


def test_calls_of_a_function_are_its_own_and_belong_to_the_execution(aws: LocalAws) -> None:
    client = aws.client("lambda")
    code = """
import os, urllib.request

def handler(event, context):
    scope = os.environ["AWS_ACCESS_KEY_ID"] + "/20260101/us-east-1/sns/aws4_request"
    headers = {"Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"}
    body = b"Action=ListTopics&Version=2010-03-31"
    return urllib.request.urlopen(urllib.request.Request(os.environ["AWS_ENDPOINT_URL"], body, headers)).status
"""
    role = aws.client("iam").get_role(RoleName="function")["Role"]["Arn"]
    client.create_function(
        FunctionName="app-Caller-ABCDEF",
        Runtime="python3.13",
        Role=role,
        Handler="app.handler",
        Code={"ZipFile": archive({"app.py": code})},
    )
    assert invoke(aws, function="app-Caller-ABCDEF", execution="arn:of:execution") == (None, 200)
    entry = list(aws.recorder.entries())[-1]
    assert (entry["caller"], entry["role"], entry["execution"], entry["operation"]) == (
        "Caller",
        role,
        "arn:of:execution",
        "ListTopics",
    )


def test_new_code_gets_new_processes(aws: LocalAws) -> None:
    client = aws.client("lambda")
    client.update_function_code(
        FunctionName="app-Broken-ABCDEF", ZipFile=archive({"app.py": "def handler(event, context): return 'fixed'"})
    )
    assert invoke(aws, function="app-Broken-ABCDEF") == (None, "fixed")


def test_code_that_no_rehearsal_used_for_a_week_is_forgotten_whatever_other_processes_take_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deployment_packages, "UNPACKED", tmp_path)
    for name, age in {"code-old": deployment_packages.KEPT_SECONDS + 60, "code-new": 60}.items():
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    (tmp_path / "a-gone").symlink_to("nowhere")  # as a folder that goes between the listing and the look
    deployment_packages._forget_what_is_old()
    assert {path.name for path in tmp_path.iterdir()} == {"a-gone", "code-new"}
