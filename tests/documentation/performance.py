"""What docs/performance.md has from the numbers of the last release."""

from __future__ import annotations

from benchwright import prices
from tests.documentation.costs import GIGABYTES, RUNS, SECOND_PER_INVOCATION
from tests.documentation.pages import table
from tests.performance.numbers import last_release, shown

WHOLE_PROCESSOR = 1769  # MB: docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
MEMORY = (512, 1024, WHOLE_PROCESSOR)  # MB


def numbers_table() -> str:
    """Every number of the last release, with its goal."""
    release = last_release()
    rows = [
        [name, f"{shown(each['value'])} {each['unit']}".strip(), each["goal"], each["verdict"], each["source"]]
        for name, each in release["numbers"].items()
    ]
    return table(["number", f"release {release['release']}", "goal", "", "from"], rows)


def memory_table() -> str:
    """What a cold start takes, and functions of a first deployment cost, by their memory."""
    numbers = last_release()["numbers"].items()
    imports = [each["value"] for name, each in numbers if name.startswith("import of ") and each["unit"] == "ms"]
    slowest, invocations = max(imports, default=0.0) / 1000, RUNS[0].invocations
    rows = []
    for memory in MEMORY:
        share = memory / WHOLE_PROCESSOR
        cost = invocations * (SECOND_PER_INVOCATION * memory / 1024 * prices.LAMBDA_GB_SECOND + prices.LAMBDA_REQUEST)
        shown_memory = f"**{memory:,} MB**" if memory == GIGABYTES * 1024 else f"{memory:,} MB"
        rows.append(
            [shown_memory, f"{share:.2f}", f"{slowest:.2f} / {share:.2f} = {slowest / share:.2f} s", f"{cost:.4f}"]
        )
    return table(["memory", "processors", "slowest cold start", "functions of a first deployment, USD"], rows)
