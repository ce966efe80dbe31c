"""What functions report to CloudWatch beside their answers: their standard output, as Lambda would read it."""

import json
from typing import Any

from tests.unit.benchwright.steps import HANDLE, written_by


def lines(script: str, function: str, standard_input: object = None) -> list[dict[str, Any]]:
    """What a script writes in the folder of a function; metrics without their time."""
    written = [json.loads(line) for line in written_by(script, function, standard_input) if line.startswith("{")]
    for line in written:
        line.get("_aws", {}).pop("Timestamp", None)
    return written


def test_a_verdict_is_one_metric_whichever_function_shows_it() -> None:
    script = "from benchwright.observability import report_verdict; report_verdict('workbench', verified=True)"
    reported = [lines(script, function) for function in ("verify_cluster", "explain_failure")]
    metric = {"Name": "ClusterVerified", "Unit": "Count"}
    declared = {"Namespace": "Benchwright", "Dimensions": [["service", "cluster"]], "Metrics": [metric]}
    values = {"service": "wb", "cluster": "workbench", "ClusterVerified": [1.0]}
    assert [metric for metric, _ in reported] == [{"_aws": {"CloudWatchMetrics": [declared]}, **values}] * 2
    assert [log["message"] for _, log in reported] == ["cluster is verified"] * 2


def test_a_failure_says_that_the_cluster_is_not_verified_unless_it_changed_nothing() -> None:
    cases = [
        ("workbench", "VerificationFailed", False),
        ("big", "States.Timeout", False),
        ("", "InvalidInput", False),
        ("workbench", "InvalidInput", False),
        ("workbench", "ClusterLocked", False),
        ("workbench", "LockLost", False),
        ("workbench", "StackRefused", True),
    ]
    cause = json.dumps({"step": "Build image", "cause": "no R"})
    written = lines(
        HANDLE,
        "explain_failure",
        [
            {"cluster": cluster, "execution": "arn:execution", "step": "s", "error": error, "cause": cause}
            | {"dry_run": dry_run}
            for cluster, error, dry_run in cases
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
