"""A host that cannot be made."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.rehearsal.hosts.host import Host, HostError


def test_a_host_without_a_root_volume_is_none_and_says_what_the_kernel_answered(tmp_path: Path) -> None:
    hosts: Any = SimpleNamespace(base=tmp_path)
    with pytest.raises(HostError, match="cannot make ip-10-0-0-4: mount: "):
        Host("ip-10-0-0-4", "10.0.0.4", tmp_path / "nowhere", hosts, image=None).start({})
