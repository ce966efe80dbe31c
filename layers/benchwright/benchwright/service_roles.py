"""The service-linked roles of an account: made minutes before the services of a cluster need them.

Each service makes its own at its first use, and for some seconds cannot work with it: RDS then refuses the database,
and Auto Scaling's first instance fails with "Authentication Failure".
"""

from __future__ import annotations

from botocore.exceptions import ClientError

from benchwright.errors import error_code
from benchwright.observability import client, logger

# What the stacks of a cluster use; EC2 Image Builder's is made with the first build. EFS backs up by AWS Backup.
SERVICES = ("autoscaling", "backup", "elasticfilesystem", "rds", "ssm")
THERE = "InvalidInput"  # "Service role name … has been taken in this account, please try a different suffix."


def ensure() -> None:
    """Make what is missing. Nothing is to be done where a role is there already."""
    for service in SERVICES:
        try:
            made = client("iam").create_service_linked_role(AWSServiceName=f"{service}.amazonaws.com")
        except ClientError as error:
            if error_code(error) != THERE:
                raise
        else:
            logger.info("service-linked role made", role=made["Role"]["Arn"])
