"""A small cluster for tests: an image, a PostgreSQL, a bundle as Benchwright renders it, and nodes that apply it."""

import json
import shutil
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import Any

from psycopg2 import sql

from benchwright.models import Account, ImagePlan, License, NodeGroup, Plan, SignIn, Wanted
from benchwright.nodes.bundle import Bundle, Endpoint, make_bundle
from benchwright.nodes.node_script import load_script
from benchwright.secrets import Secret
from rehearsal.aws.postgres import Postgres
from rehearsal.aws.services.ssm import agent_output
from rehearsal.hosts.host import AccessPoint, Completed, FileSystems, Host
from rehearsal.hosts.standins.surroundings import FAULTS
from tests.nodes import templates
from tests.nodes.conftest import PYTHON_VERSIONS, R_VERSIONS, WORKBENCH, World

BUCKET, FILE_SYSTEM = "benchwright-bucket", "fs-0123456789abcdef0"
HOME_POINT, SHARED_POINT = "fsap-0123456789abcdef0", "fsap-0123456789abcdef1"
FOLDER = f"{BUCKET}/clusters/workbench/configuration"
SCRIPT = load_script(Path(__file__).parents[2] / "infra" / "node")
KEY, PASSWORD = "0123456789abcdef" * 4, "a database password with $pecial 'characters'"
NAMES = {
    "AWS::Region": "us-east-1",
    "Application": "benchwright",
    "Cluster": "workbench",
    "BucketName": BUCKET,
    "FileSystemId": FILE_SYSTEM,
    "HomeAccessPointId": HOME_POINT,
    "SharedStorageAccessPointId": SHARED_POINT,
    "AutoScalingGroup": "benchwright-workbench-nodes-group",
    "NodeLogGroup": "/benchwright/nodes",
    "NodeScript": SCRIPT.sha256,
}
ANNA = Account(name="anna", uid=5001, gid=5001)
START_SESSION = """#!/bin/bash
set -euo pipefail
launcher=$(systemctl show -p MainPID --value rstudio-launcher)
invocation=$(tr '\\0' '\\n' </proc/$launcher/environ | grep ^INVOCATION_ID=)
env "$invocation" HOME=/efs/home/{user} setpriv --reuid={user} --regid={user} --init-groups \\
  setsid /usr/lib/rstudio-server/bin/rsession >/dev/null 2>&1 &
until grep -qx rsession /proc/$!/comm; do sleep 0.01; done
echo $!
"""
END_SESSIONS = "rstudio-server active-sessions | cut -d' ' -f1 | xargs -r kill -9"
MOUNTED = "mountpoint -q /efs/home && mountpoint -q /efs/shared-storage"
UNTIL_MOUNTED = f"for _ in $(seq 50); do if {MOUNTED}; then break; fi; /bin/sleep 0.2; done"
ROOT_ACCESS = frozenset({"ClientMount", "ClientWrite", "ClientRootAccess"})


@dataclass
class Cluster:
    """What the nodes of one cluster share."""

    world: World
    image: Path
    postgres: Postgres
    endpoint: str
    directory: Path
    actions: frozenset[str] = ROOT_ACCESS
    nodes: list[Host] = field(default_factory=list)
    configured: set[Host] = field(default_factory=set)
    current: str = ""

    def __post_init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Give it an empty database of its own, empty file systems and its secrets."""
        self.postgres.execute("drop database if exists rstudio with (force)")
        self.postgres.execute("drop role if exists rstudio")
        self.postgres.execute(sql.SQL("create role rstudio login password {}").format(sql.Literal(PASSWORD)))
        self.postgres.execute("create database rstudio owner rstudio")
        shutil.rmtree(self.directory)
        self.directory.mkdir()
        self.actions = ROOT_ACCESS
        database = {"username": "rstudio", "password": PASSWORD}
        self.database = Secret(self.world.aws.secret("benchwright/workbench/database", json.dumps(database)), "v1")
        self.key = Secret(self.world.aws.secret("benchwright/workbench/secure-cookie-key", KEY), "v1")

    def publish(
        self,
        *,
        accounts: list[Account] | None = None,
        locked: list[Account] | None = None,
        groups: list[NodeGroup] | None = None,
        emptied: list[NodeGroup] | None = None,
        **wanted: Any,
    ) -> str:
        """Put a configuration into the bucket and make it the current one; gives its hash."""
        plan = Plan(
            cluster="workbench",
            wanted=Wanted.model_validate(
                {
                    "workbench": {"version": wanted.get("version", WORKBENCH)},
                    "r_versions": R_VERSIONS.split(),
                    "python_versions": PYTHON_VERSIONS.split(),
                    "nodes": {"count": 2, "instance_type": "m6i.xlarge"},
                    "database": {"min_capacity": 0.5, "max_capacity": 4},
                    "config": wanted.get("config", {}),
                    "files": wanted.get("files", {}),
                    "limits": wanted.get("limits", {}),
                    "access": {"hostname": "workbench.example.com"} if "auth" in wanted else None,
                    "auth": wanted.get("auth") or {},
                    **{name: wanted[name] for name in ("acceptance", "audit", "metrics") if name in wanted},
                }
            ),
            image=ImagePlan(ami=None, parent_image="ami-0123456789abcdef0", generation=1),
            license=wanted.get("license"),
            sign_in=wanted.get("sign_in", SignIn()),
            file_secrets=wanted.get("file_secrets", {}),
            accounts=accounts or [],
            locked_accounts={account.name: (account.uid, account.gid) for account in locked or []},
            groups=groups or [],
            emptied_groups={group.name: group.gid for group in emptied or []},
            sources={},
        )
        return self.upload(make_bundle(plan, Endpoint(self.endpoint, self.postgres.port), self.database, self.key))

    def upload(self, bundle: Bundle) -> str:
        self.world.aws.objects[f"{FOLDER}/node-{SCRIPT.sha256}.tar.gz"] = SCRIPT.archive
        self.world.aws.objects[f"{FOLDER}/{bundle.configuration}.tar.gz"] = bundle.archive
        self.current = bundle.configuration
        self.world.aws.objects[f"{FOLDER}/current"] = self.current.encode()
        return self.current

    def license(self, text: str) -> License:
        version = f"v{zlib.crc32(text.encode())}"
        arn = self.world.aws.secret("benchwright/license/file", text, version)
        return License(secret_arn=arn, secret_version=version)

    def add_node(self) -> Host:
        """Boot an instance of the image: its units start, then its user data runs, as on EC2."""
        points = {
            HOME_POINT: AccessPoint(self.directory / "home"),
            SHARED_POINT: AccessPoint(self.directory / "shared-storage", permissions=0o1777),
        }
        file_systems = FileSystems({FILE_SYSTEM: points}, self.actions)
        node = self.world.boot(10 + len(self.nodes), image=self.image, file_systems=file_systems)
        self.nodes.append(node)
        node.run_boot()
        done = node.run(templates.user_data(NAMES), timeout=60)
        assert done.returncode == 0, done.stderr
        node.run(UNTIL_MOUNTED, timeout=60)
        return node

    def run(
        self, node: Host, mode: str, stale_nodes: str = "", configuration: str | None = None, **asked: str
    ) -> Completed:
        """Run the document of the cluster as Run Command does.

        configuration: of `apply`: empty as the association has it, which configures a new node; by default so until one
        has succeeded, and then the current one, as an execution has it.
        """
        if configuration is None:
            configuration = self.current if mode == "apply" and node in self.configured else ""
        environment = {"SSM_Mode": mode, "SSM_StaleNodes": stale_nodes, "SSM_Configuration": configuration}
        environment["SSM_Sessions"] = asked.get("sessions", "")
        done = node.run(templates.document_script(NAMES), environment=environment, timeout=300)
        if mode == "apply" and not done.returncode:
            self.configured.add(node)
        return done

    def apply(self, node: Host) -> dict[str, Any]:
        """Apply the current configuration, which must succeed; gives the report."""
        done = self.run(node, "apply")
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return report(done)

    def fail_to_apply(self, node: Host) -> str:
        """Apply the current configuration, which must fail; gives the error of the report."""
        done = self.run(node, "apply")
        assert done.returncode == 1, done.stdout
        return str(report(done)["error"])

    def start_session(self, node: Host, user: str) -> int:
        """A session of `user`, a child of the launcher as sessions are; gives its process id on the node."""
        done = node.run(START_SESSION.format(user=user), timeout=60)
        assert done.returncode == 0, done.stderr
        return int(done.stdout)

    def statuses(self) -> list[tuple[str, str]]:
        """IPv4 and status of each row, from the database itself."""
        link = self.postgres.connect("rstudio", PASSWORD, "rstudio")
        with link, link.cursor() as cursor:
            cursor.execute("select ipv4, status from node order by ipv4")
            rows = cursor.fetchall()
        link.close()
        return rows

    def stop(self, kept: int = 0) -> None:
        """Stop the nodes after the first ones, which no longer see them."""
        for node in self.nodes[kept:]:
            node.stop()
            if kept:
                self.postgres.execute(f"delete from node where ipv4 = '{node.address}'", database="rstudio")
        del self.nodes[kept:]


def order_fault(node: Host, word: str, text: str = "") -> None:
    """Have what the stand-ins know by this word go wrong on a node; `text` says how, where it is more than whether."""
    _done(node, f"mkdir -p {FAULTS} && echo {quote(text)} >{FAULTS}/{word}")


def lift_fault(node: Host, word: str) -> None:
    _done(node, f"rm {FAULTS}/{word}")


def end_scripts_that_move_to(node: Host, target: str) -> None:
    """As when the instance loses its power at that moment."""
    script = f'#!/bin/bash\nif [[ "${{*: -1}}" == {target} ]]; then kill -9 $PPID; exit; fi\nexec mv.kept "$@"\n'
    place = f"cp -n /usr/bin/mv /usr/bin/mv.kept; echo {quote(script)} >/usr/bin/mv.new; chmod 755 /usr/bin/mv.new"
    _done(node, f"set -e; {place}; mv.kept /usr/bin/mv.new /usr/bin/mv")


def _done(node: Host, script: str) -> None:
    done = node.run(script, timeout=60)
    assert done.returncode == 0, done.stderr


def report(done: Completed) -> dict[str, Any]:
    """The one line of JSON that the script prints, in what the agent keeps of both streams; a log follows a failure."""
    assert done.returncode or done.stdout.count("\n") == 1, done.stdout
    end = f"failed to run commands: exit status {done.returncode}" if done.returncode else ""
    kept = agent_output.both(done.stdout, done.stderr + end)
    reported: dict[str, Any] = json.loads(kept.partition("\n")[0])
    return reported
