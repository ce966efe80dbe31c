"""What only AWS knows of an input is reported together with what is wrong with the input in itself."""

from typing import Any

import pytest

from benchwright.errors import InvalidInput
from benchwright.planning import engine, lookup
from benchwright.planning.engine import Engines
from benchwright.planning.plan import LookupResult
from benchwright.planning.read_input import Named, read_input
from benchwright.secrets import Secret
from tests.unit.benchwright.planning.test_plan import DEFAULTS

SECRETS = {"benchwright/users/ann": Secret("arn:ann", "v1"), "benchwright/license/l": Secret("arn:l", "v2")}
AMI, OTHER_DEVICE, OTHER_ARCHITECTURE = (f"ami-0123456789abcdef{number}" for number in range(3))
ENGINES = Engines("", ("17.7", "17.10"))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """All that AWS was asked for, in order; SECRETS and AMI exist."""
    names: list[str] = []

    def describe_secret(name: str) -> Secret | None:
        names.append(name)
        return SECRETS.get(name)

    def existing_images(amis: list[str]) -> dict[str, Any]:
        names.extend(amis)
        devices = [
            {"DeviceName": name, "Ebs": {"VolumeSize": size}} for name, size in (("/dev/sda1", 120), ("/dev/sdb", 500))
        ]
        image = {"RootDeviceName": "/dev/sda1", "Architecture": "x86_64", "BlockDeviceMappings": devices}
        others = {OTHER_DEVICE: {"RootDeviceName": "/dev/xvda"}, OTHER_ARCHITECTURE: {"Architecture": "arm64"}}
        there = {AMI: image, **{ami: image | other for ami, other in others.items()}}
        return {ami: there[ami] for ami in amis if ami in there}

    monkeypatch.setattr(
        lookup, "describe_secrets", lambda names: {name: describe_secret(name) for name in sorted(names)}
    )
    monkeypatch.setattr(lookup, "existing_images", existing_images)
    monkeypatch.setattr(lookup, "_parent_image", lambda: "ami-parent")
    monkeypatch.setattr(engine, "look_up", lambda _: ENGINES)
    return names


def look_up(raw: dict[str, Any]) -> LookupResult:
    return lookup.look_up(read_input(raw, {}, DEFAULTS, "benchwright"))


def test_what_does_not_exist_is_reported_with_all_else_that_is_wrong(asked: list[str]) -> None:
    raw = {
        "nodes": {"count": 0},
        "colour": "blue",
        "image": {"ami": "ami-00000000000000000"},
        "license": "benchwright/license/gone",
        "users": {"ann": {"password": "benchwright/users/ann"}, "ben": {"uid": 1, "password": "benchwright/users/ben"}},
    }
    with pytest.raises(InvalidInput) as caught:
        look_up(raw)
    heading, *lines = str(caught.value).splitlines()
    assert heading == "The input has 6 problems; nothing was changed."
    assert [line.split(" is refused: ")[0] for line in lines] == [
        '- colour: "***"',
        "- nodes.count: 0",
        "- users.ben.uid: 1",
        '- license: "benchwright/license/gone"',
        '- users.ben.password: "benchwright/users/ben"',
        '- image.ami: "ami-00000000000000000"',
    ]
    assert asked == [
        "benchwright/license/gone",
        "benchwright/users/ann",
        "benchwright/users/ben",
        "ami-00000000000000000",
    ]


@pytest.mark.parametrize("size", [100, 119])
def test_a_root_volume_below_that_of_the_image_is_refused(asked: list[str], size: int) -> None:
    refused = rf"- nodes.root_volume_size: {size} is refused: the root volume of {AMI} has 120 GiB. Give at least that"
    with pytest.raises(InvalidInput, match=refused):
        look_up({"image": {"ami": AMI}, "nodes": {"root_volume_size": size}})


@pytest.mark.parametrize(
    ("ami", "what"),
    [
        (OTHER_DEVICE, "its architecture is x86_64, and its root device /dev/xvda"),
        (OTHER_ARCHITECTURE, "its architecture is arm64, and its root device /dev/sda1"),
    ],
)
def test_an_image_that_the_launch_template_does_not_fit_is_refused(asked: list[str], ami: str, what: str) -> None:
    refused = f'- image.ami: "{ami}" is refused: {what}. Give an AMI for x86_64 with /dev/sda1, as Ubuntu\'s have'
    with pytest.raises(InvalidInput, match=refused):
        look_up({"image": {"ami": ami}})


@pytest.mark.parametrize("size", [None, 120, 16_384])
def test_a_root_volume_as_large_as_that_of_the_image_is_right(asked: list[str], size: int | None) -> None:
    assert look_up({"image": {"ami": AMI}, "nodes": {"root_volume_size": size}}).parent_image == "ami-parent"


def test_a_value_that_is_itself_wrong_is_never_looked_up(asked: list[str]) -> None:
    raw = {
        "image": {"ami": "ami-1; reboot"},
        "license": "someone-else/license/l",
        "users": {
            "ann": {"password": "benchwright/users/ann?x=*"},
            "ben": {"password": ["benchwright/users/ann"]},
            "eve": {"password": "benchwright/license/l"},
        },
    }
    with pytest.raises(InvalidInput) as caught:
        look_up(raw)
    assert [line.split(": ")[0] for line in str(caught.value).splitlines()[1:]] == [
        "- image.ami",
        "- users.ann.password",
        "- users.ben.password",
        "- license",
        "- users.eve.password",
    ]
    assert asked == []


def test_a_secret_that_is_gone_is_reported_for_each_key_that_names_it(asked: list[str]) -> None:
    raw = {"users": {name: {"password": "benchwright/users/gone"} for name in ("ann", "ben")}}
    with pytest.raises(InvalidInput) as caught:
        look_up(raw)
    assert str(caught.value).splitlines()[1:] == [
        f'- users.{name}.password: "benchwright/users/gone" is refused: there is no such secret, or it has no current '
        "value. Give the name of a secret that exists."
        for name in ("ann", "ben")
    ]
    assert asked == ["benchwright/users/gone"]


def test_what_exists_is_found(asked: list[str]) -> None:
    raw = {
        "image": {"ami": AMI},
        "license": "benchwright/license/l",
        "users": {"ann": {"password": "benchwright/users/ann"}, "ben": {}},
    }
    reading = read_input(raw, {}, DEFAULTS, "benchwright")
    secrets = {"license": "benchwright/license/l", "users.ann.password": "benchwright/users/ann"}
    assert reading.named == Named(secrets, AMI)
    assert lookup.look_up(reading) == LookupResult(SECRETS, "ami-parent", ENGINES)
    assert sorted(asked) == [AMI, "benchwright/license/l", "benchwright/users/ann"]


def test_a_version_that_no_new_database_can_have_is_refused(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidInput) as caught:
        look_up({"database": {"engine_version": "17.4"}})
    wrong = '- database.engine_version: "17.4" is refused: RDS has no such version here.'
    assert str(caught.value).splitlines()[1:] == [f"{wrong} Give one of 17.7, 17.10, or null."]
    running = Engines("17.5", ENGINES.available)
    monkeypatch.setattr(engine, "look_up", lambda _: running)
    assert look_up({"database": {"engine_version": "17.4"}}).engines == running
