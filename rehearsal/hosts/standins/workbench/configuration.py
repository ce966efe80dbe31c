"""The files of /etc/rstudio, read and judged as the server does when it starts."""

import os
import re
import stat
import sys
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from ..rskey import Key, KeyFileError
from . import state
from .state import ETC, STATE, ConfigurationError

RSERVER_CONF = Path(ETC, "rserver.conf")
PORT = 8787
LOAD_BALANCER_KEYS = {
    "balancer",
    "www-host-name",
    "delete-node-on-exit",
    "launcher-local-proxy",
    "launcher-balancing-enabled",
    "ssl",
    "ssl-verify-cert",
    "timeout",
    "verify-ssl-certs",
}
BALANCERS = {"sessions", "system-load", "user-hash", "custom"}
DATABASE_KEYS = {
    "provider",
    "directory",
    "host",
    "database",
    "port",
    "username",
    "password",
    "connection-timeout-seconds",
    "connection-uri",
    "pool-size",
    "auto-create",
}
# Posit Workbench administration guide, Jupyter configuration.
JUPYTER_KEYS = {
    "default-session-cluster",
    "default-session-container-image",
    "jupyter-exe",
    "lab-args",
    "lab-version",
    "labs-enabled",
    "notebook-args",
    "notebook-version",
    "notebooks-enabled",
    "session-clusters",
    "session-container-images",
    "session-cull-minutes",
    "session-shutdown-minutes",
}
METHODS = {"openid": "auth-openid", "saml": "auth-saml"}
"""Of single sign-on; each excludes the other one, and passwords ("OpenID Connect authentication")."""
SINCE = {"auth-openid-groups-claim": (2025, 9), "auth-saml-sp-attribute-groups": (2025, 9)}
"""Options that older releases do not know (release notes of 2025.09.0)."""
CHECKED_SINCE = (2026, 7)  # rserver --check-config (rstudio#18020, merged in June 2026)
SHORTEST_KEY = 32
BLANK = " \t\r\n"


class Database(NamedTuple):
    """How the server reaches its database; `plain` when the password stands in the file as it is."""

    provider: str = "sqlite"
    uri: str = ""
    password: str = ""
    plain: bool = False


class Configuration(NamedTuple):
    """What the files say."""

    server: dict[str, str]
    load_balancer: dict[str, str]
    key: bytes
    key_file: Path
    warnings: list[str]

    @property
    def balanced(self) -> bool:
        return self.server.get("load-balancing-enabled") == "1"

    @property
    def method(self) -> str:
        """How people sign in: pam, openid or saml."""
        return next((name for name, key in METHODS.items() if self.server.get(key) == "1"), "pam")

    @property
    def port(self) -> int:
        return int(self.server.get("www-port") or (443 if self.server.get("ssl-enabled") == "1" else PORT))

    @property
    def protocol(self) -> str:
        if self.server.get("ssl-enabled") != "1":
            return "Http"
        return "Https" if self.load_balancer.get("ssl-verify-cert", "1") == "1" else "Https no verify"

    @property
    def host_name(self) -> str:
        return self.load_balancer.get("www-host-name") or os.uname().nodename


def settings(path: Path) -> dict[str, str]:
    """The `key=value` lines of a file, as Boost reads them: what follows a # is a comment, wherever it stands, and
    quotes are part of a value; none when the file is not there.
    """
    pairs = {}
    for line in path.read_bytes().decode().split("\n") if path.exists() else []:
        text = line.partition("#")[0].strip(BLANK)
        if text and not text.startswith("["):
            name, _, value = text.partition("=")
            pairs[name.strip(BLANK)] = value.strip(BLANK)
    return pairs


def read(*, options_checked: bool = True) -> Configuration:
    """Read everything that the server needs at once. Raises ConfigurationError.

    `verify-installation` does not look for unknown options, so it can switch that off (rstudio#9709).
    """
    server = settings(RSERVER_CONF)
    if options_checked:
        check_values(RSERVER_CONF.name, RSERVER_CONF, server)
        refuse_unknown(RSERVER_CONF, _unknown(server))
        check_others(Path(ETC))
    if all(server.get(key) == "1" for key in METHODS.values()):
        raise ConfigurationError(f"{'=1 and '.join(METHODS.values())}=1 exclude each other")
    warnings: list[str] = []
    load_balancer: dict[str, str] = {}
    if server.get("load-balancing-enabled") == "1":
        load_balancer = _load_balancer(warnings)
        _check_shared_storage(server.get("server-shared-storage-path", ""))
    key_file = _key_file(server)
    key = key_file.read_bytes()
    if len(key) < SHORTEST_KEY:
        raise ConfigurationError(
            f"{key_file} holds {len(key)} bytes, but a secure cookie key has {SHORTEST_KEY} or more"
        )
    return Configuration(server, load_balancer, key, key_file, warnings)


def database(configuration: Configuration) -> Database:
    """What database.conf says, with the password decrypted. Raises ConfigurationError."""
    path = Path(ETC, "database.conf")
    if not path.exists():
        return Database()
    status = path.stat()
    if status.st_uid or status.st_gid or stat.S_IMODE(status.st_mode) != 0o600:
        raise ConfigurationError(
            f"The permissions of {path} are {stat.S_IMODE(status.st_mode):04o}, its owner "
            f"{status.st_uid}:{status.st_gid}: it holds a password, so it must be 0600 and belong to root:root"
        )
    values = settings(path)
    refuse_unknown(path, values.keys() - DATABASE_KEYS)
    provider = values.get("provider", "sqlite")
    if provider not in {"sqlite", "postgresql"}:
        raise ConfigurationError(f"Error reading {path}: invalid provider '{provider}'")
    if provider == "sqlite":
        return Database()
    if not values.get("connection-uri"):
        host, port = values.get("host", "localhost"), values.get("port", "5432")
        user, name = values.get("username", "postgres"), values.get("database", "rstudio")
        values["connection-uri"] = f"postgresql://{user}@{host}:{port}/{name}"
    written = os.environ.get("WORKBENCH_POSTGRES_PASSWORD") or values.get("password", "")
    password, plain = decrypted(written, configuration, f"the PostgreSQL password of {path.name}")
    return Database(provider, values["connection-uri"], password, plain)


def jupyter() -> dict[str, str]:
    """What jupyter.conf says of JupyterLab. Raises ConfigurationError."""
    path = Path(ETC, "jupyter.conf")
    values = settings(path)
    refuse_unknown(path, values.keys() - JUPYTER_KEYS)
    return {"labs-enabled": "1", "jupyter-exe": "", **values}


def vscode() -> dict[str, str]:
    """What vscode.conf says; VS Code is on where no file says otherwise. Its keys were checked with those of others."""
    exe = "/usr/lib/rstudio-server/bin/pwb-code-server/bin/code-server"
    return {"enabled": "1", "exe": exe, **settings(Path(ETC, "vscode.conf"))}


def checks_all() -> bool:
    """Whether this version has `--check-config`, which names every unknown option; before, only the first was named."""
    year, month, *_ = state.version().split(".")
    return (int(year), int(month)) >= CHECKED_SINCE


def check(path: Path, *, deprecated: bool = False) -> int:
    """The answer of `rserver --check-config` about a file (core/ProgramOptions.cpp). The exit code is the contract."""
    server = settings(path)
    try:
        check_values(RSERVER_CONF.name, path, server)
        unknown = _unknown(server)
        if not checks_all():
            refuse_unknown(path, unknown)
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        return 1
    if not checks_all():
        return 0
    if deprecated:
        print(
            "Warning: --test-config is deprecated and will be removed in a future release; use --check-config instead."
        )
    if unknown:
        print(f"[FAIL] Config file {path}: unrecognized option(s):")
        print("".join(f"  - {name}\n" for name in unknown), end="")
        return 1
    print(f"[PASS] Config file {path}: no unrecognized options found")
    print("[PASS] server-data-dir: /var/run/rstudio-server exists")
    return 0


def _unknown(server: dict[str, str]) -> list[str]:
    from benchwright.planning import server_options  # hosts have it, what runs outside of them need not

    year, month, *_ = state.version().split(".")
    newer = {name for name, since in SINCE.items() if (int(year), int(month)) < since}
    return sorted(server.keys() - (server_options.known(state.version()) - newer))


def refuse_unknown(path: Path, unknown: Collection[str]) -> None:
    """Raises ConfigurationError about the first of the options that a file has and no program knows."""
    if unknown:
        raise ConfigurationError(f"Error reading {path}: unrecognised option '{min(unknown)}'")


def check_others(folder: Path) -> None:
    """Refuse keys that are not published, also in files of which nothing says what the real server does with them.

    Raises ConfigurationError.
    """
    from benchwright import rstudio_files

    for name, file in rstudio_files.FILES.items():
        path = folder / name
        if file.keys is None or file.unknown is not rstudio_files.Unknown.UNKNOWN or not path.exists():
            continue
        is_record = file.format is rstudio_files.Format.RECORDS
        refuse_unknown(path, rstudio_files.unknown_keys(file, _keys(path.read_text(), ":" if is_record else "=")))


def _keys(text: str, sign: str) -> Iterator[tuple[str, str]]:
    """Each key of a file with its section. A line that begins with a blank continues the one before it."""
    section = ""
    for line in text.splitlines():
        if line.startswith("["):
            section = line.strip()[1:-1]
        elif line.strip() and not line.startswith((" ", "\t", "#", ";")):
            yield section, line.partition(sign)[0].strip()


def check_values(name: str, path: Path, given: dict[str, str]) -> None:
    """Refuse as Boost does, in its words, what is nothing of the type of its option in the file of a name.

    Raises ConfigurationError.
    """
    from benchwright import rstudio_files

    for key, value in given.items():
        if takes := rstudio_files.wrong_value(name, key, value):
            wrong = f"Error reading {path}: the argument ('{value}') for option '{key}' is invalid"
            choices = ". Valid choices are 'on|off', 'yes|no', '1|0' and 'true|false'"
            raise ConfigurationError(wrong + choices * (takes is rstudio_files.SWITCH))


def decrypted(written: str, configuration: Configuration, what: str) -> tuple[str, bool]:
    """A secret of a file, and whether it stood there in plain text: only a value between two key hashes is taken for
    encrypted.
    """
    key = Key(configuration.key)
    marked = re.fullmatch(r"([0-9A-F]{8})\S+\1", written)
    try:
        return key.decrypt(written), False
    except KeyFileError as error:
        if marked:
            raise ConfigurationError(
                f"Could not decrypt {what}: it was encrypted with the key "
                f"of hash {marked[1]}, and the hash of {configuration.key_file} is {key.fingerprint}: {error}"
            ) from error
        return written, bool(written)


def _load_balancer(warnings: list[str]) -> dict[str, str]:
    path = Path(ETC, "load-balancer")
    if not path.exists():
        warnings.append(
            f"No load balancing configuration 'load-balancer' found in XDG_CONFIG_DIRS, "
            f"expected in an 'rstudio' folder in one of '{ETC}'"
        )
    values = settings(path)
    refuse_unknown(path, values.keys() - LOAD_BALANCER_KEYS)
    balancer = values.get("balancer", "sessions")
    if balancer not in BALANCERS:
        raise ConfigurationError(f"Error reading {path}: invalid balancer '{balancer}'")
    if not values.get("www-host-name"):
        warnings.append(
            f"Load balancer default for missing www-host-name using system hostname: {os.uname().nodename}:{PORT}"
        )
    return values


def _check_shared_storage(path: str) -> None:
    if not path:
        raise ConfigurationError("Load balancing needs an explicit server-shared-storage-path in rserver.conf")
    folder = Path(path)
    if not folder.is_dir():
        raise ConfigurationError(f"The server-shared-storage-path {path} does not exist")
    if folder.stat().st_dev == Path("/").stat().st_dev:
        raise ConfigurationError(f"The server-shared-storage-path {path} is on the root file system: it is not mounted")
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode != 0o1777:
        raise ConfigurationError(f"The server-shared-storage-path {path} has mode {mode:04o}; it must be 1777")


def _key_file(server: dict[str, str]) -> Path:
    given = server.get("secure-cookie-key-file")
    candidates = [Path(given)] if given else [Path(folder, "secure-cookie-key") for folder in (ETC, STATE)]
    for path in candidates:
        if path.exists():
            mode = stat.S_IMODE(path.stat().st_mode)
            if mode & 0o077:
                raise ConfigurationError(
                    f"The permissions of the secure cookie key {path} are {mode:04o}: it must be 0600"
                )
            return path
    if given:
        raise ConfigurationError(f"The secure-cookie-key-file {given} does not exist")
    path = Path(STATE, "secure-cookie-key")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(0o600)
    path.write_text(Path("/proc/sys/kernel/random/uuid").read_text())
    return path
