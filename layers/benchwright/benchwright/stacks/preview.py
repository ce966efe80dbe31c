"""What a deployment would change of a stack: its change set is made, read and deleted again, never executed.

A stack that does not exist gets no change set of its own name: CloudFormation would make it (REVIEW_IN_PROGRESS), a
deployment that begins meanwhile would create it, and then it could not be removed safely. So its change set belongs to
a stack beside it, which no deployment uses. Names of applications and clusters have no two hyphens in a row.
"""

import contextlib
import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from benchwright.aws import client
from benchwright.dry_run import Change
from benchwright.errors import BenchwrightError, error_code, from_client_error
from benchwright.models import Plan
from benchwright.nodes import preview as nodes_preview
from benchwright.nodes.auto_scaling import Group
from benchwright.nodes.preview import Nodes
from benchwright.settings import Settings
from benchwright.settings import settings as of_function
from benchwright.stacks import change_sets, desired_state, failures
from benchwright.stacks.decision import ABSENT, BEING_COMPUTED, Action, ChangeSet, Desired, Stack, next_action
from benchwright.stacks.desired_state import must_go_offline

PREFIX = "-dry-run-"  # of the name of the stack beside the one that does not exist
# What becomes of the old resource: ResourceChange, PolicyAction (CloudFormation API reference).
OF_LAUNCH_TEMPLATE: Mapping[str, str] = {
    "ImageId": "another image",
    "InstanceType": "nodes.instance_type",
    "RootVolumeSize": "nodes.root_volume_size",
}
KEPT = frozenset({"Retain", "Snapshot", "ReplaceAndRetain", "ReplaceAndSnapshot"})


class Target(NamedTuple):
    """A stack as it must be and as it is.

    creates: whether a deployment would make it, also after a deletion. place: the stack that gets the change set.
    """

    desired: Desired
    stack: Stack | None

    @property
    def action(self) -> Action:
        return next_action(self.stack, None, self.desired)

    @property
    def creates(self) -> bool:
        return self.stack is None or self.stack.status in ABSENT or self.action == "delete stack"

    @property
    def needs_change_set(self) -> bool:
        return self.creates or self.action == "create change set"

    @property
    def place(self) -> Desired:
        return self.desired._replace(name=beside(self.desired.name)) if self.creates else self.desired


def beside(name: str) -> str:
    """Return the name of the stack for the change set of one that does not exist."""
    head, _, which = name.rpartition("-")
    return f"{head}-{PREFIX}{which}"


def targets(
    settings: Settings,
    plan: Plan,
    stacks: Mapping[str, Stack | None],
    *,
    ami: str,
    certificate_arn: str,
    node_script: str,
) -> dict[str, Target]:
    """Return each stack that the plan has, as a deployment would have it in the end.

    ami: empty where the image is not built yet; its parent, which exists, stands for it. certificate_arn: of the one
    that an address would have, empty for none. Raises StackRefused as a deployment would.
    """
    unknown = desired_state.not_yet_known(settings)
    foundation = Target(desired_state.foundation(settings, plan, stacks["foundation"]), stacks["foundation"])
    outputs = _outputs(foundation, unknown)
    found, addresses = {"foundation": foundation}, dict[str, str]()
    if plan.wanted.access:
        desired = desired_state.access(settings, plan, stacks["access"], outputs, certificate_arn)
        found["access"] = Target(desired, stacks["access"])
        certificate = {"CertificateArn": desired.parameters["CertificateArn"]}
        addresses = _outputs(found["access"], unknown) | certificate
    image = ami or plan.image.parent_image
    desired = desired_state.nodes(settings, plan, image, outputs, node_script, access_outputs=addresses)
    found["nodes"] = Target(desired, stacks["nodes"])
    for target in found.values():
        if target.stack and target.action in ("refuse", "leave to a person"):
            change_sets.act(target.action, target.desired, target.stack, None, "")
    return found


def look(targets: Mapping[str, Target], execution: str) -> dict[str, list[Mapping[str, Any]]] | None:
    """Return the changes of each stack; None while CloudFormation computes one of them.

    The change sets are deleted before anything is said of them. Raises StackFailed or StackRefused as a deployment
    would, of the first stack that CloudFormation or the guard refuses, or what CloudFormation said of a parameter.
    """
    asked = {which: target for which, target in targets.items() if target.needs_change_set}
    name = _name(execution)
    try:
        found = {which: _ensure(target, name) for which, target in asked.items()}
    except BaseException:
        _clean(targets, name)
        raise
    computed = {which: each for which, each in found.items() if each is not None}
    if len(computed) < len(asked):
        return None
    judged = {which: _judge(asked[which], each) for which, each in computed.items()}
    _clean(targets, name)
    for each in judged.values():
        if isinstance(each, BenchwrightError):
            raise each
    return {which: each for which, each in judged.items() if not isinstance(each, BenchwrightError)}


def nodes_after(plan: Plan, target: Target, changes: Iterable[Mapping[str, Any]], group: Group) -> Nodes:
    """Return what becomes of the nodes, by the changes of their stack and the group as it is."""
    template = [each for each in changes_of(changes) if each.kind == "AWS::EC2::LaunchTemplate"]
    return nodes_preview.nodes_after(
        *(group, plan.wanted.nodes, _why(target)),
        new_template=any(each.action != "change" or "LaunchTemplateData" in each.because for each in template),
        all_at_once=must_go_offline(plan, target.stack, len(group.nodes)),
    )


def changes_of(changes: Iterable[Mapping[str, Any]]) -> list[Change]:
    """Return the changes of a change set, in the order of their names."""
    listed = [_change(item["ResourceChange"]) for item in changes if "ResourceChange" in item]
    return sorted(listed, key=lambda each: (each.name, each.action))


def removal(stack: Stack) -> list[Change]:
    """Return what the deletion of a stack removes. None of the resources of an address is kept."""
    resources = client("cloudformation").describe_stack_resources(StackName=stack.arn)["StackResources"]
    listed = [
        Change(action="remove", kind=each["ResourceType"], name=each["LogicalResourceId"], data="lost")
        for each in resources
        if each["ResourceStatus"] != "DELETE_COMPLETE"
    ]
    return sorted(listed, key=lambda each: each.name)


def _outputs(target: Target, unknown: Mapping[str, str]) -> dict[str, str]:
    return {**unknown, **(target.stack.outputs if target.stack and not target.creates else {})}


def _why(target: Target) -> list[str]:
    """Return what makes the instances of a stack outdated: which parameters of its launch template differ."""
    if not target.needs_change_set:  # the launch template is as it must be
        return ["an earlier deployment ended before it replaced them"]
    now, then = target.stack.parameters if target.stack else {}, target.desired.parameters
    differing = [words for name, words in OF_LAUNCH_TEMPLATE.items() if now.get(name) != then[name]]
    return differing or ["this release of Benchwright launches them otherwise"]


def _name(execution: str) -> str:
    return f"{change_sets.OUR_CHANGE_SETS}dry-run-{hashlib.sha256(execution.encode()).hexdigest()[:16]}"


def _ensure(target: Target, name: str) -> ChangeSet | BenchwrightError | None:
    """Return the change set once it is computed, or why CloudFormation does not make one."""
    place = target.place
    found = change_sets.describe_change_set(place.name, name)
    if found is not None:
        return None if found.status in BEING_COMPUTED else found
    for _ in range(2):
        try:
            change_sets.create_change_set(place, name, "CREATE" if target.creates else "UPDATE", uploads=False)
            return None
        except ClientError as error:
            if error_code(error) != "ValidationError":
                raise
            refused = from_client_error(error)
        stack = change_sets.describe(place.name)
        if stack is not None and stack.status != "REVIEW_IN_PROGRESS":
            # Another dry run of the cluster is removing it, or someone else created it.
            return None if stack.status == "DELETE_IN_PROGRESS" else refused
        # Its removal has ended since, or CloudFormation refuses what it is given, and does so again.
    return refused


def _judge(target: Target, found: ChangeSet | BenchwrightError) -> list[Mapping[str, Any]] | BenchwrightError:
    if isinstance(found, BenchwrightError):
        return found
    if found.status == "FAILED":
        return failures.refusal(target.desired, found) or []
    return failures.guard(target.desired, found.changes) or list(found.changes)


def remove_beside(name: str) -> None:
    """Delete the stack beside another, with the change sets that this or an earlier dry run made in it.

    CloudFormation has no condition for it, so its state is read right before: a person could have executed a change
    set. No deployment does: none uses a stack of this name.
    """
    stack = change_sets.describe(beside(name))
    if stack and stack.status == "REVIEW_IN_PROGRESS":
        client("cloudformation").delete_stack(StackName=stack.arn, RoleARN=of_function().cloudformation_role_arn)


def _clean(targets: Mapping[str, Target], name: str) -> None:
    """Delete the change sets, wherever they are: a deployment may have made a stack since."""
    cloudformation = client("cloudformation")
    gone = (
        cloudformation.exceptions.InvalidChangeSetStatusException,
        cloudformation.exceptions.ChangeSetNotFoundException,
    )
    for target in targets.values():
        with contextlib.suppress(*gone):  # a deployment deletes it, or executes its own
            if not target.creates and change_sets.describe_change_set(target.desired.name, name):
                cloudformation.delete_change_set(StackName=target.desired.name, ChangeSetName=name)
        remove_beside(target.desired.name)


def _change(change: Mapping[str, Any]) -> Change:
    replacement = change.get("Replacement")
    actions: Mapping[str, Any] = {"Add": "create", "Remove": "remove"}
    action = actions.get(change["Action"], "replace" if replacement == "True" else "change")
    data: Any = ""
    if action in ("replace", "remove"):
        data = "kept" if change.get("PolicyAction") in KEPT else "lost"
    targets = [detail.get("Target", {}) for detail in change.get("Details", [])]
    because = sorted({str(target.get("Name") or target.get("Attribute")) for target in targets if target})
    return Change(
        action=action,
        kind=change["ResourceType"],
        name=change["LogicalResourceId"],
        data=data,
        because=because,
        may_replace=replacement == "Conditional",
    )
