"""What an administrator configures arrives on every node as whole files, and is compared and taken back."""

import json
from typing import Any

import pytest

from rehearsal.application import ROOT
from rehearsal.run import SECRETS
from tests.deployment.account import Account

ADMINISTRATOR = json.loads((ROOT / "events/administrator.json").read_text())
DATABRICKS = SECRETS["benchwright/files/databricks"]
# Mode, owner and content of each file of the event; of those that Benchwright writes too, the end.
FILES = {
    "rserver.conf": "0644 root\n...auth-timeout-minutes=240\nrsession-proxy-max-wait-secs=30\n",
    "rsession.conf": "0644 root\nsession-timeout-kill-hours=24\nsession-timeout-minutes=60\n",
    "launcher.conf": (
        "0644 root\n[server]\naddress=0.0.0.0\nport=5559\nserver-user=rstudio-server\nadmin-group=rstudio-server\n"
        "authorization-enabled=1\nthread-pool-size=8\nenable-cgroups=1\n\n[cluster]\nname=Local\ntype=Local\n"
    ),
    "launcher.local.conf": (
        "0644 root\nscratch-path=/efs/shared-storage/launcher-local\nload-balancer-preference=nfs\n"
        "job-expiry-hours=12\n"
    ),
    "launcher.local.profiles.conf": (
        "0644 root\n[*]\nallow-custom-resources=1\ndefault-cpus=1\ndefault-mem-mb=2048\nmax-cpus=2\nmax-mem-mb=4096\n"
        "resource-profiles=small\n\n[@analysts]\nmax-cpus=4\nmax-mem-mb=8192\n\n[jane.doe]\nmax-mem-mb=12288\n"
    ),
    "launcher.local.resources.conf": '0644 root\n[small]\ncpus=1\nmem-mb=2048\nname="Small (1 CPU, 2 GB)"\n',
    "launcher-env": "0644 root\nJobType: any\nEnvironment: LANG=en_US.UTF-8\n LC_ALL=en_US.UTF-8\n",
    "load-balancer": "0644 root\n...delete-node-on-exit=1\nbalancer=system-load\n",
    "logging.conf": "0644 root\n[*]\nlog-level=info\nlog-message-format=json\n",
    "env-vars": "0644 root\nNO_PROXY=localhost,127.0.0.1\n",
    "repos.conf": "0644 root\nCRAN=https://packagemanager.posit.co/cran/__linux__/noble/latest\n",
    "jupyter.conf": "0644 root\n...session-cull-minutes=240\n",
    "vscode.conf": (
        "0644 root\nenabled=1\nexe=/usr/lib/rstudio-server/bin/pwb-code-server/bin/code-server\nargs=--host=0.0.0.0\n"
        "session-timeout-kill-hours=24\n"
    ),
    "positron.conf": "0644 root\nenabled=1\nsession-timeout-kill-hours=24\n",
    "vscode-user-settings.json": '0644 root\n{"extensions.autoUpdate": false}\n',
    "profiles": "0644 root\n[*]\nsession-limit=5\n",
    "databricks.conf": f"0600 rstudio-server\n{DATABRICKS}",
}

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def configured(account: Account) -> Any:
    """The output of the deployment of events/administrator.json."""
    for name, value in SECRETS.items():
        account.put_secret(name, value)
    own = {"config": {"auth-timeout-minutes": None}}  # an earlier test recorded it, and the event has it, too
    return account.deploy_as_previewed(ADMINISTRATOR | own).output


def test_who_is_named_can_sign_in(account: Account, configured: Any) -> None:
    assert [text for text in configured["warnings"] if "sign in" in text] == []
    assert account.on_every_node("getent shadow jane.doe probe | cut -d: -f2 | cut -c1") == {"$\n$\n"}


def test_one_range_reaches_the_metrics(account: Account, configured: Any) -> None:
    assert configured["metrics"] == [f"http://{node['ipv4']}:8989/metrics" for node in configured["nodes"]]
    rules = account.aws.client("ec2").describe_security_group_rules()["SecurityGroupRules"]
    open_to = [rule.get("CidrIpv4") for rule in rules if not rule["IsEgress"] and rule["FromPort"] == 8989]
    assert open_to == [ADMINISTRATOR["metrics"]["allowed_cidr"]]


@pytest.mark.usefixtures("configured")
def test_a_verification_opens_sessions_and_says_where_they_ran(account: Account) -> None:
    """By the load of the nodes, as the event has it: all nodes of a rehearsal have that of one machine."""
    output = account.succeed(account.start("verify", {"sessions": 6})).output
    found = output["sessions"]
    assert (found["account"], found["opened"], sum(found["sessions"].values())) == ("probe", 6, 6)
    assert found["sessions"].keys() == {node["instance"] for node in output["nodes"]}
    assert account.on_every_node("rstudio-server active-sessions | grep -c probe || true") == {"0\n"}


def on_nodes(account: Account, name: str) -> set[str]:
    return account.on_every_node(f"cd /etc/rstudio && stat -c '%04a %U' {name} && cat {name}")


def test_every_file_arrives_on_every_node(account: Account, configured: Any) -> None:
    assert FILES.keys() == ADMINISTRATOR["files"].keys()
    assert [text for text in configured["warnings"] if text.startswith(("config", "files"))] == []
    for name, expected in FILES.items():
        found = on_nodes(account, name)
        if "..." in expected:
            beginning, _, end = expected.partition("...")
            assert [text for text in found if not (text.startswith(beginning) and text.endswith(end))] == []
        else:
            assert found == {expected}, name


def test_every_node_has_the_ides_and_what_they_use(configured: Any) -> None:
    """As each node reports them; the stand-ins of Workbench and TinyTeX answered for it while the image was built."""
    ides = {check["name"]: check["found"] for check in configured["verification"]["checks"]}["ides"]
    pythons = ", ".join(configured["plan"]["wanted"]["python_versions"])  # an earlier file may have given others
    assert ides == f"JupyterLab with Python {pythons}, VS Code, Positron, Quarto, TinyTeX 2026.10"


@pytest.mark.usefixtures("configured")
def test_what_is_taken_back_is_gone_and_restarts_nothing_that_it_need_not(account: Account) -> None:
    assert account.deploy_as_previewed(
        {"files": {"logging.conf": None, "rsession.conf": {"keys": {"session-timeout-minutes": None}}}}
    )
    assert on_nodes(account, "rsession.conf") == {"0644 root\nsession-timeout-kill-hours=24\n"}
    assert account.on_every_node("ls /etc/rstudio/logging.conf 2>&1 | grep -c 'No such'") == {"1\n"}
