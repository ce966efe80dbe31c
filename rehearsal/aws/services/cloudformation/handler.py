"""What a resource type has to say for itself: how it is made, changed and deleted with ordinary API calls."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from .context import Context, Made, Properties
from .errors import NotRehearsed
from .service_call import call


@dataclass(frozen=True)
class Tagging:
    """How tags are set: the member that names the resource, and the resource's part of its ARN where that names it.

    The resource's part has `{}` for the physical id.
    """

    member: str
    resource: str = ""
    operations: tuple[str, str] = ("TagResource", "UntagResource")
    region: str | None = None


class Handler:
    """One resource type. Subclasses register themselves by `type`."""

    type: ClassVar[str] = ""
    seconds: ClassVar[float] = 2
    """How long AWS takes at least to create one, from CREATE_IN_PROGRESS to CREATE_COMPLETE; an assumption where no
    source is beside it or here.

    Seen in us-east-1 (ADNANFAKHAR4504/rlhf-synth-fixer, archive/cdk-py/Pr2695/lib/PROMPT3.md): VPC 14, subnet 5,
    internet gateway 17, address 18, NAT gateway 96 and 106, route table 12, route 2, its association 2, attachment of a
    gateway 3, security group 10, gateway endpoint 3, role 18, policy 17, bucket 15, table 44, function 8, in a VPC 228,
    permission 2, rule 62, log group 10. Other public logs of CDK since 2022 have at most as much: VPC 12, internet
    gateway 17, route table 11, security group 10, role 17, topic 10 and 11, function 7 and 8, secret 2, parameter 1.
    """
    update_seconds: ClassVar[float | None] = None
    """How long at least to update one; None: as long as to create one, and not above 30, which is an assumption."""
    delete_seconds: ClassVar[float] = 1
    """How long at least to delete one. In that log most took 1 or 2; these did not: role 10 and 12, association of a
    route table 17, rule 32, NAT gateway 48 and 64, function 4 and 9, in a VPC 73 and 104.
    """
    tagging: ClassVar[Tagging | None] = None
    updates: ClassVar[tuple[str, str]] = ("", "")
    """The operation that updates one with its properties, and the member that is the physical id, "" where none is."""
    deletes: ClassVar[tuple[str, ...]] = ()
    """The operation that deletes one, the member that is the physical id ("": none), and properties that it takes."""
    always_updates: ClassVar[bool] = False
    """Whether an update visits it even when its properties are the same (nested stacks)."""

    def __init_subclass__(cls) -> None:
        if cls.type:
            HANDLERS[cls.type] = cls()

    def client(self, context: Context) -> Any:
        """A client of the service that the type names."""
        return context.client(self.type.split("::")[1].lower())

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
        operation, member = self.updates
        if not operation:
            raise NotRehearsed(f"The rehearsal does not implement updates of {self.type}")
        call(self.client(context), operation, new, Tags=None, **({member: physical_id} if member else {}))
        return {}

    def retag(self, context: Context, physical_id: str, new: dict[str, str], removed: list[str]) -> None:
        """Set and remove tags."""
        if self.tagging is None:
            raise NotRehearsed(f"The rehearsal does not implement changed tags of {self.type}")
        its, client = self.tagging, self.client(context)
        _, service, kind = self.type.split("::")
        arn = context.arn(service.lower(), its.resource.format(physical_id), region=its.region)
        named = {its.member: arn if its.resource else physical_id, "ResourceType": kind}
        if new:
            call(client, its.operations[0], {**named, "Tags": new})
        if removed:
            call(client, its.operations[1], {**named, "TagKeys": removed})

    def replaces(self, name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
        """Whether a changed property that replaces `conditionally` does so this time, given all properties."""
        return False

    def delete(self, context: Context, physical_id: str, properties: Properties) -> None:
        """Delete the resource and wait, on the clock, until it is gone."""
        if not self.deletes:
            raise NotRehearsed(f"The rehearsal does not implement the deletion of {self.type}")
        operation, member, *names = self.deletes
        request = {name: properties[name] for name in names if name in properties}
        call(self.client(context), operation, request | ({member: physical_id} if member else {}))


HANDLERS: dict[str, Handler] = {}


def handler(type_: str) -> Handler:
    """The handler of a type, or an error that names it."""
    if type_ not in HANDLERS:
        raise NotRehearsed(f"The rehearsal does not implement the resource type {type_}")
    return HANDLERS[type_]
