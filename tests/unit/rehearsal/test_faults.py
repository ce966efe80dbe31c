"""The grammar of `--fault`, and when a fault happens."""

import pytest

from rehearsal.aws.services.autoscaling.launch_failures import REFUSALS
from rehearsal.aws.services.ec2.node_faults import BEGINNINGS
from rehearsal.faults import GRAMMAR, KINDS, LAUNCHES, NODES, WORDS, Fault, FaultGrammarError, Faults


@pytest.mark.parametrize(
    ("spec", "fault"),
    [
        ("image", Fault("image")),
        ("image:step=Download", Fault("image", None, {"step": "Download"})),
        (
            "stack:resource=DatabaseCluster,reason=No capacity in us-east-1a, try later",
            Fault("stack", None, {"resource": "DatabaseCluster", "reason": "No capacity in us-east-1a, try later"}),
        ),
        ("postgres", Fault("postgres", "refuse")),
        ("postgres:refuse", Fault("postgres", "refuse")),
        ("node", Fault("node", "verify-installation")),
        ("node:ssm-offline", Fault("node", "ssm-offline")),
        ("node:ssm-offline,times=1", Fault("node", "ssm-offline", {}, 1)),
        ("node:ssm-offline:times=2", Fault("node", "ssm-offline", {}, 2)),
    ],
)
def test_a_spec_reads_as_its_fault(spec: str, fault: Fault) -> None:
    assert Fault.parse(spec) == fault


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        (
            "disk",
            "--fault 'disk': there is no kind 'disk'; there are image, stack, change-set, launch, postgres, call, node",
        ),
        ("image:times=0", "--fault 'image:times=0': times='0' is not a number from 1"),
        ("call:service=ssm", "--fault 'call:service=ssm': a call fails with a code, such as code=ThrottlingException"),
        (
            "node:sleepy",
            f"--fault 'node:sleepy': a node has no 'sleepy'; it has {', '.join(NODES)}",
        ),
        (
            "change-set:sleepy",
            "--fault 'change-set:sleepy': a change-set has no 'sleepy'; it has slow, fails, hooks",
        ),
        ("image:=Download", "--fault 'image:=Download': '=Download' has no key before its '='"),
    ],
)
def test_a_wrong_spec_is_refused_with_what_is_right(spec: str, sentence: str) -> None:
    with pytest.raises(FaultGrammarError) as refused:
        Faults([spec])
    assert str(refused.value) == sentence


def begun(specs: list[str]) -> Faults:
    faults = Faults(specs)
    faults.begin()
    return faults


def test_a_fault_happens_where_its_conditions_hold_and_hands_over_the_rest() -> None:
    faults = begun(["stack:resource=Database*,reason=No capacity"])
    assert faults.take("stack", resource="FileSystem", type="AWS::EFS::FileSystem") is None
    assert faults.take("image", step="Download") is None
    assert faults.take("stack", resource="DatabaseCluster") == {
        "word": "",
        "resource": "Database*",
        "reason": "No capacity",
    }


def test_a_word_shows_faults_of_one_kind_apart() -> None:
    faults = begun(["node:ssm-offline"])
    assert faults.take("node:verify-installation") is None
    assert faults.take("node:ssm-offline", instance="i-1") == {"word": "ssm-offline"}


def test_a_fault_happens_again_and_again_unless_it_is_counted() -> None:
    faults = begun(["postgres", "image:times=1"])
    assert [faults.take("postgres") is not None for _ in range(3)] == [True, True, True]
    assert [faults.take("image") is not None for _ in range(3)] == [True, False, False]


def test_after_the_first_execution_nothing_fails_and_what_never_happened_is_named() -> None:
    faults = begun(["postgres", "node:ssm-offline"])
    faults.take("postgres")
    assert faults.end() == ["node:ssm-offline"]
    assert faults.take("postgres") is None


def test_nothing_fails_before_the_first_execution() -> None:
    assert Faults(["stack"]).take("stack", resource="Table") is None


def test_a_fault_happens_in_the_execution_that_it_names() -> None:
    faults = begun(["image:execution=2", "postgres"])
    assert faults.take("image") is None
    assert faults.end() == ["postgres:refuse"]
    faults.begin()
    assert faults.take("postgres") is None
    assert faults.take("image") == {"word": ""}
    assert faults.end() == []


def test_a_fault_that_lasts_is_taken_back_once_when_the_execution_ends() -> None:
    lifted: list[str] = []
    faults = begun(["node"])
    faults.at_end(lambda: lifted.append("i-1"))
    faults.end()
    faults.begin()
    faults.end()
    assert lifted == ["i-1"]


def test_a_fault_that_is_ordered_later_meets_the_next_execution() -> None:
    faults = begun([])
    faults.order("node:hang,node=2")
    assert faults.take("node:hang", node=2) is None
    faults.end()
    faults.begin()
    assert faults.take("node:hang", node=1) is None
    assert faults.take("node:hang", node=2) == {"word": "hang", "node": "2"}


def test_the_help_explains_every_kind_and_every_word_of_it() -> None:
    assert all(f"  {kind} " in GRAMMAR for kind in KINDS)
    assert all(f"  {word} " in GRAMMAR for words in WORDS.values() for word in words)


def test_aws_says_something_of_every_launch_that_fails() -> None:
    assert [*REFUSALS] == [*LAUNCHES]


def test_every_word_of_a_node_begins_somewhere() -> None:
    assert {*BEGINNINGS["boot"], *BEGINNINGS["command"], "ssm-offline"} == set(NODES)
