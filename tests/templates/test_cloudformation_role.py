"""The role of CloudFormation, and the key of a cluster that names it, allow what the handlers of the templates'
resource types do, neither less nor more.

data/cloudformation-permissions.json holds the IAM actions of each type's handlers, from the schemas of the
CloudFormation registry (its key "source" says how they were read).
"""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from pathlib import Path

from tests.templates.templates import ACCESS, APPLICATION, FOUNDATION, NODES, policy_documents, render, statements

PERMISSIONS = json.loads((Path(__file__).parent / "data" / "cloudformation-permissions.json").read_text())["types"]

# What handlers can do and these templates never make them do.
LEFT_OUT = {
    "no mixed instance types, and an AMI named by its id": {"ec2:Get*", "ssm:Get*"},
    "nothing but CloudFormation watches the group": {
        "autoscaling:DeleteNotificationConfiguration",
        "autoscaling:PutNotificationConfiguration",
    },
    "the group is registered with a target group of an Application Load Balancer": {
        "autoscaling:AttachLoadBalancers",
        "autoscaling:DetachLoadBalancers",
        "vpc-lattice:DeregisterTargets",
        "vpc-lattice:GetTargetGroup",
        "vpc-lattice:ListTargets",
        "vpc-lattice:RegisterTargets",
    },
    "target groups have no fixed targets, listeners no attributes, and load balancers IPv4 addresses of AWS alone": {
        "cognito-idp:DescribeUserPoolClient",
        "elasticloadbalancing:DeregisterTargets",
        "elasticloadbalancing:ModifyCapacityReservation",
        "elasticloadbalancing:ModifyIpPools",
        "elasticloadbalancing:ModifyListenerAttributes",
        "elasticloadbalancing:RegisterTargets",
        "elasticloadbalancing:SetIpAddressType",
        "elasticloadbalancing:SetRulePriorities",
    },
    "a web ACL protects a load balancer of the same account, and nothing else": {
        *(f"amplify:{name}WebACL" for name in ("Associate", "Disassociate")),
        "amplify:GetWebACLForResource",
        "apigateway:SetWebACL",
        *(f"apprunner:{name}" for name in ("AssociateWebAcl", "DescribeWebAclForService", "DisassociateWebAcl")),
        *(f"appsync:{name}" for name in ("AssociateWebACL", "DisassociateWebACL", "GetWebACLForResource", "SetWebACL")),
        *(
            f"bedrock-agentcore:Gateway{name}"
            for name in ("AssociateWebACL", "DisassociateWebACL", "GetWebACLForResource")
        ),
        *(f"cognito-idp:{name}" for name in ("AssociateWebACL", "DisassociateWebACL", "GetWebACLForResource")),
        "ec2:AssociateVerifiedAccessInstanceWebAcl",
        "ec2:DisassociateVerifiedAccessInstanceWebAcl",
        "ec2:GetVerifiedAccessInstanceWebAcl",
        "elasticloadbalancing:CreateWebACLAssociation",
        "elasticloadbalancing:DeleteWebACLAssociation",
        "elasticloadbalancing:GetLoadBalancerWebACL",
        "wafv2:GetPermissionPolicy",
        "wafv2:PutPermissionPolicy",
    },
    "IAM knows it as SetWebAcl": {"elasticloadbalancing:SetWebACL"},
    "no managed fleet": {
        "managed-fleets:CreateAutoScalingGroup",
        "managed-fleets:DeleteAutoScalingGroup",
        "managed-fleets:DeregisterAutoScalingGroup",
        "managed-fleets:Get*",
        "managed-fleets:RegisterAutoScalingGroup",
        "managed-fleets:UpdateAutoScalingGroup",
    },
    "no replication to other regions": {
        "elasticfilesystem:CreateReplicationConfiguration",
        "elasticfilesystem:DeleteReplicationConfiguration",
        "rds:RemoveFromGlobalCluster",
        "rds:StartDBInstanceAutomatedBackupsReplication",
        "rds:StopDBInstanceAutomatedBackupsReplication",
        "secretsmanager:RemoveRegionsFromReplication",
        "secretsmanager:ReplicateSecretToRegions",
    },
    "no database begins as a copy of another, nor leaves a snapshot: it is retained": {
        "rds:CreateDBClusterSnapshot",
        "rds:CreateDBInstanceReadReplica",
        "rds:CreateDBSnapshot",
        "rds:PromoteReadReplica",
        "rds:RestoreDBClusterFromSnapshot",
        "rds:RestoreDBClusterToPointInTime",
        "rds:RestoreDBInstanceFromDBSnapshot",
        "rds:RestoreDBInstanceToPointInTime",
    },
    "the database has no role": {
        "iam:ListRoles",
        "rds:AddRoleToDBCluster",
        "rds:AddRoleToDBInstance",
        "rds:RemoveRoleFromDBCluster",
        "rds:RemoveRoleFromDBInstance",
    },
    "the role of nodes has its own policy alone": {"iam:AttachRolePolicy"},
    "the log group has no index, no data protection, no delivery, no resource policy and no bearer tokens": {
        "firehose:TagDeliveryStream",
        "logs:CreateLogDelivery",
        "logs:DeleteDataProtectionPolicy",
        "logs:DeleteIndexPolicy",
        "logs:DeleteResourcePolicy",
        "logs:PutBearerTokenAuthentication",
        "logs:PutDataProtectionPolicy",
        "logs:PutIndexPolicy",
        "logs:PutLogGroupDeletionProtection",
        "logs:PutResourcePolicy",
        "s3:REST.PUT.OBJECT",
    },
    "the document has no attachment, the association no calendar and no resource group": {
        "resource-groups:GetGroupQuery",
        "resource-groups:ListGroupResources",
        "resource-groups:ListGroups",
        "s3:GetObject",
        "ssm:GetCalendarState",
    },
}

# What handlers need beyond their list.
ADDED = {
    "EFS makes, changes and deletes the network interfaces of mount targets with the permissions of the caller": {
        "ec2:CreateNetworkInterface",
        "ec2:DeleteNetworkInterface",
        "ec2:ModifyNetworkInterfaceAttribute",
    },
    "RDS and Secrets Manager use a key of the customer with the permissions of the caller": {
        "kms:Decrypt",
        "kms:GenerateDataKey",
    },
    "CloudFormation reads the template": {"s3:GetObjectVersion"},
    "the list of the handler spells it SetWebACL": {"elasticloadbalancing:SetWebAcl"},
    "the handler of a record publishes no list": {
        "route53:ChangeResourceRecordSets",
        "route53:GetChange",
        "route53:GetHostedZone",
        "route53:ListResourceRecordSets",
    },
}


def test_the_role_allows_what_handlers_do() -> None:
    assert {
        action for action in _needed() if not any(fnmatchcase(action, granted) for granted in _granted())
    } == set().union(*LEFT_OUT.values())


def test_the_role_allows_nothing_else() -> None:
    assert {
        granted for granted in _granted() if not any(fnmatchcase(action, granted) for action in _needed())
    } == set().union(*ADDED.values())


def test_the_permissions_of_every_type_are_known() -> None:
    assert {kind for kind in _types() if not PERMISSIONS.get(kind)} == {
        "AWS::Route53::RecordSet"
    }  # ADDED says the rest


def test_each_policy_fits_into_iam() -> None:
    """A managed policy holds 6,144 characters, white space not counted (IAM quotas)."""
    sizes = {
        name: len(json.dumps(render(document), separators=(",", ":")))
        for name, document in policy_documents(APPLICATION)
    }
    assert {name: size for name, size in sizes.items() if size > 6_144} == {}


def _types() -> set[str]:
    return {resource["Type"] for template in (FOUNDATION, ACCESS, NODES) for resource in template["Resources"].values()}


def _needed() -> set[str]:
    return {action for kind in _types() for actions in PERMISSIONS[kind].values() for action in actions}


def _granted() -> set[str]:
    policies = (statement for statement in statements(APPLICATION) if statement.where.startswith("CloudFormation"))
    by_the_key = [
        statement["Action"]
        for statement in FOUNDATION["Resources"]["Key"]["Properties"]["KeyPolicy"]["Statement"]
        if statement["Principal"] == {"AWS": {"Ref": "CloudFormationRoleArn"}}
    ]
    return {action for actions in (*(each.actions for each in policies), *by_the_key) for action in actions}
