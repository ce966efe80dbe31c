"""Networks, instances, groups, commands, file systems and databases."""

from collections.abc import Iterator, Mapping

from rehearsal.judges.policies.authorization import UNKNOWN_ID, Authorization, Call
from rehearsal.judges.policies.mapping.registry import on, without_resource

GROUP_TAG = "aws:autoscaling:groupName"

# ------------------------------------------------------------------------------------------------------------------ EC2

without_resource("ec2", "ec2", "DescribeImages", "DescribeInstances", "DescribeLaunchTemplateVersions", "DescribeTags")
without_resource("ec2", "ec2", "DescribeInstanceTypes", "DescribeInstanceTypeOfferings", "GetEbsDefaultKmsKeyId")
without_resource("ec2", "ec2", "DescribeRouteTables", "DescribeSubnets", "DescribeVpcEndpoints")
without_resource("rds", "rds", "DescribeDBEngineVersions", "DescribeOrderableDBInstanceOptions")
without_resource("service-quotas", "servicequotas", "GetServiceQuota")


@on("ec2", "DescribeVpcAttribute")
def network_attribute(call: Call) -> Iterator[Authorization]:
    yield _ec2(call, "DescribeVpcAttribute", "vpc", call["VpcId"])


@on("kms", "DescribeKey", "GetKeyPolicy", "ListGrants")
def key(call: Call) -> Iterator[Authorization]:
    found = call.known(call["KeyId"])
    arn = found.get("arn", call["KeyId"])
    yield call.ask(f"kms:{call.operation}", arn, policy=arn).on_tagged(found.get("tags", {}))


@on("iam", "CreateServiceLinkedRole")
def service_role(call: Call) -> Iterator[Authorization]:
    yield call.ask_service_role(call["AWSServiceName"], UNKNOWN_ID)


@on("ec2", "GetConsoleOutput")
def console(call: Call) -> Iterator[Authorization]:
    yield _ec2(call, "GetConsoleOutput", "instance", call["InstanceId"])


@on("ec2", "DeregisterImage")
def old_image(call: Call) -> Iterator[Authorization]:
    """An image that is gone has no tag, so a right that asks for one is refused; our code can do without it by then."""
    if not call.known(call["ImageId"]):
        return
    yield _ec2(call, "DeregisterImage", "image", call["ImageId"])
    if call.get("DeleteAssociatedSnapshots"):
        for snapshot, tags in call.known(call["ImageId"]).get("snapshots", {}).items():
            yield call.ask("ec2:DeleteSnapshot", _arn(call, "snapshot", snapshot)).on_tagged(tags)


@on("ec2", "CreateSecurityGroup")
def new_group(call: Call) -> Iterator[Authorization]:
    yield _ec2(call, "CreateSecurityGroup", "security-group").with_tags(call.requested_tags())
    yield _ec2(call, "CreateSecurityGroup", "vpc", call["VpcId"])
    yield from _tagging(call, "security-group")


@on(
    "ec2",
    "AuthorizeSecurityGroupEgress",
    "AuthorizeSecurityGroupIngress",
    "RevokeSecurityGroupEgress",
    "RevokeSecurityGroupIngress",
)
def rules(call: Call) -> Iterator[Authorization]:
    yield _ec2(call, call.operation, "security-group", call["GroupId"])
    if call.operation.startswith("Authorize"):
        yield _ec2(call, call.operation, "security-group-rule")
        yield from _tagging(call, "security-group-rule")


@on("ec2", "DeleteSecurityGroup")
def old_group(call: Call) -> Iterator[Authorization]:
    yield _ec2(call, "DeleteSecurityGroup", "security-group", call["GroupId"])


@on("ec2", "CreateLaunchTemplate")
def new_launch_template(call: Call) -> Iterator[Authorization]:
    yield _ec2(call, "CreateLaunchTemplate", "launch-template").with_tags(call.requested_tags())
    yield from _tagging(call, "launch-template")


@on("ec2", "CreateLaunchTemplateVersion", "DeleteLaunchTemplate")
def launch_template(call: Call) -> Iterator[Authorization]:
    yield _ec2(call, call.operation, "launch-template", call["LaunchTemplateId"])


@on("ec2", "CreateTags", "DeleteTags")
def tags(call: Call) -> Iterator[Authorization]:
    kinds = {"i": "instance", "lt": "launch-template", "sg": "security-group", "sgr": "security-group-rule"}
    for resource in call["Resources"]:
        asked = _ec2(call, call.operation, kinds[resource.partition("-")[0]], resource)
        yield asked.with_tags(call.requested_tags())


def _ec2(call: Call, action: str, kind: str, identifier: str = "") -> Authorization:
    """`identifier` is empty for what is only about to be. AMIs and snapshots have no account in their ARN.

    Every action on a security group, a subnet or an address knows its network but DeleteTags (service authorization
    reference).
    """
    asked = call.ask(f"ec2:{action}", _arn(call, kind, identifier)).on_tagged(call.tags(identifier))
    return _inside(call, asked, call.known(identifier)) if action != "DeleteTags" else asked


def _inside(call: Call, asked: Authorization, known: Mapping[str, str]) -> Authorization:
    return asked.knowing({"ec2:Vpc": call.arn("ec2", f"vpc/{known['vpc']}")}) if known.get("vpc") else asked


def _arn(call: Call, kind: str, identifier: str) -> str:
    owned = call.arn("ec2", f"{kind}/{identifier or f'{kind}-{UNKNOWN_ID}'}")
    return owned.replace(f":{call.account}:", "::") if kind in ("image", "snapshot") else owned


def _tagging(call: Call, kind: str) -> Iterator[Authorization]:
    yield from call.ask_tagging(
        "ec2:CreateTags", call.arn("ec2", f"{kind}/{kind}-{UNKNOWN_ID}"), {"ec2:CreateAction": call.operation}
    )


# --------------------------------------------------------------------------------------------------------- Auto Scaling

without_resource(
    "autoscaling",
    "autoscaling",
    "DescribeAutoScalingGroups",
    "DescribeInstanceRefreshes",
    "DescribeLoadBalancerTargetGroups",
    "DescribeScalingActivities",
)


@on("autoscaling", "CreateAutoScalingGroup", "UpdateAutoScalingGroup")
def group(call: Call) -> Iterator[Authorization]:
    """Auto Scaling asks whether who calls it could launch the instances: https://docs.aws.amazon.com/autoscaling/ec2/
    userguide/ec2-auto-scaling-api-permissions.html
    """
    arn = _group_arn(call, call["AutoScalingGroupName"])
    yield call.ask_tagged(f"autoscaling:{call.operation}", arn)
    if call.operation == "CreateAutoScalingGroup":
        yield from call.ask_tagging("autoscaling:CreateOrUpdateTags", arn)
        yield call.ask_service_role("autoscaling.amazonaws.com", "AWSServiceRoleForAutoScaling")
    if template := call.get("LaunchTemplate"):
        launched = call.known(template["LaunchTemplateId"])["versions"][template["Version"]]
        for kind in ("instance", "network-interface", "volume"):
            yield _ec2(call, "RunInstances", kind)
        yield _ec2(call, "RunInstances", "image", launched["image"])
        yield _ec2(call, "RunInstances", "launch-template", template["LaunchTemplateId"])
        for security_group in launched["groups"]:
            yield _ec2(call, "RunInstances", "security-group", security_group)
        for subnet in call["VPCZoneIdentifier"].split(","):
            yield _ec2(call, "RunInstances", "subnet", subnet)
        for kind in ("instance", "volume"):
            arn = call.arn("ec2", f"{kind}/{kind}-{UNKNOWN_ID}")
            yield from call.ask_tagging("ec2:CreateTags", arn, {"ec2:CreateAction": "RunInstances"})
        for role in launched["roles"]:
            yield call.ask_pass_role(role, "ec2.amazonaws.com")


@on(
    "autoscaling",
    "CompleteLifecycleAction",
    "DeleteAutoScalingGroup",
    "DeleteLifecycleHook",
    "DisableMetricsCollection",
    "EnableMetricsCollection",
    "PutLifecycleHook",
    "ResumeProcesses",
    "StartInstanceRefresh",
    "SuspendProcesses",
)
def existing_group(call: Call) -> Iterator[Authorization]:
    assert not call.get("DesiredConfiguration"), "a refresh to another configuration asks for RunInstances, too"
    yield call.ask(f"autoscaling:{call.operation}", _group_arn(call, call["AutoScalingGroupName"]))


@on("autoscaling", "AttachLoadBalancerTargetGroups", "DetachLoadBalancerTargetGroups")
def group_targets(call: Call) -> Iterator[Authorization]:
    asked = call.ask(f"autoscaling:{call.operation}", _group_arn(call, call["AutoScalingGroupName"]))
    yield asked.knowing({"autoscaling:TargetGroupARNs": tuple(call["TargetGroupARNs"])})


@on("autoscaling", "CreateOrUpdateTags", "DeleteTags")
def group_tags(call: Call) -> Iterator[Authorization]:
    for name in sorted({tag["ResourceId"] for tag in call["Tags"]}):
        asked = call.ask(f"autoscaling:{call.operation}", _group_arn(call, name))
        yield asked.with_tags({tag["Key"]: tag.get("Value", "") for tag in call["Tags"]})


@on("autoscaling", "SetInstanceHealth")
def health(call: Call) -> Iterator[Authorization]:
    """The group is the resource. Its tags are on its instances, all of them propagated."""
    tags = call.tags(call["InstanceId"])
    asked = call.ask("autoscaling:SetInstanceHealth", _group_arn(call, tags[GROUP_TAG]))
    yield asked.on_tagged({key: value for key, value in tags.items() if not key.startswith("aws:")})


def _group_arn(call: Call, name: str) -> str:
    return call.arn("autoscaling", f"autoScalingGroup:{UNKNOWN_ID}:autoScalingGroupName/{name}")


# ------------------------------------------------------------------------------------------------------ Systems Manager

without_resource(
    "ssm", "ssm", "DescribeInstanceInformation", "GetCommandInvocation", "ListCommandInvocations", "ListCommands"
)


@on("ssm", "GetParameter")
def parameter(call: Call) -> Iterator[Authorization]:
    """A public parameter belongs to no account."""
    name = call["Name"]
    arn = call.arn("ssm", f"parameter/{name.lstrip('/')}")
    yield call.ask("ssm:GetParameter", arn.replace(f":{call.account}:", "::") if name.startswith("/aws/") else arn)


@on("ssm", "SendCommand")
def command(call: Call) -> Iterator[Authorization]:
    """Both the document and each instance must be allowed: https://docs.aws.amazon.com/systems-manager/latest/userguide/
    run-command-setting-up.html
    """
    assert not call.get("Targets"), "targets by tag ask for the instances that carry it"
    yield call.ask("ssm:SendCommand", _document(call, call["DocumentName"]))
    for instance in call["InstanceIds"]:
        tags = call.tags(instance)
        asked = call.ask("ssm:SendCommand", call.arn("ec2", f"instance/{instance}"))
        yield asked.on_tagged(tags).on_tagged(tags, "ssm:resourceTag")


@on("ssm", "CreateDocument")
def new_document(call: Call) -> Iterator[Authorization]:
    arn = _document(call, call["Name"])
    yield call.ask_tagged("ssm:CreateDocument", arn)
    yield from call.ask_tagging("ssm:AddTagsToResource", arn)


@on("ssm", "DeleteDocument", "UpdateDocument", "UpdateDocumentDefaultVersion")
def document(call: Call) -> Iterator[Authorization]:
    yield call.ask(f"ssm:{call.operation}", _document(call, call["Name"]))


@on("ssm", "CreateAssociation", "UpdateAssociation")
def association(call: Call) -> Iterator[Authorization]:
    """An instance is asked about only where the request names one: https://docs.aws.amazon.com/systems-manager/latest/
    userguide/systems-manager-state-manager-iam.html
    """
    assert not call.get("InstanceId"), "an association with an instance asks for that instance"
    existing = call.get("AssociationId") or ""
    arn = call.arn("ssm", f"association/{existing or UNKNOWN_ID}")
    yield call.ask_tagged(f"ssm:{call.operation}", arn).on_tagged(call.tags(existing))
    yield call.ask_tagged(f"ssm:{call.operation}", _document(call, call["Name"]))
    yield from call.ask_tagging("ssm:AddTagsToResource", arn)


@on("ssm", "DeleteAssociation")
def old_association(call: Call) -> Iterator[Authorization]:
    arn = call.arn("ssm", f"association/{call['AssociationId']}")
    yield call.ask("ssm:DeleteAssociation", arn).on_tagged(call.tags(call["AssociationId"]))


@on("ssm", "AddTagsToResource", "RemoveTagsFromResource")
def ssm_tags(call: Call) -> Iterator[Authorization]:
    arn = call.arn("ssm", f"{call['ResourceType'].lower()}/{call['ResourceId']}")
    yield call.ask_tagged(f"ssm:{call.operation}", arn).on_tagged(call.tags(call["ResourceId"]))


def _document(call: Call, name: str) -> str:
    return call.arn("ssm", f"document/{name}")


# ------------------------------------------------------------------------------------------------------------------ EFS


@on("efs", "CreateFileSystem")
def new_file_system(call: Call) -> Iterator[Authorization]:
    yield call.ask_tagged("elasticfilesystem:CreateFileSystem")
    made = {"elasticfilesystem:CreateAction": "CreateFileSystem"}
    yield from call.ask_tagging("elasticfilesystem:TagResource", _file_system(call, f"fs-{UNKNOWN_ID}"), made)
    yield call.ask_service_role("elasticfilesystem.amazonaws.com", "AWSServiceRoleForAmazonElasticFileSystem")
    # https://docs.aws.amazon.com/efs/latest/ug/EFSKMSPolicy.html
    if key := call.get("KmsKeyId"):
        actions = ("DescribeKey", "CreateGrant", "GenerateDataKeyWithoutPlaintext")
        yield from call.ask_key(call.known(key), "elasticfilesystem", *actions)


@on(
    "efs",
    "DeleteFileSystem",
    "DescribeMountTargets",
    "PutBackupPolicy",
    "PutFileSystemPolicy",
    "PutLifecycleConfiguration",
    "UpdateFileSystem",
)
def file_system(call: Call) -> Iterator[Authorization]:
    arn = _file_system(call, call["FileSystemId"])
    yield call.ask(f"elasticfilesystem:{call.operation}", arn, policy=arn).on_tagged(call.tags(call["FileSystemId"]))
    if call.operation == "PutBackupPolicy":
        yield call.ask_service_role("backup.amazonaws.com", "AWSServiceRoleForBackup")


@on("efs", "DescribeFileSystems")
def file_systems(call: Call) -> Iterator[Authorization]:
    arn = _file_system(call, call["FileSystemId"])
    yield call.ask("elasticfilesystem:DescribeFileSystems", arn, policy=arn).on_tagged(call.tags(call["FileSystemId"]))


@on("efs", "CreateAccessPoint")
def new_access_point(call: Call) -> Iterator[Authorization]:
    arn = _file_system(call, call["FileSystemId"])
    asked = call.ask_tagged("elasticfilesystem:CreateAccessPoint", arn, policy=arn)
    yield asked.on_tagged(call.tags(call["FileSystemId"]))
    point = call.arn("elasticfilesystem", f"access-point/fsap-{UNKNOWN_ID}")
    made = {"elasticfilesystem:CreateAction": "CreateAccessPoint"}
    yield from call.ask_tagging("elasticfilesystem:TagResource", point, made)


@on("efs", "DeleteAccessPoint", "DescribeAccessPoints")
def access_point(call: Call) -> Iterator[Authorization]:
    arn = call.arn("elasticfilesystem", f"access-point/{call['AccessPointId']}")
    yield call.ask(f"elasticfilesystem:{call.operation}", arn).on_tagged(call.tags(call["AccessPointId"]))


@on("efs", "TagResource", "UntagResource")
def efs_tags(call: Call) -> Iterator[Authorization]:
    kind = "access-point" if call["ResourceId"].startswith("fsap-") else "file-system"
    arn = call.arn("elasticfilesystem", f"{kind}/{call['ResourceId']}")
    yield call.ask_tagged(f"elasticfilesystem:{call.operation}", arn).on_tagged(call.tags(call["ResourceId"]))


@on("efs", "CreateMountTarget")
def new_mount_target(call: Call) -> Iterator[Authorization]:
    """EFS makes the address with the permissions of the caller: https://docs.aws.amazon.com/efs/latest/ug/
    API_CreateMountTarget.html
    """
    arn = _file_system(call, call["FileSystemId"])
    yield call.ask("elasticfilesystem:CreateMountTarget", arn, policy=arn).on_tagged(call.tags(call["FileSystemId"]))
    yield call.ask("ec2:DescribeSubnets")
    yield call.ask("ec2:DescribeNetworkInterfaces")
    yield _ec2(call, "CreateNetworkInterface", "network-interface")
    yield _ec2(call, "CreateNetworkInterface", "subnet", call["SubnetId"])
    for security_group in call["SecurityGroups"]:
        yield _ec2(call, "CreateNetworkInterface", "security-group", security_group)


@on("efs", "DeleteMountTarget", "ModifyMountTargetSecurityGroups")
def mount_target(call: Call) -> Iterator[Authorization]:
    found = call.known(call["MountTargetId"])
    arn = _file_system(call, found["file_system"])
    interface = found["network_interface"]
    yield call.ask(f"elasticfilesystem:{call.operation}", arn, policy=arn).on_tagged(found["tags"])
    if call.operation == "DeleteMountTarget":
        yield _inside(call, _ec2(call, "DeleteNetworkInterface", "network-interface", interface), found)
    else:
        yield _inside(call, _ec2(call, "ModifyNetworkInterfaceAttribute", "network-interface", interface), found)
        for security_group in call["SecurityGroups"]:
            yield _ec2(call, "ModifyNetworkInterfaceAttribute", "security-group", security_group)


def _file_system(call: Call, identifier: str) -> str:
    return call.arn("elasticfilesystem", f"file-system/{identifier}")


# ------------------------------------------------------------------------------------------------------------------ RDS


@on("rds", "CreateDBSubnetGroup", "DeleteDBSubnetGroup", "ModifyDBSubnetGroup")
def subnet_group(call: Call) -> Iterator[Authorization]:
    yield from _rds(call, "subgrp", call["DBSubnetGroupName"])


@on(
    "rds",
    "CreateDBClusterParameterGroup",
    "DeleteDBClusterParameterGroup",
    "ModifyDBClusterParameterGroup",
    "ResetDBClusterParameterGroup",
)
def parameter_group(call: Call) -> Iterator[Authorization]:
    yield from _rds(call, "cluster-pg", call["DBClusterParameterGroupName"])


@on("rds", "CreateDBCluster")
def new_database(call: Call) -> Iterator[Authorization]:
    """RDS makes the master's secret, and uses the keys, with the permissions of the caller: https://docs.aws.amazon.com/
    AmazonRDS/latest/AuroraUserGuide/rds-secrets-manager.html and Overview.Encryption.Keys.html beside it.
    """
    yield from _rds(call, "cluster", call["DBClusterIdentifier"])
    major = call["EngineVersion"].partition(".")[0]
    for kind, name in (
        ("cluster-pg", call["DBClusterParameterGroupName"]),
        ("og", f"default:{call['Engine']}-{major}"),
        ("subgrp", call["DBSubnetGroupName"]),
    ):
        yield call.ask("rds:CreateDBCluster", call.arn("rds", f"{kind}:{name}"))
    yield call.ask_service_role("rds.amazonaws.com", "AWSServiceRoleForRDS")
    yield from call.ask_key(call.known(call["KmsKeyId"]), "rds", "CreateGrant", "DescribeKey")
    secret = call.arn("secretsmanager", f"secret:rds!cluster-{UNKNOWN_ID}-{UNKNOWN_ID[:6]}")
    yield call.ask("secretsmanager:CreateSecret", secret)
    yield call.ask("secretsmanager:TagResource", secret)
    key = call.known(call["MasterUserSecretKmsKeyId"])
    yield from call.ask_key(key, "rds", "DescribeKey", "CreateGrant")
    yield from call.ask_key(key, "secretsmanager", "GenerateDataKey", "Decrypt")


@on("rds", "CreateDBInstance")
def new_instance(call: Call) -> Iterator[Authorization]:
    """An instance of Aurora has its cluster's subnets and options, and AWS's parameters."""
    yield from _rds(call, "db", call["DBInstanceIdentifier"])
    yield call.ask("rds:CreateDBInstance", call.arn("rds", f"cluster:{call['DBClusterIdentifier']}"))
    for kind, name in (("og", f"default:{call['Engine']}-17"), ("pg", f"default.{call['Engine']}17")):
        yield call.ask("rds:CreateDBInstance", call.arn("rds", f"{kind}:{name}"))


@on("rds", "DeleteDBCluster", "DescribeDBClusters", "ModifyDBCluster")
def database(call: Call) -> Iterator[Authorization]:
    assert not call.get("RotateMasterUserPassword"), "a rotation asks for secretsmanager:RotateSecret"
    yield from _rds(call, "cluster", call.get("DBClusterIdentifier") or "*")
    if group_name := call.get("DBClusterParameterGroupName"):
        yield call.ask(f"rds:{call.operation}", call.arn("rds", f"cluster-pg:{group_name}"))


@on("rds", "CreateDBClusterSnapshot", "DescribeDBClusterSnapshots")
def snapshot(call: Call) -> Iterator[Authorization]:
    """Taking one names the cluster and the snapshot; who asks for those of a cluster names the cluster, too."""
    yield from _rds(call, "cluster-snapshot", call.get("DBClusterSnapshotIdentifier") or "*")
    if cluster := call.get("DBClusterIdentifier"):
        yield call.ask(f"rds:{call.operation}", call.arn("rds", f"cluster:{cluster}"))


@on("rds", "DeleteDBInstance", "DescribeDBInstances", "ModifyDBInstance")
def instance(call: Call) -> Iterator[Authorization]:
    yield from _rds(call, "db", call["DBInstanceIdentifier"])


@on("rds", "AddTagsToResource", "RemoveTagsFromResource")
def rds_tags(call: Call) -> Iterator[Authorization]:
    yield call.ask_tagged(f"rds:{call.operation}", call["ResourceName"])


def _rds(call: Call, kind: str, name: str) -> Iterator[Authorization]:
    arn = call.arn("rds", f"{kind}:{name}")
    yield call.ask_tagged(f"rds:{call.operation}", arn)
    yield from call.ask_tagging("rds:AddTagsToResource", arn)
