"""docs/operations.md: one runbook for each error, and commands that the AWS command line knows."""

import itertools
import re
import shlex
from collections.abc import Iterator

import botocore.session
import pytest
from botocore import xform_name

from benchwright.failure.console_links import link_of_object
from benchwright.healing.decision import NEEDED
from benchwright.report.archive import Addresses
from benchwright.verification.checks import REMEDIES
from benchwright.verification.connection import connect
from benchwright.verification.verdicts import ClusterVerdict, report_one
from tests.documentation.pages import PAGES, ROOT, blocks, inline_code
from tests.documentation.runbooks import checks, loops, named_errors
from tests.templates.templates import APPLICATION, resources
from tests.workflow.workflow import definition_of

TEXT = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
RUNBOOKS = TEXT.partition("## When an execution failed")[2].partition("\n## ")[0]
FUNCTIONS = sorted(resources(APPLICATION, "AWS::Serverless::Function"))
PARTS = ("**You see**", "**Why.**", "**Look at**", "**Do", "**Safe.**")

# What the command line has beside the API's operations and their members.
GLOBAL_OPTIONS = {"--query", "--output", "--region"}
OWN_COMMANDS = {"s3 cp", "s3 ls", "s3 rm", "logs tail", "cloudformation wait", "rds wait"}


def sections() -> dict[str, str]:
    """The runbooks by the name of their error."""
    return {part.split("\n", 1)[0]: part for part in RUNBOOKS.split("\n### ")[1:]}


def test_every_error_has_a_runbook_and_every_runbook_an_error() -> None:
    assert set(sections()) - {"Another name"} == named_errors()


@pytest.mark.parametrize("name", sorted(named_errors()))
def test_a_runbook_says_what_one_sees_why_where_to_look_what_to_do_and_what_is_safe(name: str) -> None:
    places = [sections()[name].find(f"- {part}") for part in PARTS]
    assert places == sorted(places)
    assert places[0] > 0


def test_the_table_of_errors_names_each_once() -> None:
    rows = re.findall(r"^\| \[(\w+)]\(#(\w+)\) \|", RUNBOOKS, re.MULTILINE)
    assert sorted(name for name, _ in rows) == sorted(named_errors())
    assert all(anchor == name.lower() for name, anchor in rows)


def test_every_loop_that_gives_up_is_named() -> None:
    steps = re.findall(r"^\| `([^`]+)` \| \d+ s[^|]+ \| \d+ (?:h|min) \|$", loops(), re.MULTILINE)
    assert steps == [
        *("Build image", "Deploy foundation", "Request certificate", "Deploy access"),
        *("Deploy nodes", "Configure nodes", "Remove access", "Retire certificate", "Verify cluster"),
        *("Protect stacks", "Preview stacks", "Remove nodes", "Remove images"),
        *("Take snapshot", "Delete data", "Delete configuration"),
    ]


def test_how_long_each_machine_runs_is_said() -> None:
    row = next(line for line in TEXT.splitlines() if line.startswith("| `States.Timeout` |"))
    said = {
        name: int(hours) for hours, names in re.findall(r"(\d+) hours \((.+?)\)", row) for name in names.split(", ")
    }
    machines = ("deploy", "destroy", "verify")
    assert said == {f"`{name}`": definition_of(name)["TimeoutSeconds"] / 3600 for name in machines}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_log_of_each_function_is_in_the_table_of_logs_and_in_the_command_that_reads_them_all(function: str) -> None:
    name = re.sub(r"(?<!^)(?=[A-Z])", "-", function).lower()
    assert re.search(rf"[>…]-{name}`", TEXT)
    assert f'"/aws/lambda/$APP-{name}"' in TEXT


def test_each_check_has_a_remedy() -> None:
    rows = checks().splitlines()[2:]
    assert len(rows) == len(REMEDIES)
    assert all(re.fullmatch(r"\| [a-z ]+ \| .+\. \|", row) for row in rows), rows


def test_the_message_of_a_success_is_shown_as_it_is_sent() -> None:
    (shown,) = (block for block in blocks(TEXT, "text") if block.startswith("The cluster workbench is deployed"))
    (target,) = re.findall(r"--target (\S+)", shown)
    summary = {
        "nodes": [{}] * 3,
        "workbench": "2026.07.1+147.pro6",
        "image": re.findall(r"ami-\w+", shown)[0],
        "warnings": [],
        "connection": connect("us-east-1", "benchwright-workbench", [target]).model_dump(),
        "verification": {
            "checks": [
                {"name": "instances", "found": "3 in service, 3 planned"},
                {"name": "online", "found": "3 nodes Online"},
                {"name": "files and accounts", "found": "as configured"},
                {"name": "users", "found": "jane.doe, probe"},
                {"name": "load balancer", "found": "names 10.0.48.7, 10.0.48.8, 10.0.64.5"},
                {"name": "license", "found": "Activated"},
            ]
        },
    }
    verdict = ClusterVerdict(cluster="workbench", status="verified", summary=summary)
    changes = ["limits.default.max_cpus: 3.0 (was 2.0)", "nodes.count: 3 (was 2)"]
    (execution,) = re.findall(r"^Execution: (.+)$", shown, re.MULTILINE)
    page, bucket = shown.split()[-1], "benchwright-bucket-1x2y3z"
    console = link_of_object(execution, bucket, page.removeprefix(f"s3://{bucket}/"))
    written = Addresses(page=page, data="", console=console)
    assert (report_one(verdict, execution, changes).text + written.text).splitlines() == shown.splitlines()


def commands() -> list[list[str]]:
    """The words of every command of the AWS command line in the documents."""
    found = []
    for path in PAGES:
        text = path.read_text(encoding="utf-8")
        script = "\n".join(blocks(text, "sh")).replace("\\\n", " ")
        for line in (*script.splitlines(), *(code for code in inline_code(text) if code.startswith("aws "))):
            found += [words for words in split(line) if words[0] == "aws"]
    return found


def split(line: str) -> Iterator[list[str]]:
    """The words of each simple command in a line of the shell."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="();<>|&")
    lexer.whitespace_split = True
    for ends, words in itertools.groupby(lexer, key=lambda word: set(word) <= set("();<>|&")):
        if not ends:
            command = list(words)
            yield command[command.index("aws") :] if "aws" in command else command


def test_nodes_are_kept_from_healing_by_a_process_that_it_needs() -> None:
    """EnterStandby is no way: the group has no more nodes than its minimum (infra/nodes.yaml)."""
    names = ("suspend-processes", "resume-processes", "enter-standby")
    found = [(words[2], words[words.index("--scaling-processes") + 1]) for words in commands() if words[2] in names]
    assert [name for name, _ in found] == ["suspend-processes", "resume-processes"]
    assert {process for _, process in found} < {*NEEDED}


@pytest.mark.parametrize("words", commands(), ids=lambda words: "-".join(words[1:3]))
def test_the_aws_command_line_knows_the_command(words: list[str]) -> None:
    _, service, operation, *rest = words
    if f"{service} {operation}" in OWN_COMMANDS:
        return
    model = botocore.session.get_session().get_service_model(service)
    operations = {xform_name(name, "-"): name for name in model.operation_names}
    shape = model.operation_model(operations[operation]).input_shape
    members = {f"--{xform_name(name, '-')}": member for name, member in shape.members.items()} if shape else {}
    booleans = {f"--no-{name[2:]}" for name, member in members.items() if member.type_name == "boolean"}
    options = {word for word in rest if word.startswith("--")}
    assert options <= members.keys() | booleans | GLOBAL_OPTIONS
    required = {f"--{xform_name(name, '-')}" for name in (shape.required_members if shape else [])}
    assert required - {"--client-request-token"} <= options | {option.replace("--no-", "--") for option in options}
