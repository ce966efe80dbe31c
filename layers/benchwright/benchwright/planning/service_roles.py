"""The service-linked roles of an account: made minutes before the services of a cluster need them.

Each service makes its own at its first use, and for some seconds cannot work with it: RDS then refuses the database,
and Auto Scaling's first instance fails with "Authentication Failure".
"""

from __future__ import annotations

from collections.abc import Iterable

from botocore.exceptions import ClientError

from benchwright.aws import client
from benchwright.errors import error_code
from benchwright.observability import logger

# What the stacks of a cluster use; EC2 Image Builder's is made with the first build. EFS backs up by AWS Backup.
SERVICES = ("autoscaling", "backup", "elasticfilesystem", "rds", "ssm")
LOAD_BALANCING = "elasticloadbalancing"  # of a cluster with an address
THERE = "InvalidInput"  # "Service role name … has been taken in this account, please try a different suffix."


def ensure(services: Iterable[str] = SERVICES) -> None:
    """Create each role that does not exist.

    IAM checks permissions before it looks whether a role exists, so where a service control policy or a permissions
    boundary forbids the call, nothing is learned: an administrator may have created the roles. This is logged; a role
    that does not exist makes the service that needs it fail with a reason of its own. Raises ClientError for any other
    refusal.
    """
    for service in services:
        name = f"{service}.amazonaws.com"
        try:
            created = client("iam").create_service_linked_role(AWSServiceName=name)
        except ClientError as error:
            code = error_code(error)
            if "AccessDenied" in code:
                logger.warning("service-linked role not created", service_name=name, reason=str(error))
            elif code != THERE:
                raise
        else:
            logger.info("service-linked role created", role=created["Role"]["Arn"])
