"""Whatever an input holds: either it is refused with its key, its value and a remedy, or it arrives byte for byte."""

from __future__ import annotations

import configparser
import json
import random
import re
import string
import subprocess
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from awslambdaric.lambda_runtime_marshaller import to_json
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws

from benchwright import record
from benchwright.errors import InvalidInput, NodeConfigurationFailed, RecordUnreadable, shorten
from benchwright.image.recipe import load_recipe
from benchwright.models import MOST_GROUPS, MOST_USERS, Plan, merge_patch
from benchwright.nodes.bundle import Endpoint, make_bundle
from benchwright.planning import account_check, engine, lookup, server_options
from benchwright.planning.engine import Engines
from benchwright.planning.plan import LookupResult, make_plan, shown
from benchwright.planning.problems import Problem, refusal
from benchwright.planning.read_input import read_input
from benchwright.record import Known
from benchwright.secrets import Secret
from benchwright.settings import Settings
from benchwright.stacks import desired_state
from benchwright.values import RESERVED_NAMES
from functions.resolve_plan import app as resolve_plan
from tests.documentation.input_reference import OIDC, SAML
from tests.templates.templates import NODES
from tests.unit.benchwright.hostile import as_boost_reads, examples, json_values, near, texts
from tests.unit.benchwright.nodes.test_bundle import DATABASE, ENDPOINT, KEY, unpacked
from tests.unit.benchwright.planning.test_plan import DEFAULTS
from tests.unit.benchwright.steps import EXECUTION, make_table

ROOT = Path(__file__).parents[4]
LARGEST_PAYLOAD, LARGEST_ITEM, LONGEST_CAUSE = 262_144, 409_600, 32_768
ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:"
WORKBENCH = "2026.07.1+147.pro6"
SCIM = "benchwright/auth/scim"


class AnySecret(dict[str, Secret]):
    """Whatever is named exists."""

    def __missing__(self, name: str) -> Secret:
        return Secret(f"{ARN}{name}-AbCdEf", "0f3c9a52-7f0e-4b5e-9f0a-3f1d2c4b5a69")


RANDOM = random.Random(4711)


def random_text(length: int) -> str:
    return "".join(RANDOM.choices(string.ascii_letters + string.digits, k=length))


def planned(raw: Any, known: Known | None = None) -> tuple[Plan, Known]:
    """What the first state makes of an input."""
    known = known or Known()
    request, wanted = read_input(raw, known.input, DEFAULTS, "benchwright").whole()
    return make_plan(request, wanted, known, LookupResult(AnySecret(), "ami-p"), defaults=DEFAULTS, execution="e")


def reported(error: InvalidInput) -> str:
    """The message as the state machine gets it, which Lambda must be able to send."""
    message = shorten(str(error))
    sent = to_json({"errorMessage": message, "errorType": "InvalidInput"})
    assert len(json.dumps(sent).encode()) < LONGEST_CAUSE
    assert re.fullmatch(r"[\n -~]*", message)
    heading, *lines = message.splitlines()
    assert re.fullmatch(r"The input has \d+ problems?; nothing was changed.", heading)
    assert all(line.startswith("- ") for line in lines)
    return message


def contents(plan: Plan) -> dict[str, str]:
    """What is in a plan's bundle, by name."""
    return unpacked(make_bundle(plan, ENDPOINT, DATABASE, KEY))


def environment(plan: Plan) -> dict[str, str]:
    """The bundle's `env`, as the script on a node splits its lines."""
    return dict(line.split("=", maxsplit=1) for line in contents(plan)["env"].removesuffix("\n").split("\n"))


def users(plan: Plan) -> list[list[str]]:
    """The bundle's `users`, as the script on a node splits its lines."""
    return [line.split(" ") for line in contents(plan)["users"].removesuffix("\n").split("\n")]


def named(arn: str) -> str:
    """The name in a secret's ARN."""
    return arn.removeprefix(ARN).removesuffix("-AbCdEf")


def parameters(plan: Plan) -> dict[str, str]:
    """The parameters of the nodes stack, each as its template allows it."""
    outputs = defaultdict[str, str](str)
    application = Settings(application="benchwright", bucket_name="bucket", node_log_group="/benchwright/nodes")
    desired = desired_state.nodes(application, plan, "ami-1", outputs, "0" * 64, directory=ROOT / "infra")
    for name, parameter in NODES["Parameters"].items():
        if "AllowedPattern" in parameter and desired.parameters[name]:
            assert re.fullmatch(parameter["AllowedPattern"], desired.parameters[name])
    return dict(desired.parameters)


def server(plan: Plan) -> dict[str, str]:
    """What Workbench reads in rserver.conf."""
    return as_boost_reads(contents(plan)["files/etc/rstudio/rserver.conf"])


def tags(plan: Plan) -> dict[str, str]:
    settings = Settings(application="benchwright")
    return dict(desired_state.foundation(settings, plan, None, directory=ROOT / "infra").tags)


def as_pip_reads(text: str) -> str:
    """What pip takes from its file (pip, configuration.py)."""
    parser = configparser.RawConfigParser()
    parser.read_string(text)
    return parser["global"]["index-url"]


def baked(plan: Plan, name: str) -> str:
    """A parameter of the components as the agent puts it into their scripts, in single quotes, and bash reads it."""
    uses = load_recipe("benchwright", plan, ROOT / "image").uses
    values = {value for use in uses for parameter, value in use.parameters if parameter == name}
    assert len(values) == 1
    script = "versions='{{ X }}'; for version in $versions; do printf %s \"$version\"; done"
    done = subprocess.run(
        ["bash", "-c", script.replace("{{ X }}", values.pop())], capture_output=True, timeout=60, check=True
    )
    return done.stdout.decode()


@dataclass(frozen=True)
class Place:
    """A place of the input that takes text: how to put it there, texts that it takes, and how to read them back from
    every file, parameter and line that they were written into.
    """

    filled: Callable[[str], dict[str, Any]]
    valid: tuple[str, ...]
    arrived: Callable[[Plan], list[str]]


# By the path that a refusal names, as far as it is the same for every text.
PLACES = {
    "cluster": Place(
        lambda text: {"cluster": text},
        ("workbench", "a", "team-blue"),
        lambda plan: [plan.cluster, parameters(plan)["Cluster"], tags(plan)["benchwright:cluster"]],
    ),
    "workbench.version": Place(
        lambda text: {"workbench": {"version": text}},
        (WORKBENCH, "2024.12.0+467.pro1"),
        lambda plan: [
            parameters(plan)["WorkbenchVersion"],
            environment(plan)["WORKBENCH_VERSION"],
            baked(plan, "WorkbenchVersion"),
        ],
    ),
    "r_versions.0": Place(
        lambda text: {"r_versions": [text]}, ("4.5.2", "4.4.3"), lambda plan: [baked(plan, "RVersions")]
    ),
    "python_versions.0": Place(
        lambda text: {"python_versions": [text]}, ("3.13.9",), lambda plan: [baked(plan, "PythonVersions")]
    ),
    "image.pro_drivers": Place(
        lambda text: {"image": {"pro_drivers": text}}, ("2026.07.0",), lambda plan: [baked(plan, "ProDrivers")]
    ),
    "image.tinytex": Place(
        lambda text: {"image": {"tinytex": text}},
        ("2026.04", "2026.10.01", "2031.01"),
        lambda plan: [baked(plan, "TinyTeX")],
    ),
    "image.nvidia": Place(
        lambda text: {"image": {"nvidia": text}}, ("580", "570"), lambda plan: [baked(plan, "Branch")]
    ),
    "image.packages.0": Place(
        lambda text: {"image": {"packages": [text]}},
        ("default-jdk", "libstdc++6"),
        lambda plan: [baked(plan, "Packages")],
    ),
    "repos.cran": Place(
        lambda text: {"repos": {"cran": text}},
        ("http://cran.example.com", "https://packages.example.com:8443/cran/__linux__/noble/2026-11-02"),
        lambda plan: [as_boost_reads(contents(plan)["files/etc/rstudio/repos.conf"])["CRAN"]],
    ),
    "repos.pypi": Place(
        lambda text: {"repos": {"pypi": text}},
        ("https://packages.example.org/simple", "https://packages.example.com/pypi/simple/"),
        lambda plan: [as_pip_reads(contents(plan)["files/etc/pip.conf"])],
    ),
    "image.ami": Place(
        lambda text: {"image": {"ami": text}}, ("ami-0123456789abcdef0",), lambda plan: [str(plan.image.ami)]
    ),
    "nodes.instance_type": Place(
        lambda text: {"nodes": {"instance_type": text}},
        ("m7i.xlarge", "u-6tb1.112xlarge"),
        lambda plan: [parameters(plan)["InstanceType"]],
    ),
    "license": Place(
        lambda text: {"license": text},
        ("benchwright/license/workbench",),
        lambda plan: [named(environment(plan)["LICENSE_SECRET_ARN"])],
    ),
    "auth.issuer": Place(
        lambda text: merge_patch(OIDC, {"auth": {"issuer": text}}),
        ("https://idp.example.com", "https://idp.example.com:8443/realms/people/", "https://idp.example.com/$&=~;'()"),
        lambda plan: [server(plan)["auth-openid-issuer"]],
    ),
    "auth.client_id": Place(
        lambda text: merge_patch(OIDC, {"auth": {"client_id": text}}),
        ("workbench", "0f3c9a52-7f0e-4b5e-9f0a-3f1d2c4b5a69", 'a="b"'),
        lambda plan: [as_boost_reads(contents(plan)["files/etc/rstudio/openid-client-secret"])["client-id"]],
    ),
    "auth.client_secret": Place(
        lambda text: merge_patch(OIDC, {"auth": {"client_secret": text}}),
        ("benchwright/auth/oidc",),
        lambda plan: [named(environment(plan)["AUTH_SECRET_ARN"])],
    ),
    "auth.username_claim": Place(
        lambda text: merge_patch(OIDC, {"auth": {"username_claim": text}}),
        ("email", "cognito:username", "https://example.com/name"),
        lambda plan: [server(plan)["auth-openid-username-claim"]],
    ),
    "auth.scopes.1": Place(
        lambda text: merge_patch(OIDC, {"auth": {"scopes": ["openid", text]}}),
        ("profile", "https://example.com/.default"),
        lambda plan: server(plan)["auth-openid-scopes"].split(" ")[1:],
    ),
    "auth.metadata_url": Place(
        lambda text: merge_patch(SAML, {"auth": {"metadata_url": text}}),
        ("https://idp.example.com", "https://idp.example.com/metadata.xml?appid=1&b=c"),
        lambda plan: [server(plan)["auth-saml-metadata-url"]],
    ),
    "auth.scim_token": Place(
        lambda text: merge_patch(OIDC, {"auth": {"provisioning": "scim", "scim_token": text}}),
        ("benchwright/auth/scim",),
        lambda plan: [named(environment(plan)["SCIM_SECRET_ARN"])],
    ),
    "auth.required_group": Place(
        lambda text: merge_patch(OIDC, {"auth": {"provisioning": "scim", "scim_token": SCIM, "required_group": text}}),
        ("analysts", "Domain Users", "0f3c9a52-7f0e"),
        lambda plan: [server(plan)["auth-required-user-group"]],
    ),
    "users.": Place(
        lambda text: {"users": {text: {}}},
        ("ann", "a-b_c", "_x", "jane.doe", "7of9"),
        lambda plan: [users(plan)[0][0], *(account.name for account in plan.accounts)],
    ),
    "users.ann.password": Place(
        lambda text: {"users": {"ann": {"password": text}}},
        ("benchwright/users/ann", "benchwright/users/ann+ben@example.com"),
        lambda plan: [named(users(plan)[0][3])],
    ),
    "groups.": Place(
        lambda text: {"users": {"ann": {}}, "groups": {text: {"members": ["ann"]}}},
        ("analysts", "a.b-c_d", "7th"),
        lambda plan: [contents(plan)["groups"].removesuffix(" 20000 ann\n"), plan.groups[0].name],
    ),
    "config.": Place(
        lambda text: {"config": {text: "x"}},
        ("auth-timeout-minutes", "admin-enabled"),
        lambda plan: [list(server(plan))[-1]],
    ),
    "config.www-root-path": Place(
        lambda text: {"config": {"www-root-path": text}},
        ("/a", "a b", "x=y", '"q"', "", "密 é"),
        lambda plan: [server(plan)["www-root-path"]],
    ),
    "tags.": Place(lambda text: {"tags": {text: "x"}}, ("cost-centre", "a:b/c"), lambda plan: [next(iter(tags(plan)))]),
    "tags.cost-centre": Place(
        lambda text: {"tags": {"cost-centre": text}}, ("4711", "a b"), lambda plan: [tags(plan)["cost-centre"]]
    ),
}


@pytest.mark.parametrize("path", PLACES)
def test_a_text_is_refused_by_name_or_arrives(path: str) -> None:
    place = PLACES[path]
    arrived, refused = set(), set()

    @examples(150)
    @given(near(*place.valid))
    def is_refused_or_arrives(text: str) -> None:
        try:
            plan, _ = planned(place.filled(text))
        except InvalidInput as error:
            problem = rf"^- {re.escape(path)}.*: .* is refused: .+\. Give .+\.$"
            assert re.search(problem, reported(error), re.MULTILINE)
            refused.add(text)
        else:
            assert place.arrived(plan) == [text] * len(place.arrived(plan))
            arrived.add(text)

    is_refused_or_arrives()
    assert arrived >= set(place.valid)
    assert len(refused) > 30


top_keys = st.sampled_from(
    [*DEFAULTS, "cluster", "image", "license", "auth", "users", "groups", "config", "tags", "only_if_deployed"]
)


@examples(300)
@given(st.dictionaries(top_keys | texts, json_values, max_size=4) | json_values)
def test_any_json_becomes_a_plan_or_a_short_refusal(raw: Any) -> None:
    try:
        plan, known = planned(raw)
    except InvalidInput as error:
        if isinstance(raw, dict):
            assert ". Give " in reported(error)
        assert len(str(error)) < 20_000
    else:
        assert plan.cluster
        assert {account.name for account in plan.accounts} == set(plan.wanted.users)
        assert_fits(plan, known)


def assert_fits(plan: Plan, known: Known) -> None:
    """A plan fits into a state's result and, with what is recorded beside it, into an item."""
    reported = resolve_plan.Result(cluster=plan.cluster, plan=shown(plan))
    assert len(to_json(reported.model_dump(mode="json")).encode()) < LARGEST_PAYLOAD - 80_000  # the report is beside it
    assert record.stored_length(plan, known) < LARGEST_ITEM - 4_096


@pytest.mark.parametrize(
    "raw",
    [
        {"users": {f"u{n}": {"password": f"benchwright/users/{random_text(380)}"} for n in range(1_500)}},
        {"config": {f"k{number}": "密" * 1_000 for number in range(200)}},
        {"files": {f"f{number}": {"text": "密" * 16_000} for number in range(50)}},
    ],
    ids=["users", "config", "files"],
)
def test_what_would_not_fit_into_a_state_is_refused_before_anything_is_touched(raw: Any) -> None:
    with pytest.raises(
        InvalidInput, match=r"- the plan: \d+ is refused: .* Give fewer users, files, config keys or tags"
    ):
        planned(raw)


@pytest.fixture
def table(environment: None) -> Iterator[Any]:
    with mock_aws():
        yield make_table()


class SomeSecret(dict[str, Secret]):
    """Secrets as Secrets Manager names them: six letters at the end of an ARN and the version are random."""

    def __missing__(self, name: str) -> Secret:
        return Secret(f"{ARN}{name}-{random_text(6)}", str(uuid.UUID(int=RANDOM.getrandbits(128))))


def test_as_many_users_and_groups_as_there_may_be_fit(table: Any) -> None:
    """Each with a password and in as many groups as EFS reads; recorded, verified and read again."""
    groups: dict[str, Any] = {f"group-{number}": {} for number in range(MOST_GROUPS)}
    users: dict[str, Any] = {
        f"given-name.surname-{number}": {
            "password": f"benchwright/users/given-name.surname-{number}",
            "groups": [f"group-{(number + each) % MOST_GROUPS}" for each in range(15)],
        }
        for number in range(MOST_USERS)
    }
    request, wanted = read_input({"users": users, "groups": groups}, {}, DEFAULTS, "benchwright").whole()
    looked = LookupResult(SomeSecret(), "ami-p")
    plan, known = make_plan(request, wanted, Known(), looked, defaults=DEFAULTS, execution=EXECUTION)
    assert_fits(plan, known)
    omitted = {"users": MOST_USERS, "groups": MOST_GROUPS, "locked_accounts": 0, "emptied_groups": 0}
    assert shown(plan)["omitted"] == omitted
    record.take_lock("blue", EXECUTION)
    record.save_plan("blue", EXECUTION, plan, known)
    record.save_verified("blue", EXECUTION, record.read("blue"), [])
    found = record.read("blue")
    assert (found.plan, found.known.input, found.known.accounts) == (plan, known.input, known.accounts)
    assert (found.known.proven, found.known.origins) == (known.input, {})
    users["one-more"] = {}
    with pytest.raises(InvalidInput, match=rf"- users: .* is refused: it has more than {MOST_USERS:,} entries"):
        planned({"users": users})


def test_a_compressed_attribute_that_is_damaged_is_named(table: Any) -> None:
    table.put_item(Item={"cluster": "blue", "plan": b"no gzip"})
    with pytest.raises(RecordUnreadable, match="the attribute plan cannot be decompressed"):
        record.read("blue")


@pytest.mark.parametrize("key", ["config", "users", "cluster", "nodes", "new"])
@pytest.mark.parametrize("levels", [20, 5_000, 100_000])
def test_an_input_that_is_nested_too_deep_is_refused_by_name(key: str, levels: int) -> None:
    value: Any = {}
    for _ in range(levels):
        value = {"a": value} if levels % 2 else [value]
    with pytest.raises(InvalidInput) as caught:
        planned({key: value})
    shown = "***" if key == "users" else "..."
    assert reported(caught.value).splitlines()[1:] == [
        f'- {key}: "{shown}" is refused: it is nested more than 8 levels deep. Give a value as in docs/input.md.'
    ]


def test_many_problems_are_counted_and_the_first_are_reported() -> None:
    with pytest.raises(InvalidInput) as caught:
        planned({f"key-{number}": number for number in range(3_000)})
    heading, *lines, last = reported(caught.value).splitlines()
    assert (heading, len(lines), last) == ("The input has 3000 problems; nothing was changed.", 20, "- and 2980 more")


@pytest.mark.parametrize(
    ("raw", "line"),
    [
        ({"x\n- nodes.count: 3": 1}, r"- x\\n- nodes.count: 3: 1 is refused: an unknown key. "),
        ({"\ud800\u202e": 1}, r"- \\ud800\\u202e: 1 is refused: an unknown key. "),
        ({"k" * 100_000: "v" * 100_000}, rf'- {"k" * 117}\.\.\.: "\*\*\*" is refused: an unknown key. '),
        ({"config": {"a": "b # c"}}, r'- config.a: "b # c" is refused: Workbench takes everything from a # on'),
        ({"config": {"a": "b "}}, r'- config.a: "b " is refused: Workbench takes spaces at the ends away'),
        ({"tags": {"a": " "}}, r'- tags.a: " " is refused: it begins or ends with a space'),
        ({"tags": {"Team": "x", "team": "y"}}, r"- tags: .* is refused: named twice: team"),
        ({"users": {"admin": {}}}, r"- users.admin: {} is refused: it is an account of the system, or a group of it"),
        ({"database": {"max_capacity": "16"}}, r'- database.max_capacity: "16" is refused: '),
        ({"database": {"max_capacity": True}}, r"- database.max_capacity: true is refused: "),
        (
            {"workbench": {"version": f"2026.07.{'9' * 3000}+1.pro1"}},
            r'- workbench.version: "2026.07.9+\.\.\. is refused',
        ),
    ],
)
def test_what_was_once_let_through_or_badly_reported(raw: Any, line: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        planned(raw)
    assert re.match(line, reported(caught.value).splitlines()[1])


def test_a_key_that_looks_like_another_one_hides_no_problem_of_it() -> None:
    with pytest.raises(InvalidInput) as caught:
        planned({"nodes: x": 1, "nodes": 3})
    assert [line.split(" is refused")[0] for line in str(caught.value).splitlines()[1:]] == [
        "- nodes: x: 1",
        "- nodes: 3",
    ]


@examples(200)
@given(
    # No word of a refusal begins so; "provid" does stand in some.
    st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=4, max_size=40).map("Zq{}".format),
    st.sampled_from(
        [
            lambda text: {"users": {"ann": {"password": text}}},
            lambda text: {"users": {"ann": {"passwd": text}}},
            lambda text: {"users": {"root": {"password": text}}},
            lambda text: {"users": {"ann": text}},
            lambda text: {"users": [text]},
            lambda text: {"users": f"ann:{text}"},
            lambda text: {"users": {"ann": {"password": {"value": [text]}}}},
            lambda text: {"license": f"{text}\n{text}"},
            lambda text: {"license": text.replace("/", "-")},
            lambda text: {"auth": text},
            lambda text: {"auth": [text]},
            lambda text: {"auth": {"client_secret": text}},
            lambda text: {"auth": {"secret": text}},
            lambda text: {"auth": {"scim_token": [text]}},
            lambda text: {"auth": {"sssd_conf": {"text": text}}},
        ]
    ),
)
def test_a_secret_in_place_of_its_name_is_not_reported(text: str, place: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        planned(place(f"\t{text}"))
    assert text not in str(caught.value)
    assert json.dumps(text)[1:-1] not in str(caught.value)


def test_no_name_of_a_user_is_that_of_an_account_or_group_of_this_system() -> None:
    lines = [*Path("/etc/passwd").read_text().splitlines(), *Path("/etc/group").read_text().splitlines()]
    assert {line.split(":")[0] for line in lines if int(line.split(":")[2]) < 100} - RESERVED_NAMES == set()


@pytest.mark.parametrize("version", ["v 1", "v1\nmallory 1001 27 - -", "file:///etc/shadow", "-v", "é" * 32, ""])
def test_a_version_of_a_secret_that_would_be_more_than_one_word_on_a_node_is_refused(
    version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookup, "describe_secrets", lambda names: {n: Secret(f"{ARN}{n}", version) for n in names})
    monkeypatch.setattr(engine, "look_up", lambda _: Engines())
    reading = read_input({"users": {"ann": {"password": "benchwright/users/a"}}}, {}, DEFAULTS, "benchwright")
    with pytest.raises(InvalidInput, match=r'- users.ann.password: "benchwright/users/a" is refused: the id of its'):
        lookup.look_up(reading)


@examples(200)
@given(st.sampled_from(["database", "key", "host"]), near("v1", "db.example.com"))
def test_what_aws_shows_stays_one_word_of_its_line_or_is_refused(place: str, text: str) -> None:
    plan, _ = planned({})
    database = Secret("arn:database", text if place == "database" else "v1")
    key = Secret("arn:key", text if place == "key" else "v2")
    endpoint = Endpoint(text if place == "host" else "db", 5432)
    try:
        files = unpacked(make_bundle(plan, endpoint, database, key))
    except NodeConfigurationFailed:
        assert not re.fullmatch(r"[!-~]*", text)
        return
    env, conf = files["env"], files["files/etc/rstudio/database.conf"]
    assert (env.count("\n"), conf.count("\n")) == (14, 2)
    assert text in (conf if place == "host" else env)


@pytest.mark.parametrize("application", ["Benchwright", "b" * 41, "1b", "b_c", "b\n"])
def test_a_stack_whose_name_no_cluster_could_bear_is_refused(application: str) -> None:
    with pytest.raises(InvalidInput, match=r"- the application's name: .* Give the stack another name"):
        read_input({}, {}, DEFAULTS, application).whole()


PARAMETERS = Settings(
    application="benchwright",
    default_workbench_version=WORKBENCH,
    default_r_versions="4.5.2",
    default_node_count=2,
    default_instance_type="m7i.xlarge",
    default_database_min_capacity=0.5,
    default_database_max_capacity=8,
)


def test_ids_that_contradict_recorded_ones_are_refused_in_the_first_state(monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = record.Record(known=Known(accounts={"ann": (20_000, 20_000)}, proven_accounts=("ann",)))
    monkeypatch.setattr(record, "read", lambda _: recorded)
    monkeypatch.setattr(resolve_plan, "look_up", lambda *_: LookupResult({}, "ami-p"))
    monkeypatch.setattr(account_check, "check", lambda *_, **__: account_check.Judgement())
    monkeypatch.setattr(resolve_plan, "taken_names", lambda *_, **__: [])
    monkeypatch.setattr(resolve_plan, "settings", lambda: PARAMETERS)
    event = resolve_plan.Event(action="validate", execution="e", input={"users": {"ann": {"uid": 6_000}}})
    with pytest.raises(InvalidInput, match=r"- users.ann.uid: 6000 is refused: the user has uid 20000"):
        resolve_plan._validate(event)


def test_a_monthly_rebuild_leaves_a_cluster_alone_that_uses_an_ami_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    ami = "ami-0123456789abcdef0"
    recorded = record.Record(known=Known(input={"image": {"ami": ami}}), verified=True)
    monkeypatch.setattr(record, "read", lambda _: recorded)
    monkeypatch.setattr(resolve_plan, "settings", lambda: PARAMETERS)
    monthly = {"image": {"rebuild": True}, "only_if_deployed": True}
    result = resolve_plan._validate(resolve_plan.Event(action="validate", execution="e", input=monthly))
    assert (result.proceed, result.message) == (False, f"workbench uses the AMI {ami} of its own: nothing to rebuild")


@pytest.mark.parametrize(
    ("known", "refused"),
    [
        (Known(input={"nodes": {"count": 3}}, origins={EXECUTION: ["nodes.count"]}), "nodes.count"),
        (Known(input={"nodes": {"count": 3}}, proven={"nodes": {"count": 3}}), ""),
        (Known(generation=2, proven_generation=1), ""),  # an earlier rebuild failed, which is tried again
    ],
)
def test_a_monthly_rebuild_does_not_repeat_values_that_failed(
    monkeypatch: pytest.MonkeyPatch, known: Known, refused: str
) -> None:
    def look_up(_: Any, problems: list[Problem]) -> LookupResult:
        if problems:
            raise refusal(problems)
        return LookupResult({}, "ami-p")

    recorded = record.Record(known=known, verified=True, verified_images=["ami-1"])
    monkeypatch.setattr(record, "read", lambda _: recorded)
    monkeypatch.setattr(resolve_plan, "look_up", look_up)
    monkeypatch.setattr(account_check, "check", lambda *_, **__: account_check.Judgement())
    monkeypatch.setattr(resolve_plan, "taken_names", lambda *_, **__: [])
    monkeypatch.setattr(resolve_plan, "settings", lambda: PARAMETERS)
    monthly: Any = {"image": {"rebuild": True}, "only_if_deployed": True}
    event = resolve_plan.Event(action="validate", execution="e", input=monthly)
    if not refused:
        assert resolve_plan._validate(event).proceed
        return
    with pytest.raises(InvalidInput) as raised:
        resolve_plan._validate(event)
    _, problem, _, value = str(raised.value).splitlines()
    assert problem == (
        f"- only_if_deployed: true is refused: no verified execution has used {refused} yet, which the record has. "
        "Give it after a deployment with {}, or after one that takes this back."
    )
    assert value.endswith('To take it back: {"nodes": {"count": null}}')
    # Who gives the same value again means it.
    again = event.model_copy(update={"input": monthly | {"nodes": {"count": 3}}})
    assert resolve_plan._validate(again).proceed


@pytest.mark.parametrize(("verified", "dry_run"), [(True, True), (False, False)])
def test_a_schedule_may_ask_what_the_monthly_rebuild_would_do(
    monkeypatch: pytest.MonkeyPatch, *, verified: bool, dry_run: bool
) -> None:
    monkeypatch.setattr(record, "read", lambda _: record.Record(verified=verified))
    monkeypatch.setattr(resolve_plan, "look_up", lambda *_: LookupResult({}, "ami-p"))
    monkeypatch.setattr(account_check, "check", lambda *_, **__: account_check.Judgement())
    monkeypatch.setattr(resolve_plan, "taken_names", lambda *_, **__: [])
    monkeypatch.setattr(resolve_plan, "settings", lambda: PARAMETERS)
    weekly = {"image": {"rebuild": True}, "only_if_deployed": True, "dry_run": True}
    result = resolve_plan._validate(resolve_plan.Event(action="validate", execution="e", input=weekly))
    assert (result.proceed, result.dry_run) == (False, dry_run)
    assert ("is not deployed: nothing to do" in result.message) is not verified


def test_a_key_that_workbench_may_not_know_is_warned_about_in_the_first_state(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "read", lambda _: record.Record())
    monkeypatch.setattr(resolve_plan, "look_up", lambda *_: LookupResult({}, "ami-p"))
    monkeypatch.setattr(account_check, "check", lambda *_, **__: account_check.Judgement())
    monkeypatch.setattr(resolve_plan, "taken_names", lambda *_, **__: [])
    monkeypatch.setattr(resolve_plan, "settings", lambda: PARAMETERS)
    config = {"auth-timeout-minutes": "9", "no-such": "24"}
    result = resolve_plan._validate(resolve_plan.Event(action="validate", execution="e", input={"config": config}))
    assert (result.proceed, result.warnings) == (True, server_options.warn(config, WORKBENCH))
    assert len(result.warnings) == 1


def test_a_plan_that_an_earlier_release_recorded_and_this_one_refuses_locks_no_one_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plan, _ = planned({"config": {"www-root-path": "/a"}})
    recorded = json.dumps({"config": {"www-root-path": "/a#b"}})
    texts = {"plan": plan.model_dump_json().replace("/a", "/a#b"), "input": recorded, "holder": "e"}
    item = {name: {"S": text} for name, text in texts.items()}
    monkeypatch.setattr(record, "client", lambda _: SimpleNamespace(get_item=lambda **_: {"Item": item}))
    monkeypatch.setattr(record, "settings", lambda: Settings(application="benchwright", table_name="table"))
    found = record.read("workbench")
    assert (found.holder, found.plan) == ("e", None)
    with pytest.raises(InvalidInput, match=r'- config.www-root-path: "/a#b" is refused: Workbench takes everything'):
        planned({}, found.known)
    planned({"config": {"www-root-path": None}}, found.known)


@examples(300)
@given(near("PostgreSQL refused: ", '{"a": "b"}'))
def test_any_message_can_be_published(text: str) -> None:
    message = shorten(text * 3)
    cause = json.dumps({"errorMessage": message, "errorType": "X", "stackTrace": ["x" * 3_000]}, ensure_ascii=False)
    packed = json.dumps({"step": "Build image", "cause": cause}, ensure_ascii=False)
    assert len(packed) < LONGEST_CAUSE
    assert to_json(message).encode()
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202e]", message)
