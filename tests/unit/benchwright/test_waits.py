"""How long a step waits before its next look."""

from benchwright.waits import WAITS, Waits
from tests.workflow.test_graph import MACHINES, limits


def test_waits_begin_short_and_grow_to_the_longest() -> None:
    waits, seconds = Waits(5, 4, 20), [0]
    for _ in range(6):
        seconds.append(waits.after(seconds[-1]))
    assert seconds == [0, 5, 9, 13, 17, 20, 20]


def test_each_loop_has_its_waits_but_that_of_the_image() -> None:
    assert WAITS.keys() | {"Build image"} == {step for machine in MACHINES for step in limits(machine)}


def test_waits_do_not_grow_while_they_are_steady() -> None:
    waits = Waits(5, 4, 20, steady=60)
    assert [waits.after(0), waits.after(5, 5), waits.after(5, 59), waits.after(5, 60)] == [5, 5, 5, 9]
