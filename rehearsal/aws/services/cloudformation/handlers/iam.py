"""IAM roles, policies and instance profiles."""

import contextlib
import json
from typing import Any

from ..context import Context, Made, Properties
from ..handler import Handler, Tagging
from ..service_call import call


class Role(Handler):
    type = "AWS::IAM::Role"
    seconds = 18
    delete_seconds = 11
    tagging = Tagging("RoleName", operations=("TagRole", "UntagRole"))

    def create(self, context: Context, properties: Properties) -> Made:
        iam = context.client("iam")
        name = properties.get("RoleName") or context.name(64)
        role = call(iam, "CreateRole", properties, RoleName=name)["Role"]
        context.identify(name)
        for arn in properties.get("ManagedPolicyArns", []):
            iam.attach_role_policy(RoleName=name, PolicyArn=arn)
        for policy in properties.get("Policies", []):
            call(iam, "PutRolePolicy", policy, RoleName=name)
        return Made(name, {"Arn": role["Arn"], "RoleId": role["RoleId"]})

    def update(self, context: Context, physical_id: str, old: Properties, new: Properties) -> dict[str, Any]:
        iam = context.client("iam")
        if old.get("AssumeRolePolicyDocument") != new.get("AssumeRolePolicyDocument"):
            document = json.dumps(new["AssumeRolePolicyDocument"])
            iam.update_assume_role_policy(RoleName=physical_id, PolicyDocument=document)
        for name in ("Description", "MaxSessionDuration"):
            if old.get(name) != new.get(name):
                call(iam, "UpdateRole", {name: new.get(name, "")}, RoleName=physical_id)
        if old.get("PermissionsBoundary") != new.get("PermissionsBoundary"):
            if new.get("PermissionsBoundary"):
                iam.put_role_permissions_boundary(RoleName=physical_id, PermissionsBoundary=new["PermissionsBoundary"])
            else:
                iam.delete_role_permissions_boundary(RoleName=physical_id)
        before, after = (set(its.get("ManagedPolicyArns", [])) for its in (old, new))
        for arn in sorted(after - before):
            iam.attach_role_policy(RoleName=physical_id, PolicyArn=arn)
        for arn in sorted(before - after):
            iam.detach_role_policy(RoleName=physical_id, PolicyArn=arn)
        policies = {policy["PolicyName"]: policy for policy in new.get("Policies", [])}
        for policy in old.get("Policies", []):
            if policy["PolicyName"] not in policies:
                iam.delete_role_policy(RoleName=physical_id, PolicyName=policy["PolicyName"])
        for policy in policies.values():
            if policy not in old.get("Policies", []):
                call(iam, "PutRolePolicy", policy, RoleName=physical_id)
        return {}

    def delete(self, context: Context, physical_id: str, properties: Properties) -> None:
        iam = context.client("iam")
        attached = iam.list_attached_role_policies(RoleName=physical_id)["AttachedPolicies"]
        inline = iam.list_role_policies(RoleName=physical_id)["PolicyNames"]
        for arn in {policy["PolicyArn"] for policy in attached} & set(properties.get("ManagedPolicyArns", [])):
            iam.detach_role_policy(RoleName=physical_id, PolicyArn=arn)
        for name in set(inline) & {policy["PolicyName"] for policy in properties.get("Policies", [])}:
            iam.delete_role_policy(RoleName=physical_id, PolicyName=name)
        iam.delete_role(RoleName=physical_id)


class RolePolicy(Handler):
    # An assumption, as ManagedPolicy: what AWS::IAM::Policy takes, of which logs have 11, 17 and 19.
    type = "AWS::IAM::RolePolicy"
    seconds = 17
    updates = ("PutRolePolicy", "")
    deletes = ("DeleteRolePolicy", "", "RoleName", "PolicyName")

    def create(self, context: Context, properties: Properties) -> Made:
        call(context.client("iam"), "PutRolePolicy", properties)
        return Made(f"{properties['PolicyName']}|{properties['RoleName']}")


class ManagedPolicy(Handler):
    """A changed document becomes a new default version; the old one is deleted, since IAM keeps five."""

    type = "AWS::IAM::ManagedPolicy"
    seconds = 17

    def create(self, context: Context, properties: Properties) -> Made:
        iam = context.client("iam")
        name = properties.get("ManagedPolicyName") or context.name(128)
        policy = call(iam, "CreatePolicy", properties, PolicyName=name)["Policy"]
        context.identify(policy["Arn"])
        for role in properties.get("Roles", []):
            iam.attach_role_policy(RoleName=role, PolicyArn=policy["Arn"])
        return Made(policy["Arn"], {"PolicyArn": policy["Arn"], "PolicyId": policy["PolicyId"]})

    def update(self, context: Context, physical_id: str, old: Properties, new: Properties) -> dict[str, Any]:
        iam = context.client("iam")
        if old["PolicyDocument"] != new["PolicyDocument"]:
            former = iam.get_policy(PolicyArn=physical_id)["Policy"]["DefaultVersionId"]
            call(iam, "CreatePolicyVersion", new, PolicyArn=physical_id, SetAsDefault=True)
            iam.delete_policy_version(PolicyArn=physical_id, VersionId=former)
        before, after = (set(its.get("Roles", [])) for its in (old, new))
        for role in sorted(after - before):
            iam.attach_role_policy(RoleName=role, PolicyArn=physical_id)
        for role in sorted(before - after):
            iam.detach_role_policy(RoleName=role, PolicyArn=physical_id)
        return {}

    def delete(self, context: Context, physical_id: str, properties: Properties) -> None:
        iam = context.client("iam")
        for role in properties.get("Roles", []):
            with contextlib.suppress(iam.exceptions.NoSuchEntityException):
                iam.detach_role_policy(RoleName=role, PolicyArn=physical_id)
        iam.delete_policy(PolicyArn=physical_id)


class InstanceProfile(Handler):
    """Slow in AWS: CloudFormation waits for the profile to be known everywhere. hashicorp/terraform#15341 says two
    minutes; four public logs of CDK have 125, 131, 132 and 132.
    """

    type = "AWS::IAM::InstanceProfile"
    seconds = 132

    def create(self, context: Context, properties: Properties) -> Made:
        iam = context.client("iam")
        name = properties.get("InstanceProfileName") or context.name(128)
        profile = call(iam, "CreateInstanceProfile", properties, InstanceProfileName=name)["InstanceProfile"]
        context.identify(name)
        for role in properties["Roles"]:
            iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=role)
        return Made(name, {"Arn": profile["Arn"]})

    def update(self, context: Context, physical_id: str, old: Properties, new: Properties) -> dict[str, Any]:
        iam = context.client("iam")
        for role in old["Roles"]:
            iam.remove_role_from_instance_profile(InstanceProfileName=physical_id, RoleName=role)
        for role in new["Roles"]:
            iam.add_role_to_instance_profile(InstanceProfileName=physical_id, RoleName=role)
        return {}

    def delete(self, context: Context, physical_id: str, properties: Properties) -> None:
        iam = context.client("iam")
        held = iam.get_instance_profile(InstanceProfileName=physical_id)["InstanceProfile"]["Roles"]
        for role in {role["RoleName"] for role in held} & set(properties["Roles"]):
            iam.remove_role_from_instance_profile(InstanceProfileName=physical_id, RoleName=role)
        iam.delete_instance_profile(InstanceProfileName=physical_id)
