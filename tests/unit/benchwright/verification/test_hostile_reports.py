"""Whatever Workbench, the nodes and Systems Manager say: a value or a named error, and never a wrong "verified"."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchwright.errors import NodeConfigurationFailed
from benchwright.nodes import rollout, run_command
from benchwright.nodes.report import NodeReport, read_report
from benchwright.nodes.run_command import Command, Invocation
from benchwright.record import Record
from benchwright.settings import Settings
from benchwright.verification import rounds
from benchwright.verification.checks import Verification
from benchwright.verification.list_nodes import (
    STATUS_SEPARATOR,
    ListedNode,
    UnreadableListing,
    read_list_nodes,
    read_load_balancer_status,
    split_output,
    table,
)
from benchwright.verification.rounds import Questions
from tests.unit.benchwright.hostile import examples, json_values, near, texts
from tests.unit.benchwright.verification.test_checks import PLAN, report
from tests.unit.benchwright.verification.test_list_nodes import RECORDED_2021, RECORDED_2024, RECORDED_STATUS

# ---- the readers: any text gives a value or UnreadableListing

words = st.sampled_from(
    [
        "ID",
        "Host",
        "IPv4",
        "Port",
        "Status",
        "Last Seen",
        "Online",
        "Offline",
        "10.0.0.1",
        "8787",
        "-",
        "–",
        "Load: 0.1",
    ]
)
tables = st.lists(words | texts | st.sampled_from(["\n", "  ", "   ", "\n\n"]), max_size=40).map("".join)
letters = st.text(alphabet="ID Host IPv4 Port Status Last Seen\n123.Online -")
recorded = near(RECORDED_2021, RECORDED_2024, RECORDED_STATUS)


@examples(500)
@given(texts | tables | letters | recorded)
def test_any_text_is_a_listing_or_unreadable(text: str) -> None:
    for read in (read_list_nodes, read_load_balancer_status, split_output):
        try:
            found = read(text)
        except UnreadableListing as error:
            assert len(str(error)) < 2_000
        else:
            assert isinstance(found, list | tuple)


nodes = st.builds(
    ListedNode,
    id=st.integers(0, 9_999_999_999),
    host=st.from_regex(r"[a-z0-9.-]{1,30}", fullmatch=True),
    ipv4=st.ip_addresses(v=4).map(str),
    port=st.integers(1, 65_535),
    status=st.sampled_from(["Online", "Offline", "Not Online", "Online soon", "Invalid secure cookie key", ""]),
    last_seen=st.just("2026-Nov-22 23:47:00"),
)


@examples(100)
@given(st.lists(nodes, max_size=5, unique_by=lambda node: node.id))
def test_a_table_of_any_nodes_is_read_as_it_was_printed(listed: list[ListedNode]) -> None:
    assert read_list_nodes(f"Nodes\n-----\n{table(listed)}\n") == listed


@pytest.mark.parametrize(
    "row",
    [
        "1   a      10.0.0.1  8787  Not Online  now",  # one column to the left
        "1    ab     10.0.0.1  8787  Online    now",
        "1   a     10.0.0.1  8787Online    now",
        "1   a     10.0.0.1  8787  Not  Online    now",
        "1   ab  c  10.0.0.1  8787  Online    now",
        f"{'1' * 5_000}   a     10.0.0.1  8787  Online    now",
        "1   a     10.0.0.1  8787  Online    now\n1   b     10.0.0.2  8787  Offline   now",
        "1   a     10.0.0.1  8787  Online    now\n\n2   b     10.0.0.2  8787  Online    now",
        "1   a     10.0.0.1  8787  Online    now\nID  Host  IPv4      Port  Status    Last Seen",
        "1   a     10.0.0.1  8787  Online\u2028    now",
        "1   a     10.0.0.\u0661  8787  Online    now",
    ],
)
def test_a_row_that_could_be_read_in_two_ways_is_refused(row: str) -> None:
    with pytest.raises(UnreadableListing):
        read_list_nodes(f"ID  Host  IPv4      Port  Status    Last Seen\n{row}\n")


def test_an_id_of_thousands_of_digits_is_no_number() -> None:
    width = " " * 5_000
    with pytest.raises(UnreadableListing):
        read_list_nodes(f"ID{width}Host  IPv4      Port  Status  Last Seen\n{'9' * 5_000}  a     10.0.0.1  1     x\n")


def test_a_column_that_is_there_twice_is_refused() -> None:
    header = "ID  Host  IPv4      Port  Status   Status  Last Seen"
    with pytest.raises(UnreadableListing, match="Status, or has it twice"):
        read_list_nodes(f"{header}\n1   a     10.0.0.1  1     Offline  Online  x\n")


def test_a_long_line_of_spaces_takes_no_time() -> None:
    nodes, _ = read_load_balancer_status(f"{RECORDED_STATUS}\n   1 – user {' ' * 200_000}x\n")
    assert nodes[-1].sessions[-1] == f"user {' ' * 200_000}x"


# ---- the reports of nodes

fields = st.sampled_from(list(NodeReport.model_fields))


@examples(300)
@given(
    texts
    | st.dictionaries(fields | texts, json_values, max_size=5).map(json.dumps)
    | near(report("i-1").model_dump_json(), "{" * 3_000, '{"instance": "i-1"}\n{"instance":')
)
def test_any_output_is_a_report_or_none(output: str) -> None:
    found = read_report(output)
    assert found is None or (isinstance(found, NodeReport) and found.model_dump_json())


def test_values_of_another_type_are_no_report() -> None:
    good = report("i-1").model_dump(mode="json")
    assert read_report(json.dumps(good)) == report("i-1")
    for wrong in (
        {"clock_offset": "0"},
        {"clock_offset": True},
        {"restarted": "no"},
        {"mounts": "/efs/home"},
        {"error": 1},
    ):
        assert read_report(json.dumps(good | wrong)) is None


statuses = st.sampled_from(
    ["Success", "Pending", "InProgress", "Delayed", "Failed", "TimedOut", "Cancelled", "Cancelling"]
)


@examples(200)
@given(st.lists(st.tuples(statuses | texts, texts, near(report("i-1").model_dump_json())), max_size=3))
def test_any_answers_of_run_command_are_a_decision_or_a_named_error(answers: list[tuple[str, str, str]]) -> None:
    invocations = [
        Invocation(f"i-{n}", status, detail, output, "c") for n, (status, detail, output) in enumerate(answers)
    ]
    instances = [item.instance for item in invocations]
    try:
        decision = rollout.next_step(instances, instances, invocations, "hash", len(instances))
    except NodeConfigurationFailed as error:
        assert "i-" in str(error)
    else:
        reports = [read_report(item.output) for item in invocations]
        configured = all(item and item.configuration == "hash" for item in reports)
        assert decision.action != "done" or (configured and {item.status for item in invocations} <= {"Success"})


# ---- the verification: what is mutated is never verified, unless it still says the same


class World:
    """What a cluster of three nodes answers, as text and as AWS's answers, so that anything in it can be changed."""

    def __init__(self) -> None:
        self.instances = ["i-1", "i-12", "i-123"]
        self.addresses = {name: f"10.0.0.{name.removeprefix('i-')}" for name in self.instances}
        self.images = dict.fromkeys(self.instances, "ami-1")
        self.reports = {name: json.loads(report(name).model_dump_json()) for name in self.instances}
        self.statuses = dict.fromkeys(self.instances, "Success")
        listed = [
            ListedNode(id=number, host=f"node-{number}", ipv4=address, port=8787, status="Online", last_seen="now")
            for number, address in enumerate(self.addresses.values(), start=1)
        ]
        self.rows = table(listed).splitlines()
        self.blocks = [
            f"h:8787 – {address}  Load: 0.1, 0, 0\n   12 – ann rsession\n" for address in self.addresses.values()
        ]

    @property
    def printed(self) -> str:
        listing = "\n".join(["Cluster", "-------", "Protocol", "Http", "", "Nodes", "-----", *self.rows])
        return f"{listing}\n\n{STATUS_SEPARATOR}\n{'\n'.join(self.blocks)}"

    def judged(self, monkeypatch: pytest.MonkeyPatch, printed: str | None = None) -> Verification:
        """The verdict."""
        outputs = {name: json.dumps(reported) for name, reported in self.reports.items()}
        answers = [Invocation(name, self.statuses[name], "", text, "c") for name, text in outputs.items()]
        seen = {name: self.addresses[name] for name in self.instances}
        monkeypatch.setattr(run_command, "full_output", lambda *_: self.printed if printed is None else printed)
        monkeypatch.setattr(rounds, "addresses_and_images", lambda _: (seen, self.images))
        monkeypatch.setattr(rounds, "outputs", lambda _: {})
        monkeypatch.setattr(rounds, "settings", lambda: Settings(application="app"))
        monkeypatch.setenv("AWS_REGION", "eu-west-1")
        record = Record(ami="ami-1", configuration="hash")
        questions = Questions(reports=[Command(id="c", instances=[])], listing=Command(id="l", instances=["i-1"]))
        plan = PLAN.model_copy(update={"wanted": WANTED})
        return rounds.judge(plan, record, self.instances, questions, answers).verification


WANTED = PLAN.wanted.model_copy(update={"nodes": PLAN.wanted.nodes.model_copy(update={"count": 3})})


def test_the_world_as_it_is_meant_is_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    assert World().judged(monkeypatch).verified


def said(world: World, field: str, value: Any) -> None:
    world.reports["i-12"][field] = value


def swapped(world: World) -> None:
    """Both reports are right, but each came from the other node, of which one is wrong."""
    world.reports["i-12"], world.reports["i-1"] = world.reports["i-1"], world.reports["i-12"]


def doubled(world: World) -> None:
    """A node that is wrong gives the report of another one after its own."""
    world.reports["i-12"] = {**world.reports["i-1"], "workbench": "2024.12.0+1.pro1"}
    world.reports["i-1"] = world.reports.pop("i-1")


def moved(world: World, number: int, old: str, new: str) -> None:
    assert old in world.rows[number]
    world.rows[number] = world.rows[number].replace(old, new, 1)


NEVER: dict[str, Callable[[World], object]] = {
    "a row is missing": lambda world: world.rows.pop(),
    "a row is there twice": lambda world: world.rows.append(world.rows[1]),
    "a row is there again under another id": lambda world: world.rows.append(world.rows[1].replace("1 ", "7 ", 1)),
    "a row of a stranger who is Online": lambda world: world.rows.append(
        world.rows[1].replace("10.0.0.1  ", "10.0.0.9  ")
    ),
    "the header is missing": lambda world: world.rows.pop(0),
    "the header is another": lambda world: moved(world, 0, "Status", "State "),
    "a node is Offline": lambda world: moved(world, 2, "Online", "Offline"),
    "a node is online, not Online": lambda world: moved(world, 2, "Online", "online"),
    "a node was Online": lambda world: moved(world, 2, "Online", "Not Online"),
    "a column slid": lambda world: moved(world, 2, "  8787", " 8787 "),
    "an address is the prefix of another": lambda world: moved(world, 3, "10.0.0.123", "10.0.0.12 "),
    "an address has a suffix": lambda world: moved(world, 1, "10.0.0.1  ", "10.0.0.1:1"),
    "a row is a table of its own": lambda world: world.rows.insert(2, ""),
    "a block of the status page is missing": lambda world: world.blocks.pop(),
    "a block names a stranger": lambda world: world.blocks.append("h:8787 – 10.0.0.9  Load: 0\n"),
    "a block is cut": lambda world: world.blocks.append(world.blocks.pop()[:20]),
    "an instance is missing": lambda world: world.instances.pop(),
    "two instances have one address": lambda world: world.addresses.update({"i-123": "10.0.0.12"}),
    "an instance is of another image": lambda world: world.images.update({"i-12": "ami-12"}),
    "a report is missing": lambda world: world.reports.pop("i-12"),
    "reports are swapped": swapped,
    "a wrong node gives another's name": doubled,
    "a command failed": lambda world: world.statuses.update({"i-12": "Failed"}),
    "a command timed out after its report": lambda world: world.statuses.update({"i-12": "TimedOut"}),
    "a command is still under way": lambda world: world.statuses.update({"i-12": "InProgress"}),
    "a report with an error": lambda world: said(world, "error", "no space left"),
    "a report of another version": lambda world: said(world, "workbench", "2026.07.1+147.pro66"),
    "a report of another configuration": lambda world: said(world, "configuration", "has"),
    "a report of another service user": lambda world: said(world, "rstudio_server", "901:901"),
    "a report of other users": lambda world: said(world, "users", {"count": 1, "digest": "0"}),
    "a report of other groups": lambda world: said(world, "groups", "0"),
    "groups of which an older script says nothing": lambda world: world.reports["i-12"].pop("groups"),
    "a clock that is no number": lambda world: said(world, "clock_offset", float("nan")),
    "a clock that is far off": lambda world: said(world, "clock_offset", -1.5),
    "a service that is not active": lambda world: said(world, "services", {"rstudio-server": "active"}),
    "a health that is not ok": lambda world: said(world, "health", "ok?"),
    "a licence that is not activated": lambda world: said(world, "license", "Activated?"),
    "metadata that users reach": lambda world: said(world, "metadata", "reachable"),
    "a mount helper that users reach": lambda world: said(world, "helper", "reachable"),
    "a mount helper of which an older script says nothing": lambda world: world.reports["i-12"].pop("helper"),
    "a file that someone changed": lambda world: said(world, "differences", ["/etc/rstudio/rserver.conf: content"]),
    "files that an older script does not compare": lambda world: world.reports["i-12"].pop("differences"),
    "a mount that is another": lambda world: said(world, "mounts", ["/efs/home", "/efs/shared-storage2"]),
}


@pytest.mark.parametrize("mutation", NEVER)
def test_a_world_that_is_another_is_never_verified(mutation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    NEVER[mutation](world)
    verdict = world.judged(monkeypatch)
    assert not verdict.verified
    assert all(check.remedy for check in verdict.checks if not check.holds)


def what_it_says(printed: str) -> tuple[list[str], set[str]]:
    """What a text says by a reader of its own, line by line: the status of each address, and whom the page names.

    It takes for a row what begins with a number, wherever it stands, and for the status what stands right before the
    last cell: more than the reader that is judged.
    """
    listing, _, page = printed.partition(STATUS_SEPARATOR)
    rows = [cells for line in listing.splitlines() if (cells := line.split()) and cells[0].isdigit()]
    reported = sorted(f"{cells[2]} {' '.join(cells[4:-1])}" for cells in rows if len(cells) > 5)
    return reported, {line.split()[2] for line in page.splitlines() if "Load:" in line and len(line.split()) > 3}


@examples(400)
@given(st.data())
def test_a_mutated_text_is_verified_only_if_it_says_the_same(data: st.DataObject) -> None:
    lines = World().printed.splitlines(keepends=True)
    for _ in range(data.draw(st.integers(1, 3))):
        where, other = (data.draw(st.integers(0, len(lines) - 1)) for _ in range(2))
        match data.draw(st.sampled_from(["drop", "double", "swap", "cut", "insert", "replace"])):
            case "drop" if len(lines) > 1:
                lines.pop(where)
            case "double":
                lines.insert(other, lines[where])
            case "swap":
                lines[where], lines[other] = lines[other], lines[where]
            case "cut":
                lines[where] = lines[where][: data.draw(st.integers(0, len(lines[where])))]
            case "insert":
                lines.insert(where, data.draw(texts | tables) + "\n")
            case _:
                words = lines[where].split(" ")
                words[data.draw(st.integers(0, len(words) - 1))] = data.draw(
                    st.sampled_from(["", "Offline", "Online", "10.0.0.1", "10.0.0.11", "7"]) | texts
                )
                lines[where] = " ".join(words)
    text = "".join(lines)
    with pytest.MonkeyPatch.context() as monkeypatch:
        verdict = World().judged(monkeypatch, text)
    if verdict.verified:
        assert what_it_says(text) == what_it_says(World().printed)


@examples(300)
@given(st.sampled_from(list(NodeReport.model_fields)), json_values, st.sampled_from(["i-1", "i-12", "i-123"]))
def test_a_report_with_another_value_is_verified_only_where_the_value_does_not_matter(
    field: str, value: Any, instance: str
) -> None:
    world = World()
    before = NodeReport.model_validate(world.reports[instance])
    world.reports[instance][field] = value
    with pytest.MonkeyPatch.context() as monkeypatch:
        verdict = world.judged(monkeypatch)
    judged = {
        "instance",
        "workbench",
        "configuration",
        "rstudio_server",
        "users",
        "groups",
        "services",
        "health",
        "license",
        "metadata",
        "helper",
    }
    if verdict.verified and field in judged:
        assert read_report(json.dumps(world.reports[instance])) == before


def test_every_row_that_is_stale_is_deleted_in_the_end_whatever_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []

    def send(_: str, instances: list[str], parameters: dict[str, str], __: Any) -> Command:
        sent.append(parameters.get("StaleNodes", ""))
        return Command(id="c", instances=instances)

    monkeypatch.setattr(run_command, "send", send)
    monkeypatch.setattr(run_command, "ping_status", lambda _: {"i-1": "Online"})
    stale = list(range(100_000, 100_100))
    for number in range(10):
        rounds.ask("document", ["i-1"], ("e",), stale, number)
        assert len(sent[-1]) <= 200
        stale = [row for row in stale if str(row) not in sent[-1].split()]
    assert stale == []
