"""`python -m tests.rehearsal.policies DIRECTORY…`: the verdict on recorded rehearsals, and on what they never used."""

import sys
from pathlib import Path

from tests.rehearsal.policies.verdict import complaints, judge


def main(directories: list[str]) -> int:
    """Print the verdict; 1 where something was denied or not judged. What is unused is told: others may use it."""
    verdict = judge(map(Path, directories))
    told = [verdict.not_judged] if verdict.not_judged else verdict.denied
    print(*told, f"{verdict.judged} calls judged, {len(verdict.denied)} denied", sep="\n")
    print(*complaints(verdict.unused), sep="\n")
    return 1 if told else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
