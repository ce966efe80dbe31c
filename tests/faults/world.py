"""What an account holds after a deployment, described without identifiers that are recreated each time.

Each thing is one line of text, so two worlds differ by lines that only one of them has.
"""

import contextlib
import dataclasses
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from rehearsal.judges import secrets
from tests.faults.account import Account
from tests.faults.made_up import MADE_UP

SHARED = (
    *("component ", "image build ", "image recipe ", "AMI ", "snapshot ", "log group /aws/imagebuilder/"),
    *("log group /aws/lambda/", "log group /aws/vendedlogs/", "key Enabled Default"),
)
"""What clusters of one application have in common."""


@dataclass(frozen=True)
class World:
    """`things`: what is there. `secrets`: the version of each secret, by ARN. `held`: the holder of each lock. `found`:
    where the value of a secret stands that should stand nowhere.
    """

    things: Counter[str]
    secrets: dict[str, str] = field(default_factory=dict)
    held: tuple[str, ...] = ()
    found: tuple[str, ...] = ()

    @property
    def has_foundation(self) -> bool:
        """Whether the foundation of a cluster is complete: from then on its secrets stay as they are."""
        complete = re.compile(r"stack \S+-foundation (CREATE|UPDATE)\S* ")
        return any(complete.match(thing) and "CREATE_IN_PROGRESS" not in thing for thing in self.things)

    def with_clusters(self, clean: "World", cluster: str, names: list[str]) -> "World":
        """This world, and for each name what a clean deployment of `cluster` adds to it."""
        added = clean.things - self.things
        shared = {thing for thing in added if thing.startswith(SHARED)}
        things = self.things + Counter({thing: added[thing] for thing in shared})
        named = re.compile(rf'{cluster}(?!": {{|\.version)')  # not the key of the plan that has the same name
        for name in names:
            things += Counter({named.sub(name, thing): added[thing] for thing in added if thing not in shared})
        return World(things)

    def lost(self, clean: "World") -> list[str]:
        """What the clean world has and this one lacks."""
        return sorted((clean.things - self.things).elements())

    def orphans(self, clean: "World") -> list[str]:
        """What this world has beyond the clean one."""
        return sorted((self.things - clean.things).elements())


def look(account: Account) -> World:
    """Ask the account for everything that a deployment makes."""
    parts = (_images, _stacks, _roles, _nodes, _databases, _secrets, _storage, _systems_manager, _records, _addresses)
    aws = account.aws
    places = secrets.places(aws.client, aws.directory.rglob("*.log"), aws.hosts.directory)
    findings = secrets.search(secrets.stored(aws.client), places)
    return dataclasses.replace(_seen(account, parts), found=tuple(findings.where))


def glance(account: Account) -> World:
    """Ask for locks, secrets and stacks alone, while other things are being made."""
    return _seen(account, (_stacks, _secrets))


def _seen(account: Account, parts: Iterable[Callable[[Account], Iterator[str]]]) -> World:
    versions: dict[str, str] = {}
    for secret in _all_secrets(account):
        versions[secret["ARN"]] = ",".join(sorted(secret.get("SecretVersionsToStages", {})))
    held = tuple(sorted(item["holder"]["S"] for item in _items(account) if "holder" in item))
    return World(Counter(MADE_UP.sub("*", line) for part in parts for line in part(account)), versions, held)


def _images(account: Account) -> Iterator[str]:
    client = account.aws.client
    builder = client("imagebuilder")
    for version in builder.list_images(owner="Self")["imageVersionList"]:
        for build in builder.list_image_build_versions(imageVersionArn=version["arn"])["imageSummaryList"]:
            yield f"image build {version['name']} {build['state']['status']}"
    for recipe in builder.list_image_recipes(owner="Self")["imageRecipeSummaryList"]:
        yield f"image recipe {recipe['name']}"
    for component in builder.list_components(owner="Self", maxResults=25)["componentVersionList"]:
        yield f"component {component['name']} {component['version']}"
    for image in client("ec2").describe_images(Owners=["self"])["Images"]:
        yield f"AMI {image['Name']} {image['State']}"
    for snapshot in client("ec2").describe_snapshots(OwnerIds=[account.aws.account])["Snapshots"]:
        yield f"snapshot {snapshot['State']}"


def _stacks(account: Account) -> Iterator[str]:
    stacks = account.aws.client("cloudformation")
    for stack in stacks.describe_stacks()["Stacks"]:
        name = stack["StackName"]
        if stack["StackStatus"] == "DELETE_COMPLETE":
            continue
        yield f"stack {name} {stack['StackStatus']} protected={stack.get('EnableTerminationProtection')}"
        if not name.startswith(f"{account.application.name}-"):
            continue  # the application itself
        for resource in stacks.describe_stack_resources(StackName=name)["StackResources"]:
            yield f"resource {name} {resource['LogicalResourceId']} {resource['ResourceStatus'].split('_')[-1]}"
        for change_set in stacks.list_change_sets(StackName=name)["Summaries"]:
            if not change_set["ExecutionStatus"].startswith("EXECUTE_"):  # what was executed is history
                yield f"change set of {name} {change_set['Status']} {change_set['ExecutionStatus']}"


def _roles(account: Account) -> Iterator[str]:
    iam, kms = account.aws.client("iam"), account.aws.client("kms")
    for role in iam.get_paginator("list_roles").paginate().build_full_result()["Roles"]:
        yield f"role {role['Path']}{role['RoleName']}"
    for profile in iam.list_instance_profiles()["InstanceProfiles"]:
        yield f"instance profile {profile['Path']}{profile['InstanceProfileName']} {len(profile['Roles'])} role"
    for key in kms.list_keys()["Keys"]:
        metadata = kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]
        if metadata["KeyState"] != "PendingDeletion":  # keys go by themselves, a month later
            yield f"key {metadata['KeyState']} {metadata.get('Description', '')}"


def _nodes(account: Account) -> Iterator[str]:
    ec2, groups = account.aws.client("ec2"), account.aws.client("autoscaling")
    for group in groups.describe_auto_scaling_groups()["AutoScalingGroups"]:
        name = group["AutoScalingGroupName"]
        suspended = [process["ProcessName"] for process in group.get("SuspendedProcesses", [])]
        yield f"group {name} {group['MinSize']}-{group['MaxSize']} wants {group['DesiredCapacity']} {suspended}"
        for instance in group["Instances"]:
            yield f"member of {name} {instance['LifecycleState']} {instance['HealthStatus']}"
        for hook in groups.describe_lifecycle_hooks(AutoScalingGroupName=name)["LifecycleHooks"]:
            yield f"hook of {name} {hook['LifecycleHookName']}"
    for reservation in ec2.describe_instances()["Reservations"]:
        for instance in reservation["Instances"]:
            if instance["State"]["Name"] not in ("terminated", "shutting-down"):
                tags = {tag["Key"]: tag["Value"] for tag in instance.get("Tags", [])}
                yield f"instance {tags.get('Name')} {instance['State']['Name']}"
    for _ in ec2.describe_launch_templates()["LaunchTemplates"]:  # a rolled back change leaves a version behind
        yield "launch template"
    for group in ec2.describe_security_groups()["SecurityGroups"]:
        rules = len(group["IpPermissions"]), len(group["IpPermissionsEgress"])
        yield f"security group {group['GroupName']} {rules}"
    for item in _items(account):
        yield from account.hosts.described(item["cluster"]["S"], item.get("configuration", {}).get("S", ""))
        yield from _agreement(account, item)


def _agreement(account: Account, item: Mapping[str, Any]) -> Iterator[str]:
    """Whether what is recreated each time, and shown as * elsewhere, is the same wherever it stands."""
    cluster, ec2, s3 = item["cluster"]["S"], account.aws.client("ec2"), account.aws.client("s3")
    ami, configuration = (item.get(name, {}).get("S") for name in ("ami", "configuration"))
    of_cluster = [{"Name": "tag:benchwright:cluster", "Values": [cluster]}]
    running = {"Name": "instance-state-name", "Values": ["pending", "running"]}
    for reservation in ec2.describe_instances(Filters=[*of_cluster, running])["Reservations"]:
        for instance in reservation["Instances"]:
            yield f"node of {cluster} has the recorded image: {instance['ImageId'] == ami}"
    for group in account.aws.client("autoscaling").describe_auto_scaling_groups(Filters=of_cluster)[
        "AutoScalingGroups"
    ]:
        used = group["LaunchTemplate"]
        of_group = {"LaunchTemplateId": used["LaunchTemplateId"], "Versions": [used["Version"]]}
        try:
            (version,) = ec2.describe_launch_template_versions(**of_group)["LaunchTemplateVersions"]
        except ClientError as error:
            yield f"new nodes of {cluster} have no launch template: {error.response['Error']['Code']}"
            continue
        yield f"new nodes of {cluster} have the recorded image: {version['LaunchTemplateData']['ImageId'] == ami}"
    for bucket in s3.list_buckets()["Buckets"]:
        with contextlib.suppress(s3.exceptions.NoSuchKey):
            key = f"clusters/{cluster}/configuration/current"
            current = s3.get_object(Bucket=bucket["Name"], Key=key)["Body"].read().decode()
            yield f"new nodes of {cluster} take the recorded configuration: {current == configuration}"


def _databases(account: Account) -> Iterator[str]:
    rds = account.aws.client("rds")
    for cluster in rds.describe_db_clusters()["DBClusters"]:
        name = cluster["DBClusterIdentifier"]
        yield f"database cluster {name} {cluster['Status']} protected={cluster['DeletionProtection']}"
        server = account.aws.postgres[name]
        for (role,) in server.execute("SELECT rolname FROM pg_roles WHERE rolcanlogin"):
            yield f"role {role} in {name}"
        for database, owner in server.execute("SELECT datname, pg_get_userbyid(datdba) FROM pg_database"):
            yield f"database {database} of {owner} in {name}"
    for instance in rds.describe_db_instances()["DBInstances"]:
        yield f"database instance {instance['DBInstanceIdentifier']} {instance['DBInstanceStatus']}"
    for snapshot in rds.describe_db_cluster_snapshots()["DBClusterSnapshots"]:
        yield f"database snapshot of {snapshot['DBClusterIdentifier']} {snapshot['Status']}"
    for group in rds.describe_db_subnet_groups()["DBSubnetGroups"]:
        yield f"subnet group {group['DBSubnetGroupName']}"
    for group in rds.describe_db_cluster_parameter_groups()["DBClusterParameterGroups"]:
        yield f"parameter group {group['DBClusterParameterGroupName']}"


def _addresses(account: Account) -> Iterator[str]:
    """Load balancers with all that belongs to them, certificates, and the records of hosted zones."""
    elbv2, acm, route53 = (account.aws.client(service) for service in ("elbv2", "acm", "route53"))
    for balancer in elbv2.describe_load_balancers()["LoadBalancers"]:
        arn = balancer["LoadBalancerArn"]
        listed = elbv2.describe_load_balancer_attributes(LoadBalancerArn=arn)["Attributes"]
        protected = {each["Key"]: each["Value"] for each in listed}["deletion_protection.enabled"]
        yield f"load balancer {balancer['Scheme']} {balancer['State']['Code']} protected={protected}"
        for listener in elbv2.describe_listeners(LoadBalancerArn=arn)["Listeners"]:
            rules = len(elbv2.describe_rules(ListenerArn=listener["ListenerArn"])["Rules"])
            yield f"listener {listener['Protocol']} {listener['Port']}, {rules} rules"
    for group in elbv2.describe_target_groups()["TargetGroups"]:
        yield f"target group of {len(group['LoadBalancerArns'])} load balancers"
        for target in elbv2.describe_target_health(TargetGroupArn=group["TargetGroupArn"])["TargetHealthDescriptions"]:
            yield f"target {target['TargetHealth']['State']}"
    for certificate in acm.list_certificates()["CertificateSummaryList"]:
        yield f"certificate {certificate['DomainName']} {certificate['Status']} in use={certificate['InUse']}"
    for zone in route53.list_hosted_zones()["HostedZones"]:
        for record in route53.list_resource_record_sets(HostedZoneId=zone["Id"])["ResourceRecordSets"]:
            yield f"record {record['Type']} {record['Name']}"


def _secrets(account: Account) -> Iterator[str]:
    for secret in _all_secrets(account):
        versions = len(secret.get("SecretVersionsToStages", {}))
        yield f"secret {secret['Name']} {versions} version{' deleted' if 'DeletedDate' in secret else ''}"


def _all_secrets(account: Account) -> Iterator[dict[str, Any]]:
    pages = account.aws.client("secretsmanager").get_paginator("list_secrets").paginate(IncludePlannedDeletion=True)
    for page in pages:
        yield from page["SecretList"]


def _storage(account: Account) -> Iterator[str]:
    efs, s3, logs = (account.aws.client(service) for service in ("efs", "s3", "logs"))
    for system in efs.describe_file_systems()["FileSystems"]:
        yield f"file system {system['LifeCycleState']}"
        for point in efs.describe_access_points(FileSystemId=system["FileSystemId"])["AccessPoints"]:
            yield f"access point {point['RootDirectory']['Path']} {point['LifeCycleState']}"
        for target in efs.describe_mount_targets(FileSystemId=system["FileSystemId"])["MountTargets"]:
            yield f"mount target {target['LifeCycleState']}"
    for bucket in s3.list_buckets()["Buckets"]:
        for item in s3.list_objects_v2(Bucket=bucket["Name"]).get("Contents", []):
            if item["Key"].startswith("clusters/"):
                yield f"object {item['Key']}"
    for group in logs.describe_log_groups()["logGroups"]:
        if not group["logGroupName"].startswith("/aws/lambda/benchwright-explain"):  # made with its first failure
            yield f"log group {group['logGroupName']}"


def _systems_manager(account: Account) -> Iterator[str]:
    ssm = account.aws.client("ssm")
    for parameter in ssm.describe_parameters()["Parameters"]:
        yield f"parameter {parameter['Name']}"
    for document in ssm.list_documents(Filters=[{"Key": "Owner", "Values": ["Self"]}])["DocumentIdentifiers"]:
        yield f"document {document['Name']} {document['DocumentVersion']}"
    for association in ssm.list_associations()["Associations"]:
        yield f"association {association['AssociationName']}"


def _records(account: Account) -> Iterator[str]:
    for item in _items(account):
        plan = json.loads(item.get("plan", {}).get("S", "{}"))
        known = {
            key: value
            for key, value in item.items()
            # The version that an input could take instead is known until a database runs.
            if key not in ("holder", "held_since", "ami", "configuration", "plan", "rebuilt_by", "other_engine_version")
        }
        yield f"record {json.dumps(known, sort_keys=True)} {json.dumps(plan, sort_keys=True)}"


def _items(account: Account) -> list[dict[str, Any]]:
    dynamodb = account.aws.client("dynamodb")
    return [
        item
        for table in dynamodb.list_tables()["TableNames"]
        for item in dynamodb.scan(TableName=table, ConsistentRead=True)["Items"]
        if "cluster" in item
    ]
