"""The readers of what Workbench prints, on what was recorded from real clusters."""

from pathlib import Path

import pytest

from benchwright.cluster_listing import (
    BalancedNode,
    ListedNode,
    UnreadableListing,
    read_list_nodes,
    read_load_balancer_status,
    split_output,
    table,
)

RECORDINGS = Path(__file__).parents[2] / "recordings"
RECORDED_2021 = (RECORDINGS / "list-nodes-2021.txt").read_text()
RECORDED_2024 = (RECORDINGS / "list-nodes-2024.txt").read_text()
RECORDED_STATUS = (RECORDINGS / "load-balancer-status-2024.txt").read_text()


@pytest.mark.judge
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


@pytest.mark.judge
def test_the_recording_of_2024_with_a_terminal() -> None:
    assert read_list_nodes(RECORDED_2024) == [
        ListedNode(
            id=1, host="ip-10-2-1-113", ipv4="10.2.1.113", port=8787, status="Online", last_seen="2024-Jan-05 16:49:17"
        ),
        ListedNode(
            id=2, host="ip-10-2-2-105", ipv4="10.2.2.105", port=8787, status="Online", last_seen="2024-Jan-05 16:50:58"
        ),
    ]


@pytest.mark.judge
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


@pytest.mark.judge
def test_the_recording_of_the_status_page() -> None:
    assert read_load_balancer_status(RECORDED_STATUS) == [
        BalancedNode(
            host="ip-10-2-2-105",
            ipv4="10.2.2.105",
            load=[0.072, 0.024, 0.0034],
            sessions=["user1 rworkspaces", "user1 rsession", "user1 rsession"],
        ),
        BalancedNode(
            host="ip-10-2-1-113", ipv4="10.2.1.113", load=[0, 0, 0], sessions=["user1 rsession", "user1 rsession"]
        ),
    ]


def test_a_status_page_with_plain_dashes() -> None:
    assert read_load_balancer_status(RECORDED_STATUS.replace("\u2013", "-")) == read_load_balancer_status(
        RECORDED_STATUS
    )


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
