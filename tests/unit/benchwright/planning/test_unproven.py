"""A wrong value in the record: each failure names it, who gave it, and the input that takes it back."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws

from benchwright import record
from benchwright.errors import InvalidInput
from benchwright.models import DEFAULT_CLUSTER, Auth, SessionLimits, merge_patch
from benchwright.planning import account_check, service_roles, unproven
from benchwright.planning.engine import Engines
from benchwright.planning.plan import LookupResult
from benchwright.planning.problems import Problem
from benchwright.planning.read_input import Reading
from benchwright.record import Known, Record
from benchwright.secrets import Secret
from tests.documentation import input_reference
from tests.unit.benchwright.steps import app, handle, make_table

ARN = "arn:aws:states:eu-west-1:123456789012:execution:benchwright-deploy"
FIRST, WRONG, LATER, LAST = (f"{ARN}:{name}" for name in ("first", "wrong", "later", "last"))
HERE = "from the input of this execution. To take it back: "
AMI = "ami-0aaaaaaaaaaaaaaaa"
PARENT = "ami-0cccccccccccccccc"
KEYS = input_reference.keys()
RECORDED = [key for key in KEYS if key.path not in {"cluster", *input_reference.ACTS_ONCE}]

# What the last verified execution used, in place of each key's example. A key that is missing here fails its test. The
# ids of a user and the scheme of a load balancer never change, so they can be wrong only where the input adds them.
EARLIER: Mapping[str, Any] = {
    "workbench.version": {"workbench": {"version": "2026.07.0+139.pro9"}},
    "r_versions": {"r_versions": ["4.3.3"]},
    "python_versions": {"python_versions": ["3.12.12"]},
    "image.ami": {"image": {"ami": "ami-0bbbbbbbbbbbbbbbb"}},
    "image.jupyter": {},
    "image.pro_drivers": {"image": {"pro_drivers": "2026.03.0"}},
    "image.tinytex": {"image": {"tinytex": "2026.08"}},
    "image.nvidia": {"image": {"nvidia": "570"}},
    "image.packages": {"image": {"packages": ["subversion"]}},
    "nodes.count": {"nodes": {"count": 4}},
    "nodes.instance_type": {"nodes": {"instance_type": "c7i.large"}},
    "nodes.root_volume_size": {"nodes": {"root_volume_size": 150}},
    "nodes.replace_at_once": {"nodes": {"replace_at_once": 3}},
    "database.min_capacity": {"database": {"min_capacity": 2}},
    "database.max_capacity": {"database": {"max_capacity": 64}},
    "database.engine_version": {"database": {"engine_version": "17.9"}},
    "license": {"license": "benchwright/license/earlier"},
    "access.hostname": {"access": {"hostname": "earlier.example.com"}},
    "access.hosted_zone_id": {"access": {"hostname": input_reference.HOST, "hosted_zone_id": "ZEARLIER"}},
    "access.certificate_arn": {"access": {"hostname": input_reference.HOST}},
    "access.scheme": {},
    "access.allowed_cidrs": {"access": {"hostname": input_reference.HOST, "allowed_cidrs": ["10.0.0.0/16"]}},
    "access.web_acl_arn": {"access": {"hostname": input_reference.HOST}},
    **{f"auth.{name}": input_reference.REACHED for name in Auth.model_fields},
    **{
        f"auth.{name}": merge_patch(input_reference.OIDC, {"auth": {name: value}})
        for name, value in (("issuer", "https://earlier.example.com"), ("client_id", "x"), ("username_claim", "email"))
    },
    "auth.metadata_url": merge_patch(input_reference.SAML, {"auth": {"metadata_url": "https://earlier.example.com"}}),
    "auth.scopes": input_reference.OIDC,
    "auth.provisioning": input_reference.OIDC,
    "auth.post_binding": input_reference.SAML,
    "users": {"users": {"ben": {}}},
    "users.NAME.uid": {},
    "users.NAME.gid": {},
    "users.NAME.password": {"users": {"ann": {"password": "benchwright/users/earlier"}}},
    "users.NAME.groups": {"users": {"ann": {}}, "groups": {"analysts": {}}},
    "groups": {"groups": {"writers": {}}},
    "groups.NAME.gid": {},
    "groups.NAME.members": {"users": {"ben": {}}, "groups": {"analysts": {"members": ["ben"]}}},
    **{f"limits.default.{name}": {} for name in SessionLimits.model_fields},
    "limits.default.max_memory_mb": {"limits": {"default": {"max_memory_mb": 4096}}},
    **{
        f"limits.groups{path}": {"groups": {"analysts": {}}}
        for path in ("", *(f".NAME.{name}" for name in SessionLimits.model_fields))
    },
    **{
        f"limits.users{path}": {"users": {"ann": {}}, "limits": {"users": {"ann": {"cpus": 2}}}}
        for path in ("", *(f".NAME.{name}" for name in SessionLimits.model_fields))
    },
    "limits.reserved_memory_mb": {"limits": {"reserved_memory_mb": 1024}},
    "repos.cran": {"repos": {"cran": "https://earlier.example.com"}},
    "repos.pypi": {},
    "acceptance.account": {"users": {"ann": {}}, "acceptance": {"account": "ann"}},
    "audit.r_console": {"audit": {"months": 3}},
    "audit.months": {"audit": {"months": 3}},
    "metrics.allowed_cidr": {"metrics": {"allowed_cidr": "10.0.2.0/24"}},
    "config": {"config": {"auth-timeout-minutes": "60"}},
    "files": {"files": {"logging.conf": {"text": "[*]\nlog-level=info\n"}}},
    "files.NAME.keys": {"files": {"rsession.conf": {"keys": {"session-timeout-minutes": "30", "allow-vcs": "0"}}}},
    "files.NAME.sections": {"files": {"launcher.local.profiles.conf": {"sections": {"*": {"max-cpus": "2"}}}}},
    "files.NAME.text": {"files": {"launcher-env": {"text": "JobType: any\n"}}},
    "files.NAME.secret": {"files": {"databricks.conf": {"secret": "benchwright/files/earlier"}}},
    "tags": {"tags": {"cost-centre": "0815"}},
}


class Items:
    """The table of clusters without moto, which takes more time to parse expressions than all else that a test of each
    key does. It knows the expressions of a cluster that one execution at a time works on.
    """

    def __init__(self) -> None:
        self._by_cluster: dict[str, dict[str, Any]] = {}

    def get_item(self, *, Key: Any, **_: Any) -> dict[str, Any]:
        return {"Item": dict(self._by_cluster.get(Key["cluster"]["S"], {}))}

    def get_paginator(self, operation: str) -> "Items":
        assert operation == "scan"
        return self

    def paginate(self, **_: Any) -> list[dict[str, Any]]:
        return [{"Items": [dict(item) for item in self._by_cluster.values()]}]

    def update_item(self, *, Key: Any, **given: Any) -> None:
        item = self._by_cluster.setdefault(Key["cluster"]["S"], dict(Key))
        values, names = given["ExpressionAttributeValues"], given.get("ExpressionAttributeNames", {})
        free, mine = "attribute_not_exists(holder)", "holder = :me"
        holds = {free: "holder" not in item, mine: item.get("holder") == values[":me"]}
        if not any(holds[condition] for condition in given["ConditionExpression"].split(" OR ")):
            raise ClientError({"Error": {"Code": "ConditionalCheckFailedException"}}, "UpdateItem")
        if given["UpdateExpression"] == "REMOVE holder":
            del item["holder"]
            return
        for assignment in given["UpdateExpression"].removeprefix("SET ").split(", "):
            name, value = assignment.split(" = ")
            item[names.get(name, name)] = values[value]


@pytest.fixture
def items(known_account: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The table of clusters, and nothing else of an AWS."""
    clients = {"dynamodb": Items()}
    monkeypatch.setattr(record, "client", clients.__getitem__)


@pytest.fixture
def table(known_account: None) -> Iterator[Any]:
    """The table of clusters, on moto's DynamoDB."""
    with mock_aws():
        yield make_table()


@pytest.fixture
def known_account(environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """An AWS that knows each secret and each AMI, and in which no cluster was destroyed."""

    def look_up(reading: Reading, problems: Iterable[Problem]) -> LookupResult:
        reading.whole(list(problems))
        return LookupResult(
            {name: Secret(f"arn:{name}", "v1") for name in reading.named.secrets.values()}, "ami-parent"
        )

    monkeypatch.setattr(app("resolve_plan"), "look_up", look_up)
    monkeypatch.setattr(account_check, "check", lambda *_, **__: account_check.Judgement())
    monkeypatch.setattr(service_roles, "ensure", lambda *_: None)
    monkeypatch.setattr(app("resolve_plan"), "taken_names", lambda *_, **__: [])
    monkeypatch.setenv("APPLICATION", "benchwright")


def deploy(content: Any, execution: str, *, verified: bool = False) -> str:
    """A deployment up to its failure; or to its end, where it is verified. Returns what it says of unproven values."""
    handle("resolve_plan", action="validate", cluster="", execution=execution, input=content)
    cluster = content.get("cluster", DEFAULT_CLUSTER)
    record.take_lock(cluster, execution)
    handle("resolve_plan", action="plan", cluster=cluster, execution=execution, input=content)
    found = record.read(cluster)
    if verified:
        record.save_verified(cluster, execution, found, [AMI])
    record.release_lock(cluster, execution)
    return "" if verified else failure(cluster, execution)


def failure(cluster: str, execution: str, error: str = "StackFailed", message: str = "no") -> str:
    event = {"cluster": cluster, "execution": execution, "step": "Deploy nodes", "error": error, "cause": message}
    text: str = handle("explain_failure", **event)["text"]
    return text


def take_backs(text: str) -> list[Any]:
    """The inputs in the lines about single values."""
    marked = [line.partition(" To take it back: ") for line in text.splitlines()]
    return [json.loads(content) for _, mark, content in marked if mark]


def recorded(cluster: str = DEFAULT_CLUSTER) -> dict[str, Any]:
    return record.read(cluster).known.input


@pytest.mark.usefixtures("items")
@pytest.mark.parametrize("key", RECORDED, ids=lambda key: key.path)
@pytest.mark.parametrize("before", ["nothing", "a first input", "another value"])
def test_a_value_of_each_key_is_unproven_until_it_is_taken_back(key: input_reference.Key, before: str) -> None:
    wrong = json.loads(key.example)
    verified: Any = {"nothing": None, "a first input": {}, "another value": EARLIER[key.path]}[before]
    if verified is not None:
        deploy(verified, FIRST, verified=True)

    text = deploy(wrong, WRONG)
    assert text.count(", from the input of this execution. To take it back: ") == len(take_backs(text)) > 0
    assert "Next: If one of the unproven values is the cause, start a deployment with the input that takes it" in text

    text = deploy({}, LATER)
    assert text.count(f", from the input of an earlier execution, {WRONG}. To take it back: ") == len(take_backs(text))
    for content in take_backs(text):
        text = deploy(content, LAST)
    assert "Unproven" not in text
    assert unproven.changed(recorded(), verified or {}) == {}


@pytest.mark.usefixtures("items")
@pytest.mark.parametrize("key", RECORDED, ids=lambda key: key.path)
def test_a_value_of_each_key_is_proven_once_its_execution_has_verified_the_cluster(key: input_reference.Key) -> None:
    deploy(json.loads(key.example), FIRST, verified=True)
    assert "Unproven" not in deploy({}, LATER)


@pytest.mark.usefixtures("table")
def test_a_failed_rebuild_is_taken_back_with_the_image_that_was_verified_last() -> None:
    deploy({"image": {"rebuild": True}}, FIRST)
    assert "Unproven" not in failure(DEFAULT_CLUSTER, FIRST)  # there is no image to return to
    deploy({}, FIRST, verified=True)
    deploy({"image": {"rebuild": True}}, WRONG)
    text = deploy({}, LATER)
    assert f"- image.rebuild: true, from the input of an earlier execution, {WRONG}. " in text
    assert take_backs(text) == [{"image": {"ami": AMI}}]
    assert "image.rebuild" not in deploy({"image": {"ami": AMI}}, LAST)


@pytest.mark.usefixtures("table")
def test_keys_that_act_once_leave_nothing_to_prove() -> None:
    deploy({}, FIRST, verified=True)
    assert "Unproven" not in deploy({"only_if_deployed": True}, LATER)


@pytest.mark.usefixtures("table")
def test_the_input_that_takes_back_names_the_cluster() -> None:
    text = deploy({"cluster": "blue", "nodes": {"count": 3, "instance_type": "m99.xlarge"}}, WRONG)
    assert text.splitlines()[4:9] == [
        "Unproven values, which are recorded and which no verified execution has used yet:",
        f'- nodes.count: 3, {HERE}{{"cluster": "blue", "nodes": {{"count": null}}}}',
        f'- nodes.instance_type: "m99.xlarge", {HERE}{{"cluster": "blue", "nodes": {{"instance_type": null}}}}',
        '- To take all of them back: {"cluster": "blue", "nodes": {"count": null, "instance_type": null}}',
        "",
    ]


@pytest.mark.usefixtures("table")
def test_the_value_that_the_failure_names_comes_first() -> None:
    deploy({"nodes": {"count": 3, "instance_type": "m99.xlarge"}}, WRONG)
    text = failure(DEFAULT_CLUSTER, WRONG, message="Invalid value: m99.xlarge")
    assert [line.split(":")[0] for line in text.splitlines()[5:7]] == ["- nodes.instance_type", "- nodes.count"]


@pytest.mark.usefixtures("table")
def test_a_key_that_was_returned_to_its_default_is_unproven_too() -> None:
    deploy({"nodes": {"count": 4}, "users": {"ann": {}}}, FIRST, verified=True)
    text = deploy({"nodes": None, "users": {"ann": None}}, WRONG)
    assert "- nodes.count: null, from the input of this execution. " in text
    assert take_backs(text) == [{"nodes": {"count": 4}}, {"users": {"ann": {}}}]


@pytest.mark.usefixtures("table")
def test_a_verification_of_what_was_there_before_proves_nothing() -> None:
    """A failed deployment leaves the nodes as they were, and the nightly verification may find nothing wrong."""
    deploy({}, FIRST, verified=True)
    deploy({"nodes": {"instance_type": "m99.xlarge"}}, WRONG)
    record.take_lock(DEFAULT_CLUSTER, LATER)
    record.save_verified(DEFAULT_CLUSTER, LATER, record.read(DEFAULT_CLUSTER), [AMI])
    assert take_backs(failure(DEFAULT_CLUSTER, LATER, "VerificationFailed")) == [{"nodes": {"instance_type": None}}]


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize("error", ["ClusterLocked", "LockLost", "InvalidInput"])
def test_an_error_that_no_value_of_the_record_caused_names_none(error: str) -> None:
    deploy({"nodes": {"count": 3}}, WRONG)
    assert "Unproven" not in failure(DEFAULT_CLUSTER, LATER, error)


@pytest.mark.usefixtures("table")
def test_a_refused_value_that_an_earlier_execution_recorded_is_named_as_such() -> None:
    """As by a release that refuses what an earlier one recorded."""
    deploy({"nodes": {"count": 3}}, WRONG)
    record.take_lock(DEFAULT_CLUSTER, WRONG)
    known = Known(input={"nodes": {"count": 99}}, origins={WRONG: ["nodes.count"]})
    plan = record.read(DEFAULT_CLUSTER).plan
    assert plan
    record.save_plan(DEFAULT_CLUSTER, WRONG, plan, known)
    record.release_lock(DEFAULT_CLUSTER, WRONG)
    with pytest.raises(InvalidInput) as caught:
        deploy({"nodes": {"instance_type": "c7i.large"}}, LATER)
    assert str(caught.value) == (
        "The input has 1 problem; nothing was changed.\n"
        "- nodes.count: 99 is refused: it is above 50 (an earlier execution recorded it). "
        "Give a number of nodes from 1 to 50; for example 3.\n"
        "Unproven values, which are recorded and which no verified execution has used yet:\n"
        f"- nodes.count: 99, from the input of an earlier execution, {WRONG}. To take it back: "
        '{"nodes": {"count": null}}'
    )


@pytest.mark.usefixtures("table")
def test_a_record_that_cannot_be_read_hides_no_failure(table: Any) -> None:
    table.put_item(Item={"cluster": DEFAULT_CLUSTER, "version": 99})
    text = failure(DEFAULT_CLUSTER, LATER)
    assert text.splitlines()[:3] == ["StackFailed in step 'Deploy nodes'", "", "no"]
    assert "The record of the cluster could not be read, which may hold the value that is the cause: A newer" in text


@pytest.mark.usefixtures("table")
def test_the_scheme_of_a_load_balancer_that_is_there_does_not_change() -> None:
    inside = {"access": {"hostname": "wb.example.com"}}
    public = {"access": {"scheme": "internet-facing", "allowed_cidrs": ["203.0.113.0/24"]}}
    deploy(inside, FIRST, verified=True)
    with pytest.raises(InvalidInput) as caught:
        deploy(public, WRONG)
    assert str(caught.value) == (
        "The input has 1 problem; nothing was changed.\n"
        '- access.scheme: "internet-facing" is refused: the load balancer is internal, which cannot change in place. '
        'Give internal, or first take the address away with {"access": null}: nodes and data stay.'
    )
    deploy({"access": {"allowed_cidrs": ["203.0.113.0/24"]}}, LATER, verified=True)
    deploy({"access": None}, LATER)
    with pytest.raises(InvalidInput, match="the load balancer is internal"):  # which may be there still
        deploy(merge_patch(inside, public), LAST)
    record.take_lock(DEFAULT_CLUSTER, LATER)
    record.save_access_removed(DEFAULT_CLUSTER, LATER)
    record.release_lock(DEFAULT_CLUSTER, LATER)
    deploy(merge_patch(inside, public), LAST)  # fails halfway, and goes on with the same
    deploy({}, LAST)


@pytest.fixture
def looked_up(table: Any, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What AWS answers of versions and of the parent image; a test changes it."""
    answers: dict[str, Any] = {"engines": Engines(available=("17.6", "17.7")), "parent_image": PARENT}

    def look_up(reading: Reading, _: Iterable[Problem]) -> LookupResult:
        reading.whole()
        return LookupResult({}, answers["parent_image"], answers["engines"])

    monkeypatch.setattr(app("resolve_plan"), "look_up", look_up)
    return answers


REFUSED = "Cannot find version 17.7 for aurora-postgresql (Service: Rds, Status Code: 400)"


@pytest.mark.usefixtures("looked_up")
def test_a_version_that_no_input_gave_is_named_where_the_failure_names_it() -> None:
    assert "Unproven" not in deploy({}, FIRST)
    for message in (REFUSED, f"{REFUSED[:-22]}: EngineVersion=17.7."):
        assert failure(DEFAULT_CLUSTER, FIRST, message=message).splitlines()[4:6] == [
            "Unproven values, which are recorded and which no verified execution has used yet:",
            (
                '- database.engine_version: "17.7", which no input gave: the newest of that day, or the application\'s '
                'DatabaseEngineVersion. To take another: {"database": {"engine_version": "17.6"}}'
            ),
        ]
    for message in ("17.71", "117.7", "i-17.7.1", "217.7"):
        assert "Unproven" not in failure(DEFAULT_CLUSTER, FIRST, message=message)
    text = deploy({"database": {"engine_version": "17.6"}}, LATER)
    assert f'- database.engine_version: "17.6", {HERE}{{"database": {{"engine_version": null}}}}' in text
    assert record.read(DEFAULT_CLUSTER).known.engine_version == "17.6"


@pytest.mark.parametrize("engines", [Engines(available=("17.7",)), Engines("17.7", ("17.6", "17.7"))])
def test_a_version_that_runs_or_that_has_no_other_is_not_named(looked_up: dict[str, Any], engines: Engines) -> None:
    looked_up["engines"] = engines
    deploy({}, FIRST)
    assert "Unproven" not in failure(DEFAULT_CLUSTER, FIRST, message=REFUSED)


def test_a_parent_image_that_the_failure_names_can_be_looked_up_again(looked_up: dict[str, Any]) -> None:
    assert "Unproven" not in deploy({}, FIRST)
    text = failure(DEFAULT_CLUSTER, FIRST, "ImageBuildFailed", f"The image id '[{PARENT}]' does not exist")
    line = (
        f'- the parent image: "{PARENT}", the newest of that day. To look it up again: {{"image": {{"rebuild": true}}}}'
    )
    assert line in text.splitlines()
    looked_up["parent_image"] = "ami-other"
    deploy({"image": {"rebuild": True}}, LATER)
    assert record.read(DEFAULT_CLUSTER).known.parent_image == "ami-other"


@pytest.mark.usefixtures("looked_up")
def test_what_a_verified_execution_has_looked_up_is_proven() -> None:
    deploy({}, FIRST, verified=True)
    deploy({}, LATER)
    assert "Unproven" not in failure(DEFAULT_CLUSTER, LATER, message=f"{REFUSED} {PARENT}")


@pytest.mark.usefixtures("table")
def test_many_values_leave_room_for_the_failure() -> None:
    users = {f"user{number}": {"password": f"benchwright/users/{'x' * 300}{number}"} for number in range(200)}
    text = deploy({"users": users}, WRONG)
    assert 0 < len(take_backs(text)) < 200
    assert f"- and {200 - len(take_backs(text))} more: see `input` in the cluster's item of the table" in text
    assert len(text) < 20_000


LEAVES = st.one_of(st.integers(), st.text(max_size=3), st.lists(st.integers(), max_size=2))
NAMES = st.sampled_from(["a", "b", "c.d"])
INPUTS = st.dictionaries(
    NAMES,
    st.one_of(LEAVES, st.dictionaries(NAMES, LEAVES, min_size=1)),
) | st.dictionaries(st.just("users"), st.dictionaries(NAMES, st.dictionaries(NAMES, LEAVES), min_size=1))


@given(INPUTS, INPUTS)
def test_what_takes_all_back_gives_what_was_proven(now: dict[str, Any], before: dict[str, Any]) -> None:
    kinds = {key: isinstance(value, dict) for key, value in now.items()}
    before = {key: value for key, value in before.items() if kinds.get(key) in (None, isinstance(value, dict))}
    values = unproven.find(Record(known=Known(input=now, proven=before)))
    assert unproven.changed(merge_patch(now, unproven.take_back_all(values)), before) == {}
    one_by_one = now
    for value in values:
        one_by_one = merge_patch(one_by_one, value.take_back)
    assert unproven.changed(one_by_one, before) == {}


@pytest.mark.usefixtures("table")
def test_the_account_is_judged_for_what_a_cluster_has_already(monkeypatch: pytest.MonkeyPatch) -> None:
    judged = []

    def check(_: Any, cluster: str, *, begun: bool, deployed: bool) -> account_check.Judgement:
        judged.append((cluster, begun, deployed))
        return account_check.Judgement()

    monkeypatch.setattr(account_check, "check", check)
    deploy({"cluster": "blue"}, "one")
    deploy({"cluster": "blue"}, "two", verified=True)
    deploy({"cluster": "blue"}, "three")
    assert judged == [("blue", False, False), ("blue", True, False), ("blue", True, True)]
