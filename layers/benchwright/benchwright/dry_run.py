"""What a dry run says, in the parts that its steps add, and the plan as it travels between them
(docs/decisions/0027).

LZMA is imported where it is used: that AWS's runtime has it is likely, not published, and only dry runs need it.
"""

import base64
from typing import Literal

from pydantic import BaseModel

from benchwright.errors import InvalidInput
from benchwright.models import Plan

# Characters of a plan on its way: the result and the input of a state have at most 256 KiB, with all that is beside it
# (Step Functions developer guide, "Quotas related to state machine executions").
LONGEST = 180_000


class Change(BaseModel):
    """A thing that a deployment would make, change in place, replace or remove.

    kind: a type of CloudFormation, or certificate, database, file, group, image, user. data: what becomes of the old
    one where it is removed or replaced. because: the properties that differ, or why else. may_replace: of a change in
    place, whether CloudFormation decides only while it makes it that it replaces.
    """

    action: Literal["create", "change", "replace", "remove"]
    kind: str
    name: str
    data: Literal["", "kept", "lost"] = ""
    because: list[str] = []
    may_replace: bool = False


class Step(BaseModel):
    """What one step of a deployment would do. omitted: by kind, how many changes are too many to be listed. minutes:
    about how long it takes; 0 where that is seconds.
    """

    step: str
    sentences: list[str]
    changes: list[Change] = []
    omitted: dict[str, int] = {}
    minutes: int = 0


def counted(number: int, what: str) -> str:
    """Return how many there are of a thing, in words: 1 node, 2 nodes."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def pack(plan: Plan) -> str:
    """Return a plan as a text that a state passes on. Raises InvalidInput where it is too long for that.

    LZMA finds again what a plan says of a user in several places; to gzip they are too far apart.
    """
    import lzma  # noqa: PLC0415

    text = base64.b64encode(lzma.compress(plan.model_dump_json().encode())).decode()
    if len(text) > LONGEST:
        raise InvalidInput(
            f"The plan of the cluster {plan.cluster} has {len(text):,} characters when it is compressed, and a dry run "
            f"passes on at most {LONGEST:,} between its states. A deployment takes it: start that without dry_run."
        )
    return text


def unpack(text: str) -> Plan:
    """Return the plan that `pack` packed."""
    import lzma  # noqa: PLC0415

    return Plan.model_validate_json(lzma.decompress(base64.b64decode(text)))
