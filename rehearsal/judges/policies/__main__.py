"""`python -m rehearsal.judges.policies FOLDER`: the verdict on all rehearsals that are recorded below a folder.

What one of them does not use another may: only of all of them is a right that none uses one too many.
"""

import sys
from pathlib import Path

from rehearsal.judges.policies.verdict import complaints, judge


def main(folder: Path) -> int:
    """Print the verdict; 1 where a call was denied or not judged, or a permission is unused."""
    recorded = [file.parent for file in folder.rglob("calls.jsonl") if file.with_name("policies.json").exists()]
    verdict = judge(recorded)
    found = [verdict.not_judged] if verdict.not_judged else verdict.denied + complaints(verdict.unused)
    print(
        *found, f"{verdict.judged} calls of {len(recorded)} rehearsals judged by the policies of their roles", sep="\n"
    )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
