"""The local AWS: moto's server with everything the rehearsal adds to it, put together and started.

Functions, state machines, stacks and nodes each call it with keys of their own role, so that every line of calls.jsonl
names its caller and its role, as CloudTrail would.
"""

import dataclasses
import functools
import importlib
import importlib.util
import json
import os
import secrets
import socket
import string
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import boto3
import moto.backends
from botocore.config import Config
from moto.iam.access_control import PermissionResult
from moto.iam.aws_managed_policies import aws_managed_policies_data
from moto.iam.models import AWSManagedPolicy, IAMBackend
from moto.moto_api._internal.models import moto_api_backend
from moto.s3.models import FakeBucket

from rehearsal.aws import moto_clock
from rehearsal.aws.clock import Clock
from rehearsal.aws.operations import Operations
from rehearsal.aws.recorder import Identity, Recorder, resource_policies, role_policies
from rehearsal.aws.server import Faults, NoFaults, Server
from rehearsal.initial_account import InitialAccount
from rehearsal.judges.policies.named import Names

ACCOUNT = "123456789012"
REGION = "us-east-1"
# In the order in which they are installed: a later one may use what an earlier one added.
MODULES = (
    "rehearsal.aws.services.step_functions",
    "rehearsal.aws.services.lambdas",
    "rehearsal.aws.services.secretsmanager",
    "rehearsal.aws.services.rds",
    "rehearsal.aws.services.efs",
    "rehearsal.aws.services.ec2",
    "rehearsal.aws.services.account",
    "rehearsal.aws.services.route53",
    "rehearsal.aws.services.acm",
    "rehearsal.aws.services.elbv2",
    "rehearsal.aws.services.wafv2",
    "rehearsal.aws.services.imagebuilder",
    "rehearsal.aws.services.autoscaling",
    "rehearsal.aws.services.ssm",
    "rehearsal.aws.services.cloudwatch",
    "rehearsal.aws.services.kms",
    "rehearsal.aws.services.logs",
    "rehearsal.aws.services.cloudformation",
)
CLIENT_SETTINGS = Config(connect_timeout=5, read_timeout=900, max_pool_connections=50)


@dataclasses.dataclass(frozen=True)
class Keys:
    """What signs requests, in the spelling of sts:AssumeRole."""

    access_key: str
    secret_key: str
    token: str | None = None

    def environment(self) -> dict[str, str]:
        token = {"AWS_SESSION_TOKEN": self.token} if self.token else {}
        return {"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key, **token}


@dataclasses.dataclass
class LocalAws:
    """One AWS account in one region on this machine.

    `listeners` are open sockets (of the host's network) that it serves on beside its own loopback;
    `binds` are files that production code reads from a layer and the rehearsal replaces, as (source, path below /opt);
    `names` are host names that functions inside the network resolve, with their addresses;
    `service_roles` are the services that have their service-linked role, with the moment since when (AWS time).
    """

    clock: Clock
    directory: Path
    listeners: list[socket.socket] = dataclasses.field(default_factory=list)
    faults: Faults = dataclasses.field(default_factory=NoFaults)
    modules: tuple[str, ...] = MODULES
    account: str = ACCOUNT
    region: str = REGION
    port: int = 0
    node_endpoint: str = ""
    hosts: Any = None
    functions: Any = None  # services.lambdas.functions.Functions: the functions of the account, with their processes
    machines: Any = None  # services.ec2.instances.Machines: the instances, each with its host
    stacks: Any = None  # services.cloudformation.Engine: the stacks of the account, with all that happened to them
    zones: Any = None  # services.route53.Zones: the hosted zones of the account
    certificates: Any = None  # services.acm.Certificates: the certificates of the account
    balancing: Any = None  # services.elbv2.Balancing: the load balancers of the account
    postgres: dict[str, Any] = dataclasses.field(default_factory=dict)
    names: dict[str, str] = dataclasses.field(default_factory=dict)
    service_roles: dict[str, float] = dataclasses.field(default_factory=dict)
    binds: list[tuple[Path, str]] = dataclasses.field(default_factory=list)
    initial_account: InitialAccount = dataclasses.field(default_factory=InitialAccount)

    def __post_init__(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        self.recorder = Recorder(self.directory / "calls.jsonl", self.clock.now)
        self.operations = Operations(self.clock.now)
        self.named = Names(self.account, self.region)
        self.server = Server(self.recorder, self.faults, self.identity_of, self.named.of)
        self.identities: dict[str, Identity] = {}
        self.administrator = self.register(Identity("rehearsal", recorded=False))
        self._policies: dict[str, dict[str, Any]] = {}
        self._clients: dict[tuple[str, str | None, str, str | None, int], Any] = {}
        self._lock = threading.RLock()

    @property
    def endpoint(self) -> str:
        """For functions, SAM and the CLI. Spelt `localhost`: moto and SAM compare TemplateURL with that word."""
        return f"http://localhost:{self.port}"

    def start(self) -> None:
        """Empties moto, which is one per process, patches it, installs every module, and listens."""
        moto_clock.install(self.clock)
        # moto judges bucket policies without their Conditions, so every Deny of calls without TLS would hold.
        FakeBucket.get_permission = lambda *_: PermissionResult.NEUTRAL
        IAMBackend._init_managed_policies = _managed_policies  # roles attach them, policies.json shows them
        IAMBackend._init_aws_policies = lambda iam: list(_managed_policies(iam).values())
        moto.backends.list_of_moto_modules = _moto_modules
        self.port = self.server.listen(("127.0.0.1", self.port))
        for listener in self.listeners:
            self.server.listen(listener)
        # moto's own calls to itself (and botocore's clients inside it) go by these.
        os.environ |= {
            "MOTO_PORT": str(self.port),
            "MOTO_EC2_LOAD_DEFAULT_AMIS": "false",  # samples without content
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_DEFAULT_REGION": self.region,
        }
        moto_api_backend.reset()
        self.node_endpoint = self.node_endpoint or self.endpoint
        for name in self.modules:
            importlib.import_module(name).install(self)

    def stop(self) -> None:
        """Ends the functions' processes and the server; writes policies.json."""
        self.write_policies()
        for name in reversed(self.modules):
            stop = getattr(importlib.import_module(name), "stop", None)
            if stop is not None:
                stop(self)
        self.server.stop()
        self.recorder.close()
        # With an infinite clock, what goes on without end, such as launches that fail, would take a processor for ever.
        self.clock.hold()

    def moto_backend(self, backends: Any, region: str = "") -> Any:
        """moto's backend of a service in this account, for handlers that change what it holds.

        region: of a service that is not regional, moto's name for all regions.
        """
        return self.server.locked(backends[self.account][region or self.region])

    def remember_policies(self) -> None:
        """Keep the policies of now for those that are about to be deleted: their calls are judged at the end."""
        with self.server.moto_lock:  # other calls change what has policies
            self._policies |= role_policies(self.account) | resource_policies(self.account, self.region)

    def write_policies(self) -> None:
        """policies.json, as everything is deployed now, and as what is gone was before it went."""
        self.remember_policies()
        policies = self._policies
        (self.directory / "policies.json").write_text(json.dumps(policies, indent=1, default=str))

    def client(
        self,
        service: str,
        role_arn: str | None = None,
        caller: str = "rehearsal",
        execution: str | None = None,
        attempts: int = 3,
    ) -> Any:
        """A cached boto3 client with keys of `role_arn`; without a role, the administrator's: those go unrecorded."""
        key = (service, role_arn, caller, execution, attempts)
        with self._lock:
            if key not in self._clients:
                keys = self.assume(role_arn, caller, execution) if role_arn else self.administrator
                create: Any = _session().client
                self._clients[key] = create(
                    service,
                    region_name=self.region,
                    endpoint_url=self.endpoint,
                    aws_access_key_id=keys.access_key,
                    aws_secret_access_key=keys.secret_key,
                    aws_session_token=keys.token,
                    config=CLIENT_SETTINGS.merge(Config(retries={"total_max_attempts": attempts, "mode": "standard"})),
                )
            return self._clients[key]

    def assume(self, role_arn: str, caller: str, execution: str | None = None) -> Keys:
        """Keys of a role for a caller whose calls are recorded under that name. The role must exist."""
        session = "".join(c if c in string.ascii_letters + string.digits + "=,.@-_" else "-" for c in caller)[:64]
        credentials = self.client("sts").assume_role(RoleArn=role_arn, RoleSessionName=session)["Credentials"]
        keys = Keys(credentials["AccessKeyId"], credentials["SecretAccessKey"], credentials["SessionToken"])
        self.identities[keys.access_key] = Identity(caller, role_arn, execution)
        return keys

    def register(self, identity: Identity) -> Keys:
        """Keys without a role, as a person's: `cli` for sam and the AWS CLI."""
        keys = Keys("AKIA" + "".join(secrets.choice(string.ascii_uppercase) for _ in range(16)), "rehearsal")
        self.identities[keys.access_key] = identity
        return keys

    def identity_of(self, access_key: str) -> Identity | None:
        """Whose key it is; a key from sts:AssumeRole that no one registered (a node's) goes by its session's name."""
        known = self.identities.get(access_key)
        if known is not None:
            return known
        from moto.sts.models import sts_backends

        role = sts_backends[self.account]["aws"].get_assumed_role_from_access_key(access_key)
        if role is None:
            return None
        identity = self.identities[access_key] = Identity(role.session_name, role.role_arn)
        return identity

    def environment(self, caller: str = "cli") -> dict[str, str]:
        """What a person sets to use this account: endpoint, region, keys."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_REGION": self.region,
            **self.register(Identity(caller)).environment(),
        }


@functools.cache
def _session() -> boto3.session.Session:
    """One for all clients: it keeps the models of services, which are long to read."""
    return boto3.session.Session()


@functools.cache
def _moto_modules(listed: Callable[[], Iterable[str]] = moto.backends.list_of_moto_modules) -> tuple[str, ...]:
    """The folders of moto, which looks for them at every request."""
    return tuple(listed())


@functools.cache
def _policies_of_amazon(account: str) -> dict[str, Any]:
    policies = json.loads(aws_managed_policies_data).items()
    made = [AWSManagedPolicy.from_data(name, account, "aws", policy) for name, policy in policies]
    return {policy.arn: policy for policy in made}


def _managed_policies(iam: Any) -> dict[str, Any]:
    """The managed policies of Amazon by ARN, where roles are: moto looks each key up in the partitions of China, too.

    Fifteen hundred, so all backends of a process, which follow one another, have the same ones. All that changes is how
    many roles each is attached to.
    """
    if iam.region_name != "aws":
        return {}
    policies = _policies_of_amazon(iam.account_id)
    for policy in policies.values():
        policy.attachment_count = 0
    return dict(policies)
