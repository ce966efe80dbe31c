"""The one line of JSON that the node script prints: its model, and its reading from a command's output."""

import hashlib
from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict, ValidationError

from benchwright.models import Plan
from benchwright.nodes.identity_provider import Answer


class Users(BaseModel):
    """The configured users as they are on the node: how many, and the digest of name:uid:gid."""

    count: int
    digest: str


class LicenseTerms(BaseModel):
    """What the license manager says of a licence; None where it says nothing that can be read.

    seats: the users that it allows, 0 for any number. days_left: until it expires.
    """

    tier: str | None = None
    seats: int | None = None
    days_left: int | None = None


class Ides(BaseModel):
    """The IDEs of the image, and what they use: the version of each, None where there is none.

    kernels: the versions of Python that JupyterLab computes with.
    """

    jupyterlab: str | None = None
    kernels: list[str] = []
    vscode: str | None = None
    positron: str | None = None
    quarto: str | None = None
    tinytex: str | None = None


class Gpus(BaseModel):
    """The GPUs of NVIDIA that the node has, and the version of the driver that reaches them, None if none does."""

    count: int
    driver: str | None = None


class NodeReport(BaseModel):
    """What a node says of itself; fields that a failing script could not find out are None.

    rstudio_server, probe: uid:gid of the service user, and of the probe account as the directory has it. groups: the
    digest of the configured groups, as of users. clock_offset: seconds; None where chrony does not report it. agent:
    state of the CloudWatch agent. agent, ides, gpus: None where an earlier release configured the node. license_terms:
    None where there is no licence. metadata, helper: refused or reachable, as an ordinary user finds the metadata
    service and the ports of EFS's mount helper. audit: owner and mode of the folder of the audit logs. metrics: ok, or
    why Workbench shows no metrics. limits: on, or off where the job launcher makes no control groups; None without
    limits of sessions. differences: what of files and accounts is no longer as a configuration left it; None: not
    compared. sign_in: what the identity provider says of itself, where the node did not take it.
    """

    model_config = ConfigDict(extra="ignore", strict=True)

    instance: str
    ami: str | None = None
    host: str | None = None
    ipv4: str | None = None
    workbench: str | None = None
    configuration: str | None = None
    rstudio_server: str | None = None
    users: Users | None = None
    groups: str | None = None
    probe: str | None = None
    clock_offset: float | None = None
    services: dict[str, str] = {}
    agent: str | None = None
    health: str | None = None
    license: str | None = None
    license_terms: LicenseTerms | None = None
    metadata: str | None = None
    helper: str | None = None
    ides: Ides | None = None
    audit: str | None = None
    metrics: str | None = None
    gpus: Gpus | None = None
    limits: str | None = None
    mounts: list[str] = []
    differences: list[str] | None = None
    changed: list[str] = []
    restarted: bool = False
    sign_in: Answer | None = None
    error: str | None = None
    log: str | None = None


def read_report(output: str) -> NodeReport | None:
    """Return the report in a command's output; None where the output holds none that can be read.

    The script prints it first. The end of the log of a failed run follows, and what the agent adds.
    """
    for line in output.splitlines():
        if line.startswith("{"):
            try:
                return NodeReport.model_validate_json(line)
            except ValidationError:
                continue
    return None


def accounts_digest(plan: Plan) -> str:
    """Return the digest by which a node reports its users, of the sorted lines name:uid:gid."""
    return _digest(sorted(f"{account.name}:{account.uid}:{account.gid}\n" for account in plan.accounts))


def groups_digest(plan: Plan) -> str:
    """Return the digest by which a node reports its groups, of the sorted lines name:gid: and name:gid:member."""
    members = [f"{group.name}:{group.gid}:{member}\n" for group in plan.groups for member in ("", *group.members)]
    return _digest(sorted(members))


def _digest(texts: Iterable[str]) -> str:
    """Return 32 digits of a digest: a report has little room."""
    return hashlib.sha256("".join(texts).encode()).hexdigest()[:32]
