"""The node script as it is published: a change of it has another name."""

import io
import tarfile
from pathlib import Path

from benchwright.nodes.node_script import load_script
from benchwright.verification.address import Answer, read_answers
from tests.unit.benchwright.node_script import bash, function


def test_a_change_of_any_file_gives_it_another_hash(tmp_path: Path) -> None:
    (tmp_path / "main.sh").write_text("one")
    (tmp_path / "causes.txt").write_text("two")
    (tmp_path / "__pycache__").mkdir()  # of a person who ran a part of it
    first = load_script(tmp_path)
    with tarfile.open(fileobj=io.BytesIO(first.archive)) as archive:
        assert archive.getnames() == ["causes.txt", "main.sh"]
    (tmp_path / "causes.txt").write_text("three")
    assert load_script(tmp_path).sha256 != first.sha256
    (tmp_path / "causes.txt").write_text("two")
    assert load_script(tmp_path) == first


PROGRAMS = """
begin() { echo "--- $1"; }
getent() { [ "$2" != known.example.com ] || printf '10.0.1.7 STREAM\\n10.0.1.7 DGRAM\\n10.0.2.7 STREAM\\n'; }
curl() {
  printf '%s\\n' "$*" >>asked
  case ${@: -1} in
    */) printf '302 https://known.example.com/auth-sign-in' ;;
    */auth-sign-in) printf '%s\\n' 'curl: (60) certificate has expired' 'More advice.' >&2; return 60 ;;
    *) printf '403 ' ;;
  esac
}
"""
ASK = f"{function('complaint')}{function('ask_address')}"


def test_a_node_asks_for_each_page_at_each_address_of_the_load_balancer(tmp_path: Path) -> None:
    script = f"{PROGRAMS}{ASK}SSM_LoadBalancer='known.example.com 10.0.1.7 10.0.2.7'\nask_address"
    printed = bash(script, folder=tmp_path)
    pages = [
        "{} / 302 https://known.example.com/auth-sign-in",
        "{} /auth-sign-in 0 curl: (60) certificate has expired",
        "{} /load-balancer/status 403 ",
        "{} /health-check 403 ",
        "{} /metrics 403 ",
        "{} //health-check 403 ",
        "{} /%68ealth-check 403 ",
        "{} /load-balancer%2fstatus 403 ",
    ]
    assert printed.splitlines() == [
        "",
        "=== address ===",
        "known.example.com name 0 10.0.1.7,10.0.2.7",
        *(page.format(address) for address in ("10.0.1.7", "10.0.2.7") for page in pages),
    ]
    asked = (tmp_path / "asked").read_text().splitlines()
    assert len(asked) == 16
    assert asked[0].endswith("--resolve known.example.com:443:10.0.1.7 https://known.example.com/")
    assert read_answers(printed)[2] == Answer("10.0.1.7", "/auth-sign-in", 0, "curl: (60) certificate has expired")


def test_an_address_that_does_not_answer_in_time_is_asked_once(tmp_path: Path) -> None:
    """Three addresses that take 5 seconds for each of 8 pages would take the whole time of the document."""
    late = "curl: (28) Connection timed out after 5001 milliseconds"
    times_out = f"curl() {{ echo x >>asked; echo '{late}' >&2; return 28; }}\n"
    script = f"{PROGRAMS}{times_out}{ASK}SSM_LoadBalancer='known.example.com 10.0.1.7 10.0.2.7'\nask_address"
    printed = bash(script, folder=tmp_path).splitlines()
    assert printed[3:] == [f"10.0.1.7 / 0 {late}", f"10.0.2.7 / 0 {late}"]
    assert (tmp_path / "asked").read_text() == "x\nx\n"


def test_a_name_that_does_not_resolve_is_no_failure(tmp_path: Path) -> None:
    script = f"{PROGRAMS}{ASK}SSM_LoadBalancer='new.example.com 10.0.1.7'\nask_address"
    assert bash(script, folder=tmp_path).splitlines()[2] == "new.example.com name 0 "
