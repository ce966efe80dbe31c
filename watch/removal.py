"""`make remove-application`: removes an application from an account, with what `sam delete` keeps.

It refuses as long as a cluster has a record or a stack, and names each. It can be interrupted and started again: the
list of what is left is that of the application's stack, also once that is deleted, which CloudFormation remembers for
90 days.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import boto3
from botocore.exceptions import BotoCoreError, ClientError

STACKS: Final = ("foundation", "access", "nodes")
GONE: Final = frozenset(
    {
        *("InvalidGroup.NotFound", "NoSuchBucket", "NoSuchEntity", "NotFoundException", "ResourceNotFoundException"),
        "KMSInvalidStateException",  # its deletion is pending already
    }
)
EXIT_MISUSE: Final = 2
WINDOW_DAYS: Final = 30
PATIENCE: Final = 2700.0
"""Seconds in which Lambda gives up the network interfaces of a function that is gone; it takes about 20 minutes."""
LOOK_SECONDS: Final = 15.0

type Kept = Mapping[str, str]
"""Physical ids of the application's resources, by logical id."""


class NotRemovedError(Exception):
    """Why the application was not removed; it says what to do."""


@dataclass
class Removal:
    """One application in one account and region."""

    application: str
    say: Callable[[str], None] = print
    sleep: Callable[[float], object] = time.sleep
    waited: float = 0
    _clients: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = boto3.client(service)  # type: ignore[call-overload]
        return self._clients[service]

    def run(self) -> None:
        """Remove everything; raises NotRemovedError before anything is touched if a cluster is there."""
        stack = self._stack()
        kept = self._resources(stack["StackId"])
        if found := [*self._clusters(kept)]:
            raise NotRemovedError("\n".join(["Clusters are there; nothing was removed. Destroy each of them:", *found]))
        if stack["StackStatus"] != "DELETE_COMPLETE":
            self._delete_stack(stack["StackId"], self.application)
        self._dry_runs()
        self._components()
        self._group(kept.get("DatabaseClientSecurityGroup"))
        if network := kept.get("Network"):
            self._delete_stack(network, "the network")
        self._role(kept)
        if table := kept.get("Table"):
            self._remove(f"the table {table}", "dynamodb", "delete_table", TableName=table)
        if bucket := kept.get("Bucket"):
            self._bucket(bucket)
        if key := kept.get("Key"):
            what = f"the key {key}, in {WINDOW_DAYS} days, until when its deletion can be cancelled"
            self._remove(what, "kms", "schedule_key_deletion", KeyId=key, PendingWindowInDays=WINDOW_DAYS)

    def _stack(self) -> Any:
        """The newest stack of the application's name, deleted or not."""
        pages = self.client("cloudformation").get_paginator("list_stacks").paginate()
        found = [each for page in pages for each in page["StackSummaries"] if each["StackName"] == self.application]
        there = [each for each in found if each["StackStatus"] != "DELETE_COMPLETE"]
        if not found:
            region = self.client("cloudformation").meta.region_name
            raise NotRemovedError(
                f"There is no stack {self.application} in {region}, nor was one in 90 days. Give "
                "APPLICATION= the name of the application's stack, or AWS_REGION= its region."
            )
        return (there or sorted(found, key=lambda each: each["CreationTime"]))[-1]

    def _resources(self, stack: str) -> Kept:
        pages = self.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=stack)
        found = {
            each["LogicalResourceId"]: each["PhysicalResourceId"]
            for page in pages
            for each in page["StackResourceSummaries"]
            if each.get("PhysicalResourceId")
        }
        if not {"Table", "Bucket", "CloudFormationRole", "DeployStateMachine"} <= found.keys():
            raise NotRemovedError(f"The stack {self.application} is not one of Benchwright; nothing was removed.")
        return found

    def _clusters(self, kept: Kept) -> Iterator[str]:
        """A line for each cluster that has a record or a stack."""
        names: dict[str, str] = {}
        try:
            pages = self.client("dynamodb").get_paginator("scan").paginate(TableName=kept["Table"], ConsistentRead=True)
            names |= {item["cluster"]["S"]: "a record" for page in pages for item in page["Items"]}
        except ClientError as error:
            if _code(error) not in GONE:
                raise
        for page in self.client("cloudformation").get_paginator("describe_stacks").paginate():
            for stack in page["Stacks"]:
                given = {each["ParameterKey"]: each.get("ParameterValue") for each in stack.get("Parameters", [])}
                cluster = given.get("Cluster", "")
                if given.get("Application") == self.application and stack["StackName"].endswith(STACKS) and cluster:
                    names[cluster] = f"the stack {stack['StackName']}"
        for name, why in sorted(names.items()):
            content = json.dumps({"cluster": name, "delete_data": name})
            yield f"- {name} has {why}: start {self.application}-destroy with {content}"

    def _delete_stack(self, stack: str, what: str) -> None:
        cloudformation = self.client("cloudformation")
        is_new = False
        while True:
            try:
                described = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
            except ClientError as error:
                if "does not exist" in str(error):
                    return
                raise
            status = described["StackStatus"]
            if status == "DELETE_COMPLETE":
                if is_new:  # else an earlier start removed it
                    self.say(f"Removed: the stack of {what}")
                return
            is_new = True
            if not status.endswith("_IN_PROGRESS"):
                if status == "DELETE_FAILED":
                    self._wait(f"the stack of {what} cannot be deleted yet: {described.get('StackStatusReason', '')}")
                cloudformation.delete_stack(StackName=stack)
            self.sleep(LOOK_SECONDS)

    def _dry_runs(self) -> None:
        """Empty stacks of dry runs that were stopped. Their change sets alone say whose they are."""
        cloudformation = self.client("cloudformation")
        pages = cloudformation.get_paginator("describe_stacks").paginate()
        for stack in [each for page in pages for each in page["Stacks"]]:
            name, arn = stack["StackName"], stack["StackId"]
            is_of_dry_run = name.startswith(f"{self.application}-") and "--dry-run-" in name
            if not is_of_dry_run or stack["StackStatus"] != "REVIEW_IN_PROGRESS":
                continue
            owners = set()
            for each in cloudformation.list_change_sets(StackName=arn)["Summaries"]:
                found = cloudformation.describe_change_set(StackName=arn, ChangeSetName=each["ChangeSetId"])
                given = {each["ParameterKey"]: each.get("ParameterValue") for each in found.get("Parameters", [])}
                owners.add(given.get("Application"))
            if owners <= {self.application}:
                self._remove(f"the stack {name} of a dry run", "cloudformation", "delete_stack", StackName=arn)

    def _components(self) -> None:
        """Components that no cluster needs any more, but that one left because another was being deployed."""
        builder = self.client("imagebuilder")
        for version in (
            builder.get_paginator("list_components").paginate(owner="Self").build_full_result()["componentVersionList"]
        ):
            pages = builder.get_paginator("list_component_build_versions").paginate(componentVersionArn=version["arn"])
            for build in pages.build_full_result()["componentSummaryList"]:
                if build.get("tags", {}).get("benchwright:application") == self.application:
                    arn = build["arn"]
                    self._remove(
                        f"the component {arn}", "imagebuilder", "delete_component", componentBuildVersionArn=arn
                    )

    def _group(self, group: str | None) -> None:
        while group:
            try:
                self._remove(f"the security group {group}", "ec2", "delete_security_group", GroupId=group)
                return
            except ClientError as error:
                if _code(error) != "DependencyViolation":
                    raise
                self._wait(f"Lambda still has network interfaces in the security group {group}")
                self.sleep(LOOK_SECONDS)

    def _role(self, kept: Kept) -> None:
        iam, name = self.client("iam"), kept["CloudFormationRole"]
        policies = [
            arn for logical, arn in kept.items() if logical.startswith("CloudFormation") and logical.endswith("Policy")
        ]
        for arn in policies:
            self._remove("", "iam", "detach_role_policy", RoleName=name, PolicyArn=arn)
            try:
                versions = iam.list_policy_versions(PolicyArn=arn)["Versions"]
            except iam.exceptions.NoSuchEntityException:
                continue
            for version in versions:
                if not version["IsDefaultVersion"]:
                    iam.delete_policy_version(PolicyArn=arn, VersionId=version["VersionId"])
            self._remove(f"the policy {arn}", "iam", "delete_policy", PolicyArn=arn)
        self._remove(f"the role {name}", "iam", "delete_role", RoleName=name)

    def _bucket(self, bucket: str) -> None:
        s3 = self.client("s3")
        try:
            for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
                found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
                objects = [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in found]
                answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True}) if objects else {}
                if errors := answer.get("Errors"):
                    first = errors[0]
                    raise NotRemovedError(
                        f"S3 did not delete {len(errors)} objects of the bucket {bucket}, such as {first.get('Key')}: "
                        f"{first.get('Code')}: {first.get('Message')}. Fix what it names, and start again."
                    )
        except ClientError as error:
            if _code(error) not in GONE:
                raise
        self._remove(f"the bucket {bucket}, with all versions", "s3", "delete_bucket", Bucket=bucket)

    def _remove(self, what: str, service: str, operation: str, **arguments: Any) -> None:
        try:
            getattr(self.client(service), operation)(**arguments)
        except ClientError as error:
            if _code(error) not in GONE:
                raise
            return
        if what:
            self.say(f"Removed: {what}")

    def _wait(self, why: str) -> None:
        if self.waited >= PATIENCE:
            raise NotRemovedError(f"Gave up: {why}. Remove what uses it, and start again: what is gone stays gone.")
        if not self.waited:
            self.say(f"Waiting: {why}. That takes about 20 minutes.")
        self.waited += LOOK_SECONDS


def _code(error: ClientError) -> str:
    return str(error.response["Error"]["Code"])


def main(arguments: list[str]) -> int:
    """0 when the application is gone, 1 when something stands in the way or a call is refused, 2 without a name."""
    parser = argparse.ArgumentParser(prog="make remove-application", description=__doc__, allow_abbrev=False)
    parser.add_argument("application", nargs="?", help="the name of its stack")
    wanted = parser.parse_args(arguments)
    if not wanted.application:  # nothing is removed by a default
        print(
            "Give APPLICATION= the name of the application's stack, such as APPLICATION=benchwright.", file=sys.stderr
        )
        return EXIT_MISUSE
    try:
        Removal(wanted.application).run()
    except (NotRemovedError, BotoCoreError, ClientError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted. Start it again: what is gone stays gone.", file=sys.stderr)
        return 130
    print(f"The application {wanted.application} is gone.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
