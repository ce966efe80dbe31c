"""The models, the JSON Schema and the template refuse the same inputs, but for a closed list of reasons.

Inputs are made from the schema, and spoiled in one place: what each of the two says of them is compared.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchwright.errors import InvalidInput
from benchwright.planning.read_input import read_input
from tests.documentation import input_reference
from tests.documentation.test_input import KEYS, SCHEMA, VALIDATOR
from tests.templates.templates import APPLICATION
from tests.unit.benchwright.hostile import examples, json_values, near, texts

ONLY_THE_MODELS_REFUSE = (
    # What a schema cannot say.
    r"nodes\.replace_at_once: .* is refused: a deployment has time to replace \d+ nodes so",
    r"database: .*: min_capacity \S+ is above max_capacity ",
    r"users\..+\.(uid|gid): \d+ is refused: users\..+ has it\.",
    r"(users|groups)\..+: .* is refused: no such (user|group) is in the input\.",
    r"groups\..+: .* is refused: the user of this name has a group of this name\.",
    r"config\..+: .* is refused: .+ so the key would hold for no one\.",
    r"(license|users\..+\.password|auth\.\S+|files\..+\.secret): .* is refused: the nodes may not read it\.",
    r"(license|users\..+\.password|auth\.\S+|files\..+\.secret): .* is refused: it is not the name of a secret\.",
    r"image\.rebuild: true is refused: it is given together with image\.ami\.",
    r"acceptance\.account: .* is refused: no such user is in the input",
    r"repos\.cran: .* is refused: files\.repos\.conf is given",
    r"python_versions: .* is refused: JupyterLab has kernels for Python 3\.9 and newer\.",
    r"(r_versions|python_versions|image\.\w+): .* is refused: the cluster uses the AMI ",
    r"tags: .* is refused: named twice: ",
    r"(acceptance\.account|access\.hostname|metrics\.allowed_cidr): .* is refused: it is missing",  # unless recorded
    r"access\.allowed_cidrs: null is refused: people come from the internet",
    r"(access\.allowed_cidrs\.\d+|metrics\.allowed_cidr): .* is refused: it is not a range of IPv4 addresses",
    r"config\.auth-cookies-force-secure: .* is refused: Benchwright writes this key itself",
    # What a method of sign-in needs, and what belongs to another one.
    r"auth\.\S+: .* is refused: it belongs to the method ",
    r"auth\.\S+: null is refused: the method \S+ needs it",
    r"auth\.metadata_url: .* is refused: the method saml needs one of metadata_url and metadata",
    r"auth\.method: .* is refused: the identity provider sends people back to an https address",
    r"auth\.scim_token: null is refused: the identity provider needs a token for SCIM",
    r"auth\.scim_token: .* is refused: with provisioning \S+ nothing uses it",
    r"auth\.groups_\S+: .* is refused: Workbench takes groups from it with provisioning jit alone",
    r"auth\.provisioning: .* is refused: no one has an account",
    r"auth\.\S+: .* is refused: Workbench has it since ",
    r"auth\.\S+_group: .* is refused: .+ so the key would hold for no one\.",
    r"(auth|config)\.\S+: .* is refused: people have the groups of the identity provider, ",
    r"auth\.method: null is refused: the method is missing, ",
    r"(users|groups)\..+: .* is refused: Workbench gives the ids from 200000 to 524287 ",
    # Of limits: who they are for, what a session gets, and what a file gives, too.
    r"(limits|files)\..+: .* is refused: `(users|groups)` has no .+, so this would hold for no one",
    r"metrics: .* is refused: Workbench has them since ",
    r"(limits|files)\..+: .* is refused: .+ is (above|below) (limits|files|\[)",
    r"files\.launcher\.local\.profiles\.conf\..+: .* is refused: .+ is not a number",
    r"files\..+: .* is refused: `limits` (gives|switches) ",
    # What the table of files says, and what is written in the format of a file.
    r"files\..+: .* is refused: (its format is not known|the file (is (lines|sections|records|a JSON|text)|holds a))",
    r"files\..+: .* is refused: Benchwright writes keys of this file",
    r"files\..+: .* is refused: (Benchwright sets this key|it is given as|launcher.conf has the sections)",
    r"files\..+\.text: .* is refused: (it is not JSON|it is JSON, but not an object|line \d)",
    r"files\.rserver\.conf\.keys\..+: .* is refused: nodes rely on Workbench's default",
    r"(config|files\.rserver\.conf\.keys)\..+: .* is refused: it is a key of rsession\.conf",
    r"config\..+: .* is refused: files\.rserver\.conf\.keys has this key, too",
    r"config\..+: .* is refused: with `auth`, its place is ",
    r"auth\.scopes: .* is refused: openid is missing",
    # What a pattern that every engine reads cannot say: classes of Unicode, and halves of a character.
    r".*: .* is refused: it is not text: it has half of a character",
    r"tags\..*: .* is neither a letter nor a number nor a space",
    # JSON knows one kind of number, and 3.0 is an integer to a schema.
    r"\S+: -?\d+\.0 is refused: it is not a whole number",
    # A $ of Python, which checks the schema here, also stands before a line break at the end, that of ECMAScript not.
    r'\S*: ".*\\n" is refused: not ',
    r"\S*\\n.*: .* is refused: not ",
)
MAPS = ("users", "groups", "config", "files", "tags")  # users and groups also within `limits`
"""The one reason of the other direction: null takes back any name in these, since an earlier release may have accepted
it. An editor marks it.
"""


def valid(part: Any) -> st.SearchStrategy[Any]:
    """Values that a part of the schema accepts."""
    if "$ref" in part:
        return valid(SCHEMA["$defs"][part["$ref"].rpartition("/")[2]])
    if "anyOf" in part:
        return st.one_of([valid(choice) for choice in part["anyOf"]])
    kinds = part.get("type", ["any"])
    return st.one_of([KINDS[kind](part) for kind in ([kinds] if isinstance(kinds, str) else kinds)])


def _texts(part: Any) -> st.SearchStrategy[str]:
    if "enum" in part:
        return st.sampled_from(part["enum"])
    refused = part.get("not", {})
    refused = refused.get("anyOf", [refused])
    return st.from_regex(part["pattern"], fullmatch=True).filter(
        lambda text: (
            len(text) <= part.get("maxLength", len(text))
            and not any(
                text in each.get("enum", ()) or ("pattern" in each and re.search(each["pattern"], text))
                for each in refused
            )
        )
    )


def _integers(part: Any) -> st.SearchStrategy[int]:
    """Within the bounds of a part, and next to the ranges that it refuses."""
    refused = [(each["minimum"], each["maximum"]) for each in part.get("not", {}).get("anyOf", ())]
    ends = [number for first, last in refused for number in (first - 1, last + 1)]
    numbers = st.integers(part["minimum"], part["maximum"])
    return (st.sampled_from(ends) | numbers if ends else numbers).filter(
        lambda number: not any(first <= number <= last for first, last in refused)
    )


def _objects(part: Any) -> st.SearchStrategy[Any]:
    if "propertyNames" in part:
        return st.dictionaries(_texts(part["propertyNames"]), valid(part["additionalProperties"]), max_size=3)
    required = part.get("required", [])
    values = {name: valid(inner) for name, inner in part["properties"].items()}
    optional = {name: value for name, value in values.items() if name not in required}
    return st.fixed_dictionaries({name: values[name] for name in required}, optional=optional)


KINDS: Mapping[str, Callable[[Any], st.SearchStrategy[Any]]] = {
    "any": lambda _: json_values,
    "null": lambda _: st.none(),
    "boolean": lambda _: st.booleans(),
    "integer": _integers,
    "number": lambda part: st.integers(int(part["minimum"] * 2), part["maximum"] * 2).map(lambda half: half / 2),
    "string": _texts,
    "array": lambda part: st.lists(
        valid(part["items"]), min_size=part.get("minItems", 0), max_size=part["maxItems"], unique=True
    ),
    "object": _objects,
}


@pytest.fixture(autouse=True, scope="module")
def whole_values() -> Iterator[None]:
    """The end of a value may be the reason."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("benchwright.planning.problems.LONGEST_SHOWN", 1_000_000)
        yield


def problems(content: Any) -> list[str]:
    """What the first state says of an input."""
    try:
        read_input(content, {}, input_reference.defaults(), "benchwright").whole()
    except InvalidInput as error:
        return [line.removeprefix("- ") for line in str(error).splitlines()]
    return []


def agree(content: Any) -> bool:
    """Compare; returns whether the schema accepts the input."""
    accepted, found = VALIDATOR.is_valid(content), problems(content)
    if accepted:
        unexplained = [line for line in found[1:] if not any(re.match(each, line) for each in ONLY_THE_MODELS_REFUSE)]
        assert unexplained == []
    elif not found:
        assert isinstance(content, dict)
        kept = {name: without_nulls(value) if name in MAPS else value for name, value in content.items()}
        if isinstance(limits := kept.get("limits"), dict):
            kept["limits"] = {key: without_nulls(part) if key in MAPS else part for key, part in limits.items()}
        assert VALIDATOR.is_valid(kept), f"only the schema refuses {content!r}"
    return accepted


def without_nulls(names: Any) -> Any:
    return {key: value for key, value in names.items() if value is not None} if isinstance(names, dict) else names


VALUES = {name: valid(part) for name, part in SCHEMA["properties"].items()}


@st.composite
def inputs(draw: st.DrawFn, least: int = 0) -> dict[str, Any]:
    """Inputs with a few keys, which the schema accepts."""
    names = draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=least, max_size=2, unique=True))
    return {name: draw(VALUES[name]) for name in names}


@pytest.mark.parametrize("content", [{"users": {"7": {}}}, {"groups": {"g": {"members": ["7"]}}}])
def test_a_name_of_digits_alone_both_refuse(content: Any) -> None:
    assert not agree(content)


@examples(200)
@given(inputs())
def test_what_the_schema_accepts_the_models_accept(content: Any) -> None:
    assert agree(content)


@st.composite
def spoiled(draw: st.DrawFn) -> Any:
    """A valid input in which one thing is another: a value, or a key."""
    whole = deepcopy(draw(inputs(1)))
    part, key = whole, draw(st.sampled_from(sorted(whole)))
    while isinstance(part[key], dict) and part[key] and draw(st.booleans()):
        part, key = part[key], draw(st.sampled_from(sorted(part[key])))
    value = part[key]
    match draw(st.sampled_from(["value", "near", "key", "item"])):
        case "key":
            part[draw(near(key))] = part.pop(key)
        case "item" if isinstance(value, list):
            part[key] = [*value, draw(near(*map(str, value or ["3.13.9"])) | json_values)]
        case "near" if isinstance(value, str):
            part[key] = draw(near(value))
        case _:
            part[key] = draw(json_values)
    return whole


@examples(400)
@given(spoiled())
def test_what_is_spoiled_both_refuse_or_both_accept(content: Any) -> None:
    agree(content)


def test_each_input_that_the_models_alone_refuse_has_a_reason() -> None:
    for content in STILL_REFUSED:
        agree(content)


@pytest.mark.parametrize("pattern", ONLY_THE_MODELS_REFUSE)
def test_each_reason_is_still_one(pattern: str) -> None:
    refused = [line for content in STILL_REFUSED for line in problems(content) if VALIDATOR.is_valid(content)]
    assert any(re.match(pattern, line) for line in refused)


FILE_KEYS = {"auth-timeout-minutes": "5", "www-port": "80"}
OWN = {"image": {"ami": "ami-0123456789abcdef0"}}
STILL_REFUSED: list[Any] = [
    {
        "limits": {"default": {"cpus": 2, "max_cpus": 1}, "users": {"ann": {}}},
        "files": {"launcher.local.profiles.conf": {"sections": {"*": {"max-cpus": "1"}}}},
    },
    {"files": {"launcher.local.profiles.conf": {"sections": {"*": {"max-cpus": "many"}}}}},
    {"workbench": {"version": "2023.12.0+0.pro0"}, "metrics": {"allowed_cidr": "10.0.0.0/8"}},
    {"database": {"min_capacity": 8, "max_capacity": 4}},
    {"nodes": {"count": 11, "replace_at_once": 1}},
    {"users": {"ann": {"uid": 3001}, "ben": {"uid": 3001}}},
    {"users": {"ann": {"groups": ["analysts"]}}},
    {"groups": {"analysts": {"members": ["ann"]}}},
    {"users": {"ann": {}}, "groups": {"ann": {}}},
    {"config": {"admin-group": "admins", "auth-timeout-minutes": "5"}, "files": {"rserver.conf": {"keys": FILE_KEYS}}},
    {"files": {"of-a-team": {"keys": {"a": "b"}, "secret": "elsewhere/file"}}},
    {
        "files": {
            "databricks.conf": {"text": "x"},
            "file-locks": {"text": "x"},
            "launcher.conf": {"sections": {"server": {"port": "1"}}},
        }
    },
    {"files": {"rstudio-prefs.json": {"text": "{"}}},
    {"config": {"session-timeout-minutes": "60"}},
    {"license": "elsewhere/file"},
    {"image": {**OWN["image"], "rebuild": True}},
    {"python_versions": ["3.13.9", "3.8.20"]},
    {
        "repos": {"cran": "https://cran.example.com"},
        "files": {"repos.conf": {"keys": {"CRAN": "https://cran.example.com"}}},
    },
    {**OWN, "r_versions": ["4.5.1"]},
    {"access": {"scheme": "internal"}},
    {"acceptance": {"account": "probe"}},
    {"access": {"hostname": "wb.example.com", "scheme": "internet-facing"}},
    {"access": {"hostname": "wb.example.com", "allowed_cidrs": ["10.0.0.1/8"]}},
    {"access": {"hostname": "wb.example.com"}, "config": {"auth-cookies-force-secure": "0"}},
    {"auth": {"issuer": "https://idp.example.com"}},
    {"auth": {"method": "saml", "issuer": "https://idp.example.com"}},
    {"auth": {"method": "oidc"}},
    {"auth": {"method": "saml"}},
    {"auth": {"method": "oidc", "provisioning": "scim"}},
    {"auth": {"method": "oidc", "scim_token": "benchwright/auth/scim"}},
    {"auth": {"method": "oidc", "groups_claim": "groups"}},
    {"auth": {"method": "oidc", "provisioning": "jit"}, "workbench": {"version": "2024.04.2+764.pro1"}},
    {"auth": {"required_group": "analysts"}},
    {"auth": {"method": "sssd", "sssd_conf": "benchwright/users/sssd"}},
    {"auth": {"method": "oidc", "provisioning": "jit"}, "users": {"ann": {"uid": 200000}}},
    {"auth": {"method": "oidc"}, "config": {"auth-openid": "1"}},
    {"auth": {"method": "oidc", "scopes": ["email"]}},
    {"auth": {"method": "oidc", "issuer": f"https://idp.example.com/{'a' * 90}\n"}},
    {"auth": {"method": "oidc", "client_id": "workbench\n"}},
    {"auth": {"required_group": "\ud800"}},
    {"license": "benchwright\n"},
    {"config": {"key": "\ud800"}},
    {
        "auth": {"method": "oidc", "provisioning": "jit", "groups_claim": "groups", "required_group": "analysts"},
        "groups": {"analysts": {}},
    },
    {"tags": {"Team": "a", "team": "b"}},
    {"tags": {"price": "3 €"}},
    {"nodes": {"count": 3.0}},
    {"nodes": {"instance_type": "m7i.large\n"}},
    {"config": {"key\n": "1"}},
]

# Parameters with a pattern, by their key: an input that holds a text there.
TEXTS: Mapping[str, Callable[[str], Any]] = {
    "workbench.version": lambda text: {"workbench": {"version": text}},
    "r_versions": lambda text: {"r_versions": [text]},
    "python_versions": lambda text: {"python_versions": [text], "image": {"jupyter": False}},
    "nodes.instance_type": lambda text: {"nodes": {"instance_type": text}},
    "database.engine_version": lambda text: {"database": {"engine_version": text or None}},  # empty: the newest
}


def parameter(path: str) -> dict[str, Any]:
    declared: dict[str, Any] = APPLICATION["Parameters"][input_reference.parameters()[path]]
    return declared


def test_every_parameter_of_an_input_key_is_compared() -> None:
    patterns = {path for path in input_reference.parameters() if "AllowedPattern" in parameter(path)}
    assert patterns == set(TEXTS)
    for key in KEYS:
        if key.path in set(input_reference.parameters()) - patterns:
            bounds = (parameter(key.path)["MinValue"], parameter(key.path)["MaxValue"])
            assert bounds == (key.schema["minimum"], key.schema["maximum"])


@pytest.mark.parametrize("path", TEXTS)
def test_the_template_refuses_the_same_texts(path: str) -> None:
    """CloudFormation looks at each item of a list, and at the whole text (user guide, Parameters)."""
    pattern, default = parameter(path)["AllowedPattern"], str(parameter(path)["Default"])
    counted = {True: 0, False: 0}

    @examples(150)
    @given(near(default) | st.from_regex(pattern, fullmatch=True) | st.from_regex(LOOSE[path], fullmatch=True) | texts)
    def both_refuse_or_accept(text: str) -> None:
        accepted = re.fullmatch(pattern, text) is not None
        assert (problems(TEXTS[path](text)) == []) is accepted, text
        counted[accepted] += 1

    both_refuse_or_accept()
    assert min(counted.values()) > 30


# Of about the right form: most are refused by one digit.
LOOSE = {
    "workbench.version": r"20[0-9]{2}\.[0-9]{2}\.[0-9]{1,2}\+[0-9]{1,4}\.pro[0-9]{1,3}",
    "r_versions": r"[0-9]\.[0-9]{1,2}\.[0-9]{1,3}",
    "python_versions": r"[0-9]\.[0-9]{1,2}\.[0-9]{1,3}",
    "database.engine_version": r"1[67]\.[0-9]{1,3}",
    "nodes.instance_type": r"(mac|m|c|t|im|a|g)[0-9](g|gd|a|i|-m2)?\.(metal|large)",
}


def is_accepted(name: str, text: str) -> bool:
    return re.fullmatch(APPLICATION["Parameters"][name]["AllowedPattern"], text) is not None


@pytest.mark.parametrize("prefix", ["/16", "/17"])
@pytest.mark.parametrize(
    ("network", "valid"),
    [
        *(
            (network, True)
            for network in ("10.0.0.0", "100.64.0.0", "126.0.0.0", "128.0.0.0", "169.253.0.0", "223.1.0.0")
        ),
        *((network, False) for network in ("999.20.0.0", "10.256.0.0")),
        *((network, False) for network in ("0.0.0.0", "127.0.0.0", "127.255.0.0", "169.254.0.0")),
        *((network, False) for network in ("224.0.0.0", "229.1.0.0", "230.0.0.0", "239.255.0.0")),
    ],
)
def test_a_network_has_addresses_that_it_can_have(network: str, prefix: str, valid: bool) -> None:
    assert is_accepted("VpcCidr", f"{network}{prefix}") is valid


@pytest.mark.parametrize(
    ("name", "distinct", "same"),
    [
        (
            "AvailabilityZones",
            ["", "us-east-1a,us-east-1b", "us-east-1b,us-east-1a,us-east-1c", "us-west-2-lax-1a,us-west-2-lax-1"],
            ["us-east-1a,us-east-1a", "us-east-1a,us-east-1b,us-east-1a", "us-east-1b,us-east-1a,us-east-1a"],
        ),
        (
            "PrivateSubnetIds",
            ["", "subnet-0123456789,subnet-01234567", "subnet-01234567,subnet-0123456789,subnet-0123456780"],
            [
                "subnet-01234567,subnet-01234567",
                "subnet-01234567,subnet-0123456789,subnet-01234567",
                "subnet-0123456789,subnet-01234567,subnet-89abcdef,subnet-01234567,subnet-aaaaaaaa",
            ],
        ),
    ],
)
def test_a_zone_or_subnet_is_given_once(name: str, distinct: list[str], same: list[str]) -> None:
    assert {text: is_accepted(name, text) for text in distinct + same} == {
        **dict.fromkeys(distinct, True),
        **dict.fromkeys(same, False),
    }
