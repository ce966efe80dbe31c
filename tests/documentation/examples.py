"""The inputs that the documents show."""

from __future__ import annotations

from typing import Any

from tests.documentation.pages import PAGES, ROOT, blocks, inline_code

EVENT = ROOT / "events" / "DeployStateMachine.json"


def examples() -> list[tuple[str, str]]:
    """Every input, with its page: blocks of JSON, code in a line that is a JSON object, and the event."""
    found = [(str(EVENT.relative_to(ROOT)), EVENT.read_text(encoding="utf-8"))]
    for path in PAGES:
        text = path.read_text(encoding="utf-8")
        written = [*blocks(text, "json"), *(code for code in inline_code(text) if code.startswith("{"))]
        found += [(str(path.relative_to(ROOT)), example) for example in dict.fromkeys(written)]
    return found


def is_of_verify(example: dict[str, Any]) -> bool:
    """Whether an input is one of `verify` alone, which `deploy` refuses."""
    return bool({"every_cluster", "sessions"} & example.keys())
