"""The operations of the CloudFormation API, each from its request to its answer."""

import json
import re
import threading
import urllib.parse
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from . import changes, graph, templates
from .engine import Engine
from .errors import (
    AlreadyExists,
    ChangeSetNotFound,
    InvalidChangeSetStatus,
    NotRehearsed,
    TokenAlreadyExists,
    ValidationError,
)
from .intrinsics import Scope
from .model import ChangeSet, Deployment, Resource, Stack
from .parameters import Parameter, resolve

Request = Mapping[str, Any]
NAME = re.compile(r"[a-zA-Z][-a-zA-Z0-9]{0,127}")
TOKEN = re.compile(r"[a-zA-Z0-9][-a-zA-Z0-9]{0,127}")
NO_CHANGES = "The submitted information didn't contain changes. Submit different information to create a change set."
UPDATABLE = {"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "UPDATE_FAILED", "IMPORT_COMPLETE"}
CHANGE_SET_SECONDS = 3
"""How long computing a change set takes in an account, about."""

_EXISTING = {
    "AWS::EC2::Image::Id": ("describe_images", "ImageIds"),
    "AWS::EC2::SecurityGroup::Id": ("describe_security_groups", "GroupIds"),
    "AWS::EC2::Subnet::Id": ("describe_subnets", "SubnetIds"),
    "AWS::EC2::VPC::Id": ("describe_vpcs", "VpcIds"),
}


class Api:
    """CloudFormation's operations over one engine. Methods have the names of boto3; others are refused by name."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._listed: dict[str, tuple[Sequence[Any], int]] = {}

    def answer(self, operation: str, request: Request, caller_role: str | None) -> Mapping[str, Any]:
        """The answer to one request."""
        method: Callable[[Request, str | None], Mapping[str, Any]] | None = getattr(self, f"_{operation}", None)
        if method is None:
            raise NotRehearsed(f"The rehearsal does not implement CloudFormation's operation {operation}")
        return method(request, caller_role)

    # Change sets

    def _create_change_set(self, request: Request, caller: str | None) -> Mapping[str, Any]:
        _only(
            request,
            "StackName ChangeSetName ChangeSetType TemplateBody TemplateURL UsePreviousTemplate Parameters Tags RoleARN "
            "Capabilities ClientToken Description OnStackFailure NotificationARNs",
        )
        _named(request["ChangeSetName"], "changeSetName")
        type_ = request.get("ChangeSetType", "UPDATE")
        with self.engine.lock:
            stack = self.engine.find(request["StackName"])
            if stack is not None:
                repeated = next((s for s in stack.change_sets if s.name == request["ChangeSetName"]), None)
                if repeated and repeated.token and repeated.token == request.get("ClientToken"):
                    return {"Id": repeated.id, "StackId": stack.id}
                if repeated:
                    raise AlreadyExists(f"ChangeSet {repeated.name} already exists")
            if type_ == "CREATE":
                if stack is not None and stack.status != "REVIEW_IN_PROGRESS":
                    raise ValidationError(
                        f"Stack [{stack.name}] already exists and cannot be created again with the changeSet "
                        f"[{request['ChangeSetName']}]"
                    )
            elif type_ == "UPDATE":
                if stack is None:
                    raise ValidationError(f"Stack [{request['StackName']}] does not exist")
                _check_updatable(stack)
            else:
                raise NotRehearsed(f"The rehearsal does not implement change sets of type {type_}")
            wanted = self._wanted(request, stack if type_ == "UPDATE" else None, caller)
            templates.check_capabilities(wanted.template.processed, request.get("Capabilities", []), transforms=False)
            if stack is None:
                _named(request["StackName"], "stackName")
                stack = self.engine.new_stack(request["StackName"], "REVIEW_IN_PROGRESS")
                self.engine.event(stack, None, "REVIEW_IN_PROGRESS", "User Initiated")
            change_set = ChangeSet(
                f"arn:aws:cloudformation:{self.engine.aws.region}:{self.engine.aws.account}:changeSet/"
                f"{request['ChangeSetName']}/{uuid.uuid4()}",
                request["ChangeSetName"],
                stack,
                type_,
                self.engine.moment(),
                wanted,
                request.get("RoleARN") or stack.role_arn,
                request.get("ClientToken"),
                request.get("Description"),
                request.get("OnStackFailure"),
                notification_arns=list(request.get("NotificationARNs", [])),
            )
            stack.caller_role = caller
            if type_ == "CREATE":
                stack.role_arn = change_set.role_arn
            scope = self._scope(stack, wanted)
            _check_rules(scope)
            graph.dependencies(scope)
            stack.change_sets.append(change_set)
        self.engine.aws.clock.hold()
        threading.Thread(
            target=self._compute, args=(change_set,), daemon=True, name="cloudformation change set"
        ).start()
        return {"Id": change_set.id, "StackId": stack.id}

    def _compute(self, change_set: ChangeSet) -> None:
        """Find the changes, as AWS does after CreateChangeSet has answered."""
        try:
            change_set.status = "CREATE_IN_PROGRESS"
            self.engine.aws.clock.sleep(CHANGE_SET_SECONDS)
            with self.engine.lock:
                self._decide(change_set)
        except Exception as error:
            change_set.reason = getattr(error, "message", None) or f"{type(error).__name__}: {error}"
            change_set.status = "FAILED"
        finally:
            self.engine.aws.clock.release()

    def _decide(self, change_set: ChangeSet) -> None:
        stack, wanted = change_set.stack, change_set.wanted
        scope = self._scope(stack, wanted)
        change_set.problems = changes.problems(scope, wanted)
        if change_set.problems:
            change_set.status = "FAILED"
            change_set.reason = (
                "The following hook(s)/validation failed: [AWS::EarlyValidation::PropertyValidation]. "
                "To troubleshoot Early Validation errors, use the DescribeEvents API for detailed failure information."
            )
            return
        current = stack.deployment if change_set.type == "UPDATE" else None
        old = (current, self._scope(stack, current)) if current else None
        change_set.changes = changes.between(stack, old, (wanted, scope))
        if current and not change_set.changes and not changes.nothing_but_properties(current, wanted):
            change_set.status, change_set.reason = "FAILED", NO_CHANGES
            return
        change_set.status, change_set.execution_status = "CREATE_COMPLETE", "AVAILABLE"

    def _describe_change_set(self, request: Request, _: str | None) -> Mapping[str, Any]:
        change_set = self._change_set(request)
        page, token = self._page(request, change_set.changes)
        answer = _change_set_summary(change_set) | {
            "Parameters": [parameter.shown(name) for name, parameter in change_set.wanted.parameters.items()],
            "Capabilities": list(change_set.wanted.capabilities),
            "Tags": [{"Key": key, "Value": value} for key, value in change_set.wanted.tags.items()],
            "Changes": page,
            "NotificationARNs": change_set.notification_arns,
            "OnStackFailure": change_set.on_failure,
            "NextToken": token,
        }
        return _present(answer)

    def _list_change_sets(self, request: Request, _: str | None) -> Mapping[str, Any]:
        stack = self._stack(request["StackName"])
        page, token = self._page(request, [_change_set_summary(change_set) for change_set in stack.change_sets])
        return _present({"Summaries": page, "NextToken": token})

    def _execute_change_set(self, request: Request, caller: str | None) -> Mapping[str, Any]:
        _only(request, "ChangeSetName StackName ClientRequestToken DisableRollback RetainExceptOnCreate")
        token = request.get("ClientRequestToken")
        _check_token(token)
        with self.engine.lock:
            change_set = self._change_set(request)
            stack = change_set.stack
            if token and stack.token == token and change_set.execution_status.startswith("EXECUTE_"):
                return {}
            if change_set.execution_status != "AVAILABLE":
                raise InvalidChangeSetStatus(
                    f"ChangeSet [{change_set.id}] cannot be executed in its current "
                    + (
                        f"execution status of [{change_set.execution_status}]"
                        if change_set.status == "CREATE_COMPLETE"
                        else f"status of [{change_set.status}]"
                    )
                )
            if stack.in_progress:
                raise ValidationError(f"Stack:{stack.id} is in {stack.status} state and can not be updated.")
            if request.get("DisableRollback") and change_set.on_failure:
                raise ValidationError("Cannot specify DisableRollback when the change set specifies OnStackFailure")
            change_set.execution_status = "EXECUTE_IN_PROGRESS"
            for other in stack.change_sets:
                if other is not change_set and other.execution_status == "AVAILABLE":
                    other.execution_status = "OBSOLETE"
            self._start(stack, change_set.role_arn, caller, token)
            stack.disable_rollback = bool(request.get("DisableRollback", False))
            stack.retain_except_on_create = bool(request.get("RetainExceptOnCreate", False))
            stack.notification_arns = change_set.notification_arns
            if change_set.type == "CREATE":
                on_failure = "DO_NOTHING" if stack.disable_rollback else change_set.on_failure or "ROLLBACK"
                self.engine.create(stack, change_set.wanted, on_failure=on_failure)
            else:
                self.engine.update(stack, change_set.wanted)
        threading.Thread(target=_note_execution, args=(change_set,), daemon=True).start()
        return {}

    def _delete_change_set(self, request: Request, _: str | None) -> Mapping[str, Any]:
        try:
            change_set = self._change_set(request)
        except ChangeSetNotFound:
            return {}
        if change_set.status in ("CREATE_PENDING", "CREATE_IN_PROGRESS"):
            raise InvalidChangeSetStatus(
                f"ChangeSet [{change_set.id}] cannot be deleted in status [{change_set.status}]"
            )
        change_set.stack.change_sets.remove(change_set)
        return {}

    def _describe_events(self, request: Request, _: str | None) -> Mapping[str, Any]:
        """The failed validations of a change set, and the events of a stack (no operations in between)."""
        if request.get("ChangeSetName"):
            change_set = self._change_set(request)
            stack = change_set.stack
            shown = [
                {
                    "EventId": f"{change_set.id}-{index}",
                    "StackId": stack.id,
                    "EventType": "VALIDATION_ERROR",
                    "LogicalResourceId": problem["LogicalResourceId"],
                    "ResourceType": problem["ResourceType"],
                    "Timestamp": change_set.created,
                    "ValidationFailureMode": "FAIL",
                    "ValidationName": "PROPERTY_VALIDATION",
                    "ValidationStatus": "FAILED",
                    "ValidationStatusReason": problem["Reason"],
                    "ValidationPath": f"/Resources/{problem['LogicalResourceId']}/Properties",
                }
                for index, problem in enumerate(change_set.problems)
            ]
        else:
            stack = self._stack(request["StackName"])
            only_failed = (request.get("Filters") or {}).get("FailedEvents", False)
            shown = [
                {key: value for key, value in event.shown().items() if key not in ("StackName", "ResourceProperties")}
                | {"EventType": "PROVISIONING_ERROR" if event.status.endswith("FAILED") else "STACK_EVENT"}
                for event in reversed(stack.events)
                if not only_failed or event.status.endswith("FAILED")
            ]
        page, token = self._page(request, shown)
        return _present({"OperationEvents": page, "NextToken": token})

    # Stacks

    def _create_stack(self, request: Request, caller: str | None) -> Mapping[str, Any]:
        _only(
            request,
            "StackName TemplateBody TemplateURL Parameters Capabilities RoleARN Tags ClientRequestToken OnFailure "
            "DisableRollback EnableTerminationProtection NotificationARNs TimeoutInMinutes RetainExceptOnCreate",
        )
        _named(request["StackName"], "stackName")
        _check_token(request.get("ClientRequestToken"))
        with self.engine.lock:
            existing = self.engine.find(request["StackName"])
            if existing is not None:
                if request.get("ClientRequestToken") and existing.token == request["ClientRequestToken"]:
                    return {"StackId": existing.id}
                raise AlreadyExists(f"Stack [{existing.name}] already exists")
            wanted = self._wanted(request, None, caller)
            templates.check_capabilities(wanted.template.original, request.get("Capabilities", []), transforms=True)
            stack = self.engine.new_stack(request["StackName"], "CREATE_IN_PROGRESS")
            try:
                self._check(stack, wanted)
            except Exception:
                del self.engine.stacks[stack.id]
                raise
            self._start(stack, request.get("RoleARN"), caller, request.get("ClientRequestToken"))
            stack.termination_protection = bool(request.get("EnableTerminationProtection", False))
            stack.retain_except_on_create = bool(request.get("RetainExceptOnCreate", False))
            stack.disable_rollback = bool(request.get("DisableRollback", False))
            stack.notification_arns = list(request.get("NotificationARNs", []))
            stack.timeout_minutes = request.get("TimeoutInMinutes")
            on_failure = "DO_NOTHING" if stack.disable_rollback else request.get("OnFailure", "ROLLBACK")
            self.engine.create(stack, wanted, on_failure=on_failure)
        return {"StackId": stack.id}

    def _update_stack(self, request: Request, caller: str | None) -> Mapping[str, Any]:
        _only(
            request,
            "StackName TemplateBody TemplateURL UsePreviousTemplate Parameters Capabilities RoleARN Tags "
            "ClientRequestToken DisableRollback NotificationARNs RetainExceptOnCreate",
        )
        _check_token(request.get("ClientRequestToken"))
        with self.engine.lock:
            stack = self._stack(request["StackName"])
            _check_updatable(stack)
            wanted = self._wanted(request, stack, caller)
            templates.check_capabilities(wanted.template.original, request.get("Capabilities", []), transforms=True)
            self._check(stack, wanted)
            current = stack.deployment
            assert current is not None
            old, new = (current, self._scope(stack, current)), (wanted, self._scope(stack, wanted))
            if not changes.between(stack, old, new) and not changes.nothing_but_properties(current, wanted):
                raise ValidationError("No updates are to be performed.")
            self._start(stack, request.get("RoleARN") or stack.role_arn, caller, request.get("ClientRequestToken"))
            stack.disable_rollback = bool(request.get("DisableRollback", False))
            stack.retain_except_on_create = bool(request.get("RetainExceptOnCreate", False))
            self.engine.update(stack, wanted)
        return {"StackId": stack.id}

    def _delete_stack(self, request: Request, caller: str | None) -> Mapping[str, Any]:
        _only(request, "StackName RetainResources RoleARN ClientRequestToken")
        _check_token(request.get("ClientRequestToken"))
        with self.engine.lock:
            stack = self.engine.find(request["StackName"])
            if stack is None or stack.status in ("DELETE_COMPLETE", "DELETE_IN_PROGRESS"):
                return {}
            if stack.termination_protection:
                raise ValidationError(f"Stack [{stack.name}] cannot be deleted while TerminationProtection is enabled")
            if stack.in_progress and stack.status != "CREATE_IN_PROGRESS":
                raise ValidationError(f"Stack [{stack.id}] cannot be deleted while in status {stack.status}")
            if stack.status == "CREATE_IN_PROGRESS":
                raise NotRehearsed(f"The rehearsal does not delete a stack in status {stack.status}")
            if request.get("RetainResources") and stack.status != "DELETE_FAILED":
                raise ValidationError(
                    f"Invalid operation on stack [{stack.id}]. RetainResources is for stacks in status DELETE_FAILED"
                )
            mine = {output["ExportName"] for output in stack.outputs if "ExportName" in output}
            for other in self.engine.stacks.values():
                used = mine & other.imports
                if used and other is not stack and other.status != "DELETE_COMPLETE":
                    raise ValidationError(f"Export {min(used)} cannot be deleted as it is in use by {other.name}")
            self._start(stack, request.get("RoleARN") or stack.role_arn, caller, request.get("ClientRequestToken"))
            self.engine.delete(stack, request.get("RetainResources", []))
        return {}

    def _continue_update_rollback(self, request: Request, caller: str | None) -> Mapping[str, Any]:
        _only(request, "StackName RoleARN ResourcesToSkip ClientRequestToken")
        with self.engine.lock:
            stack = self._stack(request["StackName"])
            if stack.status != "UPDATE_ROLLBACK_FAILED":
                raise ValidationError(f"Stack:{stack.id} is in {stack.status} state and can not continue rollback.")
            self._start(stack, request.get("RoleARN") or stack.role_arn, caller, request.get("ClientRequestToken"))
            self.engine.continue_rollback(stack, list(request.get("ResourcesToSkip", [])))
        return {}

    def _update_termination_protection(self, request: Request, _: str | None) -> Mapping[str, Any]:
        stack = self._stack(request["StackName"])
        stack.termination_protection = bool(request["EnableTerminationProtection"])
        return {"StackId": stack.id}

    def _describe_stacks(self, request: Request, _: str | None) -> Mapping[str, Any]:
        if request.get("StackName"):
            chosen = [self._stack(request["StackName"], deleted=True)]
        else:
            chosen = [stack for stack in self.engine.stacks.values() if stack.status != "DELETE_COMPLETE"]
        page, token = self._page(request, [self._shown(stack) for stack in chosen])
        return _present({"Stacks": page, "NextToken": token})

    def _list_stacks(self, request: Request, _: str | None) -> Mapping[str, Any]:
        statuses = request.get("StackStatusFilter")
        shown = [
            _present(
                {
                    "StackId": stack.id,
                    "StackName": stack.name,
                    "TemplateDescription": _description(stack),
                    "CreationTime": stack.created,
                    "LastUpdatedTime": stack.updated,
                    "DeletionTime": stack.deleted,
                    "StackStatus": stack.status,
                    "StackStatusReason": stack.reason,
                    "ParentId": stack.parent_id,
                    "RootId": stack.root_id,
                }
            )
            for stack in reversed(self.engine.stacks.values())
            if not statuses or stack.status in statuses
        ]
        page, token = self._page(request, shown)
        return _present({"StackSummaries": page, "NextToken": token})

    def _describe_stack_events(self, request: Request, _: str | None) -> Mapping[str, Any]:
        stack = self._stack(request["StackName"], deleted=True)
        page, token = self._page(request, [event.shown() for event in reversed(stack.events)])
        return _present({"StackEvents": page, "NextToken": token})

    def _describe_stack_resource(self, request: Request, _: str | None) -> Mapping[str, Any]:
        stack = self._stack(request["StackName"], deleted=True)
        resource = stack.resources.get(request["LogicalResourceId"])
        if resource is None:
            raise ValidationError(f"Resource {request['LogicalResourceId']} does not exist for stack {stack.name}")
        detail = _resource(stack, resource)
        detail["LastUpdatedTimestamp"] = detail.pop("Timestamp")
        return {"StackResourceDetail": detail}

    def _describe_stack_resources(self, request: Request, _: str | None) -> Mapping[str, Any]:
        if request.get("StackName"):
            chosen = [self._stack(request["StackName"], deleted=True)]
        else:
            physical = request.get("PhysicalResourceId")
            chosen = [
                stack
                for stack in self.engine.stacks.values()
                if any(resource.physical_id == physical for resource in stack.resources.values())
            ]
            if not chosen:
                raise ValidationError(f"Stack for {physical} does not exist")
        wanted = request.get("LogicalResourceId")
        return {
            "StackResources": [
                _resource(stack, resource)
                for stack in chosen
                for resource in stack.resources.values()
                if wanted in (None, resource.logical_id)
            ]
        }

    def _list_stack_resources(self, request: Request, _: str | None) -> Mapping[str, Any]:
        stack = self._stack(request["StackName"], deleted=True)
        summaries = []
        for resource in stack.resources.values():
            entry = _resource(stack, resource)
            entry["LastUpdatedTimestamp"] = entry.pop("Timestamp")
            del entry["StackId"], entry["StackName"]
            summaries.append(entry)
        page, token = self._page(request, summaries)
        return _present({"StackResourceSummaries": page, "NextToken": token})

    def _list_exports(self, request: Request, _: str | None) -> Mapping[str, Any]:
        shown = [
            {"ExportingStackId": stack.id, "Name": name, "Value": value}
            for name, (stack, value) in sorted(self.engine.exports().items())
        ]
        page, token = self._page(request, shown)
        return _present({"Exports": page, "NextToken": token})

    # Templates

    def _get_template(self, request: Request, _: str | None) -> Mapping[str, Any]:
        if request.get("ChangeSetName"):
            template = self._change_set(request).wanted.template
        else:
            stack = self._stack(request["StackName"], deleted=True)
            if stack.deployment is None:
                raise ValidationError(f"Stack [{stack.name}] has no template yet")
            template = stack.deployment.template
        processed = request.get("TemplateStage") == "Processed" and template.processed is not template.original
        body = json.dumps(template.processed) if processed else template.body
        return {"TemplateBody": body, "StagesAvailable": ["Original", "Processed"]}

    def _get_template_summary(self, request: Request, caller: str | None) -> Mapping[str, Any]:
        if request.get("StackName"):
            stack = self._stack(request["StackName"])
            known = stack.deployment or (stack.change_sets[-1].wanted if stack.change_sets else None)
            document = known.template.original if known else {}
        else:
            document = templates.parse(self._body(request, caller))
        answer = templates.summary(document)
        answer["ResourceIdentifierSummaries"] = [
            {
                "ResourceType": type_,
                "LogicalResourceIds": [n for n, r in document["Resources"].items() if r["Type"] == type_],
            }
            for type_ in answer["ResourceTypes"]
        ]
        return answer

    def _validate_template(self, request: Request, caller: str | None) -> Mapping[str, Any]:
        answer = templates.summary(templates.parse(self._body(request, caller)))
        shown = ("ParameterKey", "DefaultValue", "NoEcho", "Description")
        answer["Parameters"] = [
            {key: value for key, value in parameter.items() if key in shown} for parameter in answer["Parameters"]
        ]
        return {key: value for key, value in answer.items() if key not in ("ResourceTypes", "Version", "Metadata")}

    # What the operations share

    def _body(self, request: Request, caller: str | None) -> str:
        """The template's text, from the request or from S3."""
        if request.get("TemplateBody"):
            body = str(request["TemplateBody"])
            templates.check_size(body, templates.BODY_LIMIT, "templateBody")
            return body
        url = request.get("TemplateURL")
        if not url:
            raise ValidationError("Either Template URL or Template Body must be specified.")
        bucket, key, version = _s3_location(url)
        chosen = {"VersionId": version} if version else {}
        try:
            s3 = self.engine.aws.client("s3", role_arn=request.get("RoleARN") or caller, caller="cloudformation")
            body = s3.get_object(Bucket=bucket, Key=key, **chosen)["Body"].read().decode()
        except ClientError as error:
            raise ValidationError(f"S3 error: {error.response['Error'].get('Message')} ({url})") from error
        templates.check_size(body, templates.URL_LIMIT, "templateURL")
        return body

    def _wanted(self, request: Request, stack: Stack | None, caller: str | None) -> Deployment:
        """The deployment that a request asks for; `stack` is what it updates."""
        current = stack.deployment if stack else None
        if request.get("UsePreviousTemplate"):
            if current is None:
                raise ValidationError("UsePreviousTemplate cannot be used for a stack that has no template yet")
            body = current.template.body
        else:
            body = self._body(request, caller)
        declared = templates.parse(body).get("Parameters") or {}
        parameters = self._parameters(declared, request, current, caller)
        values = {name: parameter.value for name, parameter in parameters.items()}
        template = templates.expand(body, values, self.engine.aws.region)
        extra = template.section("Parameters")
        if extra.keys() - declared.keys():
            parameters = self._parameters(extra, request, current, caller)
        tags = request.get("Tags")
        if tags is None:
            chosen = dict(current.tags) if current else {}
        else:
            chosen = {tag["Key"]: tag["Value"] for tag in tags}
            if len(chosen) > 50 or any(not value for value in chosen.values()):
                raise ValidationError("A stack has at most 50 tags, each with a value of 1 to 256 characters")
        return Deployment(template, parameters, chosen, tuple(request.get("Capabilities", [])))

    def _parameters(
        self, declared: Mapping[str, Any], request: Request, current: Deployment | None, caller: str | None
    ) -> dict[str, Parameter]:
        def stored(name: str) -> str:
            ssm = self.engine.aws.client("ssm", role_arn=request.get("RoleARN") or caller, caller="cloudformation")
            try:
                return str(ssm.get_parameter(Name=name)["Parameter"]["Value"])
            except ClientError as error:
                raise ValidationError(
                    f"Unable to fetch parameters [{name}] from parameter store for this account."
                ) from error

        previous = current.parameters if current else None
        return resolve(declared, list(request.get("Parameters", [])), previous, stored, self._exists)

    def _exists(self, type_: str, value: str) -> bool:
        """Whether an id of an AWS-specific parameter type is known; types not listed are taken for known."""
        if type_ not in _EXISTING:
            return True
        operation, argument = _EXISTING[type_]
        try:
            getattr(self.engine.aws.client("ec2"), operation)(**{argument: [value]})
        except ClientError:
            return False
        return True

    def _scope(self, stack: Stack, wanted: Deployment) -> Scope:
        return self.engine.scope(stack, wanted, changes.later)

    def _check(self, stack: Stack, wanted: Deployment) -> None:
        """Refuse what validation finds; CreateStack and UpdateStack answer it at once."""
        scope = self._scope(stack, wanted)
        _check_rules(scope)
        found = changes.problems(scope, wanted)
        if found:
            sentences = "; ".join(f"{problem['LogicalResourceId']}: {problem['Reason']}" for problem in found)
            raise ValidationError(f"Properties validation failed: {sentences}")

    def _start(self, stack: Stack, role_arn: str | None, caller: str | None, token: str | None) -> None:
        """Note on whose behalf the operation that begins runs."""
        if token and any(event.token == token for event in stack.events):
            raise TokenAlreadyExists(f"Token {token} already exists for stack {stack.name}")
        stack.role_arn, stack.caller_role, stack.token = role_arn, caller, token

    def _stack(self, name_or_id: str, *, deleted: bool = False) -> Stack:
        stack = self.engine.find(name_or_id)
        if stack is None or (stack.status == "DELETE_COMPLETE" and not deleted):
            raise ValidationError(f"Stack with id {name_or_id} does not exist")
        return stack

    def _change_set(self, request: Request) -> ChangeSet:
        name = request["ChangeSetName"]
        if name.startswith("arn:"):
            stacks: list[Stack] = list(self.engine.stacks.values())
        else:
            if not request.get("StackName"):
                raise ValidationError("StackName must be specified if ChangeSetName is not specified as an ARN.")
            stack = self.engine.find(request["StackName"])
            if stack is None:
                raise ValidationError(f"Stack [{request['StackName']}] does not exist")
            stacks = [stack]
        for stack in stacks:
            for change_set in stack.change_sets:
                if name in (change_set.name, change_set.id):
                    return change_set
        raise ChangeSetNotFound(f"ChangeSet [{name}] does not exist")

    def _page(self, request: Request, items: Sequence[Any], size: int = 100) -> tuple[Sequence[Any], str | None]:
        """A page of a list; the token keeps the list as it was when the first page was asked for."""
        start = 0
        if request.get("NextToken"):
            if request["NextToken"] not in self._listed:
                raise ValidationError(f"The token {request['NextToken']} is invalid")
            items, start = self._listed.pop(request["NextToken"])
        page = items[start : start + size]
        if start + size >= len(items):
            return page, None
        token = str(uuid.uuid4())
        self._listed[token] = (items, start + size)
        return page, token

    def _shown(self, stack: Stack) -> dict[str, Any]:
        """A stack as DescribeStacks shows it."""
        current = stack.deployment
        return _present(
            {
                "StackId": stack.id,
                "StackName": stack.name,
                "Description": _description(stack),
                "Parameters": [parameter.shown(name) for name, parameter in current.parameters.items()]
                if current
                else [],
                "CreationTime": stack.created,
                "LastUpdatedTime": stack.updated,
                "DeletionTime": stack.deleted,
                "StackStatus": stack.status,
                "StackStatusReason": stack.reason,
                "DisableRollback": stack.disable_rollback,
                "RetainExceptOnCreate": stack.retain_except_on_create,
                "NotificationARNs": stack.notification_arns,
                "TimeoutInMinutes": stack.timeout_minutes,
                "Capabilities": list(current.capabilities) if current else [],
                "Outputs": stack.outputs or None,
                "RoleARN": stack.role_arn,
                "Tags": [{"Key": key, "Value": value} for key, value in current.tags.items()] if current else [],
                "EnableTerminationProtection": stack.termination_protection,
                "ParentId": stack.parent_id,
                "RootId": stack.root_id,
                "DriftInformation": {"StackDriftStatus": "NOT_CHECKED"},
            }
        )


def _note_execution(change_set: ChangeSet) -> None:
    """Write into a change set how its execution ended."""
    operation = change_set.stack.operation
    if operation is not None:
        operation.join()
    succeeded = change_set.stack.status in ("CREATE_COMPLETE", "UPDATE_COMPLETE")
    change_set.execution_status = "EXECUTE_COMPLETE" if succeeded else "EXECUTE_FAILED"


def _change_set_summary(change_set: ChangeSet) -> dict[str, Any]:
    return _present(
        {
            "ChangeSetName": change_set.name,
            "ChangeSetId": change_set.id,
            "StackId": change_set.stack.id,
            "StackName": change_set.stack.name,
            "Description": change_set.description,
            "CreationTime": change_set.created,
            "ExecutionStatus": change_set.execution_status,
            "Status": change_set.status,
            "StatusReason": change_set.reason,
            "IncludeNestedStacks": False,
        }
    )


def _resource(stack: Stack, resource: Resource) -> dict[str, Any]:
    return _present(
        {
            "StackName": stack.name,
            "StackId": stack.id,
            "LogicalResourceId": resource.logical_id,
            "PhysicalResourceId": resource.physical_id or None,
            "ResourceType": resource.type,
            "Timestamp": resource.timestamp,
            "ResourceStatus": resource.status,
            "ResourceStatusReason": resource.reason,
            "DriftInformation": {"StackResourceDriftStatus": "NOT_CHECKED"},
        }
    )


def _description(stack: Stack) -> str | None:
    return stack.deployment.template.processed.get("Description") if stack.deployment else None


def _present(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _only(request: Request, known: str) -> None:
    """Refuse parameters that nothing here looks at."""
    unknown = sorted(key for key, value in request.items() if value not in (None, False) and key not in known.split())
    if unknown:
        raise NotRehearsed(f"The rehearsal does not implement the parameter {', '.join(unknown)} of this operation")


def _named(name: str, parameter: str) -> None:
    if not NAME.fullmatch(name):
        raise ValidationError(
            f"1 validation error detected: Value '{name}' at '{parameter}' failed to satisfy constraint: "
            "Member must satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*"
        )


def _check_token(token: str | None) -> None:
    if token is not None and not TOKEN.fullmatch(token):
        raise ValidationError(
            f"1 validation error detected: Value '{token}' at 'clientRequestToken' failed to satisfy constraint: "
            "Member must satisfy regular expression pattern: [a-zA-Z0-9][-a-zA-Z0-9]*"
        )


def _check_rules(scope: Scope) -> None:
    broken = scope.broken_rules()
    if broken:
        raise ValidationError(f"Template validation error: Rule {'; '.join(broken)}")


def _check_updatable(stack: Stack) -> None:
    if stack.status not in UPDATABLE:
        raise ValidationError(f"Stack:{stack.id} is in {stack.status} state and can not be updated.")


def _s3_location(url: str) -> tuple[str, str, str | None]:
    """Bucket, key and version of a TemplateURL, in path style or virtual-hosted style."""
    parsed = urllib.parse.urlparse(url)
    version = urllib.parse.parse_qs(parsed.query).get("versionId", [None])[0]
    path = urllib.parse.unquote(parsed.path.lstrip("/"))
    host = parsed.hostname or ""
    virtual = re.fullmatch(r"(.+)\.s3[.-]([a-z0-9-]+\.)?amazonaws\.com", host)
    bucket, _, key = (virtual[1], "", path) if virtual else path.partition("/")
    if not bucket or not key or parsed.scheme not in ("http", "https"):
        raise ValidationError("TemplateURL must be a supported URL.")
    return bucket, key, version
