"""The operations on stacks, their resources, events and templates."""

import json
from collections.abc import Mapping
from typing import Any

from rehearsal.aws.calls import Call

from .. import template_diff, templates
from ..engine import Engine
from ..errors import AlreadyExists, ValidationError
from .requests import Requests, check_name, check_token, check_updatable, only
from .responses import Pages, description, shown_resource, shown_stack


class Stacks:
    """Methods have the names of boto3."""

    def __init__(self, engine: Engine, requests: Requests, pages: Pages) -> None:
        self.engine, self.requests, self.pages = engine, requests, pages

    def create_stack(self, call: Call) -> Mapping[str, Any]:
        only(
            call,
            "StackName TemplateBody TemplateURL Parameters Capabilities RoleARN Tags ClientRequestToken OnFailure "
            "DisableRollback EnableTerminationProtection RetainExceptOnCreate",
        )
        check_name(call["StackName"], "stackName")
        check_token(call.get("ClientRequestToken"))
        with self.engine.lock:
            existing = self.engine.find(call["StackName"])
            if existing is not None:
                if call.get("ClientRequestToken") and existing.token == call["ClientRequestToken"]:
                    return {"StackId": existing.id}
                raise AlreadyExists(f"Stack [{existing.name}] already exists")
            wanted = self.requests.wanted(call, None)
            templates.check_capabilities(wanted.template.original, call.get("Capabilities", []), transforms=True)
            stack = self.engine.new_stack(call["StackName"], "CREATE_IN_PROGRESS")
            stack.role_arn, stack.caller_role = call.get("RoleARN"), call.identity.role_arn
            self.requests.check(stack, wanted)
            self.engine.add(stack)
            self.engine.start(stack, call.get("RoleARN"), call.identity.role_arn, call.get("ClientRequestToken"))
            stack.termination_protection = bool(call.get("EnableTerminationProtection", False))
            stack.retain_except_on_create = bool(call.get("RetainExceptOnCreate", False))
            stack.disable_rollback = bool(call.get("DisableRollback", False))
            on_failure = "DO_NOTHING" if stack.disable_rollback else call.get("OnFailure", "ROLLBACK")
            self.engine.create(stack, wanted, on_failure=on_failure)
        return {"StackId": stack.id}

    def update_stack(self, call: Call) -> Mapping[str, Any]:
        only(
            call,
            "StackName TemplateBody TemplateURL UsePreviousTemplate Parameters Capabilities RoleARN Tags "
            "ClientRequestToken DisableRollback RetainExceptOnCreate",
        )
        check_token(call.get("ClientRequestToken"))
        with self.engine.lock:
            stack = self.engine.existing(call["StackName"])
            check_updatable(stack)
            wanted = self.requests.wanted(call, stack)
            templates.check_capabilities(wanted.template.original, call.get("Capabilities", []), transforms=True)
            self.requests.check(stack, wanted)
            current = stack.deployment
            assert current is not None
            old, new = (current, self.requests.scope(stack, current)), (wanted, self.requests.scope(stack, wanted))
            if not template_diff.between(stack, old, new) and not template_diff.nothing_but_properties(current, wanted):
                raise ValidationError("No updates are to be performed.")
            self.engine.start(
                stack, call.get("RoleARN") or stack.role_arn, call.identity.role_arn, call.get("ClientRequestToken")
            )
            stack.disable_rollback = bool(call.get("DisableRollback", False))
            stack.retain_except_on_create = bool(call.get("RetainExceptOnCreate", False))
            self.engine.update(stack, wanted)
        return {"StackId": stack.id}

    def delete_stack(self, call: Call) -> Mapping[str, Any]:
        only(call, "StackName RetainResources RoleARN ClientRequestToken")
        check_token(call.get("ClientRequestToken"))
        with self.engine.lock:
            stack = self.engine.find(call["StackName"])
            if stack is None or stack.status in ("DELETE_COMPLETE", "DELETE_IN_PROGRESS"):
                return {}
            if stack.termination_protection:
                raise ValidationError(f"Stack [{stack.name}] cannot be deleted while TerminationProtection is enabled")
            if stack.in_progress and stack.status != "CREATE_IN_PROGRESS":
                raise ValidationError(f"Stack [{stack.id}] cannot be deleted while in status {stack.status}")
            if call.get("RetainResources") and stack.status != "DELETE_FAILED":
                raise ValidationError(
                    f"Invalid operation on stack [{stack.id}]. RetainResources is for stacks in status DELETE_FAILED"
                )
            self.engine.start(
                stack, call.get("RoleARN") or stack.role_arn, call.identity.role_arn, call.get("ClientRequestToken")
            )
            self.engine.delete(stack, call.get("RetainResources", []))
        return {}

    def cancel_update_stack(self, call: Call) -> Mapping[str, Any]:
        """CancelUpdateStack: "You can cancel only stacks that are in the UPDATE_IN_PROGRESS state" (API reference)."""
        only(call, "StackName ClientRequestToken")
        check_token(call.get("ClientRequestToken"))
        with self.engine.lock:
            stack = self.engine.existing(call["StackName"])
            if stack.status != "UPDATE_IN_PROGRESS":
                raise ValidationError("CancelUpdateStack cannot be called from current stack status")
            self.engine.cancel_update(stack)
        return {}

    def continue_update_rollback(self, call: Call) -> Mapping[str, Any]:
        only(call, "StackName RoleARN ResourcesToSkip ClientRequestToken")
        with self.engine.lock:
            stack = self.engine.existing(call["StackName"])
            if stack.status != "UPDATE_ROLLBACK_FAILED":
                raise ValidationError(f"Stack:{stack.id} is in {stack.status} state and can not continue rollback.")
            self.engine.start(
                stack, call.get("RoleARN") or stack.role_arn, call.identity.role_arn, call.get("ClientRequestToken")
            )
            self.engine.continue_rollback(stack, list(call.get("ResourcesToSkip", [])))
        return {}

    def update_termination_protection(self, call: Call) -> Mapping[str, Any]:
        stack = self.engine.existing(call["StackName"])
        stack.termination_protection = bool(call["EnableTerminationProtection"])
        return {"StackId": stack.id}

    def describe_stacks(self, call: Call) -> Mapping[str, Any]:
        if call.get("StackName"):
            chosen = [self.engine.existing(call["StackName"], deleted=True)]
        else:
            chosen = [stack for stack in list(self.engine.stacks.values()) if stack.status != "DELETE_COMPLETE"]
        return self.pages.page(call, "Stacks", [shown_stack(stack) for stack in chosen])

    def list_stacks(self, call: Call) -> Mapping[str, Any]:
        statuses = call.get("StackStatusFilter")
        shown = [
            {
                "StackId": stack.id,
                "StackName": stack.name,
                "TemplateDescription": description(stack),
                "CreationTime": stack.created,
                "LastUpdatedTime": stack.updated,
                "DeletionTime": stack.deleted,
                "StackStatus": stack.status,
                "StackStatusReason": stack.reason,
                "ParentId": stack.parent_id,
                "RootId": stack.root_id,
            }
            for stack in reversed(list(self.engine.stacks.values()))
            if not statuses or stack.status in statuses
        ]
        return self.pages.page(call, "StackSummaries", shown)

    def describe_stack_events(self, call: Call) -> Mapping[str, Any]:
        stack = self.engine.existing(call["StackName"], deleted=True)
        return self.pages.page(call, "StackEvents", [event.shown() for event in reversed(stack.events)])

    def describe_stack_resource(self, call: Call) -> Mapping[str, Any]:
        stack = self.engine.existing(call["StackName"], deleted=True)
        resource = stack.resources.get(call["LogicalResourceId"])
        if resource is None or not resource.status:
            raise ValidationError(f"Resource {call['LogicalResourceId']} does not exist for stack {stack.name}")
        detail = shown_resource(stack, resource)
        detail["LastUpdatedTimestamp"] = detail.pop("Timestamp")
        return {"StackResourceDetail": detail}

    def describe_stack_resources(self, call: Call) -> Mapping[str, Any]:
        if call.get("StackName"):
            chosen = [self.engine.existing(call["StackName"], deleted=True)]
        else:
            physical = call.get("PhysicalResourceId")
            chosen = [
                stack
                for stack in list(self.engine.stacks.values())
                if any(resource.physical_id == physical for resource in stack.reported)
            ]
            if not chosen:
                raise ValidationError(f"Stack for {physical} does not exist")
        wanted = call.get("LogicalResourceId")
        return {
            "StackResources": [
                shown_resource(stack, resource)
                for stack in chosen
                for resource in stack.reported
                if wanted in (None, resource.logical_id)
            ]
        }

    def list_stack_resources(self, call: Call) -> Mapping[str, Any]:
        stack = self.engine.existing(call["StackName"], deleted=True)
        summaries = []
        for resource in stack.reported:
            entry = shown_resource(stack, resource)
            entry["LastUpdatedTimestamp"] = entry.pop("Timestamp")
            del entry["StackId"], entry["StackName"]
            summaries.append(entry)
        return self.pages.page(call, "StackResourceSummaries", summaries)

    def get_template(self, call: Call) -> Mapping[str, Any]:
        if call.get("ChangeSetName"):
            template = self.requests.change_set(call).wanted.template
        else:
            stack = self.engine.existing(call["StackName"], deleted=True)
            if stack.deployment is None:
                raise ValidationError(f"Stack [{stack.name}] has no template yet")
            template = stack.deployment.template
        processed = call.get("TemplateStage") == "Processed" and template.processed is not template.original
        body = json.dumps(template.processed) if processed else template.body
        body = body.encode("ascii", "replace").decode()  # as CloudFormation does: `mangleLikeCloudFormation` of the CDK
        return {"TemplateBody": body, "StagesAvailable": ["Original", "Processed"]}

    def get_template_summary(self, call: Call) -> Mapping[str, Any]:
        if call.get("StackName"):
            stack = self.engine.existing(call["StackName"])
            known = stack.deployment or (stack.change_sets[-1].wanted if stack.change_sets else None)
            document = known.template.original if known else {}
        else:
            document = templates.parse(self.requests.body(call))
        answer = templates.summary(document)
        answer["ResourceIdentifierSummaries"] = [
            {
                "ResourceType": type_,
                "LogicalResourceIds": [n for n, r in document["Resources"].items() if r["Type"] == type_],
            }
            for type_ in answer["ResourceTypes"]
        ]
        return answer
