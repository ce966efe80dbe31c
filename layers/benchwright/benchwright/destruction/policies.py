"""What the template of a foundation says of deletions: from keeping everything to letting it go."""

from __future__ import annotations

import re
from collections.abc import Collection

from benchwright.errors import StackRefused

# Secrets go by a call of their own: CloudFormation deletes them without a recovery window (docs/decisions/0026).
SECRETS = ("DatabaseSecret", "SecureCookieKeySecret")
KEY = "Key"
KEEP, DELETE = "RetainExceptOnCreate", "Delete"
# A resource as the templates of all releases write it: its name, its type, and next what becomes of it.
RESOURCE = re.compile(
    r"^  (\w+):\n    Type: ([\w:]+)\n((?:    [A-Z]\w*: .*\n)*?)    DeletionPolicy: (\w+)\n", re.MULTILINE
)
# Without a change of a resource, CloudFormation takes no change of its policy (user guide, "Update behaviors of stack
# resources"); metadata are such a change, and change nothing of the resource itself.
MARK = "    Metadata: {benchwright: this cluster is being destroyed}\n"
MARKED = "DatabaseCluster"


def letting_go(template: str, kept: Collection[str]) -> str:
    """Return the template in which every resource goes with the stack, but those that are kept.

    Raises StackRefused for a template in which another policy than those two is found, or none.
    """
    found = {match[1]: match[4] for match in RESOURCE.finditer(template)}
    written = len(re.findall(r"^    DeletionPolicy: ", template, re.MULTILINE))
    if not found or len(found) != written or not set(found.values()) <= {KEEP, DELETE} or MARKED not in found:
        raise StackRefused(
            "The template of the foundation's stack is not one of Benchwright's, so what would be deleted with it "
            "is not known. Start a deployment with {} first: it brings the stack to this release."
        )

    def policy(match: re.Match[str]) -> str:
        which = KEEP if match[1] in kept else DELETE
        mark = MARK if match[1] == MARKED and MARK not in template else ""
        return match[0].replace(f"DeletionPolicy: {match[4]}\n", f"DeletionPolicy: {which}\n{mark}")

    return RESOURCE.sub(policy, template)


def is_let_go(template: str, resource: str) -> bool:
    """Return whether a resource goes with the stack."""
    return any(match[1] == resource and match[4] == DELETE for match in RESOURCE.finditer(template))
