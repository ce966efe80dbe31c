"""AWS time runs fast while everyone waits, and with the wall while someone works."""

import math
import threading
import time

import pytest

from rehearsal.aws import clock as clock_module
from rehearsal.aws.clock import Clock
from tests.waiting import PATIENCE, until


def elapsed(clock: Clock, began: float) -> float:
    return clock.now() - began


def test_waiting_is_faster_than_the_wall_by_the_speed() -> None:
    clock = Clock(600)
    wall, began = time.monotonic(), clock.now()
    assert clock.wait(60) is False
    passed = elapsed(clock, began)
    assert 60 <= passed <= 600 * (time.monotonic() - wall)
    assert time.monotonic() - wall < 60


def test_time_that_no_one_waits_for_passes_as_on_the_wall() -> None:
    clock = Clock(1000)
    clock.wait(60)
    wall, began = time.monotonic(), clock.now()
    time.sleep(0.2)
    passed = elapsed(clock, began)
    assert 0.2 <= passed <= time.monotonic() - wall


def test_work_is_counted_once_whatever_the_speed() -> None:
    clock = Clock(600)
    with clock.busy():
        wall, began = time.monotonic(), clock.now()
        time.sleep(0.2)
        worked = elapsed(clock, began)
    assert 0.2 <= worked <= time.monotonic() - wall


def test_a_wait_beside_work_lasts_as_long_as_the_wall() -> None:
    clock = Clock(math.inf)
    began = time.monotonic()
    with clock.busy():
        clock.wait(0.2)
    assert time.monotonic() - began >= 0.2


def test_work_of_known_length_holds_no_one_up_until_it_is_over() -> None:
    clock = Clock(math.inf)
    began, woken = clock.now(), list[float]()

    def wait(seconds: float) -> None:
        with clock.busy():  # so that no time passes between its end and the look at the clock
            clock.sleep(seconds)
            woken.append(elapsed(clock, began))

    waiting = [threading.Thread(target=wait, args=(seconds,)) for seconds in (500, 2000)]
    with clock.busy():
        for thread in waiting:
            thread.start()
        until(lambda: len(clock._waiters) == len(waiting), "both to wait")
        with clock.within(1000):
            until(lambda: len(woken) == 1 and elapsed(clock, began) >= 1000, "time to run to the end of the work")
            time.sleep(0.1)
            assert elapsed(clock, began) < 1100
        assert elapsed(clock, began) < 1100
    for thread in waiting:
        thread.join(PATIENCE)
    assert [round(moment, -2) for moment in woken] == [500, 2000]


def test_work_that_takes_longer_than_in_an_account_counts_from_then_on(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(10_000)
    waiter = threading.Thread(target=clock.wait, args=(3000,))
    with clock.busy():
        waiter.start()
        until(lambda: bool(clock._waiters), "someone to wait")
        wall = time.monotonic()
        monkeypatch.setattr(time, "monotonic", lambda: wall)
        began = clock.now()
        with clock.within(1000):
            monkeypatch.setattr(time, "monotonic", lambda: wall + 0.25)
            assert elapsed(clock, began) == pytest.approx(1000.15)
    monkeypatch.undo()
    waiter.join(PATIENCE)


def test_sleep_inside_work_lets_time_run() -> None:
    clock = Clock(math.inf)
    wall, began = time.monotonic(), clock.now()
    with clock.busy():
        clock.sleep(1000)
        slept = elapsed(clock, began)
    assert 1000 <= slept <= 1000 + time.monotonic() - wall
    assert time.monotonic() - wall < 1000


def test_with_infinite_speed_everyone_wakes_at_the_right_time_and_in_order() -> None:
    clock = Clock(math.inf)
    began = clock.now()
    woken: list[tuple[int, int]] = []

    def polls(seconds: int, times: int) -> None:
        for _ in range(times):
            clock.sleep(seconds)
            woken.append((int(elapsed(clock, began) // 10 * 10), seconds))  # the work between takes real time
        clock.release()

    with clock.busy():  # until both have begun: else time may jump before the second
        for seconds, times in ((30, 4), (50, 2)):
            clock.hold()
            threading.Thread(target=polls, args=(seconds, times)).start()
    until(lambda: len(woken) == 6, "six waits to end")
    assert woken == [(30, 30), (50, 50), (60, 30), (90, 30), (100, 50), (120, 30)]


def test_the_speed_can_be_another_for_a_while() -> None:
    clock = Clock(1)
    wall, began = time.monotonic(), clock.now()
    with clock.at_speed(1000):
        clock.wait(300)
        hurried = elapsed(clock, began)
    assert 300 <= hurried <= 1000 * (time.monotonic() - wall)
    assert time.monotonic() - wall < 300
    wall, began = time.monotonic(), clock.now()
    clock.wait(0.1)
    slow = elapsed(clock, began)
    assert 0.1 <= slow <= time.monotonic() - wall


def test_a_waiter_can_be_stopped() -> None:
    clock = Clock(1)
    stop = threading.Event()
    waiter = threading.Thread(target=lambda: results.append(clock.wait(1000, stop.is_set)))
    results: list[bool] = []
    waiter.start()
    stop.set()
    clock.wake()
    waiter.join(PATIENCE)
    assert results == [True]


def test_a_speed_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match=r"speed is 0\.5; it must be at least 1"):
        Clock(0.5)


def test_as_many_machines_work_at_once_as_there_are_processors() -> None:
    clock = Clock(600, processors=2)
    at_once: set[int] = set()
    most: list[int] = []
    two = threading.Barrier(2, timeout=PATIENCE)

    def work(number: int) -> None:
        with clock.busy(), clock.processor():
            at_once.add(number)
            two.wait()
            most.append(len(at_once))
            two.wait()
            at_once.remove(number)

    machines = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    with clock.busy(), clock.processor(), clock.processor():
        for machine in machines:
            machine.start()
        while clock._queued < len(machines):
            time.sleep(0.001)
    for machine in machines:
        machine.join()
    assert (len(most), max(most)) == (len(machines), 2)


def test_time_runs_as_much_slower_as_more_machines_want_to_work_than_can(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else fifty machines that take turns would seem to take twenty-five times as long as two."""
    clock = Clock(math.inf, processors=2)

    def queue() -> None:
        with clock.busy(), clock.processor():
            pass

    machines = [threading.Thread(target=queue) for _ in range(6)]
    with clock.busy(), clock.processor(), clock.processor():
        for machine in machines:
            machine.start()
        while clock._queued < len(machines):
            time.sleep(0.001)
        wall = time.monotonic()
        monkeypatch.setattr(time, "monotonic", lambda: wall)
        began = clock.now()
        monkeypatch.setattr(time, "monotonic", lambda: wall + 60)
        assert elapsed(clock, began) == pytest.approx(15)
        monkeypatch.undo()
    for machine in machines:
        machine.join()


def test_a_machine_that_only_waits_leaves_its_processor_to_another() -> None:
    clock = Clock(math.inf, processors=1)
    order: list[str] = []

    def other() -> None:
        with clock.busy(), clock.processor():
            order.append("other")

    with clock.busy(), clock.processor():
        second = threading.Thread(target=other)
        second.start()
        while not clock._queued:
            time.sleep(0.001)
        order.append("first")
        with clock.no_processor():
            clock.sleep(10)
        order.append("first again")
    second.join()
    assert order == ["first", "other", "first again"]


def test_no_one_jumps_past_who_was_woken_and_has_not_run_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine so loaded that a thread gets its turn long after it was woken."""
    monkeypatch.setattr(clock_module, "QUIET_SECONDS", 0)
    clock = Clock(math.inf)
    began, woken = clock.now(), threading.Event()
    asked: set[int] = set()
    ended: list[float] = []

    def is_woken() -> bool:
        asked.add(threading.get_ident())
        return woken.is_set()

    def wait() -> None:
        with clock.busy():  # so that no time passes between its end and the look at the clock
            clock.sleep(1_000_000, is_woken)
            ended.append(elapsed(clock, began))

    waiting = [threading.Thread(target=wait) for _ in range(20)]
    with clock.busy():
        for thread in waiting:
            thread.start()
        until(lambda: len(asked) == len(waiting), "all to wait")
        woken.set()  # still busy: else the clock may jump before anyone is woken
        clock.wake()
    clock.wait(1000)
    for thread in waiting:
        thread.join(PATIENCE)
    assert len(ended) == len(waiting)
    assert max(ended) < 1000


def test_time_does_not_run_fast_for_who_waits_patiently() -> None:
    """And who does so gets its turn at its moment when time runs fast for another."""
    clock = Clock(math.inf)
    began, turns, ended = clock.now(), list[float](), threading.Event()

    def look() -> None:
        with clock.busy():
            while not clock.sleep(30, ended.is_set, patient=True):
                turns.append(elapsed(clock, began))

    looking = threading.Thread(target=look)
    looking.start()
    until(lambda: bool(clock._waiters), "someone to wait")
    time.sleep(0.05)
    assert elapsed(clock, began) < 10
    clock.wait(100)
    with clock.busy():
        ended.set()
        clock.wake()
    looking.join(PATIENCE)
    assert [round(turn, -1) for turn in turns] == [30, 60, 90]
