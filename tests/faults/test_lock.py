"""Many that want one cluster at once: processes with the product's code, and writes as conditional as DynamoDB's."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import pytest

from rehearsal.aws.calls import Call
from rehearsal.aws.clock import Clock
from rehearsal.aws.local_aws import LocalAws

ROOT = Path(__file__).parents[2]
CONTENDERS, ROUNDS = 6, 15
EXECUTION = "arn:aws:states:us-east-1:123456789012:execution:benchwright-deploy"
DEAD = f"{EXECUTION}:dead"


@dataclass
class Contender:
    """The conversation with a process, and the execution that it speaks for."""

    execution: str
    conversation: TextIO

    def say(self, line: str) -> None:
        self.conversation.write(line + "\n")
        self.conversation.flush()

    def hear(self) -> str:
        return self.conversation.readline().strip()


@dataclass
class Arena:
    aws: LocalAws
    contenders: list[Contender]

    def all_at_once(self, action: str, cluster: str) -> list[str]:
        for contender in self.contenders:
            contender.say(f"{action} {cluster} {contender.execution}")
        return [contender.hear() for contender in self.contenders]

    def hold(self, cluster: str, holder: str) -> None:
        item = {"cluster": {"S": cluster}, "holder": {"S": holder}}
        self.aws.client("dynamodb").put_item(TableName="clusters", Item=item)

    def holder(self, cluster: str) -> str | None:
        key = {"cluster": {"S": cluster}}
        item = self.aws.client("dynamodb").get_item(TableName="clusters", Key=key, ConsistentRead=True)["Item"]
        return item["holder"]["S"] if "holder" in item else None


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    before = dict(os.environ)
    aws = LocalAws(Clock(1), tmp_path_factory.mktemp("aws"), modules=())
    aws.start()

    def describe_execution(call: Call) -> dict[str, Any]:
        status = "ABORTED" if call["executionArn"] == DEAD else "RUNNING"
        return {"executionArn": call["executionArn"], "stateMachineArn": EXECUTION, "status": status, "startDate": 0}

    aws.server.add("stepfunctions", "DescribeExecution", describe_execution)
    aws.client("dynamodb").create_table(
        TableName="clusters",
        KeySchema=[{"AttributeName": "cluster", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "cluster", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    environment = before | aws.environment("ResolvePlan") | {"TABLE_NAME": "clusters", "APPLICATION": "benchwright"}
    environment |= {"PYTHONPATH": str(ROOT / "layers/benchwright")}
    ours, theirs = zip(*(socket.socketpair() for _ in range(CONTENDERS)), strict=True)
    descriptors = [each.fileno() for each in theirs]
    command = [sys.executable, str(ROOT / "tests/faults/contender.py"), *map(str, descriptors)]
    with subprocess.Popen(command, env=environment, pass_fds=descriptors) as process:
        for each in theirs:
            each.close()
        contenders = [Contender(f"{EXECUTION}:{number}", each.makefile("rw")) for number, each in enumerate(ours)]
        assert [contender.hear() for contender in contenders] == ["ready"] * CONTENDERS
        yield Arena(aws, contenders)
        for contender, each in zip(contenders, ours, strict=True):
            contender.conversation.close()
            each.close()
        assert process.wait(60) == 0
    aws.stop()
    os.environ.clear()
    os.environ.update(before)


def test_of_many_that_start_together_exactly_one_holds_the_lock(arena: Arena) -> None:
    for number in range(ROUNDS):
        answers = arena.all_at_once("take", f"free-{number}")
        assert sorted(answers) == ["''"] + ["'ClusterLocked'"] * (CONTENDERS - 1)
        assert arena.holder(f"free-{number}") == arena.contenders[answers.index("''")].execution


def test_of_many_that_steal_from_a_dead_execution_exactly_one_holds_the_lock(arena: Arena) -> None:
    for number in range(ROUNDS):
        arena.hold(f"dead-{number}", DEAD)
        answers = arena.all_at_once("take", f"dead-{number}")
        assert sorted(answers) == ["'ClusterLocked'"] * (CONTENDERS - 1) + [repr(DEAD)]
        assert arena.holder(f"dead-{number}") == arena.contenders[answers.index(repr(DEAD))].execution


def test_release_by_one_who_does_not_hold_it_changes_nothing(arena: Arena) -> None:
    arena.hold("held", f"{EXECUTION}:another")
    assert arena.all_at_once("release", "held") == ["False"] * CONTENDERS
    assert arena.holder("held") == f"{EXECUTION}:another"


def test_of_many_that_release_together_the_holder_alone_frees_it(arena: Arena) -> None:
    for number in range(ROUNDS):
        holder = arena.contenders[number % CONTENDERS]
        arena.hold(f"free-again-{number}", holder.execution)
        answers = arena.all_at_once("release", f"free-again-{number}")
        assert answers == ["True" if contender is holder else "False" for contender in arena.contenders]
        assert arena.holder(f"free-again-{number}") is None
