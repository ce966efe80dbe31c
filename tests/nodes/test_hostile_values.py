"""Hostile values on a real host: what is allowed arrives byte for byte, up to the login; the rest is refused by name.

The properties of every text are in tests/unit/benchwright; here is one node, with much at once.
"""

from __future__ import annotations

import base64
import json
import string
from typing import Any

import pytest
from psycopg2 import sql
from pydantic import TypeAdapter, ValidationError

from benchwright.models import Account
from benchwright.planning.server_options import PUBLISHED
from benchwright.rstudio_files import VALUES
from benchwright.values import OWNED_KEYS, ConfigValue
from rehearsal.hosts.host import Host
from tests.nodes.cluster import Cluster
from tests.unit.benchwright.hostile import PRINTABLE, SPECIMENS, as_boost_reads

ALPHABETS = "Übermaß-密码-пароль-🔑-\xa0-\u2028"
# By user: the password in its secret.
PASSWORDS = {
    "all": PRINTABLE,
    "backwards": PRINTABLE[::-1],
    "alphabets": ALPHABETS,
    "_": "'",
    "quotes": "'\"''\"\"`$'\\n'",
    "backslash": "\\\\'\\x41\\",
    "dollars": "$(id) ${HOME} $$ `id` !! !$",
    "percent": "%s%n%% %(x)s",
    "colons": ":a:b:",
    "spaces": "   between   ",
    "dash": "-n",
    "option": "--help",
    "none": "None",
    "null": "null",
    "hash": "# no comment; no end",
    "braces": "{{ Mode }} {0} ${AWS::Region}",
    "star": "*",
    "longest": "x" * 128,
    "a" * 32: "a name of 32",
    "line-end": "as an editor leaves it\n",
    "windows-end": "\ufeffas an editor of Windows leaves it\r\n",
}
LICENSE = "\ufeff-- licence --\r\nOrg: Übermaß 'n' \"co\" $(id) %s \\\n\n\ttabs and no end of the last line"
KEY = string.punctuation + "0123456789abcdef" * 2


def allowed_config() -> dict[str, str]:
    """Every hostile value that the model allows, each under a key of rserver.conf of its own whose type is text."""
    allowed = []
    for text in [text for texts in SPECIMENS.values() for text in texts]:
        value = f"a{text}b"
        try:
            allowed.append(TypeAdapter(ConfigValue).validate_python(value))
        except ValidationError:
            continue
    keys = sorted(PUBLISHED - OWNED_KEYS - VALUES["rserver.conf"].keys())[: len(allowed)]
    assert len(keys) == len(allowed) > 60
    return dict(zip(keys, allowed, strict=True))


def read(node: Host, path: str) -> bytes:
    done = node.run(f"base64 {path}", timeout=60)
    assert done.returncode == 0, done.stderr
    return base64.b64decode(done.stdout)


def logs_in(node: Host, name: str, password: str) -> bool:
    """Log in by PAM with a password, as Workbench does: here through `su`, as a user who needs one."""
    su = f"setpriv --reuid=65534 --regid=65534 --clear-groups su -c 'id -un' -- {name}"
    done = node.run(f"echo {base64_of(password)} | base64 -d | {su}", timeout=60)
    assert done.returncode in (0, 1), done.stderr
    return done.stdout == f"{name}\n"


def base64_of(text: str) -> str:
    return base64.b64encode(f"{text}\n".encode()).decode()


def account(cluster: Cluster, name: str, number: int, secret: str) -> Account:
    arn = cluster.world.aws.secret(f"benchwright/users/{name}", secret)
    return Account(name=name, uid=5_000 + number, gid=5_000 + number, secret_arn=arn, secret_version="v1")


def test_what_is_allowed_arrives_byte_for_byte_and_logs_in(cluster: Cluster) -> None:
    aws, database = cluster.world.aws, PRINTABLE + ALPHABETS
    cluster.postgres.execute(sql.SQL("alter role rstudio password {}").format(sql.Literal(database)))
    aws.secrets[cluster.database.arn, "v1"] = json.dumps({"username": "rstudio", "password": database})
    aws.secrets[cluster.key.arn, "v1"] = f"{KEY}\n"
    accounts = [account(cluster, name, number, text) for number, (name, text) in enumerate(PASSWORDS.items())]
    config = allowed_config()
    cluster.publish(accounts=accounts, config=config, license=cluster.license(LICENSE))
    node = cluster.add_node()
    reported = cluster.apply(node)
    assert (reported["license"], reported["users"]["count"], reported["error"]) == ("Activated", len(PASSWORDS), None)

    assert as_boost_reads(read(node, "/etc/rstudio/rserver.conf").decode()).items() >= config.items()
    assert (
        read(node, "/var/lib/rstudio-server/benchwright.lic")
        == LICENSE.removeprefix("\ufeff").replace("\r", "").encode()
    )
    assert read(node, "/etc/rstudio/secure-cookie-key") == KEY.encode()
    link = cluster.postgres.connect("rstudio", database, "rstudio")  # the server did, too: it is a member
    with link, link.cursor() as cursor:
        cursor.execute("select ipv4, status from node")
        assert cursor.fetchall() == [("10.0.1.10", "Online")]
    link.close()

    typed = {name: text.removeprefix("\ufeff").rstrip("\r\n") for name, text in PASSWORDS.items()}
    assert {name: logs_in(node, name, text) for name, text in typed.items()} == dict.fromkeys(typed, True)
    assert not logs_in(node, "spaces", "between")
    assert not logs_in(node, "all", PRINTABLE.strip())

    assert cluster.apply(node)["changed"] == []
    log = read(node, "/var/log/benchwright/configure.log").decode()
    assert [name for name, text in typed.items() if len(text) > 8 and text in log] == []


# The others: tests/unit/benchwright/nodes/test_hostile_secrets.py.
REFUSED_PASSWORDS = {"two lines": "one\ntwo", "NUL": "one\0two", "too long in bytes": "密" * 43, "binary": "binary"}


def test_what_is_not_allowed_is_refused_by_name_and_changes_no_password(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws = cluster.world.aws
    node = cluster.add_node()
    answer = aws.answer

    def answered(target: str, body: bytes) -> tuple[int, bytes]:
        """As Secrets Manager answers for what was stored as binary."""
        status, text = answer(target, body)
        found = json.loads(text) if target == "secretsmanager.GetSecretValue" else {}
        if found.get("SecretString") == "binary":
            text = json.dumps({"ARN": found["ARN"], "SecretBinary": "YmluYXJ5"}).encode()
        return status, text

    monkeypatch.setattr(aws, "answer", answered)
    errors: dict[str, str] = {}
    for number, (what, password) in enumerate(REFUSED_PASSWORDS.items()):
        left = Account(name=f"x{number}", uid=9000, gid=9000)
        cluster.publish(accounts=[account(cluster, "ann", 1, password)], locked=[left])
        errors[what] = cluster.fail_to_apply(node)
    long = "The password of user ann has more than 128 bytes. Put a shorter one into the secret arn:aws:secretsmanager:"
    assert [what for what, error in errors.items() if error.startswith(long)] == ["too long in bytes"]
    others = [error for what, error in errors.items() if not what.startswith("too long")]
    assert all(error.startswith("The node cannot read version v1 of the secret arn:") for error in others)
    assert all(error.endswith("it is one line of printable text.") for error in others)
    assert ": it has more than one line. Check" in errors["two lines"]
    assert "Traceback" not in read(node, "/var/log/benchwright/configure.log").decode()
    assert node.run("getent shadow ann | cut -d: -f2", timeout=60).stdout in ("!\n", "*\n")


def test_what_only_a_foreign_hand_can_write_is_refused_by_name(cluster: Cluster) -> None:
    aws, node = cluster.world.aws, cluster.add_node()
    refused: list[Any] = ["a\n", "\ud800", 5]
    for password in refused:
        aws.secrets[cluster.database.arn, "v1"] = json.dumps({"username": "rstudio", "password": password})
        cluster.publish()
        error = cluster.fail_to_apply(node)
        assert error.startswith("The node cannot read version v1 of the secret arn:")
        assert error.endswith("it is JSON with a password of one line of printable text.")
    (current,) = [key for key in aws.objects if key.endswith("/current")]
    for text in ["'\"\\" * 100, "../../etc/passwd", "$(reboot)" * 9, "é\x1b[31m"]:
        aws.objects[current] = text.encode()
        assert "holds no configuration hash but '" in cluster.fail_to_apply(node)
