"""What the account has whoever uses it: quotas, a default key of EBS, and service-linked roles.

moto knows no quotas of EC2, no GetEbsDefaultKmsKeyId, and not how many vCPUs an instance has.
"""

import itertools
from collections.abc import Mapping
from typing import Any, Final

from moto.ec2.models import ec2_backends
from moto.ec2.models.instance_types import INSTANCE_TYPES
from moto.ec2.models.instances import Instance
from moto.iam.models import iam_backends

from rehearsal.aws.calls import PROCEED, Call, Proceed, ServiceError
from rehearsal.aws.local_aws import LocalAws

STANDARD_VCPUS: Final = "L-1216C47A"
"""Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances."""

STANDARD_FAMILIES: Final = frozenset(("a", "c", "d", "h", "i", "im", "is", "m", "r", "t", "z"))
"""The letters before the number of a type, m7i.xlarge's m. Source: the EC2 instance types guide, "Quotas"."""

# An assumption. Others wait 10 (aws-solutions-library-samples/guidance-for-claude-code-with-amazon-bedrock#252) or 10
# to 15 (aws/agent-toolkit-for-aws).
SETTLING_SECONDS = 20
"""How long a new service-linked role does not work."""


def install(aws: LocalAws) -> None:
    Instance.cpu_options = property(_cpu_options)  # by this name moto's serializer looks for CpuOptions
    aws.server.add("iam", "CreateServiceLinkedRole", lambda call: _create_role(aws, call))
    aws.server.add("iam", "DeletePolicy", lambda call: _refuse_attached(aws, call))
    aws.server.add("service-quotas", "GetServiceQuota", lambda call: _quota(aws, call))
    aws.server.add("ec2", "GetEbsDefaultKmsKeyId", lambda call: {"KmsKeyId": _key(aws)})


def role_works(aws: LocalAws, service: str) -> bool:
    """Whether a service can work with its service-linked role now; one that is missing is made by its first use.

    Asked by RDS, Auto Scaling, EFS, AWS Backup and Elastic Load Balancing. Run Command and State Manager work without
    the one of Systems Manager, which only Inventory, Explorer and OpsCenter use: Systems Manager user guide, "Using
    roles to collect inventory and view OpsData".
    """
    if not aws.initial_account.new:
        return True
    if not aws.initial_account.service_roles:  # its first use may not create it either
        return False
    now = aws.clock.now()
    return now >= aws.service_roles.setdefault(f"{service}.amazonaws.com", now) + SETTLING_SECONDS


def _create_role(aws: LocalAws, call: Call) -> Proceed:
    """CreateServiceLinkedRole, which moto carries out where the role is missing."""
    service = call["AWSServiceName"]
    if not aws.initial_account.service_roles:  # before IAM looks whether the role exists
        role = f"arn:aws:iam::{aws.account}:role/aws-service-role/{service}/*"
        denied = f"User is not authorized to perform: iam:CreateServiceLinkedRole on resource: {role}"
        raise ServiceError("AccessDenied", f"{denied} with an explicit deny in a service control policy", 403)
    if not aws.initial_account.new or service in aws.service_roles:
        raise ServiceError(
            "InvalidInput",
            f"Service role name of {service} has been taken in this account, please try a different suffix.",
            400,
        )
    aws.service_roles[service] = aws.clock.now()
    return PROCEED


def _refuse_attached(aws: LocalAws, call: Call) -> Proceed:
    """DeletePolicy, which moto carries out, also where a role has the policy.

    Source: IAM API reference, DeletePolicy: a policy is detached from all users, groups and roles first.
    """
    policy = iam_backends[aws.account]["global"].managed_policies.get(call["PolicyArn"])
    if policy and policy.attachment_count:
        raise ServiceError("DeleteConflict", "Cannot delete a policy attached to entities.", 409)
    return PROCEED


def is_over_quota(aws: LocalAws, instance_type: str) -> bool:
    """Whether one more instance of this type would be more vCPUs than may run at once."""
    running = [machine.instance_type for machine in list(aws.machines.by_id.values()) if not machine.gone.is_set()]
    standard = [each for each in (*running, instance_type) if _is_standard(each)]
    vcpus = sum(INSTANCE_TYPES[each]["VCpuInfo"]["DefaultVCpus"] for each in standard)
    return _is_standard(instance_type) and bool(vcpus > aws.initial_account.vcpus)


def _is_standard(instance_type: str) -> bool:
    return "".join(itertools.takewhile(str.isalpha, instance_type)) in STANDARD_FAMILIES


def _cpu_options(instance: Any) -> Mapping[str, int]:
    """Cores, and threads of each, as an instance of this type has them where it asked for no others."""
    of_type = INSTANCE_TYPES[instance.instance_type]["VCpuInfo"]
    return {"CoreCount": of_type["DefaultCores"], "ThreadsPerCore": of_type["DefaultThreadsPerCore"]}


def _quota(aws: LocalAws, call: Call) -> Mapping[str, Any]:
    if (call["ServiceCode"], call["QuotaCode"]) != ("ec2", STANDARD_VCPUS):
        raise ServiceError("NoSuchResourceException", "The request failed because the specified quota does not exist.")
    return {
        "Quota": {
            "ServiceCode": "ec2",
            "ServiceName": "Amazon Elastic Compute Cloud (Amazon EC2)",
            "QuotaCode": STANDARD_VCPUS,
            "QuotaName": "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances",
            "Value": aws.initial_account.vcpus,
            "Unit": "None",
            "Adjustable": True,
            "GlobalQuota": False,
        }
    }


def _key(aws: LocalAws) -> str:
    """An alias of AWS's key as long as the account chose none of its own."""
    if not aws.initial_account.own_ebs_key:
        return "alias/aws/ebs"
    ec2 = ec2_backends[aws.account][aws.region]
    if not ec2.default_kms_key_id:
        key = aws.client("kms").create_key(Description="volumes of this account")["KeyMetadata"]["Arn"]
        ec2.modify_ebs_default_kms_key_id(key)
    return str(ec2.default_kms_key_id)
