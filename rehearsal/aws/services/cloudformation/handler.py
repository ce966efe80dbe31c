"""What a resource type has to say for itself: how it is made, changed and deleted with ordinary API calls."""

import re
import secrets
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

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


class Handler:
    """One resource type. Subclasses register themselves by `type`."""

    type: ClassVar[str] = ""
    seconds: ClassVar[float] = 2
    """How long AWS takes at least to create one, and to update it."""
    always_updates: ClassVar[bool] = False
    """Whether an update visits it even when its properties are the same (nested stacks)."""

    def __init_subclass__(cls) -> None:
        if cls.type:
            HANDLERS[cls.type] = cls()

    def taken(self, aws: Any, properties: Mapping[str, Any]) -> str:
        """The name in the properties of a new resource, where another resource has it; else nothing. AWS looks for
        every type; here those do that retain what has a name."""
        return ""

    def create(self, context: Context, properties: Properties) -> Made:
        """Make the resource; may return before it is usable."""
        raise NotRehearsed(f"The rehearsal does not implement the creation of {self.type}")

    def ready(self, context: Context, physical_id: str, properties: Properties) -> dict[str, Any]:
        """Wait, on the clock, until the created or updated resource is usable; return attributes known only now."""
        return {}

    def update(self, context: Context, physical_id: str, old: Properties, new: Properties) -> dict[str, Any]:
        """Change the resource in place; return the attributes that changed with it."""
        raise NotRehearsed(f"The rehearsal does not implement updates of {self.type}")

    def retag(self, context: Context, physical_id: str, new: dict[str, str], removed: list[str]) -> None:
        """Set and remove tags."""
        raise NotRehearsed(f"The rehearsal does not implement changed tags of {self.type}")

    def replaces(self, name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
        """Whether a changed property that replaces `conditionally` does so this time, given all properties."""
        return False

    def delete(self, context: Context, physical_id: str, properties: Properties) -> None:
        """Delete the resource and wait, on the clock, until it is gone."""
        raise NotRehearsed(f"The rehearsal does not implement the deletion of {self.type}")


HANDLERS: dict[str, Handler] = {}


def handler(type_: str) -> Handler:
    """The handler of a type, or an error that names it."""
    if type_ not in HANDLERS:
        raise NotRehearsed(f"The rehearsal does not implement the resource type {type_}")
    return HANDLERS[type_]
