"""What functions tell CloudWatch beside their answers: their standard output, as Lambda would read it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "PYTHONPATH": str(ROOT / "layers" / "benchwright"),
    "AWS_DEFAULT_REGION": "us-east-1",
    "APPLICATION": "wb",
    "POWERTOOLS_METRICS_NAMESPACE": "Benchwright",
    "POWERTOOLS_TRACE_DISABLED": "1",
}
EXPLAIN = """
import json, sys, types
from app import handler
context = types.SimpleNamespace(
    function_name="f", memory_limit_in_mb=512, invoked_function_arn="arn", aws_request_id="1", log_stream_name="s"
)
for event in json.load(sys.stdin):
    handler(event, context)
"""


def lines(script: str, function: str, standard_input: object = None) -> list[dict[str, Any]]:
    """What a script writes in the folder of a function; metrics without their time."""
    run = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT / "functions" / function,
        env=ENVIRONMENT | {"POWERTOOLS_SERVICE_NAME": function},
        input=json.dumps(standard_input),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    written = [json.loads(line) for line in run.stdout.splitlines()]
    for line in written:
        line.get("_aws", {}).pop("Timestamp", None)
    return written


def test_a_verdict_is_one_metric_whichever_function_tells_it() -> None:
    script = "from benchwright.observability import tell_verdict; tell_verdict('workbench', verified=True)"
    told = [lines(script, function) for function in ("verify_cluster", "explain_failure")]
    metric = {"Name": "ClusterVerified", "Unit": "Count"}
    declared = {"Namespace": "Benchwright", "Dimensions": [["service", "cluster"]], "Metrics": [metric]}
    values = {"service": "wb", "cluster": "workbench", "ClusterVerified": [1.0]}
    assert [metric for metric, _ in told] == [{"_aws": {"CloudWatchMetrics": [declared]}, **values}] * 2
    assert [log["message"] for _, log in told] == ["cluster is verified"] * 2


def test_a_failure_says_that_the_cluster_is_not_verified_unless_it_changed_nothing() -> None:
    cases = [
        ("workbench", "VerificationFailed"),
        ("big", "States.Timeout"),
        ("", "InvalidInput"),
        ("workbench", "InvalidInput"),
        ("workbench", "ClusterLocked"),
        ("workbench", "LockLost"),
    ]
    cause = json.dumps({"step": "Build image", "cause": "no R"})
    written = lines(
        EXPLAIN,
        "explain_failure",
        [
            {"cluster": cluster, "execution": "arn:execution", "step": "s", "error": error, "cause": cause}
            for cluster, error in cases
        ],
    )
    assert [(line["cluster"], line["ClusterVerified"]) for line in written if "ClusterVerified" in line] == [
        ("workbench", [0.0]),
        ("big", [0.0]),
    ]
    logged = [line for line in written if line.get("message") == "cluster is not verified"]
    assert [(line["cluster"], line["step"], line["error"], line["correlation_id"]) for line in logged] == [
        ("workbench", "Build image", "VerificationFailed", "arn:execution"),
        ("big", "Build image", "States.Timeout", "arn:execution"),
    ]
