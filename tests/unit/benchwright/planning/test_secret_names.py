"""What an input has where the name of a secret belongs."""

from typing import Any

import pytest

from benchwright.errors import InvalidInput
from benchwright.models import merge_patch
from benchwright.planning.read_input import read_input
from tests.documentation.input_reference import OIDC, SAML, SSSD
from tests.unit.benchwright.planning.test_plan import DEFAULTS

SCIM: Any = merge_patch(OIDC, {"auth": {"provisioning": "scim", "scim_token": "benchwright/auth/scim"}})
EXPOSED = "If you gave what the secret holds, the history of executions shows it: "
ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:"
FILE = 'and holds a licence file, or {"server": "host:port"}'
# Of each key: an input that it belongs into, how its secrets begin, and what replaces one that was exposed.
KEYS: dict[str, tuple[Any, str, str]] = {
    "auth.client_secret": (OIDC, "benchwright/auth/", "make a new one at the identity provider"),
    "auth.scim_token": (SCIM, "benchwright/auth/", "make a new one at the identity provider"),
    "auth.sssd_conf": (SSSD, "benchwright/auth/", "make a new password of its reader in the directory"),
    "license": ({}, f"benchwright/license/ {FILE}", "ask Posit for another one"),
    "files.databricks.conf.secret": ({}, "benchwright/files/", "make a new secret where it comes from"),
    "users.jane.doe.password": ({}, "benchwright/users/", "choose another password"),
}


def problems(path: str, text: str) -> list[str]:
    """What is wrong with an input that has this text at a key."""
    first, _, rest = path.partition(".")
    patch: Any = {first: text}
    if first in ("users", "files"):
        name, _, key = rest.rpartition(".")
        patch = {first: {name: {key: text}}}
    elif rest:
        patch = {first: {rest: text}}
    with pytest.raises(InvalidInput) as caught:
        read_input(merge_patch(KEYS.get(path, (SAML, "", ""))[0], patch), {}, DEFAULTS, "benchwright").whole()
    return str(caught.value).splitlines()[1:]


@pytest.mark.parametrize("path", KEYS)
@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("Xy8Q~abc.DEF-ghi jklMNO", "it is not the name of a secret"),
        ("[sssd]\ndomains = example.com\n", "it is not the name of a secret"),
        ("x" * 401, "it is not the name of a secret"),
        ("hunter2", "the nodes may not read it"),
        ("aGVsbG8/d29ybGQ=", "the nodes may not read it"),
    ],
)
def test_a_secret_in_place_of_its_name_gives_one_line_that_hides_it(path: str, text: str, wrong: str) -> None:
    _, prefix, replacement = KEYS[path]
    expected = f'- {path}: "***" is refused: {wrong}. Give the name of a secret that begins with {prefix}. '
    assert problems(path, text) == [f"{expected}{EXPOSED}{replacement}."]


def test_a_licence_key_is_certainly_exposed() -> None:
    (found,) = problems("license", "AAAA-BBBB-CCCC-DDDD-EEEE-FFFF-GGGG")
    assert found == (
        '- license: "***" is refused: it is a licence key, which each machine uses up for ever, and nodes come and go. '
        f"Give the name of a secret that begins with benchwright/license/ {FILE}. The history of executions shows it: "
        "ask Posit for another one."
    )


def test_metadata_is_no_secret() -> None:
    (found,) = [line for line in problems("auth.metadata", "<EntityDescriptor>") if "metadata:" in line]
    assert found == (
        '- auth.metadata: "***" is refused: it is not the name of a secret. '
        "Give the name of a secret that begins with benchwright/auth/."
    )


@pytest.mark.parametrize("path", KEYS)
def test_the_name_of_a_secret_elsewhere_is_shown(path: str) -> None:
    for text in ("elsewhere/auth/it", "benchwright/users/it" if "auth" in path else "benchwright/auth/it"):
        _, prefix, _ = KEYS[path]
        wrong = "is refused: the nodes may not read it. Give the name of a secret that begins with"
        assert problems(path, text) == [f'- {path}: "{text}" {wrong} {prefix}.']


@pytest.mark.parametrize("path", KEYS)
def test_an_arn_is_answered_with_the_name_to_use(path: str) -> None:
    name = f"{KEYS[path][1].partition(' ')[0]}it-1"
    wrong = "it is the ARN of a secret, and the key takes its name"
    (found,) = problems(path, f"{ARN}{name}-AbC9eF")
    assert found.startswith(f'- {path}: "{ARN}') and found.endswith(f" is refused: {wrong}. Give {name}.")
    (found,) = problems(path, f"{ARN}other/it-AbC9eF")
    assert found.endswith(f" is refused: {wrong}. Give the name of a secret that begins with {KEYS[path][1]}.")


@pytest.mark.parametrize("path", [*KEYS, "auth.metadata"])
@pytest.mark.parametrize(("around", "where"), [("{} ", "ends"), (" {}", "begins"), ("{}\n", "ends")])
def test_a_space_around_a_name_is_said_though_the_name_is_not_shown(path: str, around: str, where: str) -> None:
    text = around.format(f"benchwright/{path.split('.', maxsplit=1)[0]}/x")
    (found,) = [line for line in problems(path, text) if line.startswith(f"- {path}: ")]
    assert found.startswith(
        f'- {path}: "***" is refused: it {where} with a space or a line break. Give the name of a secret '
    )
