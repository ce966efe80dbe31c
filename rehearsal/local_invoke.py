"""`sam local invoke` on the local AWS: the world that events/*.json speak of, and a template that leads there.

The functions confirm the lock of their cluster and read its recorded plan: an event is answered only where these are.
So the events have a cluster of their own, which `prepare` makes. Its lock is held by an execution that had nothing to
do: no deployment of another cluster disturbs it, and a deployment of this one takes it over.
"""

import contextlib
import json
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import botocore.session
import yaml
from botocore.utils import hyphenize_service_id

from rehearsal.application import BUILT, ROOT, Application
from rehearsal.aws.clock import HURRY
from rehearsal.aws.local_aws import LocalAws
from rehearsal.aws.postgres import DOCKER_HOST
from rehearsal.aws.services.cloudformation.templates import load

EVENTS: Final = ROOT / "events"
TEMPLATE: Final = BUILT / "local.yaml"

COMMAND: Final = (
    f"sam local invoke -t {TEMPLATE.relative_to(ROOT)} --add-host {DOCKER_HOST}:host-gateway "
    f"<Function> -e {EVENTS.relative_to(ROOT)}/<Function>.json"
)
"""What a person types, in the project's folder."""

ABSENT: Final = ("LoggingConfig", "Role", "VpcConfig")
"""Properties of functions that mean nothing in a container, and name resources that local.yaml does not hold."""

CLIENT: Final = re.compile(r'\bclient\("([a-z0-9-]+)"\)')
"""How functions and their layer ask for the client of a service."""

WAIT: Final = {"Delay": 0.1, "MaxAttempts": 600}


class PreparationFailedError(Exception):
    """When a function refused what the world is made by; the message is the function's answer."""


def event_of(name: str) -> dict[str, Any]:
    """The event of a function, or the input of a state machine, by logical id."""
    content: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text(encoding="utf-8"))
    return content


def database_port() -> int:
    """The port at which containers look for the database, on the machine: the one in the event of CreateDatabase."""
    return int(event_of("CreateDatabase")["database"]["port"])


def prepare(aws: LocalAws, installed: Application) -> tuple[str, int]:
    """Make the cluster of the events, as far as one was deployed that has no nodes yet; needs some seconds of the wall.

    Returns address and port of its database, to which `database_port()` must lead. Lock, plan and foundation are made
    by the functions themselves; what is there already is kept. Raises PreparationFailedError.
    """
    world = _World(aws, {logical: name for name, logical in installed.functions.items()})
    with aws.clock.at_speed(HURRY):
        world.execute(installed.outputs["DeployStateMachineArn"])
        world.take_lock()
        foundation = world.deploy_foundation()
        world.deploy_nodes(foundation)
    world.name_master_secret(foundation)
    return aws.names[foundation["DatabaseEndpoint"]], int(foundation["DatabasePort"])


@dataclass(frozen=True)
class _World:
    aws: LocalAws
    functions: Mapping[str, str]
    """Names by logical id."""

    @property
    def _cluster(self) -> dict[str, str]:
        return {key: value for key, value in event_of("DeployStack").items() if key in ("cluster", "execution")}

    def execute(self, machine: str) -> None:
        """The execution that the events name; it ends at once, since no such cluster is recorded."""
        states, execution = self.aws.client("stepfunctions"), self._cluster["execution"]
        with contextlib.suppress(states.exceptions.ExecutionAlreadyExists):
            content = json.dumps({"cluster": self._cluster["cluster"], "only_if_deployed": True})
            states.start_execution(stateMachineArn=machine, name=execution.rpartition(":")[2], input=content)
        while states.describe_execution(executionArn=execution)["status"] == "RUNNING":
            self.aws.clock.wait(1)

    def take_lock(self) -> None:
        """Lock and plan, as every deployment begins; the event of ResolvePlan then changes the plan."""
        self._invoke("ResolvePlan", {**self._cluster, "action": "lock"})
        self._invoke("ResolvePlan", {**self._cluster, "action": "plan", "input": {"cluster": self._cluster["cluster"]}})

    def deploy_foundation(self) -> dict[str, str]:
        """The outputs of the foundation. What is left for the event is the change set that protects the database."""
        while not (answer := self._invoke("DeployStack", event_of("DeployStack")))["change_set"] and not answer["done"]:
            self.aws.clock.wait(5)
        return self._finished(self._stack_name("foundation"))

    def deploy_nodes(self, foundation: Mapping[str, str]) -> None:
        """infra/nodes.yaml with no node, which the product makes when it takes all of them offline."""
        template = load((ROOT / "infra/nodes.yaml").read_text(encoding="utf-8"))
        settings = self._settings()
        image = self.aws.client("ssm").get_parameter(Name=settings["PARENT_IMAGE"])["Parameter"]["Value"]
        values = {
            **foundation,
            "Application": settings["APPLICATION"],
            "BucketName": settings["BUCKET_NAME"],
            "Cluster": self._cluster["cluster"],
            "ImageId": image,
            "InstanceType": settings["DEFAULT_INSTANCE_TYPE"],
            "MaximumNodeCount": "0",
            "NodeCount": "0",
            "NodeLogGroup": settings["NODE_LOG_GROUP"],
            "NodeScript": "0" * 64,  # no node runs it
            "PrivateSubnetIds": settings["PRIVATE_SUBNET_IDS"],
            "TopicArn": settings["TOPIC_ARN"],
            "VerifiedNightly": settings["VERIFY_SCHEDULE_STATE"],
            "DatabaseConnectionsLimit": "1000",
            "WorkbenchVersion": settings["DEFAULT_WORKBENCH_VERSION"],
        }
        name, stacks = self._stack_name("nodes"), self.aws.client("cloudformation")
        with contextlib.suppress(stacks.exceptions.AlreadyExistsException):
            stacks.create_stack(
                StackName=name,
                TemplateBody=json.dumps(template),
                Parameters=[
                    {"ParameterKey": key, "ParameterValue": values[key]}
                    for key in template["Parameters"]
                    if key in values
                ],
                Capabilities=["CAPABILITY_NAMED_IAM"],
                RoleARN=settings["CLOUDFORMATION_ROLE_ARN"],
            )
        self._finished(name)

    def name_master_secret(self, foundation: Mapping[str, str]) -> None:
        """RDS gives its secret a random name, which no file can know: a copy has the name that the event says."""
        secrets = self.aws.client("secretsmanager")
        master = secrets.get_secret_value(SecretId=foundation["DatabaseMasterSecretArn"])["SecretString"]
        arn = event_of("CreateDatabase")["database"]["master_secret_arn"]
        with contextlib.suppress(secrets.exceptions.ResourceExistsException):
            secrets.create_secret(Name=arn.rpartition(":")[2], SecretString=master)

    def _invoke(self, function: str, event: Mapping[str, Any]) -> dict[str, Any]:
        answer = self.aws.client("lambda").invoke(FunctionName=self.functions[function], Payload=json.dumps(event))
        payload: dict[str, Any] = json.loads(answer["Payload"].read())
        if "FunctionError" in answer:
            raise PreparationFailedError(f"{function} did not answer {json.dumps(event)}: {json.dumps(payload)}")
        return payload

    def _settings(self) -> dict[str, str]:
        return environment(self.aws.client, self.functions["DeployStack"])

    def _stack_name(self, stack: str) -> str:
        return f"{self._settings()['APPLICATION']}-{self._cluster['cluster']}-{stack}"

    def _finished(self, name: str) -> dict[str, str]:
        stacks = self.aws.client("cloudformation")
        stacks.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig=WAIT)
        outputs = stacks.describe_stacks(StackName=name)["Stacks"][0]["Outputs"]
        return {output["OutputKey"]: output["OutputValue"] for output in outputs}


def environment(client: Callable[[str], Any], function: str) -> dict[str, str]:
    """The variables of a function as deployed, by its name."""
    configuration = client("lambda").get_function_configuration(FunctionName=function)
    variables: dict[str, str] = configuration["Environment"]["Variables"]
    return variables


def write_template(aws: LocalAws, installed: Application, target: Path = TEMPLATE) -> None:
    """Write the built functions and layers as a template of their own, which reaches this local AWS from a container.

    Variables have the values as deployed, since `sam local` cannot know what a !Ref of another resource is. What the
    rehearsal binds over a file of a layer (the certificates of Amazon RDS) stands in a copy of that layer.
    """
    ours = endpoints(f"http://{DOCKER_HOST}:{aws.port}") | {"AWS_REGION": aws.region, "AWS_DEFAULT_REGION": aws.region}
    built = load((BUILT / "template.yaml").read_text(encoding="utf-8"))
    built["Globals"]["Function"].pop("Environment")
    functions = {logical: name for name, logical in installed.functions.items()}
    resources = {}
    for logical, resource in built["Resources"].items():
        properties = resource["Properties"]
        if logical in functions:
            variables = environment(aws.client, functions[logical])
            properties = {key: value for key, value in properties.items() if key not in ABSENT}
            properties["CodeUri"] = str((BUILT / properties["CodeUri"]).resolve())
            properties["Environment"] = {"Variables": variables | ours}
        elif resource["Type"] == "AWS::Serverless::LayerVersion":
            layer = (BUILT / properties["ContentUri"]).resolve()
            properties = {**properties, "ContentUri": str(_bound(layer, aws.binds, target.with_suffix("") / logical))}
        else:
            continue
        resources[logical] = {"Type": resource["Type"], "Properties": properties}
    kept = {key: built[key] for key in ("AWSTemplateFormatVersion", "Transform", "Globals")}
    target.write_text(yaml.safe_dump({**kept, "Resources": resources}, sort_keys=False), encoding="utf-8")


def endpoints(endpoint: str) -> dict[str, str]:
    """The variables by which functions find the local AWS.

    A variable of the shell from which `sam local invoke` is started counts more than the template's of the same name,
    and build/serve.env sets AWS_ENDPOINT_URL. What counts more than that is the address of a single service.
    """
    sources = [source for folder in ("functions", "layers/benchwright") for source in (ROOT / folder).rglob("*.py")]
    services = {name for source in sources for name in CLIENT.findall(source.read_text(encoding="utf-8"))}
    models = map(botocore.session.get_session().get_service_model, sorted(services))
    ids = [hyphenize_service_id(model.service_id).replace("-", "_").upper() for model in models]
    return {"AWS_ENDPOINT_URL": endpoint, **{f"AWS_ENDPOINT_URL_{name}": endpoint for name in ids}}


def _bound(layer: Path, binds: list[tuple[Path, str]], copy: Path) -> Path:
    """The folder of a layer, or a copy of it in which the files of the rehearsal are in their places."""
    ours = [(source, path) for source, path in binds if (layer / path).exists()]
    if not ours:
        return layer
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(layer, copy)
    for source, path in ours:
        shutil.copyfile(source, copy / path)
    return copy
