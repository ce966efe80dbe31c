"""A number that `make bench` prints: what of, from where, its goal, and what it was in the last release."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RELEASE = Path(__file__).with_name("release.json")
"""The numbers of the last release."""


@dataclass(frozen=True)
class Number:
    """source: a measurement, or what it is reckoned from. goal: what it is to be at most, or `at_least`."""

    name: str
    value: float
    unit: str
    source: str
    goal: float | None = None
    at_least: bool = False

    @property
    def is_met(self) -> bool | None:
        """None without a goal."""
        if self.goal is None:
            return None
        return self.value >= self.goal if self.at_least else self.value <= self.goal

    @property
    def shown_goal(self) -> str:
        return "" if self.goal is None else f"{'≥' if self.at_least else '≤'} {shown(self.goal)}"


def shown(value: float) -> str:
    """Three or four digits."""
    if float(value).is_integer() or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4f}" if abs(value) < 0.1 else f"{value:.2f}" if abs(value) < 100 else f"{value:.1f}"


def verdict(number: Number) -> str:
    return {None: "", True: "met", False: "missed"}[number.is_met]


def change(number: Number, before: Mapping[str, float]) -> str:
    """In per cent of the last release; empty where it had no such number."""
    last = before.get(number.name)
    if not last:
        return "" if last is None else "="
    return f"{100 * (number.value - last) / last:+.0f} %"


def last_release(path: Path = RELEASE) -> dict[str, Any]:
    """The release, and its `numbers`: value, unit, source, goal of each by its name."""
    read: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return read


def document(numbers: Iterable[Number], release: str) -> dict[str, Any]:
    """What report.json and the file of a release hold."""
    return {
        "release": release,
        "numbers": {
            each.name: {
                "value": round(each.value, 6),
                "unit": each.unit,
                "goal": each.shown_goal,
                "verdict": verdict(each),
                "source": each.source,
            }
            for each in numbers
        },
    }
