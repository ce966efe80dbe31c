"""What functions report to X-Ray is kept, so that secrets can be looked for in it."""

import socket
from pathlib import Path

from rehearsal.aws.traces import Daemon


def test_segments_are_kept_in_their_order(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path / "functions" / "traces.log")
    host, port = daemon.address.split(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as function:
        for document in ('{"format": "json", "version": 1}\n{"name": "## handler"}', '{"name": "second"}'):
            function.sendto(document.encode(), (host, int(port)))
    daemon.stop()
    assert (tmp_path / "functions" / "traces.log").read_text().splitlines() == [
        '{"format": "json", "version": 1}',
        '{"name": "## handler"}',
        '{"name": "second"}',
    ]
