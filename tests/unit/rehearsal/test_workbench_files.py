"""The stand-in of Workbench refuses keys that are not published, also where nothing says what the real one does."""

from pathlib import Path

import pytest

from rehearsal.hosts.standins.workbench.configuration import check_others
from rehearsal.hosts.standins.workbench.state import ConfigurationError


@pytest.mark.parametrize(
    ("name", "text", "unknown"),
    [
        ("jupyter.conf", "# a comment\nlabs-enabled=1\nno-such=1\n", "no-such"),
        ("logging.conf", "[*]\nlog-level=info\n\n[rserver]\nlevel=info\n", "[rserver] level"),
        ("profiles", "[@analysts]\nsession-limits = 2\n", "[@analysts] session-limits"),
        ("launcher-env", "JobType: any\nEnviron: A=b\n C=d\n", "Environ"),
        ("launcher-env", "JobType: any\nEnvironment: A=b\n C: d\n", ""),
        ("env-vars", "ANY_NAME=x\n", ""),
        ("of-a-team", "what\n", ""),
    ],
)
def test_a_key_that_is_not_published_keeps_the_server_from_starting(
    tmp_path: Path, name: str, text: str, unknown: str
) -> None:
    (tmp_path / name).write_text(text)
    if not unknown:
        check_others(tmp_path)
        return
    with pytest.raises(ConfigurationError) as refused:
        check_others(tmp_path)
    assert str(refused.value) == f"Error reading {tmp_path / name}: unrecognised option '{unknown}'"
