"""What people read of a node that is replaced, or of none."""

from benchwright.healing.decision import Decision
from benchwright.healing.messages import none_answers, replaced

LONG = "c" * 20


def test_who_is_replaced_and_why_stands_first() -> None:
    message = replaced(LONG, Decision("replace", ("i-b", "i-c"), instance="i-b"), ["i-a"])
    assert message.subject == f"Benchwright: {LONG}: node i-b is replaced"
    first, *rest = message.text.splitlines()
    assert first == (
        f"Workbench on the node i-b of the cluster {LONG} has not answered for 15 minutes, while it answers on i-a. So "
        "Auto Scaling replaces the node: it leaves, and a new one comes and configures itself, which takes about a "
        "quarter of an hour."
    )
    assert rest == [
        "",
        "Sessions that still ran on the node end. Home directories, shared files and the database are not on it.",
        "These do not answer either, and wait for their turn: i-c.",
        "",
        "Why it did not answer: the logs of the node, i-b, in the log groups of the application.",
        "To have no node replaced by itself, deploy the application with the parameter HealScheduleState=DISABLED.",
    ]


def test_that_none_is_replaced_says_where_to_look() -> None:
    message = none_answers("blue", Decision("none answers", ("i-a", "i-b")))
    assert message.subject == "Benchwright: blue: no node answers, and none is replaced"
    assert message.text.splitlines()[0] == (
        "Workbench does not answer on any node of the cluster blue; for 15 minutes not on i-a, i-b. None of them is "
        "replaced: what all nodes lack, a new one would lack, too."
    )
    assert message.text.splitlines()[-1].startswith('Next: start `verify` with {"cluster": "blue"}.')


def test_subjects_fit_into_what_sns_allows() -> None:
    instance = f"i-{'0' * 17}"
    for message in (
        replaced(LONG, Decision("replace", (instance,), instance=instance), []),
        none_answers(LONG, Decision("none answers", (instance,))),
    ):
        assert len(message.subject) < 100
        assert message.subject.isascii()
