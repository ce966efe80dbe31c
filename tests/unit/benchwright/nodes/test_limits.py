"""Limits of sessions as files of a node, and what a node keeps for Workbench."""

from __future__ import annotations

from typing import Any

from benchwright.nodes.limits import SHARES
from benchwright.rstudio_files import PROFILES
from tests.unit.benchwright.nodes.test_files import rendered


def test_limits_are_profiles_of_the_launcher_which_it_then_enforces() -> None:
    limits = {
        "default": {"cpus": 1, "memory_mb": 2048, "max_cpus": 4, "max_memory_mb": 8192},
        "groups": {"writers": {"max_cpus": 2}, "analysts": {"max_cpus": 8, "max_memory_mb": 16384}},
        "users": {"ann": {"cpus": 0.5}, "ben": {}},
        "reserved_memory_mb": 2048,
    }
    people: Any = {"users": {"ann": {}, "ben": {}}, "groups": {"analysts": {}, "writers": {}}}
    by_hand = {
        "*": {"resource-profiles": "small"},
        "@analysts": {"allow-custom-resources": "0"},
        "@ben": {"max-cpus": "2"},
    }
    found = rendered({PROFILES: {"sections": by_hand}}, limits=limits, **people)
    assert found[PROFILES] == (
        "[*]\ndefault-cpus=1\ndefault-mem-mb=2048\nmax-cpus=4\nmax-mem-mb=8192\nresource-profiles=small\n\n"
        "[@analysts]\nallow-custom-resources=0\nmax-cpus=8\nmax-mem-mb=16384\n\n[@ben]\nmax-cpus=2\n\n"
        "[@writers]\nmax-cpus=2\n\n[ann]\ndefault-cpus=0.5\n"
    )
    assert found["launcher.conf"] == (
        "[server]\naddress=0.0.0.0\nport=5559\nserver-user=rstudio-server\nadmin-group=rstudio-server\n"
        "authorization-enabled=1\nthread-pool-size=4\nenable-cgroups=1\n\n[cluster]\nname=Local\ntype=Local\n"
    )
    assert [found[path] for path in SHARES] == ["[Slice]\nMemoryMin=2048M\n", "[Service]\nMemoryMin=2048M\n"]


def test_without_a_limit_the_launcher_is_as_it_was() -> None:
    """A share of the node is no limit of sessions."""
    found = rendered({}, limits={"reserved_memory_mb": 512, "default": {}, "users": {"ann": {}}}, users={"ann": {}})
    assert (PROFILES in found, found["launcher.conf"]) == (False, rendered({})["launcher.conf"])
