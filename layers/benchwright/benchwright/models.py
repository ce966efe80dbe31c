"""The input of an execution, and the plan that Benchwright makes of it.

An input says what to change (RFC 7396 merge patch on the recorded input). `Wanted` is the whole that results: every
effective value, each with its bounds. The descriptions are what a person reads in an error, in docs/input.md and, with
the examples, in an editor that knows docs/input.schema.json.
"""

import ipaddress
import math
import re
import unicodedata
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    model_validator,
)

DEFAULT_CLUSTER = "workbench"
SMALLEST_VOLUME = 100  # GiB: of the root volume of an image that is built here (image/recipe.toml)
# A replacement of all nodes has at most so many turns. In each, nodes come, and then as many leave: the step Deploy
# nodes has the time for so many, even if each node takes all the time that it may (docs/decisions/0031-replacement.md).
MOST_TURNS = 10
METRICS_PORT = 8989  # of each node; infra/nodes.yaml opens it, and infra/node/administration.sh asks it
HOME, SHARED_STORAGE = "/efs/home", "/efs/shared-storage"  # of each node
DATABASE_NAME = DATABASE_USER = "rstudio"  # of Workbench's database, and of the role that owns it
# Names of what AWS makes for a cluster begin with both: RDS takes no double hyphen and none at the end, Systems Manager
# keeps the three prefixes for itself, and EventBridge Scheduler has a group `default`. CloudFormation cuts generated
# names of RDS at 63 characters and must leave the whole application in them, or policies would not match
# (tests/templates/test_names.py).
APPLICATION_NAME, LONGEST_APPLICATION = r"^(?!default$|aws|amazon|amzn)[a-z][a-z0-9]*(-[a-z0-9]+)*$", 30
CLUSTER_NAME, LONGEST_CLUSTER = r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", 20
NAME_IN_WORDS = "lower-case letters, digits and single hyphens, a letter first, no hyphen last"
APPLICATION_NAME_IN_WORDS = (
    f"at most {LONGEST_APPLICATION} {NAME_IN_WORDS}, not default, and not beginning with aws, amazon or amzn"
)
# Of a version: at most two digits, and no zero before another, since no download has one.
NUMBER = "(0|[1-9][0-9]?)"
ENGINE_VERSION = r"^17\.[0-9]{1,2}$"
CLUSTER_NAME_IN_WORDS = f"at most {LONGEST_CLUSTER} {NAME_IN_WORDS}"
# A node's own accounts end below 2,000 (Ubuntu's first user is 1000); ids are allocated from 20,000 to 59,999.
LOWEST_ID, FIRST_ALLOCATED_ID, LAST_ALLOCATED_ID, HIGHEST_ID = 2_000, 20_000, 59_999, 2_147_483_646
# Workbench gives its own ids to the people and groups that it provisions: from here to the first id of systemd-nspawn.
FIRST_PROVISIONED_ID, LAST_PROVISIONED_ID = 200_000, 524_287
# Ranges that an account may not have, and who owns them (systemd.io/UIDS-GIDS; the range of foreign images by
# FOREIGN_UID_BASE of systemd 257 and newer, that of greeters by GREETER_UID_MIN of systemd 258 and newer).
OWNED_IDS: tuple[tuple[int, int, str], ...] = (
    (60_001, 60_513, "systemd-homed has it for home directories"),
    (60_514, 60_577, "systemd-nspawn maps users of the host to it"),
    (60_578, 60_705, "systemd has it for greeters"),
    (61_184, 65_519, "systemd has it for dynamic users of services"),
    (65_534, 65_534, "it is that of 'nobody', the account of Linux for ids that it cannot map"),
    (65_535, 65_535, "Linux takes it for no id at all (-1 in 16 bits)"),
    (524_288, 1_879_048_191, "systemd-nspawn has it for containers"),
    (2_147_352_576, 2_147_418_111, "systemd has it for foreign images"),
)
# A user has a group of the same name, so the groups of Ubuntu 24.04 are taken, too: of the group `admin`, which is not
# even there, /etc/sudoers makes each member root.
RESERVED_NAMES = frozenset(
    {
        *("root", "daemon", "bin", "sys", "sync", "games", "man", "lp", "mail", "news", "uucp", "proxy", "www-data"),
        *("backup", "list", "irc", "nobody", "ubuntu", "ec2-user", "ssm-user", "postgres", "sshd", "syslog"),
        *("rstudio-server", "systemd-network", "systemd-resolve", "messagebus", "_apt", "_chrony"),
        *("systemd-timesync", "systemd-journal", "dhcpcd", "polkitd", "uuidd", "tss", "tcpdump", "landscape"),
        *("fwupd-refresh", "usbmux", "pollinate", "ec2-instance-connect", "_rpc", "statd", "rtkit", "dnsmasq"),
        *("gnats", "stunnel4", "admin", "sudo", "adm", "wheel", "docker", "lxd", "disk", "shadow", "tty", "kmem"),
        *("staff", "users", "nogroup", "dialout", "fax", "voice", "cdrom", "floppy", "tape", "audio", "dip"),
        *("operator", "src", "utmp", "video", "sasl", "plugdev", "input", "sgx", "kvm", "render", "crontab"),
        *("netdev", "rdma", "_ssh", "ssl-cert", "systemd-oom", "systemd-coredump", "systemd-bus-proxy"),
        *("sssd", "pulse", "pulse-access", "lpadmin", "sambashare", "libvirt", "podman", "nvidia-persistenced"),
    }
)
# Keys of rserver.conf that an input may not have: those that Benchwright writes, as two owners would undo each other,
# and those whose default the nodes, checks and security groups rely on.
WRITTEN_KEYS = frozenset(
    {
        *("load-balancing-enabled", "server-shared-storage-path", "server-project-sharing"),
        *("server-health-check-enabled", "launcher-address", "launcher-port", "launcher-sessions-enabled"),
        *("launcher-default-cluster", "launcher-sessions-callback-address", "server-license-type"),
    }
)
DEFAULT_KEYS = frozenset(
    {
        *("server-user", "secure-cookie-key-file", "database-config-file", "ssl-enabled", "www-address", "www-port"),
    }
)
OWNED_KEYS = WRITTEN_KEYS | DEFAULT_KEYS


class Part(BaseModel):
    """A part of the input: unknown keys are refused, values are not coerced from other types.

    Its validator is made at its first use (defer_build): most steps validate a plan, and no part of it alone. For the
    same reason a part is the default of another by its factory.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)


def _unique(values: list[str]) -> list[str]:
    if repeated := sorted({value for value in values if values.count(value) > 1}):
        raise ValueError(f"named twice: {', '.join(repeated)}")
    return values


def _as_workbench_reads_it(value: str) -> str:
    """Refuse what Workbench would change: the Boost library, which reads rserver.conf, cuts a line at its first # and
    trims it (Boost.Program_options, src/config_file.cpp).
    """
    if "#" in value:
        raise ValueError("Workbench takes everything from a # on for a comment")
    if value != value.strip(" "):
        raise ValueError("Workbench takes spaces at the ends away")
    return value


def _of_an_account(name: Any) -> Any:
    """Refuse, each with its reason, what a directory may call a person and Ubuntu calls no account.

    The pattern holds what useradd of Ubuntu 24.04 takes (shadow 4.13, lib/chkname.c): letters, digits, dots, - and _,
    not digits alone, no - first. adduser, and programs that compare names, keep to lower case. A dot in front would
    hide a home.
    """
    if isinstance(name, str) and "@" in name:
        raise ValueError("an e-mail address is no name of an account on Ubuntu; the part before the @ may be one")
    if isinstance(name, str) and name != name.lower():
        raise ValueError("adduser of Ubuntu refuses upper case, since programs differ on whether two names are one")
    if isinstance(name, str) and re.fullmatch(DIGITS, name):
        raise ValueError("a name of digits alone is taken for an id")
    return name


def _free_id(number: int) -> int:
    for first, last, owner in OWNED_IDS:
        if first <= number <= last:
            raise ValueError(f"{owner}, as every id from {first} to {last}" if first < last else owner)
    return number


def _issuer(url: str) -> str:
    """Refuse the address of the discovery document, which many identity providers show in place of their issuer."""
    if DISCOVERY in url:
        raise ValueError(f"it is the address of the discovery document; the issuer is what comes before {DISCOVERY}")
    return url


def _filled_in(url: Any) -> Any:
    """Refuse an address in which a guide's placeholder is still there, such as <tenant> or {tenantid}."""
    if isinstance(url, str) and (found := re.search(r"[<{][^<>{}]*[>}]", url)):
        raise ValueError(
            f"{found[0]} stands for something of yours, such as the id of your tenant: put that in its place"
        )
    return url


def _of_a_tenant(url: str) -> str:
    """Refuse an address of Entra ID that names no tenant. Source: Microsoft identity platform, "ID token claims
    reference" (iss has the id of the tenant), and "OpenID Connect", of common, organizations and consumers.
    """
    if found := re.match(OF_NO_TENANT, url):
        name = url[found.end() :].partition("/")[0]
        raise ValueError(
            f"{name} is no id of a tenant; put in its place that of yours, in the Entra admin center under Overview: "
            "Tenant ID"
        )
    if re.match(NO_ISSUER_OF_ENTRA, url):
        raise ValueError(
            "Entra ID signs tokens by its v2.0 endpoint as https://login.microsoftonline.com/TENANT/v2.0, with nothing "
            "after v2.0, and a node compares every letter"
        )
    return url


def _with_openid(scopes: list[str]) -> list[str]:
    """Refuse what gives no ID token (OpenID Connect Core 1.0, section 3.1.2.1)."""
    if "openid" not in scopes:
        raise ValueError("openid is missing, without which an identity provider does not say who signs in")
    return scopes


def _of_a_file(name: Any) -> Any:
    """Refuse, each with its reason, what would be a file elsewhere."""
    if isinstance(name, str) and "/" in name:
        raise ValueError("a name has no slash: every file lies in /etc/rstudio itself")
    if isinstance(name, str) and ".." in name:
        raise ValueError("a name has no two dots in a row")
    return name


def _with_line_ends_of_linux(text: Any) -> Any:
    """Refuse what an editor of Windows writes: a program of Linux takes it for a part of each value."""
    if isinstance(text, str) and "\r" in text:
        raise ValueError(r"it has a carriage return (\r); lines of a file end with \n alone")
    return text


def _half_step(capacity: float) -> float:
    if capacity * 2 != int(capacity * 2):
        raise ValueError("Aurora capacity comes in steps of 0.5")
    return capacity


def _one_architecture(instance_type: str) -> str:
    if re.match(ARM, instance_type):
        raise ValueError("an arm64 instance type; the image of Benchwright is x86_64")
    if re.match(MAC, instance_type):
        raise ValueError("an instance type for macOS, on hosts of its own; the image of Benchwright is Ubuntu")
    return instance_type


def _free_tag(key: str) -> str:
    if re.match(TAKEN_TAG, key):
        raise ValueError("the prefixes aws: and benchwright: are taken")
    return _trimmed(key)


def _of_letters(text: str) -> str:
    """Refuse what the services of a cluster refuse: they take letters, numbers and spaces of any script (the pattern of
    TagValue in the models of EFS, Systems Manager and IAM).
    """
    if wrong := {each for each in text if ord(each) > 127 and unicodedata.category(each) not in LETTERS}:
        raise ValueError(f"{''.join(sorted(wrong))!a} is neither a letter nor a number nor a space")
    return text


def _network(text: str) -> str:
    """Refuse what EC2 refuses: numbers above 255, and a range that does not begin at its first address."""
    try:
        ipaddress.IPv4Network(text)
    except ValueError:
        raise ValueError("it is not a range of IPv4 addresses, or does not begin at its first one") from None
    return text


def _not_everyone(cidr: str) -> str:
    if cidr.endswith("/0"):
        raise ValueError("it is every address, and the metrics ask for no password")
    return cidr


def _without_blanks_around(text: Any) -> Any:
    """Refuse what is easily copied with a name, and is not seen where the name is not shown."""
    if isinstance(text, str) and text != text.strip():
        where = "ends" if text == text.lstrip() else "begins"
        raise ValueError(f"it {where} with a space or a line break")
    return text


def _trimmed(text: str) -> str:
    if text != text.strip(" "):
        raise ValueError("it begins or ends with a space, which some services take away")
    return text


def _one_case(tags: dict[str, str]) -> dict[str, str]:
    """Refuse keys that differ in case alone: IAM takes them for one, and CloudFormation tags a role (IAM user guide,
    "Rules for tagging").
    """
    _unique([key.lower() for key in tags])
    return tags


# Of an instance type, and of the key of a tag; patterns, since the template and the JSON Schema refuse them, too.
ARM, MAC = r"^(a1|[a-z]+[0-9]+g[a-z]*)[.-]", r"^mac"
TAKEN_TAG = r"^([Aa][Ww][Ss]|[Bb][Ee][Nn][Cc][Hh][Ww][Rr][Ii][Gg][Hh][Tt]):"
DIGITS = "^[0-9]+$"
DISCOVERY = "/.well-known/openid-configuration"  # OpenID Connect Discovery 1.0, section 4
ENTRA = r"^https://(login\.microsoftonline\.(com|us)|login\.partner\.microsoftonline\.cn|sts\.windows\.net)/"
OF_NO_TENANT = f"{ENTRA}(?![0-9A-Fa-f]{{8}}(-[0-9A-Fa-f]{{4}}){{3}}-[0-9A-Fa-f]{{12}}(/|$))"
# The v1.0 endpoint signs as sts.windows.net, which its own discovery document says, so no address without v2.0 fits.
NO_ISSUER_OF_ENTRA = (
    r"^https://login\.(microsoftonline\.(com|us)|partner\.microsoftonline\.cn)/[0-9A-Fa-f-]{36}(?!/v2\.0$)"
)
LETTERS = frozenset(("Lu", "Ll", "Lt", "Lm", "Lo", "Nd", "Nl", "No", "Zs"))  # numbers and spaces, too, of any script
FORMS: dict[str, str] = {}
"""What each pattern means in words: no one should have to read a regular expression in the cause of a failure."""


def _form(pattern: str, words: str, longest: int | None = None) -> StringConstraints:
    """longest: of a class with most of Unicode. {1,1000} behind such a class makes the pattern 1,000 times as large,
    which pydantic compiles in each cold start (docs/performance.md).
    """
    FORMS[pattern] = words
    return StringConstraints(pattern=pattern, max_length=longest)


def _but(*patterns: str) -> Any:
    """Say in the JSON Schema what a validator refuses."""
    return Field(json_schema_extra={"not": {"type": "string", "pattern": "|".join(patterns)}})


ClusterName = Annotated[str, StringConstraints(pattern=CLUSTER_NAME, max_length=LONGEST_CLUSTER)]
RVersion = Annotated[str, _form(rf"^[3-9]\.{NUMBER}\.{NUMBER}$", "a version of R of three numbers")]
PythonVersion = Annotated[str, _form(rf"^3\.{NUMBER}\.{NUMBER}$", "a version of Python 3 of three numbers")]
EngineVersion = Annotated[str, _form(ENGINE_VERSION, "a version 17 of Aurora PostgreSQL, such as 17.7")]
Id = Annotated[
    int,
    Field(ge=LOWEST_ID, le=HIGHEST_ID),
    AfterValidator(_free_id),
    Field(json_schema_extra={"not": {"anyOf": [{"minimum": first, "maximum": last} for first, last, _ in OWNED_IDS]}}),
]
# Debian policy manual, section 5.6.7.
UbuntuPackage = Annotated[
    str, _form(r"^[a-z0-9][a-z0-9.+-]{1,99}$", "the name of a package: 2 to 100 lower-case letters, digits and .+-")
]
ConfigKey = Annotated[
    str, _form(r"^[a-z0-9][a-z0-9-]{0,99}$", "at most 100 lower-case letters, digits and -, and no - first")
]
# One line of printable text: what an INI file can hold without an escape.
ConfigValue = Annotated[
    str,
    _form(r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$", "one line of at most 1,000 printable characters", 1000),
    AfterValidator(_as_workbench_reads_it),
    _but("#", "^ ", " $"),
]
LONGEST_FILE, LONGEST_NAME = 16_000, 100  # characters: of a file, and of the name of a section
# Of a file of /etc/rstudio. A key may be the name of an environment variable or of a repository.
FileName = Annotated[
    str,
    _form(
        r"^[A-Za-z0-9_][A-Za-z0-9_-]{0,49}(\.[A-Za-z0-9_-]{1,50}){0,4}$",
        "the name of a file: up to five words of letters, digits, - and _, with single dots between, no - first",
    ),
    BeforeValidator(_of_a_file),
]
FileKey = Annotated[
    str, _form(r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$", "at most 100 letters, digits, dots, - and _, no dot or - first")
]
SectionName = Annotated[
    str,
    _form(r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029#;=\[\]]+$", "1 to 100 printable characters without #;=[]", LONGEST_NAME),
    AfterValidator(_trimmed),
    _but("^ ", " $"),
]
# Of a group or a user in a profile: also as a directory or an identity provider names them. [*] is everyone's, and @
# marks a group.
ProfileName = Annotated[
    str,
    _form(
        r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029#;=\[\]*@][^\x00-\x1f\x7f-\x9f\u2028\u2029#;=\[\]]*$",
        "1 to 100 printable characters without #;=[], the first not * or @",
        LONGEST_NAME,
    ),
    AfterValidator(_trimmed),
    _but("^ ", " $"),
]
# As much as EC2's largest instances have: u7inh-32tb.480xlarge.
Cpus = Annotated[float, Field(ge=0.5, le=1920)]
Megabytes = Annotated[int, Field(ge=100, le=33_554_432)]
FileText = Annotated[
    str,
    StringConstraints(max_length=LONGEST_FILE),
    _form(r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]+$", "lines of printable text"),
    BeforeValidator(_with_line_ends_of_linux),
]
TagKey = Annotated[
    str,
    _form(r"^[A-Za-z0-9 _.:/=+@-]{1,128}$", "1 to 128 letters, digits, spaces and _.:/=+@-"),
    AfterValidator(_free_tag),
]
# Letters and numbers of any script: what ASCII has beside them is left out, and _of_letters looks at the rest. Not
# empty: CloudFormation, which tags what it makes, refuses that (API reference, Tag).
TagValue = Annotated[
    str,
    _form(
        r"^[^\x00-\x1f!-*,;<>?\[-\^`{-\x9f\u2028\u2029]+$",
        "1 to 256 letters, numbers, spaces and _.:/=+@-",
        256,
    ),
    AfterValidator(_of_letters),
    AfterValidator(_trimmed),
    _but("^ ", " $"),
]
AccountName = Annotated[
    str,
    _form(r"^[a-z0-9_][a-z0-9._-]{0,31}$", "1 to 32 lower-case letters, digits, dots, - and _, no dot or - first"),
    BeforeValidator(_of_an_account),
    _but(DIGITS),
]
SECRET_NAME = r"^[A-Za-z0-9/_+=.@-]{1,400}$"
SecretName = Annotated[
    str, _form(SECRET_NAME, "1 to 400 letters, digits and /_+=.@-"), BeforeValidator(_without_blanks_around)
]
# At most 64 characters: the common name of a certificate (RFC 5280, ub-common-name), which ACM makes of it.
Hostname = Annotated[
    str,
    StringConstraints(max_length=64),
    _form(
        r"^(([a-z0-9]|[a-z0-9][a-z0-9-]{0,61}[a-z0-9])\.)+([a-z]|[a-z][a-z0-9-]{0,61}[a-z0-9])$",
        "a host name in lower case with a domain, of at most 64 characters, such as workbench.example.com",
    ),
]
Cidr = Annotated[
    str,
    _form(r"^([0-9]{1,3}\.){3}[0-9]{1,3}/([0-9]|[12][0-9]|3[0-2])$", "an IPv4 range such as 10.0.0.0/8"),
    AfterValidator(_network),
]
CertificateArn = Annotated[
    str,
    _form(
        r"^arn:aws[a-z-]*:acm:[a-z0-9-]+:[0-9]{12}:certificate/[A-Za-z0-9-]{1,64}$", "the ARN of a certificate in ACM"
    ),
]
WebAclArn = Annotated[
    str,
    _form(
        r"^arn:aws[a-z-]*:wafv2:[a-z0-9-]+:[0-9]{12}:regional/webacl/[A-Za-z0-9_-]{1,128}/[0-9a-f-]{1,36}$",
        "the ARN of a regional web ACL of AWS WAF",
    ),
]
# OpenID Connect Discovery 1.0, section 3: https, and neither query nor fragment. A password does not belong into it.
Issuer = Annotated[
    str,
    _form(
        r"^https://[A-Za-z0-9.-]{1,253}(:[1-9][0-9]{0,4})?(/[A-Za-z0-9._~%!$&'()*+,;=:@-]*)*$",
        "an https address without query, such as https://idp.example.com/realms/people",
    ),
    StringConstraints(max_length=500),
    BeforeValidator(_filled_in),
    AfterValidator(_issuer),
    AfterValidator(_of_a_tenant),
    _but(DISCOVERY.replace(".", r"\."), OF_NO_TENANT, NO_ISSUER_OF_ENTRA),
]
MetadataUrl = Annotated[
    str,
    _form(
        r"^https://[A-Za-z0-9.-]{1,253}(:[1-9][0-9]{0,4})?(/[A-Za-z0-9._~%!$&'()*+,;=:@/-]*)?(\?[!$&-;=?-Z_a-z~%]*)?$",
        "an https address such as https://idp.example.com/metadata.xml",
    ),
    StringConstraints(max_length=1000),
    BeforeValidator(_filled_in),
]
# Of packages, as repos.conf and pip.conf take it. Who may read a file of a node could read a password in it.
RepositoryUrl = Annotated[
    str,
    _form(
        r"^https?://[A-Za-z0-9.-]{1,253}(:[1-9][0-9]{0,4})?(/[A-Za-z0-9._~+-]+)*/?$",
        "an address such as https://packages.example.com/cran/latest, without a password",
    ),
    StringConstraints(max_length=500),
]
# The last word of each format of SAML 2.0 Core, section 8.3, in the spelling of Posit's guides ("emailaddress").
NameIdFormat = Literal[
    "unspecified",
    "emailaddress",
    "persistent",
    "transient",
    "entity",
    "kerberos",
    "x509subjectname",
    "windowsdomainqualifiedname",
]
# Of a client, a scope, a claim or an attribute: what rserver.conf takes as one word.
Word = Annotated[
    str, _form(r"^[!\"$-~]{1,255}$", "1 to 255 letters, digits and signs of ASCII without blanks and without #")
]
# As directories and identity providers name groups, also with blanks and capitals.
GroupName = Annotated[
    str,
    _form(r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029,#]+$", "the name of one group, without commas and without #", 255),
    AfterValidator(_as_workbench_reads_it),
    _but("^ ", " $"),
]
PRIVATE_RANGES = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")  # RFC 1918


class Workbench(Part):
    """Which Posit Workbench."""

    version: Annotated[
        str,
        _form(
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

    ami: Annotated[str, _form(r"^ami-[0-9a-f]{8,17}$", "ami- and 8 to 17 of 0-9 and a-f")] | None = Field(
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
            str, _form(rf"^20[2-9][0-9]\.(0[1-9]|1[0-2])\.{NUMBER}$", "a version of Posit's drivers of three numbers")
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
            _form(
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
    nvidia: Annotated[str, _form(r"^[1-9][0-9]{2}$", "a branch of NVIDIA's driver of three digits")] | None = Field(
        default=None,
        description="a branch of NVIDIA's driver as Ubuntu signs it, for an instance type with GPUs; null: the image "
        "has none",
        examples=["580"],
    )
    packages: Annotated[list[UbuntuPackage], Field(max_length=100), AfterValidator(_unique)] = Field(
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
        _form(r"^[a-z][a-z0-9-]{0,19}\.[a-z0-9-]{1,20}$", "the name of an instance type"),
        AfterValidator(_one_architecture),
        _but(ARM, MAC),
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

    min_capacity: Annotated[float, Field(ge=0.5, le=256), AfterValidator(_half_step)] = Field(
        description="the lowest capacity in ACU, from 0.5 to 256 in steps of 0.5",
        examples=[1],
        json_schema_extra={"multipleOf": 0.5},
    )
    max_capacity: Annotated[float, Field(ge=1, le=256), AfterValidator(_half_step)] = Field(
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
    groups: Annotated[list[AccountName], Field(max_length=MOST_GROUPS_OF_A_USER - 1), AfterValidator(_unique)] = Field(
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
    members: Annotated[list[AccountName], Field(max_length=MOST_USERS), AfterValidator(_unique)] = Field(
        default=[],
        description="names of `users`, beside those whose `groups` have the group",
        examples=[["ann"]],
        json_schema_extra={"uniqueItems": True},
    )


class LicenseServer(Part):
    """A floating licence: each node leases a seat of a licence server that you run."""

    server: Annotated[
        str, _form(r"^[A-Za-z0-9][A-Za-z0-9.-]{0,252}:[1-9][0-9]{0,4}$", "the host and the port of a licence server")
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
    hosted_zone_id: (
        Annotated[str, _form(r"^Z[A-Z0-9]{1,31}$", "Z and at most 31 capital letters and digits")] | None
    ) = Field(
        default=None,
        description="the id of a hosted zone in Route 53 that gets the records of the host name: a public one, or with "
        "`certificate_arn` also a private one; null shows the records, for you to create",
        examples=["Z0123456789ABCDEFGHIJ"],
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
    allowed_cidrs: Annotated[list[Cidr], Field(min_length=1, max_length=5), AfterValidator(_unique)] = Field(
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

    allowed_cidr: Annotated[Cidr, AfterValidator(_not_everyone), _but("/0$")] = Field(
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
        Annotated[list[Word], Field(min_length=1, max_length=20), AfterValidator(_unique), AfterValidator(_with_openid)]
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
    r_versions: Annotated[list[RVersion], Field(min_length=1, max_length=8), AfterValidator(_unique)] = Field(
        description='1 to 8 R versions such as ["4.5.1"]',
        examples=[["4.4.3", "4.5.2"]],
        json_schema_extra={"uniqueItems": True},
    )
    python_versions: Annotated[list[PythonVersion], Field(max_length=8), AfterValidator(_unique)] = Field(
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
    tags: Annotated[dict[TagKey, TagValue], Field(max_length=40), AfterValidator(_one_case)] = Field(
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
