"""`make remove-application` where it has nothing to remove; tests/deployment/cluster/test_removal.py has all else."""

import boto3
import pytest
from botocore.stub import Stubber

from watch import removal


def test_without_a_name_nothing_is_removed(capsys: pytest.CaptureFixture[str]) -> None:
    assert removal.main([]) == removal.EXIT_MISUSE
    assert "Give APPLICATION= the name of the application's stack" in capsys.readouterr().err


def test_a_name_that_no_stack_has_is_one_sentence() -> None:
    cloudformation = boto3.client("cloudformation", region_name="eu-west-1")
    wanted = removal.Removal("benchwrigth", _clients={"cloudformation": cloudformation})
    with Stubber(cloudformation) as stubber:
        stubber.add_response("list_stacks", {"StackSummaries": []})
        with pytest.raises(removal.NotRemovedError) as refused:
            wanted.run()
    assert str(refused.value) == (
        "There is no stack benchwrigth in eu-west-1, nor was one in 90 days. Give APPLICATION= the name of the "
        "application's stack, or AWS_REGION= its region."
    )


def test_an_object_that_s3_does_not_delete_is_an_error() -> None:
    """DeleteObjects answers with success, and lists what it refused (S3 API reference)."""
    s3 = boto3.client("s3", region_name="eu-west-1")
    wanted = removal.Removal("benchwright", _clients={"s3": s3})
    with Stubber(s3) as stubber:
        stubber.add_response("list_object_versions", {"Versions": [{"Key": "clusters/a", "VersionId": "1"}]})
        denied = {"Key": "clusters/a", "VersionId": "1", "Code": "AccessDenied", "Message": "a policy of the bucket"}
        stubber.add_response("delete_objects", {"Errors": [denied]})
        with pytest.raises(removal.NotRemovedError) as refused:
            wanted._bucket("bucket")
    assert str(refused.value) == (
        "S3 did not delete 1 objects of the bucket bucket, such as clusters/a: AccessDenied: a policy of the bucket. "
        "Fix what it names, and start again."
    )


def test_what_a_dry_run_left_goes_unless_it_is_of_another_application() -> None:
    cloudformation = boto3.client("cloudformation", region_name="eu-west-1")
    names = ["wb-blue--dry-run-nodes", "wb-b-blue--dry-run-nodes", "wb-blue-nodes", "other--dry-run-nodes"]
    stacks = [
        {"StackName": name, "StackId": f"arn/{name}", "StackStatus": "REVIEW_IN_PROGRESS", "CreationTime": 0}
        for name in names
    ]
    said: list[str] = []
    wanted = removal.Removal("wb", say=said.append, _clients={"cloudformation": cloudformation})
    with Stubber(cloudformation) as stubber:
        stubber.add_response("describe_stacks", {"Stacks": stacks})
        for owner in ("wb", "wb-b"):
            summary = {"ChangeSetId": "arn:aws:cloudformation:eu-west-1:123456789012:changeSet/c/1"}
            stubber.add_response("list_change_sets", {"Summaries": [summary]})
            parameters = [{"ParameterKey": "Application", "ParameterValue": owner}]
            stubber.add_response("describe_change_set", {"Parameters": parameters})
            if owner == "wb":
                stubber.add_response("delete_stack", {}, {"StackName": "arn/wb-blue--dry-run-nodes"})
        wanted._dry_runs()
        stubber.assert_no_pending_responses()
    assert said == ["Removed: the stack wb-blue--dry-run-nodes of a dry run"]
