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
