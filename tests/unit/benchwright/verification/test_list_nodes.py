"""The readers of what Workbench prints, on what was recorded from real clusters."""

from pathlib import Path

import pytest

from benchwright.verification.list_nodes import (
    BalancedNode,
    ListedNode,
    UnreadableListing,
    read_list_nodes,
    read_load_balancer_status,
    split_output,
    table,
)

RECORDINGS = Path(__file__).parents[3] / "recordings"
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


@pytest.mark.parametrize("listing", [RECORDED_2021, RECORDED_2024])
def test_blank_lines_after_the_table_are_no_rows(listing: str) -> None:
    assert read_list_nodes(f"{listing}\n \n\n") == read_list_nodes(listing)


def test_a_further_column_is_passed_over() -> None:
    text = "ID  Host  IPv4      Port  Version  Status  Last Seen\n1   a     10.0.0.1  8787  2026.07  Online  now\n"
    assert read_list_nodes(text)[0].status == "Online"


def test_columns_are_found_by_name_in_any_order() -> None:
    text = "Nodes\n-----\nHost  Status   Last Seen  ID  Port  IPv4\na     Offline  now        7   8787  10.0.0.1\n"
    expected = ListedNode(id=7, host="a", ipv4="10.0.0.1", port=8787, status="Offline", last_seen="now")
    assert read_list_nodes(text) == [expected]


HEADER = "ID  Host  IPv4      Port  Status   Last Seen"
ROW = "1   a     10.0.0.1  8787  Online   now"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Segmentation fault",
        "Nodes\n-----\nNode  Name  Address\n",
        "Nodes\n-----\nNode  Name  Address\na     b     10.0.0.1\n",
        f"Nodes\n-----\n{HEADER.replace('Host', 'Name')}\n{ROW}\n",
        f"{HEADER}\n1   a     10.0.0.1  8787  Starting Online\n",
        f"{HEADER}\n1   abcde 10.0.0.1  8787  Online   now\n",
        f"{HEADER}\n{ROW}\n\n2   b     10.0.0.2  8787  Offline  now\n",
        f"{HEADER}\n{ROW}\n\n  b   2     8787  10.0.0.2\n",
        f"{HEADER}\n{ROW}\n\n2   b     10.0.0.2:8787  Offline\n",
        f"{HEADER}\n{ROW}\n\n2   b     fd00::1  8787  Offline  now\n",
        f"{HEADER}\n{ROW}\n\n2 b 10.0.0.2 8787 Offline now\n",
        f"{HEADER}\n{ROW}\n \nERROR the other nodes could not be listed\n",
        f"{HEADER}\n\n{ROW}\n",
        f"2 b fd00::1 8787 Offline now\n{HEADER}\n{ROW}\n",
        f"2   b     10.0.0.2  8787  Offline  now\n{HEADER}\n{ROW}\n",
        f"{HEADER}\n{ROW}\n\n{HEADER}\n",
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
    assert read_load_balancer_status(RECORDED_STATUS) == (STATUS, [])


STATUS = [
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
    "line",
    [
        "<html>502</html>",
        "   1 - user rsession",
        "a - 10.0.0.1  Load: high",
        "a - 10.0.0.1  Load: 0, 1e",
        "a - b  Load: 0",
        "a - 10.0.0.256  Load: 0",
    ],
)
def test_a_line_of_another_form_is_reported_and_the_rest_of_the_page_is_kept(line: str) -> None:
    assert read_load_balancer_status(f"{line}\n{RECORDED_STATUS}") == (STATUS, [line])
    assert read_load_balancer_status(line) == ([], [line])


def test_sessions_below_a_line_of_another_form_are_no_other_node_s() -> None:
    strange = "c:8787 - 10.0.0.3  Load: none"
    page = f"{RECORDED_STATUS}\n{strange}\n   9 - ann rsession\n"
    assert read_load_balancer_status(page) == (STATUS, [strange, "   9 - ann rsession"])


def test_the_two_parts_of_the_output() -> None:
    printed = "a\n=== load-balancer status ===\nb\n"
    for more in ("", "=== address ===\nc\n", "=== sign-in ===\n{}\n", "=== address ===\nc\n=== sign-in ===\n{}\n"):
        assert split_output(printed + more) == ("a\n", "b\n")
    with pytest.raises(UnreadableListing):
        split_output("a\n")
