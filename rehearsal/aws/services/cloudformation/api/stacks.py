"""The operations on stacks, their resources, events and templates."""

import json
from collections.abc import Mapping
from typing import Any

from .. import template_diff, templates
from ..engine import Engine
from ..errors import AlreadyExists, ValidationError
from .requests import Request, Requests, check_name, check_token, check_updatable, only
from .responses import Pages, description, shown_resource, shown_stack


class Stacks:
    """Methods have the names of boto3; each takes the request and the role of who sent it."""

    def __init__(self, engine: Engine, requests: Requests, pages: Pages) -> None:
        self.engine, self.requests, self.pages = engine, requests, pages

    def create_stack(self, request: Request, caller: str | None) -> Mapping[str, Any]:
        only(
            request,
            "StackName TemplateBody TemplateURL Parameters Capabilities RoleARN Tags ClientRequestToken OnFailure "
            "DisableRollback EnableTerminationProtection RetainExceptOnCreate",
        )
        check_name(request["StackName"], "stackName")
        check_token(request.get("ClientRequestToken"))
        with self.engine.lock:
            existing = self.engine.find(request["StackName"])
            if existing is not None:
                if request.get("ClientRequestToken") and existing.token == request["ClientRequestToken"]:
                    return {"StackId": existing.id}
                raise AlreadyExists(f"Stack [{existing.name}] already exists")
            wanted = self.requests.wanted(request, None, caller)
            templates.check_capabilities(wanted.template.original, request.get("Capabilities", []), transforms=True)
            stack = self.engine.new_stack(request["StackName"], "CREATE_IN_PROGRESS")
            stack.role_arn, stack.caller_role = request.get("RoleARN"), caller
            self.requests.check(stack, wanted)
            self.engine.add(stack)
            self.engine.start(stack, request.get("RoleARN"), caller, request.get("ClientRequestToken"))
            stack.termination_protection = bool(request.get("EnableTerminationProtection", False))
            stack.retain_except_on_create = bool(request.get("RetainExceptOnCreate", False))
            stack.disable_rollback = bool(request.get("DisableRollback", False))
            on_failure = "DO_NOTHING" if stack.disable_rollback else request.get("OnFailure", "ROLLBACK")
            self.engine.create(stack, wanted, on_failure=on_failure)
        return {"StackId": stack.id}

    def update_stack(self, request: Request, caller: str | None) -> Mapping[str, Any]:
        only(
            request,
            "StackName TemplateBody TemplateURL UsePreviousTemplate Parameters Capabilities RoleARN Tags "
            "ClientRequestToken DisableRollback RetainExceptOnCreate",
        )
        check_token(request.get("ClientRequestToken"))
        with self.engine.lock:
            stack = self.engine.existing(request["StackName"])
            check_updatable(stack)
            wanted = self.requests.wanted(request, stack, caller)
            templates.check_capabilities(wanted.template.original, request.get("Capabilities", []), transforms=True)
            self.requests.check(stack, wanted)
            current = stack.deployment
            assert current is not None
            old, new = (current, self.requests.scope(stack, current)), (wanted, self.requests.scope(stack, wanted))
            if not template_diff.between(stack, old, new) and not template_diff.nothing_but_properties(current, wanted):
                raise ValidationError("No updates are to be performed.")
            self.engine.start(
                stack, request.get("RoleARN") or stack.role_arn, caller, request.get("ClientRequestToken")
            )
            stack.disable_rollback = bool(request.get("DisableRollback", False))
            stack.retain_except_on_create = bool(request.get("RetainExceptOnCreate", False))
            self.engine.update(stack, wanted)
        return {"StackId": stack.id}

    def delete_stack(self, request: Request, caller: str | None) -> Mapping[str, Any]:
        only(request, "StackName RetainResources RoleARN ClientRequestToken")
        check_token(request.get("ClientRequestToken"))
        with self.engine.lock:
            stack = self.engine.find(request["StackName"])
            if stack is None or stack.status in ("DELETE_COMPLETE", "DELETE_IN_PROGRESS"):
                return {}
            if stack.termination_protection:
                raise ValidationError(f"Stack [{stack.name}] cannot be deleted while TerminationProtection is enabled")
            if stack.in_progress and stack.status != "CREATE_IN_PROGRESS":
                raise ValidationError(f"Stack [{stack.id}] cannot be deleted while in status {stack.status}")
            if request.get("RetainResources") and stack.status != "DELETE_FAILED":
                raise ValidationError(
                    f"Invalid operation on stack [{stack.id}]. RetainResources is for stacks in status DELETE_FAILED"
                )
            self.engine.start(
                stack, request.get("RoleARN") or stack.role_arn, caller, request.get("ClientRequestToken")
            )
            self.engine.delete(stack, request.get("RetainResources", []))
        return {}

    def continue_update_rollback(self, request: Request, caller: str | None) -> Mapping[str, Any]:
        only(request, "StackName RoleARN ResourcesToSkip ClientRequestToken")
        with self.engine.lock:
            stack = self.engine.existing(request["StackName"])
            if stack.status != "UPDATE_ROLLBACK_FAILED":
                raise ValidationError(f"Stack:{stack.id} is in {stack.status} state and can not continue rollback.")
            self.engine.start(
                stack, request.get("RoleARN") or stack.role_arn, caller, request.get("ClientRequestToken")
            )
            self.engine.continue_rollback(stack, list(request.get("ResourcesToSkip", [])))
        return {}

    def update_termination_protection(self, request: Request, _: str | None) -> Mapping[str, Any]:
        stack = self.engine.existing(request["StackName"])
        stack.termination_protection = bool(request["EnableTerminationProtection"])
        return {"StackId": stack.id}

    def describe_stacks(self, request: Request, _: str | None) -> Mapping[str, Any]:
        if request.get("StackName"):
            chosen = [self.engine.existing(request["StackName"], deleted=True)]
        else:
            chosen = [stack for stack in self.engine.stacks.values() if stack.status != "DELETE_COMPLETE"]
        return self.pages.page(request, "Stacks", [shown_stack(stack) for stack in chosen])

    def list_stacks(self, request: Request, _: str | None) -> Mapping[str, Any]:
        statuses = request.get("StackStatusFilter")
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
            for stack in reversed(self.engine.stacks.values())
            if not statuses or stack.status in statuses
        ]
        return self.pages.page(request, "StackSummaries", shown)

    def describe_stack_events(self, request: Request, _: str | None) -> Mapping[str, Any]:
        stack = self.engine.existing(request["StackName"], deleted=True)
        return self.pages.page(request, "StackEvents", [event.shown() for event in reversed(stack.events)])

    def describe_stack_resource(self, request: Request, _: str | None) -> Mapping[str, Any]:
        stack = self.engine.existing(request["StackName"], deleted=True)
        resource = stack.resources.get(request["LogicalResourceId"])
        if resource is None or not resource.status:
            raise ValidationError(f"Resource {request['LogicalResourceId']} does not exist for stack {stack.name}")
        detail = shown_resource(stack, resource)
        detail["LastUpdatedTimestamp"] = detail.pop("Timestamp")
        return {"StackResourceDetail": detail}

    def describe_stack_resources(self, request: Request, _: str | None) -> Mapping[str, Any]:
        if request.get("StackName"):
            chosen = [self.engine.existing(request["StackName"], deleted=True)]
        else:
            physical = request.get("PhysicalResourceId")
            chosen = [
                stack
                for stack in self.engine.stacks.values()
                if any(resource.physical_id == physical for resource in stack.reported)
            ]
            if not chosen:
                raise ValidationError(f"Stack for {physical} does not exist")
        wanted = request.get("LogicalResourceId")
        return {
            "StackResources": [
                shown_resource(stack, resource)
                for stack in chosen
                for resource in stack.reported
                if wanted in (None, resource.logical_id)
            ]
        }

    def list_stack_resources(self, request: Request, _: str | None) -> Mapping[str, Any]:
        stack = self.engine.existing(request["StackName"], deleted=True)
        summaries = []
        for resource in stack.reported:
            entry = shown_resource(stack, resource)
            entry["LastUpdatedTimestamp"] = entry.pop("Timestamp")
            del entry["StackId"], entry["StackName"]
            summaries.append(entry)
        return self.pages.page(request, "StackResourceSummaries", summaries)

    def get_template(self, request: Request, _: str | None) -> Mapping[str, Any]:
        if request.get("ChangeSetName"):
            template = self.requests.change_set(request).wanted.template
        else:
            stack = self.engine.existing(request["StackName"], deleted=True)
            if stack.deployment is None:
                raise ValidationError(f"Stack [{stack.name}] has no template yet")
            template = stack.deployment.template
        processed = request.get("TemplateStage") == "Processed" and template.processed is not template.original
        body = json.dumps(template.processed) if processed else template.body
        body = body.encode("ascii", "replace").decode()  # as CloudFormation does: `mangleLikeCloudFormation` of the CDK
        return {"TemplateBody": body, "StagesAvailable": ["Original", "Processed"]}

    def get_template_summary(self, request: Request, caller: str | None) -> Mapping[str, Any]:
        if request.get("StackName"):
            stack = self.engine.existing(request["StackName"])
            known = stack.deployment or (stack.change_sets[-1].wanted if stack.change_sets else None)
            document = known.template.original if known else {}
        else:
            document = templates.parse(self.requests.body(request, caller))
        answer = templates.summary(document)
        answer["ResourceIdentifierSummaries"] = [
            {
                "ResourceType": type_,
                "LogicalResourceIds": [n for n, r in document["Resources"].items() if r["Type"] == type_],
            }
            for type_ in answer["ResourceTypes"]
        ]
        return answer
