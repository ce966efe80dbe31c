"""What stands in a server, as values to compare: all that a run could lose or change; and what was said to it."""

import re
from contextlib import closing
from typing import Any

from rehearsal.aws.postgres import ADMINISTRATOR, Postgres

World = dict[str, list[tuple[Any, ...]]]

# Passwords are salted, so they are compared by their kind, and proven by logins.
EVERYWHERE = {
    "roles": """
        SELECT rolname, to_jsonb(r) - ARRAY['oid', 'rolname', 'rolpassword'], split_part(rolpassword, '$', 1)
        FROM pg_authid r WHERE rolname !~ '^pg_' ORDER BY 1""",
    "members": """
        SELECT roleid::regrole::text, member::regrole::text, grantor::regrole::text,
               to_jsonb(m) - ARRAY['oid', 'roleid', 'member', 'grantor']
        FROM pg_auth_members m ORDER BY 1, 2, 3""",
    "settings": "SELECT setdatabase <> 0, setrole::regrole::text, setconfig FROM pg_db_role_setting ORDER BY 2",
    "databases": """
        SELECT datname, datdba::regrole::text, pg_encoding_to_char(encoding), datcollate, datctype, datistemplate,
               datallowconn, datconnlimit, datacl::text
        FROM pg_database ORDER BY 1""",
}
INSIDE = {
    "schemas": """
        SELECT nspname, nspowner::regrole::text, nspacl::text FROM pg_namespace WHERE nspname !~ '^pg_' ORDER BY 1""",
    "relations": """
        SELECT nspname, relname, relkind, relowner::regrole::text, relacl::text
        FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
        WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' ORDER BY 1, 2""",
    "defaults": "SELECT defaclrole::regrole::text, defaclobjtype, defaclacl::text FROM pg_default_acl ORDER BY 1, 2",
}

# All that Benchwright may ever say to a server. It can be read here that nothing is dropped, revoked or taken over.
NAME = r'"(?:[^"]|"")+"'
SENT = re.compile(
    rf"""SELECT\ .* | BEGIN | ROLLBACK
       | (?:CREATE\ ROLE\ {NAME}\ LOGIN | ALTER\ ROLE\ {NAME})\ PASSWORD\ '(?:\w|[-$:+/=])+'
       | GRANT\ {NAME}\ TO\ CURRENT_USER(?:\ WITH\ SET\ TRUE)?
       | CREATE\ DATABASE\ "rstudio"\ OWNER\ {NAME}\ TEMPLATE\ template0\ ENCODING\ 'UTF8'
       | CREATE\ TABLE\ public\.benchwright_proof\ \(\)""",
    re.VERBOSE | re.DOTALL,
)
READS = re.compile(r"SELECT .*|BEGIN|ROLLBACK|CREATE TABLE public\.benchwright_proof \(\)", re.DOTALL)
"""What leaves everything as it was; the table never outlives its transaction."""

PREFIX = "%m [%p] %u@%d %a "
LINE = re.compile(r"^\S+ \S+ \S+ \[\d+\] \S+@\S+ benchwright \w+:  (?P<text>.*(?:\n\t.*)*)", re.MULTILINE)


def world(postgres: Postgres) -> World:
    """Roles, memberships and databases, and what is inside of the database rstudio where there is one that opens."""
    found = _asked(postgres, "postgres", EVERYWHERE)
    if any(row[0] == "rstudio" and row[6] and row[7] != -2 for row in found["databases"]):
        found |= _asked(postgres, "rstudio", INSIDE)
    return found


def _asked(postgres: Postgres, database: str, queries: dict[str, str]) -> World:
    found: World = {}
    with closing(postgres.administer(database)) as connection, connection.cursor() as cursor:
        for name, query in queries.items():
            cursor.execute(query)
            found[name] = cursor.fetchall()
    return found


def statements(log: str) -> list[str]:
    """The statements of Benchwright in a log of the server whose line prefix is PREFIX, without those of psycopg2."""
    said = [line["text"].removeprefix("statement: ") for line in LINE.finditer(log) if "statement: " in line["text"]]
    return [text.replace("\n\t", "\n") for text in said]


def empty(postgres: Postgres) -> None:
    """Take away what tests made, and give the master its permissions back."""
    with closing(postgres.administer()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT datname FROM pg_database WHERE datname !~ '^(postgres|template[01])$'")
        for (database,) in cursor.fetchall():
            cursor.execute(f'DROP DATABASE "{database}" WITH (FORCE)')
        kept = (ADMINISTRATOR, "rds_superuser", postgres.master)
        cursor.execute("SELECT rolname FROM pg_roles WHERE rolname !~ '^pg_' AND rolname NOT IN %s", (kept,))
        roles = ", ".join(f'"{role}"' for (role,) in cursor.fetchall())
        if roles:
            cursor.execute(f"DROP OWNED BY {roles} CASCADE")
            cursor.execute(f"DROP ROLE {roles}")
        cursor.execute(f"ALTER ROLE {postgres.master} CREATEROLE CREATEDB CONNECTION LIMIT -1")
        cursor.execute(f"ALTER ROLE {postgres.master} RESET ALL")
