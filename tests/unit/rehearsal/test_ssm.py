"""Systems Manager of the local AWS: documents that are checked, commands that really run, associations."""

from collections.abc import Callable, Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import yaml
from botocore.exceptions import ClientError

from rehearsal.aws.local_aws import LocalAws
from rehearsal.aws.services.ssm import documents, run_command
from tests.unit.rehearsal.fake_hosts import instance_profile, local_aws, subnets

DOCUMENT = """\
schemaVersion: "2.2"
parameters:
  Mode:
    type: String
    allowedValues: [apply, report]
    default: report
    interpolationType: ENV_VAR
  Rows: {type: String, default: "", allowedPattern: "^[0-9 ]{0,20}$"}
mainSteps:
  - action: aws:runShellScript
    name: configure
    inputs:
      timeoutSeconds: "60"
      runCommand:
        - |
          #!/bin/bash
          printf 'mode=%s rows={{ Rows }}' "$SSM_Mode"
          echo run >> runs
"""


@pytest.fixture
def aws(tmp_path: Path) -> Iterator[LocalAws]:
    with local_aws(tmp_path) as local:
        yield local


@pytest.fixture
def client(aws: LocalAws) -> Any:
    return aws.client("ssm")


@pytest.fixture
def launch(aws: LocalAws) -> Callable[..., str]:
    """Starts an instance, in one subnet with one profile."""
    profile, subnet = instance_profile(aws), subnets(aws)[0]

    def start(**tags: str) -> str:
        (image,) = aws.client("ec2").describe_images()["Images"]
        answer = aws.client("ec2").run_instances(
            ImageId=image["ImageId"],
            MinCount=1,
            MaxCount=1,
            SubnetId=subnet,
            IamInstanceProfile={"Arn": profile},
            TagSpecifications=[
                {"ResourceType": "instance", "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}
            ]
            if tags
            else [],
        )
        return str(answer["Instances"][0]["InstanceId"])

    return start


@pytest.fixture
def node(aws: LocalAws, launch: Callable[..., str]) -> str:
    instance_id = launch(cluster="workbench")
    aws.clock.sleep(80)
    return instance_id


def document(client: Any, script: str | None = None, name: str = "configuration", timeout: int = 60) -> str:
    content = yaml.load(DOCUMENT, Loader=yaml.CSafeLoader)  # SAM, where a test imports it, changes what safe_load makes
    content["mainSteps"][0]["inputs"]["timeoutSeconds"] = str(timeout)
    if script:
        content["mainSteps"][0]["inputs"]["runCommand"] = [script]
    client.create_document(Name=name, DocumentType="Command", DocumentFormat="YAML", Content=yaml.safe_dump(content))
    return name


def code(call: Any, **parameters: Any) -> str:
    with pytest.raises(ClientError) as refused:
        call(**parameters)
    return str(refused.value.response["Error"]["Code"])


def run(aws: LocalAws, name: str, *instances: str, **more: Any) -> dict[str, Any]:
    """Sends a command and returns its invocations when it has ended."""
    client = aws.client("ssm")
    command = client.send_command(DocumentName=name, InstanceIds=list(instances), **more)["Command"]
    while client.list_commands(CommandId=command["CommandId"])["Commands"][0]["Status"] in ("Pending", "InProgress"):
        aws.clock.sleep(1)
    aws.clock.sleep(2)
    listed = client.list_command_invocations(CommandId=command["CommandId"], Details=True)["CommandInvocations"]
    return {one["InstanceId"]: one for one in listed}


def test_an_instance_appears_when_it_has_booted_and_goes_with_it(
    aws: LocalAws, client: Any, launch: Callable[..., str]
) -> None:
    instance_id = launch()
    aws.clock.sleep(60)
    assert client.describe_instance_information()["InstanceInformationList"] == []
    aws.clock.sleep(20)
    wanted = [{"Key": "InstanceIds", "Values": [instance_id]}]
    (shown,) = client.describe_instance_information(Filters=wanted)["InstanceInformationList"]
    assert (shown["PingStatus"], shown["ComputerName"], shown["IPAddress"]) == (
        "Online",
        "ip-10-0-0-4.ec2.internal",
        "10.0.0.4",
    )
    aws.client("ec2").terminate_instances(InstanceIds=[instance_id])
    aws.clock.sleep(5)
    (shown,) = client.describe_instance_information(Filters=wanted)["InstanceInformationList"]
    assert shown["PingStatus"] == "ConnectionLost"
    aws.clock.sleep(30)
    assert client.describe_instance_information(Filters=wanted)["InstanceInformationList"] == []


def test_a_command_runs_with_its_parameters_as_environment(aws: LocalAws, client: Any, node: str) -> None:
    invocation = run(aws, document(client), node, Parameters={"Mode": ["apply"], "Rows": ["1 2"]})[node]
    assert (invocation["Status"], invocation["CommandPlugins"][0]["Output"]) == ("Success", "mode=apply rows=1 2")
    full = client.get_command_invocation(CommandId=invocation["CommandId"], InstanceId=node)
    assert (full["ResponseCode"], full["StandardOutputContent"], full["PluginName"]) == (
        0,
        "mode=apply rows=1 2",
        "configure",
    )
    assert invocation["InstanceName"] == "ip-10-0-0-4"


def test_an_invocation_is_not_there_at_once(
    aws: LocalAws, client: Any, node: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_command, "VISIBLE_SECONDS", 600)  # time for two looks on a busy machine
    command = client.send_command(DocumentName=document(client), InstanceIds=[node])["Command"]["CommandId"]
    assert client.list_command_invocations(CommandId=command)["CommandInvocations"] == []
    assert code(client.get_command_invocation, CommandId=command, InstanceId=node) == "InvocationDoesNotExist"
    aws.clock.sleep(601)
    assert len(client.list_command_invocations(CommandId=command)["CommandInvocations"]) == 1


def test_output_is_cut_where_systems_manager_cuts_it(aws: LocalAws, client: Any, node: str) -> None:
    script = "#!/bin/bash\nprintf 'a%.0s' {1..30000}; printf 'b%.0s' {1..9000} >&2"
    invocation = run(aws, document(client, script), node)[node]
    assert invocation["CommandPlugins"][0]["Output"] == (
        f"{'a' * 1215}\n---Output truncated---\n----------ERROR-------\n{'b' * 1215}\n---Error truncated----"
    )
    full = client.get_command_invocation(CommandId=invocation["CommandId"], InstanceId=node)
    assert (len(full["StandardOutputContent"]), len(full["StandardErrorContent"])) == (24_000, 8_000)


def test_a_script_without_shebang_runs_in_sh(aws: LocalAws, client: Any, node: str) -> None:
    invocation = run(aws, document(client, 'echo "${BASH_VERSION:-none}"'), node)[node]
    assert invocation["CommandPlugins"][0]["Output"] == "none\n"


def test_amazons_document_runs_commands_in_the_directory_that_is_wished(aws: LocalAws, client: Any, node: str) -> None:
    wished = {"commands": ["pwd", "echo two"], "workingDirectory": ["/usr"]}
    invocation = run(aws, "AWS-RunShellScript", node, Parameters=wished)[node]
    assert invocation["CommandPlugins"][0]["Output"] == "/usr\ntwo\n"


def test_there_are_no_sessions(client: Any, node: str) -> None:
    with pytest.raises(client.exceptions.TargetNotConnected, match=f"{node} is not connected"):
        client.start_session(Target=node)


SESSION = """
schemaVersion: "1.0"
sessionType: Port
parameters:
  localPortNumber: {type: String, default: "0", allowedPattern: "^[0-9]+$"}
properties: {type: LocalPortForwarding, portNumber: "8787", localPortNumber: "{{ localPortNumber }}"}
"""


@pytest.mark.parametrize(
    ("document", "parameters", "error"),
    [
        ("workbench", {"localPortNumber": ["8787"]}, "TargetNotConnected"),
        ("workbench", {"localPortNumber": ["any"]}, "InvalidParameters"),
        ("workbench", {"portNumber": ["20049"], "localPortNumber": ["8787"]}, "InvalidParameters"),
        ("nothing", {}, "InvalidDocument"),
        ("AWS-StartPortForwardingSession", {"portNumber": ["8787"]}, "TargetNotConnected"),
    ],
)
def test_a_session_takes_what_its_document_declares(
    client: Any, node: str, document: str, parameters: dict[str, list[str]], error: str
) -> None:
    client.create_document(Name="workbench", DocumentType="Session", DocumentFormat="YAML", Content=SESSION)
    with pytest.raises(client.exceptions.ClientError) as refused:
        client.start_session(Target=node, DocumentName=document, Parameters=parameters)
    assert refused.value.response["Error"]["Code"] == error


def test_a_command_document_starts_no_session(aws: LocalAws, client: Any, node: str) -> None:
    client.create_document(Name="command", DocumentType="Command", DocumentFormat="YAML", Content=DOCUMENT)
    with pytest.raises(client.exceptions.InvalidDocument, match="type Session"):
        client.start_session(Target=node, DocumentName="command")


def test_failures_and_time_outs_are_distinguished(aws: LocalAws, client: Any, node: str) -> None:
    failed = run(aws, document(client, "echo no >&2; exit 3", "failing"), node)[node]
    assert (failed["Status"], failed["StatusDetails"], failed["CommandPlugins"][0]["ResponseCode"]) == (
        "Failed",
        "Failed",
        3,
    )
    assert failed["CommandPlugins"][0]["Output"] == (
        "\n----------ERROR-------\nno\nfailed to run commands: exit status 3"
    )
    slow = run(aws, document(client, "echo begun; sleep 300", "slow", timeout=5), node)[node]
    assert (slow["Status"], slow["StatusDetails"]) == ("TimedOut", "ExecutionTimedOut")
    plugin, full = (
        slow["CommandPlugins"][0],
        client.get_command_invocation(CommandId=slow["CommandId"], InstanceId=node),
    )
    assert (plugin["ResponseCode"], plugin["Output"], full["StandardOutputContent"]) == (137, "begun\n", "")
    killed = run(aws, document(client, "exit 137", "killed"), node)[node]
    assert (killed["Status"], killed["StatusDetails"]) == ("TimedOut", "ExecutionTimedOut")


def test_max_errors_ends_what_has_not_begun(aws: LocalAws, client: Any, launch: Callable[..., str]) -> None:
    nodes = [launch() for _ in range(3)]
    aws.clock.sleep(80)
    name = document(client, "test $AWS_SSM_INSTANCE_ID != " + nodes[0])
    invocations = run(aws, name, *nodes, MaxConcurrency="1", MaxErrors="0")
    assert [(invocations[node]["Status"], invocations[node]["StatusDetails"]) for node in nodes] == [
        ("Failed", "Failed"),
        ("Cancelled", "Terminated"),
        ("Cancelled", "Terminated"),
    ]
    (command,) = client.list_commands()["Commands"]
    assert (command["Status"], command["TargetCount"], command["ErrorCount"]) == ("Failed", 3, 1)


def test_a_command_can_be_found_again(aws: LocalAws, client: Any, node: str) -> None:
    name = document(client)
    run(aws, name, node, Comment="benchwright 1234")
    run(aws, "AWS-RunShellScript", node, Parameters={"commands": ["true"]})
    found = client.list_commands(Filters=[{"key": "DocumentName", "value": name}])["Commands"]
    assert [(one["Comment"], one["Status"]) for one in found] == [("benchwright 1234", "Success")]


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"InstanceIds": ["i-0123456789abcdef0"]}, "InvalidInstanceId"),
        ({"DocumentName": "absent"}, "InvalidDocument"),
        ({"DocumentVersion": "7"}, "InvalidDocumentVersion"),
        ({"Parameters": {"Mode": ["destroy"]}}, "InvalidParameters"),
        ({"Parameters": {"Rows": ["1; reboot"]}}, "InvalidParameters"),
        ({"Parameters": {"Colour": ["red"]}}, "InvalidParameters"),
        ({"Comment": "x" * 101}, "ValidationException"),
        ({"InstanceIds": [f"i-{number:017x}" for number in range(51)]}, "ValidationException"),
    ],
)
def test_what_send_command_refuses(client: Any, node: str, changes: dict[str, Any], refusal: str) -> None:
    wanted = {"DocumentName": document(client), "InstanceIds": [node], **changes}
    assert code(client.send_command, **wanted) == refusal


def test_output_goes_to_cloudwatch_with_the_role_of_the_node(aws: LocalAws, client: Any, node: str) -> None:
    wanted = {"CloudWatchOutputEnabled": True, "CloudWatchLogGroupName": "/benchwright/nodes"}
    invocation = run(aws, document(client), node, CloudWatchOutputConfig=wanted)[node]
    events = aws.client("logs").get_log_events(
        logGroupName="/benchwright/nodes", logStreamName=f"{invocation['CommandId']}/{node}/configure/stdout"
    )["events"]
    assert [event["message"] for event in events] == ["mode=report rows="]
    calls = [entry for entry in aws.recorder.entries() if entry["operation"] == "PutLogEvents"]
    assert [(entry["caller"], entry["role"]) for entry in calls] == [(node, "arn:aws:iam::123456789012:role/node")]


def test_output_that_cloudwatch_does_not_take_is_lost_and_the_command_is_none_the_worse(
    aws: LocalAws, client: Any, node: str
) -> None:
    wanted = {"CloudWatchOutputEnabled": True, "CloudWatchLogGroupName": "no/name*at all"}
    invocation = run(aws, document(client), node, CloudWatchOutputConfig=wanted)[node]
    assert (invocation["Status"], invocation["CommandPlugins"][0]["Output"]) == ("Success", "mode=report rows=")


def test_an_update_is_the_latest_version(aws: LocalAws, client: Any, node: str) -> None:
    name = document(client)
    content = DOCUMENT.replace("mode=", "new=")
    answer = client.update_document(Name=name, Content=content, DocumentFormat="YAML", DocumentVersion="$LATEST")
    assert answer["DocumentDescription"]["DocumentVersion"] == "2"
    latest = run(aws, name, node, DocumentVersion="$LATEST")[node]
    default = run(aws, name, node)[node]
    assert [one["CommandPlugins"][0]["Output"] for one in (latest, default)] == [
        "new=report rows=",
        "mode=report rows=",
    ]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('"2.2"', '"2.1"', "schemaVersion 2.2"),
        ("runCommand", "commands", "inputs.runCommand is missing"),
        ("default: report", "default: destroy", "is not one of allowedValues"),
        ("{{ Rows }}", "{{ Row }}", "parameter Row is not defined"),
        ("aws:runShellScript", "aws:runPowerShellScript", "the rehearsal runs aws:runShellScript"),
    ],
)
def test_a_document_is_checked(old: str, new: str, problem: str) -> None:
    with pytest.raises(Exception, match=problem):
        documents.parse(DOCUMENT.replace(old, new), "YAML")


def associate(client: Any, name: str) -> str:
    answer = client.create_association(
        Name=name,
        AssociationName="configuration",
        DocumentVersion="$LATEST",
        Parameters={"Mode": ["apply"]},
        Targets=[{"Key": "tag:cluster", "Values": ["workbench"]}],
        MaxConcurrency="1",
    )
    return str(answer["AssociationDescription"]["AssociationId"])


def runs(aws: LocalAws) -> list[int]:
    """How often the document has run on each host, in the order of their launches: they boot in any."""
    hosts = sorted(aws.hosts.booted, key=lambda host: ip_address(host.address))
    found = [host.files / "runs" for host in hosts]
    return [len(path.read_text().splitlines()) if path.exists() else 0 for path in found]


def test_an_association_runs_now_and_on_each_new_instance_that_matches(
    aws: LocalAws, client: Any, node: str, launch: Callable[..., str]
) -> None:
    association = associate(client, document(client))
    aws.clock.sleep(10)
    assert runs(aws) == [1]
    launch(cluster="workbench")
    launch(cluster="another")
    aws.clock.sleep(100)
    assert runs(aws) == [1, 1, 0]
    shown = client.describe_association(AssociationId=association)["AssociationDescription"]
    assert shown["Overview"]["AssociationStatusAggregatedCount"] == {"Success": 2}


def test_new_instances_run_an_association_at_the_same_time_whatever_its_concurrency(
    aws: LocalAws, client: Any, launch: Callable[..., str], tmp_path: Path
) -> None:
    """Each waits for the other. CreateAssociation, MaxConcurrency: one that has just started is allowed to run."""
    meeting = tmp_path / "meeting"
    meeting.mkdir()
    here = f'touch {meeting}/"${{PWD##*/}}"; for _ in $(seq 500); do if [ "$(ls {meeting} | wc -l)" = 2 ]; then'
    associate(client, document(client, f"#!/bin/bash\n{here} echo run >>runs; exit; fi; sleep 0.1; done; exit 1"))
    for _ in range(2):
        launch(cluster="workbench")
    aws.clock.sleep(150)
    assert runs(aws) == [1, 1]


def test_an_association_follows_its_document(aws: LocalAws, client: Any, node: str) -> None:
    name = document(client)
    associate(client, name)
    aws.clock.sleep(10)
    client.update_document(
        Name=name, Content=DOCUMENT.replace("mode=", "new="), DocumentFormat="YAML", DocumentVersion="$LATEST"
    )
    aws.clock.sleep(10)
    assert (runs(aws), bool(node)) == ([2], True)


def test_an_association_that_is_deleted_runs_no_more(aws: LocalAws, client: Any, launch: Callable[..., str]) -> None:
    association = associate(client, document(client))
    client.delete_association(AssociationId=association)
    launch(cluster="workbench")
    aws.clock.sleep(100)
    assert runs(aws) == [0]
    assert code(client.describe_association, AssociationId=association) == "AssociationDoesNotExist"


def state_of(client: Any, command: str) -> tuple[str, str]:
    (invocation,) = client.list_command_invocations(CommandId=command)["CommandInvocations"]
    return invocation["Status"], invocation["StatusDetails"]


def test_an_agent_without_network_takes_no_command_and_is_missed_after_a_while(
    aws: LocalAws, client: Any, node: str
) -> None:
    machine = aws.machines.by_id[node]
    aws.machines.disconnect(machine)
    sent = client.send_command(DocumentName=document(client), InstanceIds=[node], TimeoutSeconds=30)
    aws.clock.sleep(20)
    assert state_of(client, sent["Command"]["CommandId"]) == ("Pending", "Pending")
    aws.clock.sleep(20)
    assert state_of(client, sent["Command"]["CommandId"]) == ("TimedOut", "DeliveryTimedOut")
    aws.clock.sleep(300)
    assert client.describe_instance_information()["InstanceInformationList"][0]["PingStatus"] == "ConnectionLost"
    assert code(client.send_command, DocumentName="configuration", InstanceIds=[node]) == "InvalidInstanceId"
    aws.machines.reconnect(machine)
    assert client.describe_instance_information()["InstanceInformationList"][0]["PingStatus"] == "Online"


def unreported(aws: LocalAws, client: Any, node: str) -> str:
    """The id of a command whose script has run, which the agent cannot report."""
    name = document(client, "#!/bin/bash\ntouch begun; until test -e go; do /bin/sleep 0.01; done")
    sent = client.send_command(DocumentName=name, InstanceIds=[node], TimeoutSeconds=30)["Command"]["CommandId"]
    (host,) = aws.hosts.booted
    while not (host.files / "begun").exists():
        aws.clock.sleep(0.1)
    aws.machines.disconnect(aws.machines.by_id[node])
    (host.files / "go").touch()
    aws.clock.sleep(10)
    return str(sent)


@pytest.mark.parametrize(
    ("back", "state"), [(True, ("Success", "Success")), (False, ("TimedOut", "ExecutionTimedOut"))]
)
def test_what_an_agent_cannot_report_is_known_when_it_is_back_or_never(
    aws: LocalAws, client: Any, node: str, back: bool, state: tuple[str, str]
) -> None:
    sent = unreported(aws, client, node)
    assert state_of(client, sent) == ("InProgress", "InProgress")
    if back:
        aws.machines.reconnect(aws.machines.by_id[node])
    aws.clock.sleep(120)
    assert state_of(client, sent) == state


def test_a_command_has_its_begin_while_it_runs(aws: LocalAws, client: Any, node: str) -> None:
    wanted = {"CommandId": unreported(aws, client, node), "InstanceId": node}
    running = client.get_command_invocation(**wanted)
    assert (running["Status"], running["ExecutionEndDateTime"]) == ("InProgress", "")
    aws.machines.reconnect(aws.machines.by_id[node])
    aws.clock.sleep(40)
    ended = client.get_command_invocation(**wanted)
    assert "" < running["ExecutionStartDateTime"] == ended["ExecutionStartDateTime"] < ended["ExecutionEndDateTime"]
