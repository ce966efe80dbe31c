"""What the SSM agent keeps of the output of a step, by the cases of the agent's own tests (iohandler_test.go)."""

import pytest

from rehearsal.aws.services.ssm import agent_output

LONG = "This is a sample text. " * 60
CAPACITY = 100


@pytest.mark.parametrize(
    ("stdout", "stderr", "kept"),
    [
        ("", "", ""),
        ("sample output", "", "sample output"),
        ("", "sample error", "\n----------ERROR-------\nsample error"),
        ("sample output", "sample error", "sample output\n----------ERROR-------\nsample error"),
        (LONG, "", f"{LONG[:77]}\n---Output truncated---"),
        ("", LONG, f"\n----------ERROR-------\n{LONG[:53]}\n---Error truncated----"),
        (
            LONG,
            LONG,
            "This is a sampl\n---Output truncated---\n----------ERROR-------\nThis is a sampl\n---Error truncated----",
        ),
        ("o" * 38, "e" * 300, f"{'o' * 38}\n----------ERROR-------\n{'e' * 15}\n---Error truncated----"),
        ("o" * 300, "e" * 38, f"{'o' * 15}\n---Output truncated---\n----------ERROR-------\n{'e' * 38}"),
    ],
)
def test_both_streams_share_the_room(stdout: str, stderr: str, kept: str) -> None:
    assert agent_output.both(stdout, stderr, CAPACITY) == kept


def test_bytes_are_cut_not_characters() -> None:
    assert agent_output.both("é" * 100, "", CAPACITY) == f"{'é' * 38}\ufffd\n---Output truncated---"
    assert agent_output.standard_output("é" * 12_000) == f"{'é' * 11_990}--output truncated--"


def test_each_stream_has_its_own_limit_where_it_is_read_alone() -> None:
    assert agent_output.standard_output("o" * 23_999) == "o" * 23_999
    assert agent_output.standard_output("o" * 24_000) == f"{'o' * 23_980}--output truncated--"
    assert agent_output.standard_error("e" * 9_000) == "e" * 8_000
