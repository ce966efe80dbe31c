"""What a handler gets and returns: the stack and its clients, properties, and the resource that exists."""

import re
import secrets
import string
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .errors import Cancelled, NotRehearsed, ResourceFailed
from .model import Stack

if TYPE_CHECKING:
    from .engine import Engine


SUFFIX = 12
"""Random characters at the end of a generated name."""


@dataclass(frozen=True)
class Made:
    """A resource that exists: its physical id, which `Ref` answers, and what `Fn::GetAtt` can ask."""

    physical_id: str
    attributes: dict[str, Any] = field(default_factory=dict)


class Properties(dict[str, Any]):
    """Properties that remember which of them were read, so that none is dropped unnoticed."""

    def __init__(self, values: dict[str, Any]) -> None:
        super().__init__(values)
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        self.read.add(name)
        return super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        self.read.add(str(name))
        return super().__contains__(name)

    def get(self, name: str, default: Any = None) -> Any:
        self.read.add(name)
        return super().get(name, default)

    def check(self, type_: str, names: set[str]) -> None:
        """Fail by name on a property that the handler did not look at."""
        unread = sorted(names - self.read)
        if unread:
            raise NotRehearsed(f"The rehearsal does not implement {', '.join(unread)} of {type_}")


@dataclass
class Context:
    """Where a handler works: the stack, its clients, and the clock."""

    engine: "Engine"
    stack: Stack
    logical_id: str
    cancelled: Callable[[], bool] = lambda: False
    snapshot: bool = False
    """Whether the deletion is to leave a snapshot behind (DeletionPolicy Snapshot)."""
    identify: Callable[[str], None] = lambda physical_id: None
    """Report the physical id of what exists now, where more calls follow: a rollback deletes what is half made."""

    def client(self, service: str) -> Any:
        """A boto3 client with the keys of the stack's service role, or of who began the operation."""
        return self.engine.client(self.stack, service)

    @property
    def aws(self) -> Any:
        return self.engine.aws

    @property
    def account(self) -> str:
        return str(self.engine.aws.account)

    @property
    def region(self) -> str:
        return str(self.engine.aws.region)

    def arn(self, service: str, resource: str, *, region: str | None = None) -> str:
        """An ARN of this account and, unless said otherwise, region."""
        return f"arn:aws:{service}:{self.region if region is None else region}:{self.account}:{resource}"

    def name(self, longest: int = 64, *, lower: bool = False) -> str:
        """A physical name as CloudFormation generates it: stack, logical id and twelve random characters."""
        suffix = "".join(secrets.choice(string.ascii_uppercase + string.digits) for _ in range(SUFFIX))
        name = generated_name(self.stack.name, self.logical_id, suffix, longest)
        return name.lower() if lower else name

    def wait(self, seconds: float) -> None:
        """Let AWS time pass; a sibling's failure breaks it off."""
        if self.cancelled() or self.engine.aws.clock.sleep(seconds, self.cancelled):
            raise Cancelled

    def until(self, question: Callable[[], Any], *, within: float, every: float = 5, what: str) -> Any:
        """Ask again and again, on the clock, until the answer is true; fail after `within` seconds of AWS time."""
        end = self.engine.aws.clock.now() + within
        while not (answer := question()):
            if self.engine.aws.clock.now() >= end:
                raise ResourceFailed(f"Exceeded attempts to wait: {what} did not stabilize within {within:.0f} seconds")
            self.wait(every)
        return answer


def generated_name(stack: str, logical_id: str, suffix: str, longest: int) -> str:
    """The name of a resource that its template does not name.

    Stack and logical id share the room; what one of them leaves, the other has. Source: IdentifierUtils of
    https://github.com/aws-cloudformation/cloudformation-cli-java-plugin. Older handlers cut too, by a rule that is not
    published.
    """
    stack = re.sub("-{2,}", "-", stack.lstrip("-"))
    room = longest - len(suffix) - 2
    of_stack = min(len(stack), max(room - room // 2, room - len(logical_id)))
    of_logical_id = min(len(logical_id), room - of_stack)
    return f"{stack[:of_stack]}-{logical_id[:of_logical_id]}-{suffix}"
