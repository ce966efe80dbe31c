"""What a single value of an input may be: names, ids, versions, texts and addresses, each as a type for the models."""

import ipaddress
import re
import unicodedata
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

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


def unique(values: list[str]) -> list[str]:
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


def with_openid(scopes: list[str]) -> list[str]:
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


def half_step(capacity: float) -> float:
    if capacity * 2 != int(capacity * 2):
        raise ValueError("Aurora capacity comes in steps of 0.5")
    return capacity


def one_architecture(instance_type: str) -> str:
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


def not_everyone(cidr: str) -> str:
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


def one_case(tags: dict[str, str]) -> dict[str, str]:
    """Refuse keys that differ in case alone: IAM takes them for one, and CloudFormation tags a role (IAM user guide,
    "Rules for tagging").
    """
    unique([key.lower() for key in tags])
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


def form(pattern: str, words: str, longest: int | None = None) -> StringConstraints:
    """longest: of a class with most of Unicode. {1,1000} behind such a class makes the pattern 1,000 times as large,
    which pydantic compiles in each cold start (docs/performance.md).
    """
    FORMS[pattern] = words
    return StringConstraints(pattern=pattern, max_length=longest)


def but(*patterns: str) -> Any:
    """Say in the JSON Schema what a validator refuses."""
    return Field(json_schema_extra={"not": {"type": "string", "pattern": "|".join(patterns)}})


ClusterName = Annotated[str, StringConstraints(pattern=CLUSTER_NAME, max_length=LONGEST_CLUSTER)]
RVersion = Annotated[str, form(rf"^[3-9]\.{NUMBER}\.{NUMBER}$", "a version of R of three numbers")]
PythonVersion = Annotated[str, form(rf"^3\.{NUMBER}\.{NUMBER}$", "a version of Python 3 of three numbers")]
EngineVersion = Annotated[str, form(ENGINE_VERSION, "a version 17 of Aurora PostgreSQL, such as 17.7")]
Id = Annotated[
    int,
    Field(ge=LOWEST_ID, le=HIGHEST_ID),
    AfterValidator(_free_id),
    Field(json_schema_extra={"not": {"anyOf": [{"minimum": first, "maximum": last} for first, last, _ in OWNED_IDS]}}),
]
# Debian policy manual, section 5.6.7.
UbuntuPackage = Annotated[
    str, form(r"^[a-z0-9][a-z0-9.+-]{1,99}$", "the name of a package: 2 to 100 lower-case letters, digits and .+-")
]
ConfigKey = Annotated[
    str, form(r"^[a-z0-9][a-z0-9-]{0,99}$", "at most 100 lower-case letters, digits and -, and no - first")
]
# One line of printable text: what an INI file can hold without an escape.
ConfigValue = Annotated[
    str,
    form(r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$", "one line of at most 1,000 printable characters", 1000),
    AfterValidator(_as_workbench_reads_it),
    but("#", "^ ", " $"),
]
LONGEST_FILE, LONGEST_NAME = 16_000, 100  # characters: of a file, and of the name of a section
# Of a file of /etc/rstudio. A key may be the name of an environment variable or of a repository.
FileName = Annotated[
    str,
    form(
        r"^[A-Za-z0-9_][A-Za-z0-9_-]{0,49}(\.[A-Za-z0-9_-]{1,50}){0,4}$",
        "the name of a file: up to five words of letters, digits, - and _, with single dots between, no - first",
    ),
    BeforeValidator(_of_a_file),
]
FileKey = Annotated[
    str, form(r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$", "at most 100 letters, digits, dots, - and _, no dot or - first")
]
SectionName = Annotated[
    str,
    form(r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029#;=\[\]]+$", "1 to 100 printable characters without #;=[]", LONGEST_NAME),
    AfterValidator(_trimmed),
    but("^ ", " $"),
]
# Of a group or a user in a profile: also as a directory or an identity provider names them. [*] is everyone's, and @
# marks a group.
ProfileName = Annotated[
    str,
    form(
        r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029#;=\[\]*@][^\x00-\x1f\x7f-\x9f\u2028\u2029#;=\[\]]*$",
        "1 to 100 printable characters without #;=[], the first not * or @",
        LONGEST_NAME,
    ),
    AfterValidator(_trimmed),
    but("^ ", " $"),
]
# As much as EC2's largest instances have: u7inh-32tb.480xlarge.
Cpus = Annotated[float, Field(ge=0.5, le=1920)]
Megabytes = Annotated[int, Field(ge=100, le=33_554_432)]
FileText = Annotated[
    str,
    StringConstraints(max_length=LONGEST_FILE),
    form(r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]+$", "lines of printable text"),
    BeforeValidator(_with_line_ends_of_linux),
]
TagKey = Annotated[
    str,
    form(r"^[A-Za-z0-9 _.:/=+@-]{1,128}$", "1 to 128 letters, digits, spaces and _.:/=+@-"),
    AfterValidator(_free_tag),
]
# Letters and numbers of any script: what ASCII has beside them is left out, and _of_letters looks at the rest. Not
# empty: CloudFormation, which tags what it makes, refuses that (API reference, Tag).
TagValue = Annotated[
    str,
    form(
        r"^[^\x00-\x1f!-*,;<>?\[-\^`{-\x9f\u2028\u2029]+$",
        "1 to 256 letters, numbers, spaces and _.:/=+@-",
        256,
    ),
    AfterValidator(_of_letters),
    AfterValidator(_trimmed),
    but("^ ", " $"),
]
AccountName = Annotated[
    str,
    form(r"^[a-z0-9_][a-z0-9._-]{0,31}$", "1 to 32 lower-case letters, digits, dots, - and _, no dot or - first"),
    BeforeValidator(_of_an_account),
    but(DIGITS),
]
SECRET_NAME = r"^[A-Za-z0-9/_+=.@-]{1,400}$"
SecretName = Annotated[
    str, form(SECRET_NAME, "1 to 400 letters, digits and /_+=.@-"), BeforeValidator(_without_blanks_around)
]
# At most 64 characters: the common name of a certificate (RFC 5280, ub-common-name), which ACM makes of it.
Hostname = Annotated[
    str,
    StringConstraints(max_length=64),
    form(
        r"^(([a-z0-9]|[a-z0-9][a-z0-9-]{0,61}[a-z0-9])\.)+([a-z]|[a-z][a-z0-9-]{0,61}[a-z0-9])$",
        "a host name in lower case with a domain, of at most 64 characters, such as workbench.example.com",
    ),
]
Cidr = Annotated[
    str,
    form(r"^([0-9]{1,3}\.){3}[0-9]{1,3}/([0-9]|[12][0-9]|3[0-2])$", "an IPv4 range such as 10.0.0.0/8"),
    AfterValidator(_network),
]
CertificateArn = Annotated[
    str,
    form(
        r"^arn:aws[a-z-]*:acm:[a-z0-9-]+:[0-9]{12}:certificate/[A-Za-z0-9-]{1,64}$", "the ARN of a certificate in ACM"
    ),
]
WebAclArn = Annotated[
    str,
    form(
        r"^arn:aws[a-z-]*:wafv2:[a-z0-9-]+:[0-9]{12}:regional/webacl/[A-Za-z0-9_-]{1,128}/[0-9a-f-]{1,36}$",
        "the ARN of a regional web ACL of AWS WAF",
    ),
]
# OpenID Connect Discovery 1.0, section 3: https, and neither query nor fragment. A password does not belong into it.
Issuer = Annotated[
    str,
    form(
        r"^https://[A-Za-z0-9.-]{1,253}(:[1-9][0-9]{0,4})?(/[A-Za-z0-9._~%!$&'()*+,;=:@-]*)*$",
        "an https address without query, such as https://idp.example.com/realms/people",
    ),
    StringConstraints(max_length=500),
    BeforeValidator(_filled_in),
    AfterValidator(_issuer),
    AfterValidator(_of_a_tenant),
    but(DISCOVERY.replace(".", r"\."), OF_NO_TENANT, NO_ISSUER_OF_ENTRA),
]
MetadataUrl = Annotated[
    str,
    form(
        r"^https://[A-Za-z0-9.-]{1,253}(:[1-9][0-9]{0,4})?(/[A-Za-z0-9._~%!$&'()*+,;=:@/-]*)?(\?[!$&-;=?-Z_a-z~%]*)?$",
        "an https address such as https://idp.example.com/metadata.xml",
    ),
    StringConstraints(max_length=1000),
    BeforeValidator(_filled_in),
]
# Of packages, as repos.conf and pip.conf take it. Who may read a file of a node could read a password in it.
RepositoryUrl = Annotated[
    str,
    form(
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
    str, form(r"^[!\"$-~]{1,255}$", "1 to 255 letters, digits and signs of ASCII without blanks and without #")
]
# As directories and identity providers name groups, also with blanks and capitals.
GroupName = Annotated[
    str,
    form(r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029,#]+$", "the name of one group, without commas and without #", 255),
    AfterValidator(_as_workbench_reads_it),
    but("^ ", " $"),
]
PRIVATE_RANGES = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")  # RFC 1918
