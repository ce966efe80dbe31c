"""The readers of what Workbench prints, on what was recorded from real clusters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchwright.cluster_listing import (
    BalancedNode,
    ListedNode,
    UnreadableListing,
    read_list_nodes,
    read_load_balancer_status,
    split_output,
    table,
)

# Recorded: Posit blog, 2021-09-21, "RStudio Workbench Load Balancing Changes".
RECORDED_2021 = """\
Cluster
-------
Protocol
Http

Nodes
-----
ID  Host           IPv4           Port  Status                     Last Seen
1   rsw-primary    172.98.8.241   80    Online                     2021-Sep-20 17:08:53
2   rsw-secondary  172.98.14.255  80    Invalid secure cookie key  2021-Sep-20 17:10:25
3   rsw-tertiary   172.98.6.205   80    Offline                    2021-Sep-20 17:10:34
"""
# Recorded: a two-node cluster on AWS, January 2024, with a terminal attached.
RECORDED_2024 = """\
TTY detected. Printing informational message about logging configuration. Logging configuration loaded from '/etc/x'.
Cluster
-------
Protocol
Http

Nodes
-----
ID  Host            IPv4        Port  Status  Last Seen
1   ip-10-2-1-113   10.2.1.113  8787  Online  2024-Jan-05 16:49:17
2   ip-10-2-2-105   10.2.2.105  8787  Online  2024-Jan-05 16:50:58
"""
STATUS = """\
ip-10-2-2-105:8787 \u2013 10.2.2.105  Load: 0.072, 0.024, 0.0034
   1553 \u2013 user1 rworkspaces
   1568 \u2013 user1 rsession

ip-10-2-1-113:8787 - 10.2.1.113  Load: 0, 0, 0
"""


def test_the_recording_of_2021() -> None:
    assert read_list_nodes(RECORDED_2021) == [
        ListedNode(
            id=1, host="rsw-primary", ipv4="172.98.8.241", port=80, status="Online", last_seen="2021-Sep-20 17:08:53"
        ),
        ListedNode(
            id=2,
            host="rsw-secondary",
            ipv4="172.98.14.255",
            port=80,
            status="Invalid secure cookie key",
            last_seen="2021-Sep-20 17:10:25",
        ),
        ListedNode(
            id=3, host="rsw-tertiary", ipv4="172.98.6.205", port=80, status="Offline", last_seen="2021-Sep-20 17:10:34"
        ),
    ]


def test_the_recording_of_2024_with_a_terminal() -> None:
    assert [(node.ipv4, node.status) for node in read_list_nodes(RECORDED_2024)] == [
        ("10.2.1.113", "Online"),
        ("10.2.2.105", "Online"),
    ]


def test_a_table_is_printed_as_it_was_read() -> None:
    assert table(read_list_nodes(RECORDED_2021)).splitlines() == RECORDED_2021.splitlines()[7:]


def test_a_cluster_without_nodes() -> None:
    header, _ = RECORDED_2021.split("1   rsw")
    assert read_list_nodes(header) == []


def test_a_further_column_is_passed_over() -> None:
    text = "ID  Host  IPv4      Port  Version  Status  Last Seen\n1   a     10.0.0.1  8787  2026.07  Online  now\n"
    assert read_list_nodes(text)[0].status == "Online"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Segmentation fault",
        RECORDED_2021.replace("Status", "State "),
        RECORDED_2021.replace("172.98.8.241", "rsw-primary "),
        RECORDED_2021.replace("1   rsw-primary", "x   rsw-primary"),
    ],
)
def test_another_form_is_refused(text: str) -> None:
    with pytest.raises(UnreadableListing):
        read_list_nodes(text)


def test_the_status_page() -> None:
    assert read_load_balancer_status(STATUS) == [
        BalancedNode(
            host="ip-10-2-2-105",
            ipv4="10.2.2.105",
            load=[0.072, 0.024, 0.0034],
            sessions=["user1 rworkspaces", "user1 rsession"],
        ),
        BalancedNode(host="ip-10-2-1-113", ipv4="10.2.1.113", load=[0, 0, 0], sessions=[]),
    ]


@pytest.mark.parametrize(
    "text", ["<html>502</html>", "   1 - user rsession\n", "a - 10.0.0.1  Load: high\n", "a - b  Load: 0\n"]
)
def test_another_status_page_is_refused(text: str) -> None:
    with pytest.raises(UnreadableListing):
        read_load_balancer_status(text)


def test_the_two_parts_of_the_output() -> None:
    assert split_output("a\n=== load-balancer status ===\nb\n") == ("a\n", "b\n")
    with pytest.raises(UnreadableListing):
        split_output("a\n")


@given(st.text() | st.text(alphabet="ID Host IPv4 Port Status Last Seen\n123.Online -"))
def test_any_text_is_read_or_refused(text: str) -> None:
    for read in (read_list_nodes, read_load_balancer_status):
        try:
            found = read(text)
        except UnreadableListing:
            continue
        assert isinstance(found, list)
