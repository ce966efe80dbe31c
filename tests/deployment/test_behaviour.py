"""How a cluster behaves over its life, from before there is one: each test goes on where the one before it ended."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.deployment.account import Account, new_account

OLD, NEW = "2026.07.0+139.pro9", "2026.07.1+147.pro6"
LICENCE = "-- a licence file --\nLicensee: Rehearsal\n"

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    with new_account(tmp_path_factory.mktemp("account"), speed=300) as made:
        yield made


# Before there is a cluster.


@pytest.mark.parametrize(
    ("content", "problems"),
    [
        ({"nodes": {"count": 0}}, ["nodes.count: 0 is refused"]),
        ({"node": {"count": 2}}, ["node: "]),
        ({"cluster": "My Cluster"}, ['cluster: "My Cluster" is refused']),
        ({"workbench": {"version": "latest"}}, ['workbench.version: "latest" is refused']),
        ([], ["The input must be a JSON object"]),
        (
            {"nodes": {"count": "two"}, "license": "elsewhere/file", "users": {"root": {}}},
            ['nodes.count: "two" is refused', 'license: "elsewhere/file" is refused', "users.root: {} is refused"],
        ),
        ({"license": "benchwright/license/none"}, ['license: "benchwright/license/none" is refused']),
    ],
    ids=["count", "key", "name", "version", "list", "three", "secret"],
)
def test_a_wrong_input_fails_in_the_first_state_with_every_problem(
    account: Account, content: Any, problems: list[str]
) -> None:
    execution = account.start("deploy", content)
    ended = account.end(execution)
    assert (ended.status, ended.error) == ("FAILED", "InvalidInput")
    assert [state.name for state in ended.states] == [
        "Validate input",
        "Explain failure",
        "Notify",
        "Is the cluster known?",
        "Deployment failed",
    ]
    cause = ended.cause or ""
    lines = [line.removeprefix("- ") for line in cause.splitlines() if "Give " in line or "must be" in line]
    assert len(lines) == len(problems), cause
    assert all(any(line.startswith(problem) for line in lines) for problem in problems), cause
    assert account.changes(execution) == set()


@pytest.mark.parametrize("schedule", ["nightly-verify", "monthly-rebuild"])
def test_a_schedule_leaves_a_cluster_alone_that_was_never_made(account: Account, schedule: str) -> None:
    execution = account.start_schedule(schedule)
    ended = account.succeed(execution)
    assert "is not deployed" in ended.output["message"]
    assert account.changes(execution) == set()


# The first deployment, with all that an input can say.


@pytest.fixture(scope="module")
def first(account: Account) -> Any:
    """Its output; meanwhile others tried to start, too."""
    account.put_secret("benchwright/license/workbench", LICENCE)
    account.put_secret("benchwright/users/ann", "first pass of Ann")
    execution = account.start(
        "deploy",
        {
            "workbench": {"version": OLD},
            "license": "benchwright/license/workbench",
            "users": {"ann": {"password": "benchwright/users/ann"}, "ben": {"uid": 3001, "gid": 3001}},
            "config": {"auth-timeout-minutes": "45"},
            "tags": {"team": "Research & more".replace("&", "and")},
        },
    )
    account.until(lambda: account.has_entered(execution, "Prepare image and foundation"), "the lock")
    second = account.start("deploy", {"nodes": {"count": 3}})
    refused = account.end(second)
    assert (refused.status, refused.error) == ("FAILED", "ClusterLocked")
    assert execution in (refused.cause or "")
    assert account.changes(second) <= {"dynamodb:UpdateItem"}  # the attempt to take the lock, and its refusal
    for schedule in ("nightly-verify", "monthly-rebuild"):
        ended = account.succeed(account.start_schedule(schedule))
        assert "is not deployed" in ended.output["message"]
    return account.succeed(execution).output


def test_a_second_deployment_is_refused_while_the_first_runs(first: Any) -> None:
    assert len(first["nodes"]) == 2  # what the second one wanted left no trace


def test_verification_finds_the_licence_and_no_way_to_the_metadata(first: Any) -> None:
    checks = {check["name"]: check["found"] for check in first["verification"]["checks"]}
    assert (first["license"], first["warnings"]) == ("Activated", [])
    assert checks["instance metadata"] == "refused"


def test_users_are_the_same_on_every_node(account: Account, first: Any) -> None:
    assert first["plan"]["wanted"]["users"]["ben"]["uid"] == 3001
    assert account.on_every_node("getent passwd ann ben; stat -c '%a %u %g' /efs/home/ann") == {
        "ann:x:20000:20000::/efs/home/ann:/bin/bash\nben:x:3001:3001::/efs/home/ben:/bin/bash\n700 20000 20000\n"
    }
    assert has_password(account, "ann", "first pass of Ann")


def test_configuration_and_tags_arrive(account: Account, first: Any) -> None:
    (text,) = account.on_every_node("cat /etc/rstudio/rserver.conf")
    assert "auth-timeout-minutes=45\n" in text
    assert all(node.all_tags.get("team") == "Research and more" for node in account.nodes.values())
    (cluster,) = account.aws.client("rds").describe_db_clusters()["DBClusters"]
    assert {"Key": "team", "Value": "Research and more"} in cluster["TagList"]


def test_the_nightly_verification_succeeds(account: Account, first: Any) -> None:
    execution = account.start_schedule("nightly-verify")
    ended = account.succeed(execution)
    assert ended.output["verification"]["verified"]
    assert account.changes(execution) <= {"ssm:SendCommand"}


def has_password(account: Account, name: str, password: str) -> bool:
    """Whether the name logs in with the password on every node, by the hash in /etc/shadow."""
    script = f"""
python3 - <<'END'
import ctypes, pathlib
crypt = ctypes.CDLL("libcrypt.so.1").crypt
crypt.restype = ctypes.c_char_p
entry = next(line for line in pathlib.Path("/etc/shadow").read_text().splitlines() if line.startswith("{name}:"))
hashed = entry.split(":")[1]
print(crypt({password!r}.encode(), hashed.encode()) == hashed.encode())
END
"""
    return account.on_every_node(script) == {"True\n"}
