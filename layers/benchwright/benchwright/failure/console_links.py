"""Where to look after a failure: addresses of the console, of the step's log and of all that a message names.

AWS documents few of these addresses; they are what the console itself shows in a browser. Whatever is looked for is in
the message by name as well, so an address that AWS changes costs a search and no knowledge.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import NamedTuple
from urllib.parse import quote

# The console's host in each partition that the application can be deployed in: as in template.yaml, Mappings.
HOSTS: Mapping[str, str] = {
    "aws": "console.aws.amazon.com",
    "aws-us-gov": "console.amazonaws-us-gov.com",
}
# The function of each step, as its log group calls it. A test holds this and the state machines together.
FUNCTIONS: Mapping[str, str] = {
    "Find clusters": "resolve-plan",
    "Look at the record": "resolve-plan",
    "Validate input": "resolve-plan",
    "Take the lock": "resolve-plan",
    "Resolve plan": "resolve-plan",
    "Preview plan": "resolve-plan",
    "Preview image": "build-image",
    "Preview certificate": "request-certificate",
    "Preview stacks": "deploy-stack",
    "Preview configuration": "configure-nodes",
    "Summarize preview": "resolve-plan",
    "Build image": "build-image",
    "Deploy foundation": "deploy-stack",
    "Create database": "create-database",
    "Publish configuration": "configure-nodes",
    "Request certificate": "request-certificate",
    "Deploy access": "deploy-stack",
    "Protect stacks": "deploy-stack",
    "Deploy nodes": "deploy-stack",
    "Remove access": "deploy-stack",
    "Retire certificate": "request-certificate",
    "Configure nodes": "configure-nodes",
    "Verify cluster": "verify-cluster",
    "Retire old images": "build-image",
    "Release the lock": "resolve-plan",
    "Check input": "destroy-cluster",
    "Remove nodes": "deploy-stack",
    "Remove images": "build-image",
    "Take snapshot": "destroy-cluster",
    "Delete data": "destroy-cluster",
    "Delete configuration": "destroy-cluster",
    "Report what stays": "destroy-cluster",
    "Summarize verdicts": "explain-failure",
}
# The message says it all: a log would add nothing.
NEED_NO_LOG = frozenset({"InvalidInput", "ClusterLocked", "LockLost", "RecordUnreadable"})
STEPS_OF_NODES = frozenset({"Deploy nodes", "Configure nodes"})
MOST_INSTANCES = 3

# Patterns as text: most functions that import this use none of them.
# A person may give an execution any name; in a text it ends before the punctuation of its sentence.
EXECUTION = r"arn:aws[a-z-]*:states:[a-z0-9-]+:\d{12}:execution:[\w-]+:[\w.@=+!-]*[\w@=+-]"
IMAGE = r"(?:\bimage/|\bImage Builder: )([A-Za-z0-9-]+)/(\d+\.\d+\.\d+/\d+)\b"
INSTANCE = r"\bi-[0-9a-f]{8,17}\b"
COMMAND = r"\bRun Command: ([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\b"
SECRET = r"arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\d{12}:secret:([A-Za-z0-9/_+=.@!-]+)-[A-Za-z0-9]{6}\b"
OPERATION = r"^([A-Z][A-Za-z0-9]+) answered "


class Failure(NamedTuple):
    """What is known of a failure. began: when the execution began."""

    step: str
    error: str
    message: str
    execution: str
    application: str
    cluster: str
    began: datetime | None = None

    @property
    def stacks(self) -> list[str]:
        """The stacks of the cluster that the message names."""
        names = [f"{self.application}-{self.cluster}-{stack}" for stack in ("foundation", "nodes")]
        return [name for name in names if re.search(rf"\b{re.escape(name)}\b(?!-)", self.message)]

    @property
    def group(self) -> str:
        """The Auto Scaling group of the cluster, where its nodes are what failed."""
        waited = self.error == "DeadlineExceeded" and self.step in STEPS_OF_NODES
        return f"{self.application}-{self.cluster}-nodes-group" if waited or self.error == "NodesNotReady" else ""


class Console(NamedTuple):
    """The console of AWS in one region."""

    host: str
    region: str

    def page(self, service: str, place: str) -> str:
        return f"https://{self.region}.{self.host}/{service}/home?region={self.region}#{place}"

    def execution(self, arn: str) -> str:
        return self.page("states", f"/v2/executions/details/{quote(arn, safe=':')}")

    def log_group(self, name: str) -> str:
        return self.page("cloudwatch", f"logsV2:log-groups/log-group/{_twice(name)}")

    def log_search(self, group: str, text: str, began: datetime | None) -> str:
        """The events of a log group that hold a text, from when the execution began."""
        since = f"$26start$3D{int(began.timestamp() * 1000)}" if began else ""
        return f"{self.log_group(group)}/log-events$3FfilterPattern$3D{_twice(f'"{text}"')}{since}"

    def log_stream(self, group: str, stream: str) -> str:
        return f"{self.log_group(group)}/log-events/{_twice(stream)}"

    def stack(self, name: str) -> str:
        return self.page("cloudformation", f"/stacks/events?stackId={name}")

    def images(self) -> str:
        return self.page("imagebuilder", "/images")

    def group(self, name: str) -> str:
        return self.page("ec2", f"AutoScalingGroupDetails:id={name};view=activity")

    def instance(self, instance: str) -> str:
        return self.page("ec2", f"InstanceDetails:instanceId={instance}")

    def command(self, command: str) -> str:
        return f"https://{self.region}.{self.host}/systems-manager/run-command/{command}?region={self.region}"

    def databases(self) -> str:
        return self.page("rds", "databases:")

    def secret(self, name: str) -> str:
        where = f"https://{self.region}.{self.host}/secretsmanager/secret"
        return f"{where}?name={quote(name, safe='')}&region={self.region}"

    def object(self, bucket: str, key: str) -> str:
        where = f"https://{self.region}.{self.host}/s3/object/{bucket}"
        return f"{where}?region={self.region}&prefix={quote(key, safe='/')}"

    def calls(self, operation: str) -> str:
        return self.page("cloudtrailv2", f"/events?EventName={operation}")


def evidence(failure: Failure) -> list[str]:
    """Return a line for each place that says more: what it is, and its address. What the failure names comes first.

    Empty where the execution's ARN is none, or in a partition whose console no one knows.
    """
    console = _console_of(failure.execution)
    return [f"- {what}: {address}" for what, address in _places(failure, console)] if console else []


def link_of(execution: str) -> list[str]:
    """Return the line of an execution's own address; empty as above."""
    console = _console_of(execution)
    return [f"- the execution: {console.execution(execution)}"] if console else []


def link_of_object(execution: str, bucket: str, key: str) -> str:
    """Return the address of an object of the bucket, in the region of an execution; empty as above."""
    console = _console_of(execution)
    return console.object(bucket, key) if console else ""


def _console_of(execution: str) -> Console | None:
    match execution.split(":"):
        case ["arn", partition, "states", region, _, "execution", _, _] if partition in HOSTS:
            return Console(HOSTS[partition], region)
    return None


def _places(failure: Failure, console: Console) -> Iterator[tuple[str, str]]:
    message, application = failure.message, failure.application
    for name, version in _once(re.findall(IMAGE, message)):
        yield f"log of the build {name}/{version}", console.log_stream(f"/aws/imagebuilder/{name}", version)
        yield "images of Image Builder", console.images()
    for stack in failure.stacks:
        yield f"events of the stack {stack}", console.stack(stack)
    if failure.group:
        yield f"activities of the Auto Scaling group {failure.group}", console.group(failure.group)
    for command in _once(re.findall(COMMAND, message)):
        yield f"command {command}", console.command(command)
    for instance in (instances := _once(re.findall(INSTANCE, message)))[:MOST_INSTANCES]:
        yield f"node {instance}", console.instance(instance)
    if failure.error == "NodeConfigurationFailed" and instances:
        yield "what the node reported", console.log_search(f"/{application}/nodes", instances[0], failure.began)
    if failure.error == "DatabaseFailed":
        yield "databases", console.databases()
    for name in _once(re.findall(SECRET, message)):
        yield f"secret {name}", console.secret(name)
    if failure.error == "AwsCallFailed" and (called := re.match(OPERATION, message)):
        yield f"calls of {called[1]} in CloudTrail", console.calls(called[1])
    for other in _once(match[0] for match in re.finditer(EXECUTION, message)):
        if other != failure.execution:
            yield "the other execution", console.execution(other)
    if failure.step in FUNCTIONS and failure.error not in NEED_NO_LOG:
        group = f"/aws/lambda/{application}-{FUNCTIONS[failure.step]}"
        yield "log of the step", console.log_search(group, failure.execution, failure.began)
    yield "the execution", console.execution(failure.execution)


def _once[T](found: Iterable[T]) -> list[T]:
    return list(dict.fromkeys(found))


def _twice(text: str) -> str:
    """Encode as the CloudWatch console does in what follows the #: twice, with $ for %."""
    return quote(quote(text, safe=""), safe="").replace("%", "$")
