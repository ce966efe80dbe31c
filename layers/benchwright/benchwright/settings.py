"""All that the functions read from their environment, in one model."""

import os
from functools import cache
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

APPLICATION_TAG, CLUSTER_TAG = "benchwright:application", "benchwright:cluster"


class Settings(BaseModel):
    """The environment of a function as template.yaml sets it; a variable that a function has no use for is empty or
    zero.
    """

    model_config = ConfigDict(frozen=True)

    aws_region: str = ""
    application: str = Field(description="name of the application's stack, the prefix of all that it makes")
    version: str = Field("", description="the release of Benchwright, for the user agent of AWS calls")
    table_name: str = ""
    bucket_name: str = ""
    cloudformation_role_arn: str = ""
    infrastructure_configuration_arn: str = ""
    vpc_id: str = ""
    private_subnet_ids: str = ""
    public_subnet_ids: str = ""
    database_client_security_group_id: str = ""
    permissions_boundary: str = ""
    node_log_group: str = ""
    topic_arn: str = ""
    verify_schedule_state: str = ""
    log_retention_days: int = 0
    parent_image: str = ""
    default_workbench_version: str = ""
    default_r_versions: str = ""
    default_python_versions: str = ""
    license_warning_days: int = 0
    default_node_count: int = 0
    default_instance_type: str = ""
    default_database_min_capacity: float = 0
    default_database_max_capacity: float = 0
    default_database_engine_version: str = ""
    pgsslrootcert: str = Field("/opt/python/certificates/global-bundle.pem", description="trusted root certificates")

    @property
    def defaults(self) -> dict[str, Any]:
        """The stack's parameters in the shape of an execution input (docs/decisions/0016)."""
        return {
            "workbench": {"version": self.default_workbench_version},
            "r_versions": _listed(self.default_r_versions),
            "python_versions": _listed(self.default_python_versions),
            "nodes": {"count": self.default_node_count, "instance_type": self.default_instance_type},
            "database": {
                "min_capacity": self.default_database_min_capacity,
                "max_capacity": self.default_database_max_capacity,
            }
            | ({"engine_version": version} if (version := self.default_database_engine_version) else {}),
        }

    @property
    def account(self) -> str:
        """The id of the AWS account."""
        return self.cloudformation_role_arn.split(":")[4]

    @property
    def partition(self) -> str:
        """The partition of AWS, as ARNs name it."""
        return self.cloudformation_role_arn.split(":")[1]

    @property
    def session_document(self) -> str:
        """The Session document that leads to Workbench's port of a node, and to no other (template.yaml)."""
        return f"{self.application}-workbench"

    def tags(self, cluster: str) -> dict[str, str]:
        """Return the tags by which everything that belongs to a cluster is found."""
        return {APPLICATION_TAG: self.application, CLUSTER_TAG: cluster}

    def stack_name(self, cluster: str, stack: str) -> str:
        """Return the CloudFormation stack name of one of a cluster's stacks."""
        return f"{self.application}-{cluster}-{stack}"

    def group_name(self, cluster: str) -> str:
        """Return the name of a cluster's Auto Scaling group, which infra/nodes.yaml gives it."""
        return f"{self.stack_name(cluster, 'nodes')}-group"

    def log_group_of_nodes(self, cluster: str) -> str:
        """Return the name of the log group to which the nodes of a cluster send their logs (infra/foundation.yaml)."""
        return f"/{self.application}/{cluster}/nodes"


def _listed(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


@cache
def settings() -> Settings:
    """Read the environment once."""
    return Settings.model_validate(
        {name: os.environ[name.upper()] for name in Settings.model_fields if name.upper() in os.environ}
    )
