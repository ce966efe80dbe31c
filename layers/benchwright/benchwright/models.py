"""The input of an execution, and the plan that Benchwright makes of it.

An input says what to change (RFC 7396 merge patch on the recorded input). `Wanted` is the whole that results: every
effective value, each with its bounds. The descriptions are what a person reads in an error, in docs/input.md and, with
the examples, in an editor that knows docs/input.schema.json.
"""

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from benchwright.values import (
    ARM,
    CLUSTER_NAME_IN_WORDS,
    HIGHEST_ID,
    LONGEST_FILE,
    LOWEST_ID,
    MAC,
    NUMBER,
    PRIVATE_RANGES,
    AccountName,
    CertificateArn,
    Cidr,
    ClusterName,
    ConfigKey,
    ConfigValue,
    Cpus,
    EngineVersion,
    FileKey,
    FileName,
    FileText,
    GroupName,
    Hostname,
    Id,
    Issuer,
    Megabytes,
    MetadataUrl,
    NameIdFormat,
    ProfileName,
    PythonVersion,
    RepositoryUrl,
    RVersion,
    SecretName,
    SectionName,
    TagKey,
    TagValue,
    UbuntuPackage,
    WebAclArn,
    Word,
    but,
    form,
    half_step,
    not_everyone,
    one_architecture,
    one_case,
    unique,
    with_openid,
)

DEFAULT_CLUSTER = "workbench"
SMALLEST_VOLUME = 100  # GiB: of the root volume of an image that is built here (image/recipe.toml)
# A replacement of all nodes has at most so many turns. In each, nodes come, and then as many leave: the step Deploy
# nodes has the time for so many, even if each node takes all the time that it may (docs/decisions/0031-replacement.md).
MOST_TURNS = 10
METRICS_PORT = 8989  # of each node; infra/nodes.yaml opens it, and infra/node/administration.sh asks it
HOME, SHARED_STORAGE = "/efs/home", "/efs/shared-storage"  # of each node
DATABASE_NAME = DATABASE_USER = "rstudio"  # of Workbench's database, and of the role that owns it


class Part(BaseModel):
    """A part of the input: unknown keys are refused, values are not coerced from other types.

    Its validator is made at its first use (defer_build): most steps validate a plan, and no part of it alone. For the
    same reason a part is the default of another by its factory.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)


class Workbench(Part):
    """Which Posit Workbench."""

    version: Annotated[
        str,
        form(
            rf"^(2023\.12|20(2[4-9]|[3-9][0-9])\.(0[1-9]|1[0-2]))\.{NUMBER}\+[0-9]{{1,4}}\.pro[0-9]{{1,3}}$",
            "a full version of Workbench from 2023.12 on, the first that clusters as Benchwright sets it up",
        ),
    ] = Field(
        description='a full Posit Workbench version such as "2026.07.1+147.pro6", 2023.12 or newer',
        examples=["2026.07.1+147.pro6"],
    )


OLDEST_PYTHON_OF_JUPYTER = (3, 9)  # image/files/etc/benchwright/jupyter.txt


class Image(Part):
    """Where the AMI of the nodes comes from, and what is in it beside R, Python and Workbench."""

    ami: Annotated[str, form(r"^ami-[0-9a-f]{8,17}$", "ami- and 8 to 17 of 0-9 and a-f")] | None = Field(
        default=None,
        description="the id of an AMI of your own, made from the components and files in image/; null builds one",
        examples=["ami-0123456789abcdef0"],
    )
    jupyter: bool = Field(
        default=True,
        description="false for an image without JupyterLab; otherwise it has JupyterLab and a kernel for each of "
        "`python_versions`, unless there is none",
        examples=[False],
    )
    pro_drivers: (
        Annotated[
            str, form(rf"^20[2-9][0-9]\.(0[1-9]|1[0-2])\.{NUMBER}$", "a version of Posit's drivers of three numbers")
        ]
        | None
    ) = Field(
        default=None,
        description="a version of Posit's professional drivers for databases; null: the image has none",
        examples=["2026.07.0"],
    )
    tinytex: (
        Annotated[
            str,
            form(
                r"^20(26\.(0[4-9]|1[0-2])|(2[7-9]|[3-9][0-9])\.(0[1-9]|1[0-2]))(\.[0-9]{2})?$",
                "a release of TinyTeX from 2026.04 on, as a year and a month",
            ),
        ]
        | None
    ) = Field(
        default=None,
        description="a release of TinyTeX, with which Quarto and R Markdown make PDF; null: the image has none",
        examples=["2026.10"],
    )
    nvidia: Annotated[str, form(r"^[1-9][0-9]{2}$", "a branch of NVIDIA's driver of three digits")] | None = Field(
        default=None,
        description="a branch of NVIDIA's driver as Ubuntu signs it, for an instance type with GPUs; null: the image "
        "has none",
        examples=["580"],
    )
    packages: Annotated[list[UbuntuPackage], Field(max_length=100), AfterValidator(unique)] = Field(
        default=[],
        description="up to 100 further packages of Ubuntu 24.04 by name",
        examples=[["default-jdk", "texlive-latex-base"]],
        json_schema_extra={"uniqueItems": True},
    )


class Nodes(Part):
    """How many nodes, and how large."""

    count: Annotated[int, Field(ge=1, le=50)] = Field(description="a number of nodes from 1 to 50", examples=[3])
    instance_type: Annotated[
        str,
        form(r"^[a-z][a-z0-9-]{0,19}\.[a-z0-9-]{1,20}$", "the name of an instance type"),
        AfterValidator(one_architecture),
        but(ARM, MAC),
    ] = Field(description='an x86_64 EC2 instance type such as "m6i.xlarge"', examples=["m7i.2xlarge"])
    root_volume_size: Annotated[int, Field(ge=SMALLEST_VOLUME, le=16_384)] | None = Field(
        default=None,
        description=f"the size of the root volume in GiB, from {SMALLEST_VOLUME} to 16384; null: that of the image",
        examples=[200],
    )
    replace_at_once: Annotated[int, Field(ge=1, le=50)] | None = Field(
        default=None,
        description="how many nodes are replaced at the same time; null: a tenth of them, rounded up",
        examples=[2],
    )

    @property
    def at_once(self) -> int:
        """How many new nodes come before as many leave."""
        return min(self.replace_at_once or least_at_once(self.count), self.count)


def least_at_once(count: int) -> int:
    """Return how many of the nodes must be replaced at the same time, so that there are at most MOST_TURNS."""
    return math.ceil(count / MOST_TURNS)


class Database(Part):
    """Aurora Serverless v2: its capacity in ACU, and its version."""

    min_capacity: Annotated[float, Field(ge=0.5, le=256), AfterValidator(half_step)] = Field(
        description="the lowest capacity in ACU, from 0.5 to 256 in steps of 0.5",
        examples=[1],
        json_schema_extra={"multipleOf": 0.5},
    )
    max_capacity: Annotated[float, Field(ge=1, le=256), AfterValidator(half_step)] = Field(
        description="the highest capacity in ACU, from 1 to 256 in steps of 0.5",
        examples=[16],
        json_schema_extra={"multipleOf": 0.5},
    )

    engine_version: EngineVersion | None = Field(
        default=None,
        description="a version of Aurora PostgreSQL 17; null takes the newest once, and later keeps it. Aurora "
        "upgrades minor versions by itself, and is never taken back",
        examples=["17.7"],
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min_capacity > self.max_capacity:
            raise ValueError(f"min_capacity {self.min_capacity:g} is above max_capacity {self.max_capacity:g}")
        return self


# Of an account on EFS, its own among them: NFS cuts off what is more (EFS user guide, "Working with users, groups, and
# permissions at the NFS level").
MOST_GROUPS_OF_A_USER = 16
MOST_USERS, MOST_GROUPS = 2_000, 200


class User(Part):
    """One account, the same on every node."""

    uid: Id | None = Field(
        default=None,
        description=f"a user id from {LOWEST_ID} to {HIGHEST_ID} that no range of systemd or Linux holds; allocated "
        "when left out",
        examples=[3001],
    )
    gid: Id | None = Field(
        default=None, description="the id of the user's own group; the uid when left out", examples=[3001]
    )
    password: SecretName | None = Field(
        default=None,
        description="the name of a secret below <application>/users/ that holds the password as plain text, in one "
        "line of at most 128 bytes",
        examples=["benchwright/users/ann"],
    )
    groups: Annotated[list[AccountName], Field(max_length=MOST_GROUPS_OF_A_USER - 1), AfterValidator(unique)] = Field(
        default=[],
        description=f"up to {MOST_GROUPS_OF_A_USER - 1} names of `groups` that the user is a member of, beside those "
        "whose `members` have the user",
        examples=[["analysts"]],
        json_schema_extra={"uniqueItems": True},
    )


class Group(Part):
    """A group of people, the same on every node."""

    gid: Id | None = Field(
        default=None,
        description=f"a group id from {LOWEST_ID} to {HIGHEST_ID} that no range of systemd or Linux holds; allocated "
        "when left out",
        examples=[5001],
    )
    members: Annotated[list[AccountName], Field(max_length=MOST_USERS), AfterValidator(unique)] = Field(
        default=[],
        description="names of `users`, beside those whose `groups` have the group",
        examples=[["ann"]],
        json_schema_extra={"uniqueItems": True},
    )


class LicenseServer(Part):
    """A floating licence: each node leases a seat of a licence server that you run."""

    server: Annotated[
        str, form(r"^[A-Za-z0-9][A-Za-z0-9.-]{0,252}:[1-9][0-9]{0,4}$", "the host and the port of a licence server")
    ] = Field(
        description="the host and port of your Posit licence server, which the nodes must reach",
        examples=["10.0.0.20:8989"],
    )


def _kind_of_license(value: Any) -> str:
    return "server" if isinstance(value, dict | LicenseServer) else "name"


AnyLicense = Annotated[
    Annotated[SecretName, Tag("name")] | Annotated[LicenseServer, Tag("server")], Discriminator(_kind_of_license)
]


# Posit Public Package Manager: `latest` follows CRAN and PyPI, a date in its place stays. Packages of R come compiled
# for Ubuntu 24.04.
PUBLIC_PACKAGES = "https://packagemanager.posit.co"


class Repos(Part):
    """Where people's R and Python get packages from."""

    cran: RepositoryUrl = Field(
        default=f"{PUBLIC_PACKAGES}/cran/__linux__/noble/latest",
        description="the address of the repository of R packages",
        examples=[f"{PUBLIC_PACKAGES}/cran/__linux__/noble/2026-11-02"],
    )
    pypi: RepositoryUrl = Field(
        default=f"{PUBLIC_PACKAGES}/pypi/latest/simple",
        description="the address of the index of Python packages",
        examples=["https://packages.example.com/pypi/simple"],
    )


class Access(Part):
    """The address under which people reach Workbench: a load balancer that ends TLS."""

    hostname: Hostname = Field(
        description="the host name of the address, at most 64 characters", examples=["workbench.example.com"]
    )
    hosted_zone_id: Annotated[str, form(r"^Z[A-Z0-9]{1,31}$", "Z and at most 31 capital letters and digits")] | None = (
        Field(
            default=None,
            description="the id of a hosted zone in Route 53 that gets the records of the host name: a public one, or "
            "with `certificate_arn` also a private one; null shows the records, for you to create",
            examples=["Z0123456789ABCDEFGHIJ"],
        )
    )
    certificate_arn: CertificateArn | None = Field(
        default=None,
        description="the ARN of a certificate of your own in ACM, in this region; null requests one",
        examples=["arn:aws:acm:us-east-1:123456789012:certificate/12345678-1234-1234-1234-123456789012"],
    )
    scheme: Literal["internal", "internet-facing"] = Field(
        default="internal",
        description='"internal" for private addresses, which people reach by VPN or Direct Connect; "internet-facing" '
        "for public ones, which needs public subnets and `allowed_cidrs`; to change it, first take `access` away",
        examples=["internet-facing"],
    )
    allowed_cidrs: Annotated[list[Cidr], Field(min_length=1, max_length=5), AfterValidator(unique)] = Field(
        default=list(PRIVATE_RANGES),
        description="1 to 5 IPv4 ranges from which people reach the address",
        examples=[["203.0.113.0/24"]],
        json_schema_extra={"uniqueItems": True},
    )
    web_acl_arn: WebAclArn | None = Field(
        default=None,
        description="the ARN of a regional web ACL of AWS WAF, in this region",
        examples=[
            "arn:aws:wafv2:us-east-1:123456789012:regional/webacl/workbench/12345678-1234-1234-1234-123456789012"
        ],
    )


class Audit(Part):
    """What Workbench keeps of people's sign-ins, sessions and work; without it, nothing."""

    r_console: Literal["input", "all"] | None = Field(
        default=None,
        description='"input" to record what people type into the R console, "all" to record what it prints, too; null '
        "records sign-ins and sessions of R alone",
        examples=["input"],
    )
    months: Annotated[int, Field(ge=1, le=120)] | None = Field(
        default=None,
        description="a number of months from 1 to 120, after which Workbench deletes records; null: that of Workbench",
        examples=[13],
    )


class Metrics(Part):
    """Workbench's metrics for Prometheus, on port 8989 of each node."""

    allowed_cidr: Annotated[Cidr, AfterValidator(not_everyone), but("/0$")] = Field(
        description="the IPv4 range from which Prometheus reads the metrics; they ask for no password",
        examples=["10.0.1.0/24"],
    )


class Acceptance(Part):
    """What a cluster needs for tests of it as a whole."""

    account: AccountName = Field(
        description="an account for tests alone, for which `verify` with `sessions` opens sessions; it takes a seat of "
        "the licence",
        examples=["probe"],
    )


BY_PROVIDER = ("oidc", "saml")  # methods: an identity provider signs people in, and sends them back to an address


class Auth(Part):
    """How people sign in. The keys of one method are no keys of another (planning/sign_in.py)."""

    method: Literal["pam", "oidc", "saml", "sssd"] = Field(
        default="pam",
        description='"pam" for the passwords of `users`, "oidc" for OpenID Connect, "saml" for SAML 2.0, "sssd" for a '
        "directory that Linux asks",
        examples=["oidc"],
    )
    issuer: Issuer | None = Field(
        default=None,
        description="the issuer of your identity provider, exactly as its discovery document spells it (oidc)",
        examples=["https://idp.example.com"],
    )
    client_id: Word | None = Field(
        default=None, description="the id of the client that you registered (oidc)", examples=["workbench"]
    )
    client_secret: SecretName | None = Field(
        default=None,
        description="the name of a secret below <application>/auth/ that holds the client secret as plain text, "
        "in one line (oidc)",
        examples=["benchwright/auth/oidc"],
    )
    username_claim: Word | None = Field(
        default=None,
        description="the claim that holds a person's user name; null: preferred_username (oidc)",
        examples=["preferred_username"],
    )
    scopes: (
        Annotated[list[Word], Field(min_length=1, max_length=20), AfterValidator(unique), AfterValidator(with_openid)]
        | None
    ) = Field(
        default=None,
        description="1 to 20 scopes that Workbench asks for, openid among them; null: those of Workbench itself (oidc)",
        examples=[["openid", "profile", "email"]],
        json_schema_extra={"uniqueItems": True},
    )
    metadata_url: MetadataUrl | None = Field(
        default=None,
        description="the https address of your identity provider's metadata; or give `metadata` (saml)",
        examples=["https://idp.example.com/metadata.xml"],
    )
    metadata: SecretName | None = Field(
        default=None,
        description="the name of a secret below <application>/auth/ that holds the metadata, if the nodes cannot "
        "reach `metadata_url` (saml)",
        examples=["benchwright/auth/saml-metadata"],
    )
    username_attribute: Word | None = Field(
        default=None,
        description="the attribute that holds a person's user name, or NameID; null: Username (saml)",
        examples=["NameID"],
    )
    name_id_format: NameIdFormat | None = Field(
        default=None,
        description="the format of the NameID that Workbench asks for; null: that of Workbench itself (saml)",
        examples=["emailaddress"],
    )
    post_binding: bool = Field(
        default=False,
        description="true if the identity provider takes sign-in requests only by POST (saml)",
        examples=[True],
    )
    sssd_conf: SecretName | None = Field(
        default=None,
        description="the name of a secret below <application>/auth/ that holds the whole sssd.conf (sssd)",
        examples=["benchwright/auth/sssd"],
    )
    probe_account: AccountName | None = Field(
        default=None,
        description="an account of the directory that a verification looks up on every node (sssd)",
        examples=["svc-probe"],
    )
    provisioning: Literal["none", "jit", "scim"] = Field(
        default="none",
        description='"none" if `users` has all accounts, "jit" if Workbench makes them at the first sign-in, "scim" if '
        "the identity provider makes them beforehand (oidc, saml)",
        examples=["jit"],
    )
    groups_claim: Word | None = Field(
        default=None,
        description="the claim that holds a person's groups (oidc with jit)",
        examples=["groups"],
    )
    groups_attribute: Word | None = Field(
        default=None,
        description="the attribute that holds a person's groups (saml with jit)",
        examples=["groups"],
    )
    scim_token: SecretName | None = Field(
        default=None,
        description="the name of a secret below <application>/auth/ that holds the token of the identity provider, "
        "in one line (scim)",
        examples=["benchwright/auth/scim"],
    )
    required_group: GroupName | None = Field(
        default=None, description="the group whose members may sign in; null: everyone", examples=["workbench-users"]
    )
    admin_group: GroupName | None = Field(
        default=None,
        description="the group whose members see the administrative dashboard; null: there is none",
        examples=["workbench-admins"],
    )

    @property
    def by_provider(self) -> bool:
        """Whether an identity provider signs people in."""
        return self.method in BY_PROVIDER

    @property
    def by_directory(self) -> bool:
        """Whether a node asks a directory for accounts."""
        return self.method == "sssd"

    @property
    def provisions(self) -> bool:
        """Whether Workbench makes accounts."""
        return self.provisioning != "none"


MOST_KEYS = 200  # of a file, or of a section of it


class File(Part):
    """A file of /etc/rstudio. Which of these a file takes is in rstudio_files.py."""

    keys: Annotated[dict[FileKey, ConfigValue], Field(max_length=MOST_KEYS)] = Field(
        default={},
        description=f"up to {MOST_KEYS} keys of a file without sections, each value one line of text without #",
        examples=[{"session-timeout-minutes": "60"}],
    )
    sections: Annotated[
        dict[SectionName, Annotated[dict[FileKey, ConfigValue], Field(max_length=MOST_KEYS)]],
        Field(max_length=MOST_KEYS),
    ] = Field(
        default={},
        description=f"up to {MOST_KEYS} sections by name, each with keys as `keys` has them; they are written in the "
        "order *, @group, user",
        examples=[{"*": {"max-mem-mb": "8192"}, "@analysts": {"max-mem-mb": "16384"}}],
    )
    text: FileText | None = Field(
        default=None,
        description=f"the whole file, up to {LONGEST_FILE:,} characters",
        examples=["JobType: any\nEnvironment: LANG=en_US.UTF-8\n"],
    )
    secret: SecretName | None = Field(
        default=None,
        description="the name of a secret below <application>/files/ that holds the whole file",
        examples=["benchwright/files/databricks"],
    )

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write: the file is as the image has it."""
        return not (self.keys or self.sections or self.text or self.secret)


RSERVER_CONF = "rserver.conf"
MOST_FILES = 50
RESERVED_PERCENT = 10  # of a node's memory, where no input says how much
MOST_LIMITS = 200  # of groups, and of users: more would be another configuration of the launcher, in `files`


# Of a session: by the key of the input, that of the launcher's profiles.
PROFILE_KEYS: Mapping[str, str] = {
    "cpus": "default-cpus",
    "memory_mb": "default-mem-mb",
    "max_cpus": "max-cpus",
    "max_memory_mb": "max-mem-mb",
}


class SessionLimits(Part):
    """What a session gets, and the most that its user can ask for."""

    cpus: Cpus | None = Field(
        default=None,
        description="a number of CPUs from 0.5, which a session gets whose user asks for no other",
        examples=[1],
    )
    memory_mb: Megabytes | None = Field(
        default=None,
        description="a number of MiB of memory from 100, which a session gets whose user asks for no other",
        examples=[2048],
    )
    max_cpus: Cpus | None = Field(
        default=None,
        description="a number of CPUs from 0.5, the most that a user can ask for in one session",
        examples=[4],
    )
    max_memory_mb: Megabytes | None = Field(
        default=None,
        description="a number of MiB of memory from 100, the most that a user can ask for in one session",
        examples=[8192],
    )

    @property
    def keys(self) -> dict[str, str]:
        """The same as keys of the launcher's profiles (Posit Workbench administration guide, "Local plugin")."""
        values = {key: getattr(self, name) for name, key in PROFILE_KEYS.items()}
        return {key: f"{value:g}" if isinstance(value, float) else str(value) for key, value in values.items() if value}


class Limits(Part):
    """CPU and memory of sessions, and the share of a node that is no session's."""

    default: SessionLimits = Field(default_factory=SessionLimits, description="the limits of everyone's sessions")
    groups: Annotated[dict[ProfileName, SessionLimits], Field(max_length=MOST_LIMITS)] = Field(
        default={},
        description=f"limits of up to {MOST_LIMITS} groups by name; what one leaves out is that of `default`, "
        "and who is in two of them has each key from the last by name that gives it",
        examples=[{"analysts": {"max_cpus": 4}}],
    )
    users: Annotated[dict[ProfileName, SessionLimits], Field(max_length=MOST_LIMITS)] = Field(
        default={},
        description=f"limits of up to {MOST_LIMITS} users by name; what one leaves out is that of the user's "
        "groups, then of `default`",
        examples=[{"ann": {"max_memory_mb": 12288}}],
    )
    reserved_memory_mb: Megabytes | None = Field(
        default=None,
        description="a number of MiB of a node's memory, at most half of it, that sessions cannot take from Workbench "
        f"and the system; null: {RESERVED_PERCENT} percent",
        examples=[2048],
    )

    @property
    def of_sessions(self) -> dict[str, SessionLimits]:
        """The limits by the section of a profile that holds them: of everyone (*), of groups (@), of users."""
        named = {
            "*": self.default,
            **{f"@{name}": limits for name, limits in self.groups.items()},
            **self.users,
        }
        return {section: limits for section, limits in named.items() if limits.keys}


class Wanted(Part):
    """Every effective value of a cluster's input."""

    workbench: Workbench = Field(description="the version of Posit Workbench")
    r_versions: Annotated[list[RVersion], Field(min_length=1, max_length=8), AfterValidator(unique)] = Field(
        description='1 to 8 R versions such as ["4.5.1"]',
        examples=[["4.4.3", "4.5.2"]],
        json_schema_extra={"uniqueItems": True},
    )
    python_versions: Annotated[list[PythonVersion], Field(max_length=8), AfterValidator(unique)] = Field(
        description='up to 8 Python versions such as ["3.13.1"]',
        examples=[["3.13.9"]],
        json_schema_extra={"uniqueItems": True},
    )
    image: Image = Field(
        default_factory=Image, description="the AMI of the nodes", examples=[{"packages": ["default-jdk"]}]
    )
    nodes: Nodes = Field(description="number and size of the nodes")
    database: Database = Field(description="capacity and version of the database")
    license: AnyLicense | None = Field(
        default=None,
        description="the name of a secret below <application>/license/ that holds a licence file; or an object with "
        "server, the host and port of a licence server of yours, for a floating licence",
        examples=["benchwright/license/workbench", {"server": "10.0.0.20:8989"}],
    )
    access: Access | None = Field(
        default=None,
        description="an HTTPS address for people; without it they use a tunnel of Session Manager",
        examples=[{"hostname": "workbench.example.com", "hosted_zone_id": "Z0123456789ABCDEFGHIJ"}],
    )
    auth: Auth = Field(
        default_factory=Auth,
        description="how people sign in; without it they have the passwords of `users`",
        examples=[
            {
                "method": "oidc",
                "issuer": "https://idp.example.com",
                "client_id": "workbench",
                "client_secret": "benchwright/auth/oidc",
            }
        ],
    )
    users: Annotated[dict[AccountName, User], Field(max_length=MOST_USERS)] = Field(
        default={},
        description=f"up to {MOST_USERS} accounts by name: lower-case letters, digits, dots, - and _, at most 32 "
        "characters, not digits alone",
        examples=[{"ann": {"uid": 3001}, "ben": None}],
    )
    groups: Annotated[dict[AccountName, Group], Field(max_length=MOST_GROUPS)] = Field(
        default={},
        description=f"up to {MOST_GROUPS} groups by name, as users are named",
        examples=[{"analysts": {"members": ["ann"]}, "guests": None}],
    )
    config: Annotated[dict[ConfigKey, ConfigValue], Field(max_length=200)] = Field(
        default={},
        description="up to 200 further keys of rserver.conf, each value one line of text without #",
        examples=[{"auth-timeout-minutes": "120"}],
    )
    files: Annotated[dict[FileName, File], Field(max_length=MOST_FILES)] = Field(
        default={},
        description=f"up to {MOST_FILES} files of /etc/rstudio by name; `config` is a short form of the keys of "
        "rserver.conf",
        examples=[{"rsession.conf": {"keys": {"session-timeout-minutes": "60"}}}],
    )
    limits: Limits = Field(
        default_factory=Limits,
        description="CPU and memory of sessions: by default, by group and by user",
        examples=[{"default": {"cpus": 1, "memory_mb": 2048, "max_cpus": 4, "max_memory_mb": 8192}}],
    )
    repos: Repos = Field(default_factory=Repos, description="where people's R and Python get packages from")
    audit: Audit | None = Field(
        default=None,
        description="what Workbench records of people's sign-ins and sessions of R, on the shared storage",
        examples=[{"r_console": "input"}],
    )
    metrics: Metrics | None = Field(
        default=None,
        description="metrics of Workbench for Prometheus, on port 8989 of each node",
        examples=[{"allowed_cidr": "10.0.1.0/24"}],
    )
    acceptance: Acceptance | None = Field(
        default=None,
        description="an account for tests of the cluster, and Workbench's API, by which they open sessions for it",
        examples=[{"account": "probe"}],
    )
    tags: Annotated[dict[TagKey, TagValue], Field(max_length=40), AfterValidator(one_case)] = Field(
        default={},
        description="tags of all that is made but node disks and images, which clusters share; keys of letters, "
        "digits, spaces and _.:/=+@- without accents, values also in other scripts; not aws: or benchwright:",
        examples=[{"cost-centre": "4711"}],
    )

    @property
    def jupyter_versions(self) -> list[str]:
        """The versions of Python that JupyterLab has a kernel for; the first runs JupyterLab itself."""
        return self.python_versions if self.image.jupyter else []

    @property
    def baked(self) -> dict[str, str]:
        """What of it is baked into the image, as image/recipe.toml names it."""
        return {
            "workbench_version": self.workbench.version,
            "r_versions": " ".join(self.r_versions),
            "python_versions": " ".join(self.python_versions),
            "pro_drivers": self.image.pro_drivers or "",
            "tinytex": self.image.tinytex or "",
            "nvidia": self.image.nvidia or "",
            "packages": " ".join(self.image.packages),
            "jupyter_versions": " ".join(self.jupyter_versions),
        }

    @property
    def has_vscode(self) -> bool:
        """Whether the package of Workbench brings VS Code (release notes of 2024.09.0)."""
        return self.workbench.version >= "2024.09"

    @property
    def has_positron(self) -> bool:
        """Whether the package of Workbench brings Positron for everyone (release notes of 2025.09.0)."""
        return self.workbench.version >= "2025.09"

    @property
    def server_config(self) -> dict[str, str]:
        """The keys of rserver.conf, wherever the input gives them."""
        file = self.files.get(RSERVER_CONF)
        return self.config | (file.keys if file else {})


class Once(Part):
    """What an input asks for this execution alone; never recorded (docs/decisions/0016)."""

    rebuild: bool = Field(default=False, description="true to resolve the parent image again and build")
    only_if_deployed: bool = Field(
        default=False,
        description="true to do nothing, successfully, unless the cluster was deployed before and is free",
    )
    dry_run: bool = Field(
        default=False, description="true to change nothing, and to say what a deployment with this input would do"
    )


class Account(Part):
    """A user as every node must know it."""

    name: str
    uid: int
    gid: int
    secret_arn: str = ""
    secret_version: str = ""


class NodeGroup(Part):
    """A group as every node must know it; members in the order of their names."""

    name: str
    gid: int
    members: list[str]


class License(Part):
    """The licence file's secret, in the version that was current when the plan was made; or the licence server."""

    secret_arn: str = ""
    secret_version: str = ""
    server: str = ""


class SignIn(Part):
    """The secrets of sign-in, in the versions that were current when the plan was made: that of the method (a client
    secret, metadata or an sssd.conf), and the token of SCIM.
    """

    secret_arn: str = ""
    secret_version: str = ""
    token_arn: str = ""
    token_version: str = ""


class FileSecret(Part):
    """The secret that holds a file, in the version that was current when the plan was made."""

    arn: str
    version: str


class ImagePlan(Part):
    """What the image is made of, beside the content of image/."""

    ami: str | None
    parent_image: str = Field(description="resolved AMI id of the parent, recorded until the next rebuild")
    generation: int


class Plan(Part):
    """What one execution must make true; recorded with the cluster, read by every step."""

    cluster: ClusterName = Field(
        description=f"name of the cluster: {CLUSTER_NAME_IN_WORDS}",
        examples=["team-blue"],
    )
    wanted: Wanted
    image: ImagePlan
    license: License | None
    sign_in: SignIn = Field(default_factory=SignIn)
    file_secrets: dict[str, FileSecret] = Field(default={}, description="by the name of the file")
    accounts: list[Account]
    engine_version: str = Field(
        default="", description="version of Aurora PostgreSQL, recorded so that a later execution keeps it"
    )
    removes_access: bool = Field(
        default=False, description="whether an earlier execution made an address that is no longer wanted"
    )
    locked_accounts: dict[str, tuple[int, int]] = Field(
        description="uid and gid of each user of earlier inputs: their accounts are locked, their homes kept"
    )
    groups: list[NodeGroup] = []
    emptied_groups: dict[str, int] = Field(
        default={}, description="gid of each group of earlier inputs: where a node has it, it has no members"
    )
    sources: dict[str, Literal["input", "recorded", "parameter", "default"]]


def merge_patch(target: Any, patch: Any) -> Any:
    """Apply a JSON merge patch (RFC 7396, section 2)."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged
