"""The main path on each PostgreSQL that Aurora offers."""

from contextlib import closing

from benchwright.database.creation import Outcome
from tests.database.installations import installations
from tests.database.step import Said, Step
from tests.database.world import READS, world


def test_all_versions_are_here() -> None:
    assert {"14", "15", "16", "17"} <= set(installations())


def test_a_role_and_its_database_come_about_and_stay(step: Step, said: Said) -> None:
    postgres = step.postgres
    number = int(postgres.execute("SHOW server_version_num")[0][0])
    version = f"{number // 10000}.{number % 10000}"
    before = world(postgres)
    assert step.call() == Outcome("created", "created", version)
    join = 'GRANT "rstudio" TO CURRENT_USER' + (" WITH SET TRUE" if number >= 160000 else "")
    assert [text.split("'")[0] for text in said() if not READS.fullmatch(text)] == [
        'CREATE ROLE "rstudio" LOGIN PASSWORD ',
        join,
        'CREATE DATABASE "rstudio" OWNER "rstudio" TEMPLATE template0 ENCODING ',
    ]
    after = world(postgres)
    assert [row for name in before for row in before[name] if row not in after[name]] == []
    attributes: dict[str, object] = {
        "super": False,
        "inherit": True,
        "createrole": False,
        "createdb": False,
        "canlogin": True,
        "replication": False,
        "bypassrls": False,
        "connlimit": -1,
        "validuntil": None,
    }
    role = {f"rol{name}": value for name, value in attributes.items()}
    assert [row for row in after["roles"] if row not in before["roles"]] == [("rstudio", role, "SCRAM-SHA-256")]
    assert [row for row in after["databases"] if row not in before["databases"]] == [
        ("rstudio", "rstudio", "UTF8", "C", "C", False, True, -1, None)
    ]
    assert after["relations"] == []
    with closing(postgres.connect(*step.application, "rstudio")) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE session (id int)")
        cursor.execute("CREATE SCHEMA elsewhere")
        cursor.execute("SELECT relowner::regrole::text FROM pg_class WHERE relname = 'session'")
        assert cursor.fetchall() == [("rstudio",)]
    assert step.call() == Outcome("unchanged", "unchanged", version)
    assert [text for text in said() if not READS.fullmatch(text)] == []
    assert world(postgres) == after
