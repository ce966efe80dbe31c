"""The judge that is not ours: @cloud-copilot/iam-simulate, as a program of its own.

It is no part of Benchwright: npm installs it for tests alone, and nothing of it is linked or shipped.
"""

import contextlib
import functools
import json
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

PROGRAM: Final = Path(__file__).parent / "simulate.mjs"
TOOLS: Final = Path(__file__).parents[3] / ".tools"
PACKAGE: Final = "@cloud-copilot/iam-simulate"

RESPELT: Final = (
    (re.compile(r"(arn:[a-z-]+:ssm:[a-z0-9-]+:)(:parameter/)"), r"\g<1>000000000000\g<2>"),
    (re.compile(r"kms:EncryptionContext:aws:logs:arn"), "aws:SourceArn"),
)
"""What the simulator cannot read, spelt alike in requests and policies in a way that it can: a public parameter, which
belongs to no account, and an encryption context, whose key has no end that it knows.
"""


class NoSimulatorError(Exception):
    """The simulator is not installed; the message says how it gets there."""


@dataclass(frozen=True)
class Answer:
    """`result` is Allowed, ImplicitlyDenied, ExplicitlyDenied, or Invalid where the request itself cannot be.

    `grants` are the statements that allowed it: the policy's name, empty for one of the resource, and the statement's
    place in it, from 0.
    """

    result: str
    grants: tuple[tuple[str, int], ...]
    why: str


def simulate(
    principals: Mapping[str, Any], authorizations: Sequence[Mapping[str, Any]], tools: Path = TOOLS
) -> list[Answer]:
    """Judge every authorization; the form of both is that of simulate.mjs. Raises NoSimulatorError."""
    node = tools / "bin" / "node"
    if not node.exists() or not (tools / "node_modules" / PACKAGE).is_dir():
        raise NoSimulatorError(f"{PACKAGE} is not there; `make tools` installs it")
    text = json.dumps({"principals": principals, "authorizations": authorizations})
    for unread, spelt in RESPELT:
        text = unread.sub(spelt, text)
    started = _started(node, os.getpid())
    assert started.stdin and started.stdout and started.stderr
    with contextlib.suppress(BrokenPipeError):  # it ended, and has said why
        started.stdin.write(f"{text}\n")
        started.stdin.flush()
    answers = started.stdout.readline()
    if not answers:
        raise RuntimeError(f"the simulator failed: {started.stderr.read()[-2000:]}")
    return [
        Answer(each["result"], tuple((it["policy"], it["statement"] - 1) for it in each["grants"]), each["why"])
        for each in json.loads(answers)
    ]


@functools.cache
def _started(node: Path, _: int) -> subprocess.Popen[str]:
    """The program, once in each process, with which it ends: it takes longer to start than to judge."""
    pipe = subprocess.PIPE
    return subprocess.Popen([node, PROGRAM, node.parents[1]], stdin=pipe, stdout=pipe, stderr=pipe, text=True)
