"""The profiles of how long AWS takes."""

import importlib

import pytest

from rehearsal.aws import durations
from rehearsal.aws.services import efs
from tests.faults.times import SHORT


def usual(profile: durations.Durations) -> dict[str, dict[str, float]]:
    return {name: {key: getattr(importlib.import_module(name), key) for key in profile[name]} for name in profile}


def test_the_slowest_are_longer_than_the_usual_and_the_shortest_shorter() -> None:
    for profile, sign in ((durations.SLOW, 1), (SHORT, -1)):
        was = usual(profile)
        assert all(
            sign * (seconds - was[name][key]) > 0 for name, found in profile.items() for key, seconds in found.items()
        )


def test_they_last_as_long_as_asked() -> None:
    before = efs.MOUNT_TARGET_SECONDS
    with durations.during(durations.SLOW):
        assert usual(durations.SLOW) == durations.SLOW
        assert before < efs.MOUNT_TARGET_SECONDS
    assert before == efs.MOUNT_TARGET_SECONDS


def test_a_constant_that_is_gone_is_named() -> None:
    with pytest.raises(AttributeError, match="GONE_SECONDS"):
        durations.change({"rehearsal.aws.services.efs": {"GONE_SECONDS": 1}})
