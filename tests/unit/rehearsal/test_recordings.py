"""The stand-in of Workbench prints what was recorded from real clusters, to the letter."""

import datetime
import os
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchwright.verification.list_nodes import read_list_nodes
from rehearsal.hosts.standins import rstudio_server
from rehearsal.hosts.standins.workbench import cluster, configuration, state
from rehearsal.hosts.standins.workbench.server import Server

pytestmark = pytest.mark.judge

RECORDINGS = Path(__file__).parents[2] / "recordings"
SEEN = "%Y-%b-%d %H:%M:%S"


def nodes_of(recording: str) -> list[cluster.Node]:
    return [
        cluster.Node(
            **row.model_dump(exclude={"last_seen"}),
            last_seen=datetime.datetime.strptime(row.last_seen, SEEN),  # noqa: DTZ007
        )
        for row in read_list_nodes(recording)
    ]


@pytest.mark.parametrize("name", ["list-nodes-2021", "list-nodes-2024"])
def test_list_nodes(name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    recorded = (RECORDINGS / f"{name}.txt").read_text()
    monkeypatch.setattr(configuration, "read", lambda: None)
    monkeypatch.setattr(configuration, "database", lambda _: None)
    monkeypatch.setattr(cluster, "connect", lambda *_: None)
    monkeypatch.setattr(cluster, "protocol", lambda _: "Http")
    monkeypatch.setattr(cluster, "nodes", lambda _: nodes_of(recorded))
    assert rstudio_server.list_nodes([]) == 0
    printed = capsys.readouterr().out
    if name == "list-nodes-2024":  # its spaces were read by eye, and the first line is of a terminal
        terminal, _, recorded = recorded.partition("\n")
        assert rstudio_server.TTY.startswith(terminal)
        recorded, printed = (re.sub(" {2,}", "  ", text) for text in (recorded, printed))
    assert printed == recorded


def test_load_balancer_status(monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = (RECORDINGS / "load-balancer-status-2024.txt").read_text()
    second, first = nodes_of((RECORDINGS / "list-nodes-2024.txt").read_text())
    blocks = []
    for node, load, sessions in (
        (first, (0.072, 0.024, 0.0034), [(1553, "rworkspaces"), (1568, "rsession"), (1607, "rsession")]),
        (second, (0.0, 0.0, 0.0), [(1963, "rsession"), (2000, "rsession")]),
    ):
        monkeypatch.setattr(os, "getloadavg", lambda load=load: load)
        monkeypatch.setattr(state, "sessions", lambda its=sessions: [(number, "user1", name) for number, name in its])
        server = SimpleNamespace(nodes=lambda: [first, second], number=node.id)
        blocks.append(Server.own_status(server))  # type: ignore[arg-type]
    assert "\n".join(blocks) == recorded
