"""What `destroy` takes: every problem at once, and nothing that is not ours."""

from typing import Any

import pytest

from benchwright.destruction.request import Request, check, read
from benchwright.errors import InvalidInput
from benchwright.record import Record
from benchwright.stacks.decision import Stack

OURS = Stack("CREATE_COMPLETE", parameters={"Application": "wb", "Cluster": "blue"})


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"cluster": "blue"}, Request("blue", deletes_data=False, final_snapshot=True)),
        ({"cluster": "blue", "Comment": "of the console"}, Request("blue", deletes_data=False, final_snapshot=True)),
        ({"cluster": "blue", "delete_data": "blue"}, Request("blue", deletes_data=True, final_snapshot=True)),
        (
            {"cluster": "blue", "delete_data": "blue", "final_snapshot": False},
            Request("blue", deletes_data=True, final_snapshot=False),
        ),
    ],
)
def test_an_input_says_what_goes(given: dict[str, Any], wanted: Request) -> None:
    assert read(given) == (wanted, [])


@pytest.mark.parametrize(
    ("given", "lines"),
    [
        ({}, ["cluster: null is refused: it is missing. Give the name of the cluster to destroy."]),
        ({"cluster": "Blue"}, ['cluster: "Blue" is refused: not a cluster name']),
        (
            {"cluster": "blue", "delete_data": "green"},
            ['delete_data: "green" is refused: it does not repeat the name in cluster'],
        ),
        ({"cluster": "blue", "delete_data": True}, ["delete_data: true is refused: it does not repeat the name"]),
        ({"cluster": "blue", "final_snapshot": False}, ["final_snapshot: false is refused: without delete_data"]),
        ({"cluster": "blue", "delete_data": "blue", "final_snapshot": 0}, ["final_snapshot: 0 is refused: it is nei"]),
        (
            {"clutser": "blue", "delete_data": "blue"},
            [
                'clutser: "***" is refused: an unknown key (did you mean cluster?)',
                "cluster: null is refused: it is missing",
                "delete_data: ",
            ],
        ),
    ],
)
def test_every_problem_is_named_at_once(given: dict[str, Any], lines: list[str]) -> None:
    request, problems = read(given)
    with pytest.raises(InvalidInput) as refused:
        check(request, problems, Record(verified=True), {}, "wb")
    said = str(refused.value).splitlines()[1:]
    assert [line[: len(start) + 2] for line, start in zip(said, lines, strict=True)] == [f"- {line}" for line in lines]


def test_an_input_is_an_object() -> None:
    with pytest.raises(InvalidInput, match="must be a JSON object"):
        read(["blue"])


@pytest.mark.parametrize(
    "stack",
    [
        Stack("CREATE_COMPLETE", parameters={"Application": "wb-blue", "Cluster": "x"}),
        Stack("CREATE_COMPLETE"),
        Stack("REVIEW_IN_PROGRESS", reviewed=({"Application": "other", "Cluster": "blue"},)),
    ],
)
def test_a_stack_of_someone_else_is_refused_by_name(stack: Stack) -> None:
    with pytest.raises(InvalidInput, match="the stack wb-blue-foundation is not of this cluster of wb"):
        check(*read({"cluster": "blue"}), Record(verified=True), {"wb-blue-foundation": stack}, "wb")


def test_a_cluster_that_was_never_there_is_refused() -> None:
    with pytest.raises(InvalidInput, match="there is no such cluster"):
        check(*read({"cluster": "blue"}), Record(), {"wb-blue-nodes": None}, "wb")


@pytest.mark.parametrize(("record", "stack"), [(Record(ami="ami-1"), None), (Record(), OURS)])
def test_a_record_or_a_stack_is_enough(record: Record, stack: Stack | None) -> None:
    check(*read({"cluster": "blue"}), record, {"wb-blue-nodes": stack}, "wb")
