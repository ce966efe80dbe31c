"""What is wrong with an input, and how a person reads it."""

import json
import re
from collections.abc import Iterator
from functools import reduce
from typing import Any, get_args, get_origin

import pytest
from pydantic import BaseModel

from benchwright.errors import InvalidInput
from benchwright.models import Wanted, merge_patch
from benchwright.planning.read_input import read_input
from tests.documentation import input_reference
from tests.unit.benchwright.planning.test_plan import DEFAULTS


def problems(raw: Any, known: dict[str, Any] | None = None) -> list[str]:
    with pytest.raises(InvalidInput) as caught:
        read_input(raw, known or {}, DEFAULTS, "benchwright").whole()
    return str(caught.value).splitlines()[1:]


@pytest.mark.parametrize("raw", [[], "x", 3, None, True])
def test_an_input_that_is_no_object_is_refused(raw: Any) -> None:
    with pytest.raises(InvalidInput, match=r"^The input must be a JSON object such as \{\}, not "):
        read_input(raw, {}, DEFAULTS, "benchwright").whole()


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        ({"nodes": {"count": 0}}, "- nodes.count: 0 is refused: "),
        ({"nodes": {"count": 51}}, "- nodes.count: 51 is refused: "),
        ({"nodes": {"count": "2"}}, '- nodes.count: "2" is refused: '),
        ({"nodes": {"count": True}}, "- nodes.count: true is refused: "),
        ({"nodes": 2}, "- nodes: 2 is refused: "),
        ({"nodes": {"instance_type": "m7g.large"}}, "- nodes.instance_type: "),
        (
            {"nodes": {"size": 2}},
            "- nodes.size: 2 is refused: an unknown key. Give one of count, instance_type, replace_at_once, root_",
        ),
        ({"nodez": None}, "- nodez: null is refused: an unknown key (did you mean nodes?). "),
        ({"licence": "-----BEGIN"}, '- licence: "***" is refused: an unknown key (did you mean license?). '),
        (
            {"Users": {"a": {"password": "x y"}}},
            '- Users: {"a": {"password": "***"}} is refused: an unknown key (did you mean users?). ',
        ),
        ({"clusters": "blue"}, '- clusters: "***" is refused: an unknown key (did you mean cluster?). '),
        (
            {"users": {"a": {"pasword": "x y"}}},
            '- users.a.pasword: "***" is refused: an unknown key (did you mean password?). ',
        ),
        (
            {"config": {"session-timeout-minutes": "60"}},
            (
                '- config.session-timeout-minutes: "60" is refused: it is a key of rsession.conf, not of '
                'rserver.conf. Give it in files["rsession.conf"].keys, and null here.'
            ),
        ),
        ({"nodes": {"passwords": ["x y"]}}, '- nodes.passwords: ["***"] is refused: an unknown key. '),
        ({"cluster": {"password": "x y"}}, '- cluster: {"password": "***"} is refused: '),
        ({"config": {"a": {"password": "x"}}}, '- config.a: {"password": "***"} is refused: '),
        ({"cluster": "Big One"}, '- cluster: "Big One" is refused: not a cluster name. '),
        (
            {"workbench": {"version": "latest"}},
            '- workbench.version: "latest" is refused: not a full version of Workbench from',
        ),
        (
            {"workbench": {"version": "2023.09.1+494.pro2"}},
            '- workbench.version: "2023.09.1+494.pro2" is refused: not a full version of Workbench from 2023.12 on',
        ),
        ({"workbench": {"version": "2026.13.0+1.pro1"}}, '- workbench.version: "2026.13.0+1.pro1" is refused: not a'),
        ({"workbench": {"version": "2026.00.0+1.pro1"}}, '- workbench.version: "2026.00.0+1.pro1" is refused: not a'),
        ({"nodes": {"instance_type": "mac2.metal"}}, '- nodes.instance_type: "mac2.metal" is refused: an instance ty'),
        ({"tags": {"a": ""}}, '- tags.a: "" is refused: not 1 to 256 letters, numbers, spaces and _.:/=+@-. '),
        ({"tags": {"a": "3 \u20ac"}}, "- tags.a: \"3 \\u20ac\" is refused: '\\u20ac' is neither a letter nor a number"),
        ({"r_versions": []}, "- r_versions: [] is refused: "),
        ({"r_versions": ["4.5.1", "4.5.1"]}, '- r_versions: ["4.5.1", "4.5.1"] is refused: named twice: 4.5.1.'),
        ({"python_versions": ["three"]}, '- python_versions.0: "three" is refused: '),
        ({"image": {"rebuild": "yes"}}, '- image.rebuild: "yes" is refused: it is neither true nor false. '),
        ({"image": {"ami": "ami-1"}}, '- image.ami: "ami-1" is refused: '),
        ({"image": {"ami": "ami-0123456789abcdef0", "rebuild": True}}, "- image.rebuild: true is refused: it is given"),
        ({"database": {"min_capacity": 0.7}}, "- database.min_capacity: 0.7 is refused: "),
        ({"database": {"min_capacity": 8}}, "- database: "),
        (
            {"nodes": {"count": 50, "replace_at_once": 4}},
            "- nodes.replace_at_once: 4 is refused: a deployment has time to replace 40 nodes so, and nodes",
        ),
        ({"database": {"max_capacity": 0.5}}, "- database.max_capacity: 0.5 is refused: "),
        ({"license": "other/license/a"}, '- license: "other/license/a" is refused: the nodes may not read it. '),
        ({"access": {"scheme": "internal"}}, '- access.hostname: {"scheme": "internal"} is refused: it is missing. '),
        (
            {"access": {"hostname": "a.example.com", "scheme": "public"}},
            (
                "- access.scheme: \"public\" is refused: it is neither 'internal' nor 'internet-facing'. "
                'Give "internal" for private addresses, which people reach by VPN or Direct Connect; "internet-facing" '
                "for public ones, which needs public subnets and `allowed_cidrs`; "
            ),
        ),
        ({"users": {"root": {}}}, "- users.root: {} is refused: it is an account of the system, or a group of it. "),
        ({"users": {"Ann": {}}}, '- users.Ann: "Ann" is refused: adduser of Ubuntu refuses upper case, since '),
        (
            {"users": {"a@b.c": {}}},
            '- users.a@b.c: "a@b.c" is refused: an e-mail address is no name of an account on U',
        ),
        ({"users": {"007": {}}}, '- users.007: "007" is refused: a name of digits alone is taken for an id. '),
        (
            {"users": {".ann": {}}},
            '- users..ann: ".ann" is refused: not 1 to 32 lower-case letters, digits, dots, - an',
        ),
        ({"users": {"a" * 33: {}}}, f'- users.{"a" * 33}: "{"a" * 33}" is refused: not 1 to 32 lower-case letters, d'),
        ({"users": {"a": {"uid": 61184}}}, "- users.a.uid: 61184 is refused: systemd has it for dynamic users of serv"),
        ({"users": {"a": {"gid": 65534}}}, "- users.a.gid: 65534 is refused: it is that of 'nobody', the account of "),
        ({"users": {"a": {"uid": 524288}}}, "- users.a.uid: 524288 is refused: systemd-nspawn has it for containers, "),
        ({"users": {"a": {"uid": 2147483647}}}, "- users.a.uid: 2147483647 is refused: it is above "),
        ({"users": {"ann": {"uid": 100}}}, "- users.ann.uid: 100 is refused: "),
        ({"users": {"ann": {"password": "secret"}}}, '- users.ann.password: "***" is refused: the nodes may not'),
        ({"users": {"a": {"uid": 5000}, "b": {"uid": 5000}}}, "- users.b.uid: 5000 is refused: users.a has it. "),
        (
            {"config": {"launcher-port": "1"}},
            '- config.launcher-port: "1" is refused: Benchwright writes this key itself. ',
        ),
        (
            {"config": {"ssl-enabled": "1"}},
            '- config.ssl-enabled: "1" is refused: nodes rely on Workbench\'s default for ',
        ),
        ({"config": {"x": "a\nb"}}, '- config.x: "a\\nb" is refused: not one line of at most 1,000 printable'),
        ({"tags": {"aws:x": "y"}}, '- tags.aws:x: "aws:x" is refused: the prefixes aws: and benchwright: are taken. '),
        ({"only_if_deployed": 1}, "- only_if_deployed: 1 is refused: it is neither true nor false. "),
    ],
)
def test_a_wrong_value_is_named_with_a_remedy(raw: Any, problem: str) -> None:
    (found,) = problems(raw)
    assert found.startswith(problem)
    assert ". Give " in found or ". Remove it; if it is recorded, give null." in found


def fields(model: type[BaseModel], *above: str) -> Iterator[tuple[str, ...]]:
    """The path of each field of a model, and of the models in it; a map has one entry, `ann` or `analysts`."""
    for name, field in model.model_fields.items():
        yield (*above, name)
        for kind in (field.annotation, *get_args(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                is_map = get_origin(field.annotation) is dict
                entry = ("analysts" if name == "groups" else "ann",) if is_map else ()
                yield from fields(kind, *above, name, *entry)


@pytest.mark.parametrize("path", list(fields(Wanted)), ids=".".join)
def test_the_remedy_of_each_key_holds_an_example_that_is_accepted(path: tuple[str, ...]) -> None:
    if path[0] == "files" and len(path) > 1:  # a file that takes this form
        path = ("files", input_reference.FILE_OF[f"files.NAME.{path[2]}"], path[2])

    def given(value: Any) -> Any:
        return reduce(lambda inner, key: {key: inner}, reversed(path), value)

    known: dict[str, Any] = {"users": {"ann": {}, "probe": {}}, "groups": {"analysts": {}}}
    if path != ("access",):  # what the other keys of an address need
        known["access"] = {"hostname": "wb.example.com", "allowed_cidrs": ["203.0.113.0/24"]}
    if path[0] == "auth":  # what this key needs
        known = merge_patch(known, input_reference.BESIDE.get(".".join(path), {}))
    (found,) = problems(given([[]]), known)
    remedy = found.partition(". Give ")[2]
    example = re.search(r"(?:; for example|an object such as) (.+)\.$", remedy)
    assert example, found
    read_input(given(json.loads(example[1])), known, DEFAULTS, "benchwright").whole()


@pytest.mark.parametrize("name", ["jane.doe", "7of9", "x" * 32, "_x", "a.uid"])
@pytest.mark.parametrize("uid", [60_000, 65_536, 524_287, 1_879_048_192, 2_147_483_646])
def test_names_and_ids_that_a_directory_gives_are_accepted(name: str, uid: int) -> None:
    _, wanted = read_input({"users": {name: {"uid": uid}}}, {}, DEFAULTS, "benchwright").whole()
    assert wanted.users[name].uid == uid


def test_a_recorded_value_of_a_name_with_a_dot_is_said_to_be_recorded() -> None:
    (found,) = problems({}, {"users": {"jane.doe": {"uid": 65534}}})
    assert found.startswith("- users.jane.doe.uid: 65534 is refused: it is that of 'nobody', the account of Linux ")
    assert " (an earlier execution recorded it). Give " in found


def test_all_problems_are_reported_at_once() -> None:
    raw = {"nodez": 1, "nodes": {"count": 0}, "users": {"root": {}}, "workbench": {"version": "x"}, "cluster": ""}
    paths = [problem.split(":")[0] for problem in problems(raw)]
    assert paths == ["- cluster", "- nodez", "- workbench.version", "- nodes.count", "- users.root"]


@pytest.mark.parametrize("path", list(fields(Wanted)), ids=".".join)
def test_what_a_value_must_be_is_said_in_plain_words(path: tuple[str, ...]) -> None:
    """What pydantic says of itself begins with `Input should be`."""
    long, half = "x" * 20_000, "\ud800"
    values: list[Any] = [None, True, 7, -7, 7.5, 1e300, float("inf"), "", long, half, [], [[]], ["x"] * 99, {"": []}]
    for wrong in values:
        try:
            read_input(
                reduce(lambda inner, key: {key: inner}, reversed(path), wrong), {}, DEFAULTS, "benchwright"
            ).whole()
        except InvalidInput as error:
            assert " should " not in str(error)
