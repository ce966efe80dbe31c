"""What a dry run said against what the deployment of the same input then did, as the rehearsal's AWS has it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

ON_NODE: Final = """
for path in $(find /etc/rstudio /etc/pip.conf /etc/pam.d/rstudio-session /etc/sssd /etc/systemd/system/*/benchwright-* \
  /var/lib/rstudio-server/benchwright.lic /var/lib/benchwright/license-server -type f 2>/dev/null); do
  echo "file $path $(sha256sum <"$path" | cut -c 1-20)"
done
cd /var/lib/benchwright
names() { cut -d' ' -f1 "$@" | sort -u; }
for name in $(names users.list locked.list); do echo "user $name $(getent shadow "$name" | cut -d: -f2,8)"; done
for name in $(names groups.list emptied.list); do echo "group $name $(getent group "$name" | cut -d: -f3,4)"; done
for name in rstudio-server rstudio-launcher; do echo "service $name $(systemctl show -p MainPID --value $name)"; done
"""
"""Prints a line for each thing of a node that a configuration changes: kind, name, state."""
RESTARTED: Final = {"restarts": {"rstudio-server"}, "restart": {"rstudio-server", "rstudio-launcher"}}
"""Which services a sentence of the step Configure nodes means, by its first verb."""


@dataclass(frozen=True)
class Seen:
    """What a deployment can change, by name: resources of stacks as change sets name them, nodes, images.

    resources: the physical ids, by the id of the stack and the logical id. on_nodes: what nodes print, by instance.
    """

    change_sets: frozenset[str]
    stacks: frozenset[str]
    resources: Mapping[tuple[str, str], str]
    nodes: frozenset[str]
    images: frozenset[str]
    certificates: int
    on_nodes: Mapping[str, frozenset[str]]

    @classmethod
    def of(cls, aws: Any, application: str, on_nodes: Mapping[str, frozenset[str]]) -> "Seen":
        stacks = _stacks(aws, application)
        tagged = [{"Name": "tag-key", "Values": ["aws:autoscaling:groupName"]}]
        reservations = aws.client("ec2").describe_instances(Filters=tagged)["Reservations"]
        instances = [instance for reservation in reservations for instance in reservation["Instances"]]
        images = aws.client("ec2").describe_images(Owners=["self"])["Images"]
        return cls(
            frozenset(each.id for stack in stacks for each in stack.change_sets),
            frozenset(stack.id for stack in stacks if stack.status != "DELETE_COMPLETE"),
            {(stack.id, name): each.physical_id for stack in stacks for name, each in stack.resources.items()},
            frozenset(each["InstanceId"] for each in instances if each["State"]["Name"] in ("pending", "running")),
            frozenset(image["ImageId"] for image in images),
            len(aws.client("acm").list_certificates()["CertificateSummaryList"]),
            on_nodes,
        )


def differences(aws: Any, application: str, previewed: Mapping[str, Any], before: Seen, after: Seen) -> list[str]:
    """Say in what a deployment did something else than a dry run said."""
    return [
        *_of_stacks(aws, application, previewed, before, after),
        *_of_nodes(previewed, before, after),
        *_of_images(previewed, before, after),
        *_on_kept_nodes(previewed, before, after),
    ]


def _of_stacks(aws: Any, application: str, previewed: Mapping[str, Any], before: Seen, after: Seen) -> Iterator[str]:
    done: set[tuple[str, str]] = set()
    for stack in _stacks(aws, application):
        if stack.id in before.stacks and stack.id not in after.stacks:
            done |= {("remove", name) for name in stack.resources}
        executed = [each for each in stack.change_sets if each.execution_status.startswith("EXECUTE_")]
        for each in executed:
            if each.id not in before.change_sets:
                done |= {_what_happened(stack.id, item["ResourceChange"], before, after) for item in each.changes}
    # What was just made, and what goes, also changes: its deletion protection is switched on, and off.
    others = {name for action, name in done if action in ("create", "remove")}
    done = {(action, name) for action, name in done if action in ("create", "remove") or name not in others}
    said = {
        (change["action"], change["name"])
        for step in previewed["steps"]
        for change in step["changes"]
        if change["kind"].startswith("AWS::")
    }
    yield from (f"previewed alone: {action} {name}" for action, name in sorted(said - done))
    yield from (f"done alone: {action} {name}" for action, name in sorted(done - said))


def _what_happened(stack: str, change: Mapping[str, Any], before: Seen, after: Seen) -> tuple[str, str]:
    name = change["LogicalResourceId"]
    modified = "change" if before.resources.get((stack, name)) == after.resources.get((stack, name)) else "replace"
    return {"Add": "create", "Remove": "remove"}.get(change["Action"], modified), name


def _of_nodes(previewed: Mapping[str, Any], before: Seen, after: Seen) -> Iterator[str]:
    nodes = previewed["nodes"]
    said = {
        "now": nodes["now"],
        "then": nodes["then"],
        "gone": nodes["removed"] + nodes["replaced"],
        "new": nodes["created"] + nodes["replaced"],
    }
    gone, new = before.nodes - after.nodes, after.nodes - before.nodes
    done = {"now": len(before.nodes), "then": len(after.nodes), "gone": len(gone), "new": len(new)}
    if said != done:
        yield f"nodes: previewed {said}, done {done}"


def _of_images(previewed: Mapping[str, Any], before: Seen, after: Seen) -> Iterator[str]:
    changes = [change for step in previewed["steps"] for change in step["changes"]]
    builds = any((change["kind"], change["action"]) == ("image", "create") for change in changes)
    if builds != bool(after.images - before.images):
        yield f"an image is built: previewed {builds}, done {not builds}"
    retired = {change["name"] for change in changes if (change["kind"], change["action"]) == ("image", "remove")}
    if retired != before.images - after.images:
        yield f"images that go: previewed {sorted(retired)}, done {sorted(before.images - after.images)}"
    requested = sum(change["kind"] == "certificate" for change in changes)
    if requested != max(0, after.certificates - before.certificates):
        yield f"certificates: previewed {requested}, done {after.certificates - before.certificates}"


def _on_kept_nodes(previewed: Mapping[str, Any], before: Seen, after: Seen) -> Iterator[str]:
    """Compare on each node that stays: files, users, groups, and which services have another process."""
    changes = [change for step in previewed["steps"] for change in step["changes"]]
    said = {(change["kind"], change["name"]) for change in changes if change["kind"] in ("file", "user", "group")}
    (configured,) = [step["sentences"][0] for step in previewed["steps"] if step["step"] == "Configure nodes"] or [""]
    restarted = next((names for verb, names in RESTARTED.items() if f" {verb}, on one node first" in configured), set())
    for instance in sorted(before.on_nodes.keys() & after.on_nodes.keys()):
        differing = {tuple(line.split(" ")[:2]) for line in before.on_nodes[instance] ^ after.on_nodes[instance]}
        services = {name for kind, name in differing if kind == "service"}
        if services != restarted:
            yield f"{instance}: restarts previewed {sorted(restarted)}, done {sorted(services)}"
        done = {each for each in differing if each[0] != "service"}
        yield from (f"{instance}: previewed alone: {kind} {name}" for kind, name in sorted(said - done))
        yield from (f"{instance}: done alone: {kind} {name}" for kind, name in sorted(done - said))


def _stacks(aws: Any, application: str) -> list[Any]:
    """The stacks of clusters, of the engine itself, which keeps what change sets held."""
    return [stack for stack in aws.stacks.stacks.values() if stack.name.startswith(f"{application}-")]
