"""What the SSM document of a cluster does around the node script, in a real bash with a made-up AWS CLI."""

import hashlib
import os
import subprocess
from pathlib import Path

from benchwright.nodes.archive import compressed, packed
from benchwright.verification.rounds import ANSWER_SECONDS
from tests.nodes.templates import document_script

CLI = """#!/bin/bash
echo "$AWS_MAX_ATTEMPTS $AWS_METADATA_SERVICE_NUM_ATTEMPTS $AWS_METADATA_SERVICE_TIMEOUT $*" >>calls
cp archive "${!#}" 2>/dev/null || { echo 'fatal error: Connect timeout on endpoint URL: "https://s3"' >&2; exit 1; }
"""
SECONDS_OF_THE_CLI = 2
"""What a call takes besides waiting: 0.6 to 0.9 seconds on a small machine (rehearsal/hosts/standins/aws.py), and a
pause before its second try.
"""


def run(folder: Path, main: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run the document in a folder that stands for /run and /var/log, with `main` published as the node script."""
    archive = compressed(packed({"main.sh": main.encode()})) if main is not None else b""
    if main is not None:
        (folder / "archive").write_bytes(archive)
    commands = folder / "bin"
    commands.mkdir()
    programs = {"aws": CLI, "sleep": '#!/bin/bash\necho "$1" >>pauses\n', "systemctl": "#!/bin/bash\nexit 1\n"}
    for name, program in programs.items():
        (commands / name).write_text(program)
        (commands / name).chmod(0o755)
    names = {
        "AWS::Region": "us-east-1",
        "Cluster": "blue",
        "BucketName": "bucket",
        "AutoScalingGroup": "group",
        "NodeLogGroup": "/nodes",
        "NodeScript": hashlib.sha256(archive).hexdigest(),
    }
    script = document_script(names)
    for path in ("/run/benchwright", "/var/log/benchwright"):
        script = script.replace(path, f"{folder}{path}")
    (folder / "run").mkdir()
    (folder / "var" / "log").mkdir(parents=True)
    given = {"SSM_Mode": "report", "SSM_Configuration": "", "SSM_StaleNodes": ""}
    return subprocess.run(
        ["bash", "-c", script],
        env={"PATH": f"{commands}:{os.environ['PATH']}", **given},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_node_that_does_not_reach_s3_says_so_within_the_time_of_a_report(tmp_path: Path) -> None:
    assert run(tmp_path).returncode == 1
    calls = [line.split() for line in (tmp_path / "calls").read_text().splitlines()]
    pauses = sum(map(int, (tmp_path / "pauses").read_text().split()))
    connects = [int(attempts) * int(words[words.index("--cli-connect-timeout") + 1]) for attempts, *words in calls]
    # A session token, then the credentials.
    metadata = [2 * int(attempts) * int(timeout) for _, attempts, timeout, *_ in calls]
    for waits in (connects, metadata):
        assert sum(waits) + pauses + SECONDS_OF_THE_CLI * len(calls) < int(ANSWER_SECONDS)
    assert pauses >= 20, "a clock that was just set, or a role that was just attached, takes its time"


def test_why_there_is_no_script_is_in_the_log_of_the_node_too(tmp_path: Path) -> None:
    done = run(tmp_path)
    log = (tmp_path / "var/log/benchwright/configure.log").read_text().splitlines()
    reason = "fatal error: Connect timeout on endpoint URL: "
    assert done.stdout.startswith('{"instance":"","error":"This node cannot read its script s3://bucket/clusters/blue/')
    assert (reason in done.stdout, log[0].startswith("=== 20"), log[0].endswith("Z report")) == (True, True, True)
    assert log[1].startswith("FAILED: This node cannot read its script s3://bucket/clusters/blue/configuration/node-")
    assert reason in log[1]
    assert done.stderr == ""


def test_what_the_script_ends_with_is_no_exit_code_of_the_agent(tmp_path: Path) -> None:
    """137 is also the exit code of a script that the kernel ended because memory was short."""
    for code, main in enumerate(["exit 0", "exit 194", "kill -KILL $$"]):
        folder = tmp_path / str(code)
        folder.mkdir()
        assert run(folder, main).returncode == min(code, 1)
        assert list((folder / "run" / "benchwright").glob("script.*")) == []
