"""The table of the files of /etc/rstudio."""

import pytest

from benchwright.planning import server_options
from benchwright.planning.files import takes
from benchwright.rstudio_files import FILES, REFUSED, VALUES, Effect, effects, order, unknown_keys


def test_the_table_is_whole() -> None:
    assert not FILES.keys() & REFUSED.keys()
    for name, file in FILES.items():
        assert takes(name)
        for section, owned in file.owned.items():
            assert file.keys is not None
            assert owned.keys() <= file.keys[section], name


def test_what_keys_take_is_said_of_published_keys() -> None:
    for name, values in VALUES.items():
        assert values.keys() <= (server_options.PUBLISHED if name == "rserver.conf" else (FILES[name].keys or {})[""])


@pytest.mark.parametrize(
    ("version", "effect"),
    [
        ("2026.07.1+147.pro6", Effect.RELOAD_LAUNCHER),
        ("2026.06.0+242.pro13", Effect.RELOAD_LAUNCHER),
        ("2026.05.1+225.pro10", Effect.RESTART_LAUNCHER),
    ],
)
def test_an_older_launcher_restarts_for_its_profiles(version: str, effect: Effect) -> None:
    assert effects(version)["launcher.local.profiles.conf"] is effect
    assert effects(version)["rsession.conf"] is Effect.RELOAD


def test_a_key_that_is_not_published_is_named_with_its_section() -> None:
    given = [("server", "port"), ("server", "cat"), ("cluster", "port"), ("dog", "name")]
    assert unknown_keys(FILES["launcher.conf"], iter(given)) == ["[cluster] port", "[dog] name", "[server] cat"]
    assert unknown_keys(FILES["rsession.conf"], iter([("", "allow-vcs"), ("", "cat")])) == ["cat"]
    assert unknown_keys(FILES["env-vars"], iter([("", "cat")])) == []


def test_sections_of_everyone_stand_before_those_of_groups_and_of_people() -> None:
    assert sorted(["ann", "@team", "*", "@all"], key=order) == ["*", "@all", "@team", "ann"]
