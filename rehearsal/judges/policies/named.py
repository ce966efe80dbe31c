"""What a call names, as it is before the call: of each resource that the parameters give by name or id the ARN, the
tags, the key, and whom it works for.

IAM judges a call by all of this, and afterwards it may be gone: a deregistered image, a deleted role.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from moto.awslambda.exceptions import UnknownFunctionException
from moto.awslambda.models import lambda_backends
from moto.dynamodb.models import dynamodb_backends
from moto.ec2.models import ec2_backends
from moto.efs.models import efs_backends
from moto.iam.models import iam_backends
from moto.kms.models import kms_backends
from moto.logs.models import logs_backends
from moto.secretsmanager.models import secretsmanager_backends
from moto.sns.models import sns_backends

type Facts = dict[str, Any]
type Lookup = Callable[[str], Facts | None]

EC2_ID = re.compile(r"(ami|i|lt|sg|snap|subnet|vpc)-[0-9a-f]{8,17}")


class Names:
    """Looks up names and ids in one account and region. Nothing here changes anything or is recorded."""

    def __init__(self, account: str, region: str) -> None:
        self._account = account
        self._region = region
        self._lookups: dict[str, Lookup] = {
            "AccessPointId": self._access_point,
            "CertificateArn": self._certificate,
            "FileSystemId": self._file_system,
            "FunctionName": self._function,
            "InstanceProfileName": self._profile,
            "KeyId": self._key,
            "KmsKeyId": self._key,
            "ListenerArn": self._of_balancing,
            "LoadBalancerArn": self._of_balancing,
            "MasterUserSecretKmsKeyId": self._key,
            "MountTargetId": self._mount_target,
            "ResourceArn": self._of_balancing,
            "ResourceArns": self._of_balancing,
            "ResourceId": self._of_efs,
            "RoleName": self._role,
            "RuleArn": self._of_balancing,
            "SecretId": self._secret,
            "TableName": self._table,
            "TargetGroupArn": self._of_balancing,
            "TopicArn": self._topic,
        }

    def add(self, parameter: str, lookup: Lookup) -> None:
        """Look up what stands in this parameter here, too: for resources that moto does not keep."""
        before = self._lookups.get(parameter, lambda _: None)

        def both(value: str) -> Facts | None:
            return lookup(value) or before(value)

        self._lookups[parameter] = both

    def of(self, parameters: Mapping[str, Any]) -> dict[str, Facts]:
        """What is known of each name and id in the parameters, by the name or id; what does not exist is left out."""
        found: dict[str, Facts] = {}
        for name, value in _strings(parameters):
            lookup = self._ec2 if EC2_ID.fullmatch(value) else self._lookups.get(name)
            facts = lookup(value) if lookup and value not in found else None
            if facts is not None:
                found[value] = facts
        return found

    def _ec2(self, identifier: str) -> Facts | None:
        backend = ec2_backends[self._account][self._region]
        facts: Facts = {"tags": dict(backend.tags.get(identifier, {}))}
        if network := self._network(identifier):
            facts["vpc"] = network
        image = backend.amis.get(identifier)
        if image is None and identifier.startswith("ami-"):
            return None  # moto keeps the tags of an image that is gone
        if image is not None:
            snapshot = image.ebs_snapshot.id
            facts["snapshots"] = {snapshot: dict(backend.tags.get(snapshot, {}))}
        template = backend.launch_templates.get(identifier)
        if template is not None:
            facts["versions"] = {str(version.number): self._launch(version.data) for version in template.versions}
        return facts

    def _network(self, identifier: str) -> str | None:
        """The network of a security group, a subnet or an address."""
        backend = ec2_backends[self._account][self._region]
        if identifier.startswith("sg-"):
            return next((its[identifier].vpc_id for its in backend.groups.values() if identifier in its), None)
        if identifier.startswith("subnet-"):
            return next((its[identifier].vpc_id for its in backend.subnets.values() if identifier in its), None)
        address = backend.enis.get(identifier)
        return address.subnet.vpc_id if address else None

    def _launch(self, data: Mapping[str, Any]) -> Facts:
        """What a launch template launches, and the roles of its instance profile."""
        profile = (data.get("IamInstanceProfile") or {}).get("Arn")
        profiles = list(iam_backends[self._account]["aws"].instance_profiles.values())
        return {
            "image": data.get("ImageId"),
            "groups": [group for each in data.get("NetworkInterfaces") or [] for group in each.get("Groups") or []],
            "roles": [role.arn for each in profiles if each.arn == profile for role in each.roles],
        }

    def _function(self, name: str) -> Facts | None:
        try:
            function = lambda_backends[self._account][self._region].get_function(name)
        except UnknownFunctionException:
            return None
        return {
            "arn": function.function_arn,
            "role": function.role,
            "log_group": function.logs_group_name,
            "log_key": self._log_key(function.logs_group_name),
            "in_vpc": bool((function.vpc_config or {}).get("SubnetIds")),
        }

    def _log_key(self, name: str) -> Facts | None:
        group = logs_backends[self._account][self._region].groups.get(name)
        return self._key((group.kms_key_id if group else None) or "")

    def _key(self, identifier: str) -> Facts | None:
        """A key of the customer; to a key of AWS the account needs no right of its own."""
        backend = kms_backends[self._account][self._region]
        key = backend.keys.get(identifier.rpartition("/")[2])
        if key is None:
            return None
        tags = backend.list_resource_tags(key.id)["Tags"]
        return {"arn": key.arn, "tags": {tag["TagKey"]: tag["TagValue"] for tag in tags}}

    def _secret(self, identifier: str) -> Facts | None:
        secret = secretsmanager_backends[self._account][self._region].secrets.get(identifier)
        if secret is None:
            return None
        tags = {tag["Key"]: tag["Value"] for tag in secret.tags or []}
        return {"arn": secret.arn, "tags": tags, "key": self._key(secret.kms_key_id or "")}

    def _table(self, name: str) -> Facts | None:
        table = dynamodb_backends[self._account][self._region].tables.get(name.rpartition("/")[2])
        if table is None:
            return None
        return {"arn": table.table_arn, "key": self._key((table.sse_specification or {}).get("KMSMasterKeyId", ""))}

    def _topic(self, arn: str) -> Facts | None:
        topic = sns_backends[self._account][self._region].topics.get(arn)
        return None if topic is None else {"arn": topic.arn, "key": self._key(topic.kms_master_key_id)}

    def _role(self, name: str) -> Facts | None:
        roles = list(iam_backends[self._account]["aws"].roles.values())
        return next(
            ({"arn": role.arn, "boundary": role.permissions_boundary_arn} for role in roles if role.name == name), None
        )

    def _profile(self, name: str) -> Facts | None:
        profiles = list(iam_backends[self._account]["aws"].instance_profiles.values())
        return next(({"arn": profile.arn} for profile in profiles if profile.name == name), None)

    def _mount_target(self, identifier: str) -> Facts | None:
        target = efs_backends[self._account][self._region].mount_targets_by_id.get(identifier)
        if target is None:
            return None
        return {
            "file_system": target.file_system_id,
            "network_interface": target.network_interface_id,
            "vpc": self._network(target.network_interface_id),
        } | self._efs_tags(target.file_system_id)

    def _access_point(self, identifier: str) -> Facts | None:
        point = efs_backends[self._account][self._region].access_points.get(identifier)
        return None if point is None else {"file_system": point.file_system_id} | self._efs_tags(identifier)

    def _file_system(self, identifier: str) -> Facts | None:
        known = efs_backends[self._account][self._region].file_systems_by_id
        return self._efs_tags(identifier) if identifier in known else None

    def _of_efs(self, identifier: str) -> Facts | None:
        return self._access_point(identifier) if identifier.startswith("fsap-") else self._file_system(identifier)

    def _of_balancing(self, arn: str) -> Facts | None:
        """A load balancer, target group, listener or rule."""
        if ":elasticloadbalancing:" not in arn:
            return None
        from moto.elbv2.models import elbv2_backends

        tagging = elbv2_backends[self._account][self._region].tagging_service
        return {"tags": dict(tagging.get_tag_dict_for_resource(arn))}

    def _certificate(self, arn: str) -> Facts | None:
        from moto.acm.models import acm_backends

        found = acm_backends[self._account][self._region]._certificates.get(arn)
        return None if found is None else {"tags": dict(found.tags)}

    def _efs_tags(self, identifier: str) -> Facts:
        tags = efs_backends[self._account][self._region].list_tags_for_resource(identifier)
        return {"tags": {tag["Key"]: tag["Value"] for tag in tags}}


def _strings(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Every text in the parameters, with the name of the parameter that it stands in."""
    if isinstance(value, Mapping):
        for key, member in value.items():
            yield from _strings(member, str(key))
    elif isinstance(value, list | tuple):
        for member in value:
            yield from _strings(member, name)
    elif isinstance(value, str):
        yield name, value
