"""The files of /etc/rstudio: what is published of each, in one table.

A key that is not here is warned about, since Posit adds keys with each release. What Workbench does with one that it
does not know differs by file (`Unknown`).

Sources, by the letter of `source`:
A: Posit's administration guide, "Core administrative tasks": what takes effect when. What it does not mark needs a
   restart.
O: github.com/rstudio/rstudio, src/cpp/session/session-options.json, src/cpp/core/ProgramOptions.cpp (a program ends at
   an option that it does not know) and src/cpp/core/ConfigProfile.cpp (a profile with an unknown parameter is refused).
L: the administration guide, "Job Launcher", and github.com/posit-dev/launcher-go-sdk, docs/GUIDE.md: the launcher reads
   profiles again at SIGHUP, and keeps those before where it refuses the new ones.
H: the values of github.com/rstudio/helm, charts/rstudio-workbench: modes, and which files hold a secret.
E: github.com/samcofer/rstudio-configuration, with the page of the guide that each of its files names.
"""

import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import NamedTuple


class Format(StrEnum):
    """How a file is written."""

    KEYS = "lines of key=value"
    SECTIONS = "sections with lines of key=value"
    RECORDS = "records of lines of Field: value, divided by empty lines"
    JSON = "a JSON object"
    TEXT = "text"


class Effect(StrEnum):
    """What Workbench needs after a change. A node takes the words (infra/node/workbench.sh)."""

    NONE = "none"
    RELOAD = "reload"
    RELOAD_LAUNCHER = "reload-launcher"
    RESTART = "restart"
    RESTART_LAUNCHER = "restart-launcher"


class Unknown(StrEnum):
    """What happens with a key that Workbench does not know."""

    NO_START = "Workbench does not start"
    NO_SESSION = "no RStudio session starts"
    NO_LAUNCHER = "the job launcher does not start"
    KEPT = "the job launcher keeps what it had, and does not start again with it"
    UNKNOWN = "it is not published what Workbench does"


class File(NamedTuple):
    """What is published of a file.

    keys: by section, those of every section (or of a file without sections) under "". None: any. owned: keys that an
    input may not give, by section; what they are for is the value.
    """

    format: Format
    effect: Effect
    source: str
    keys: Mapping[str, frozenset[str]] | None = None
    unknown: Unknown = Unknown.UNKNOWN
    owned: Mapping[str, Mapping[str, str]] = {}
    secret: bool = False
    owner: str = "root"

    @property
    def mode(self) -> str:
        return "0600" if self.secret else "0644"


def _words(text: str) -> Mapping[str, frozenset[str]]:
    return {"": frozenset(text.split())}


def _owned(why: str, text: str) -> dict[str, str]:
    return dict.fromkeys(text.split(), why)


OF_PEERS = "nodes and security groups rely on it"
OF_SHARED_STORAGE = "the nodes share one file system, and this value goes with it"
SERVICE_USER = "rstudio-server"

_RSESSION = """
    docs-url session-connections-block-suspend session-external-pointers-block-suspend session-timeout-minutes
    session-timeout-suspend session-timeout-kill-hours session-disconnected-timeout-minutes session-preflight-script
    session-create-public-folder session-create-profile session-rprofile-on-resume-default session-save-action-default
    session-default-working-dir session-default-new-project-dir show-help-home session-default-console-term
    session-default-clicolor-force session-quit-child-processes-on-exit session-first-project-template-path
    default-rsconnect-server websocket-ping-seconds websocket-connect-timeout websocket-log-level
    websocket-handshake-timeout package-output-to-package-folder restrict-directory-view directory-view-allow-list
    session-port-range session-ephemeral-env-vars session-suspend-on-incomplete-statement session-async-rpc-enabled
    session-async-rpc-timeout-ms session-handle-offline-enabled session-handle-offline-timeout-ms
    session-project-user-data-dir session-allow-project-user-data-dir-override
    allow-vcs-executable-edit allow-r-cran-repos-edit allow-vcs allow-package-installation allow-shell
    allow-terminal-websockets allow-file-downloads allow-file-uploads allow-remove-public-folder allow-rpubs-publish
    allow-external-publish allow-publish allow-presentation-commands allow-full-ui allow-launcher-jobs
    allow-over-limit-sessions abort-free-mem-percent allow-pai
    r-core-source r-modules-source r-session-library r-session-package-archives r-libs-user r-cran-repos
    r-cran-repos-file r-cran-repos-url r-auto-reload-source r-compatible-graphics-engine-version r-resources-path
    r-doc-dir-override r-restore-workspace r-run-rprofile limit-file-upload-size-mb limit-cpu-time-minutes
    limit-xfs-disk-quota external-hunspell-dictionaries-path external-mathjax-path external-pandoc-path
    external-quarto-path external-copilot-path external-node-path external-libclang-path external-libclang-headers-path
    git-commit-large-file-size show-user-identity copilot-enabled copilot-proxy-url copilot-auth-provider
    copilot-proxy-kerberos-service-principal copilot-ssl-certificates-file copilot-proxy-strict-ssl copilot-helper
"""
_LAUNCHER = """
    address port server-user admin-group authorization-enabled thread-pool-size enable-debug-logging scratch-path
    logging-dir secure-cookie-key-file enable-ssl certificate-file certificate-key-file max-message-size
    job-expiry-hours bootstrap-timeout-seconds enable-cgroups unprivileged rsandbox-path heartbeat-interval-seconds
    plugin-metrics-interval-seconds log-level
"""
_LAUNCHER_LOCAL = """
    scratch-path load-balancer-preference unprivileged node-connection-timeout-seconds rsandbox-path shell server-user
    save-unspecified-output heartbeat-interval-seconds job-expiry-hours enable-cgroups thread-pool-size encryption-key
    enable-debug-logging logging-dir verify-ssl-certs plugin-metrics-interval-seconds
"""
_IDE = """
    enabled exe args user-data-dir session-timeout-kill-hours session-cull-minutes session-no-profile
    allow-file-downloads allow-file-uploads default-session-cluster default-session-container-image
"""

PROFILES = "launcher.local.profiles.conf"


class Values(NamedTuple):
    """What a key takes: in words, and as a regular expression, whatever the case of the value."""

    words: str
    pattern: str


INTEGER = Values("a whole number", "[+-]?[0-9]{1,9}")
SWITCH = Values("1 or 0", "|on|off|yes|no|1|0|true|false")  # what Boost.Program_options takes for a bool


def _one_of(text: str) -> Values:
    return Values(f"one of {text}", text.replace(", ", "|"))


def _each(text: str, values: Values) -> dict[str, Values]:
    return dict.fromkeys(text.split(), values)


# The keys of which it is published what they take; of all others any text is taken. Sources: the options files of
# github.com/rstudio/rstudio (src/cpp/server/server-options.json and O), and of logging.conf its
# src/cpp/core/LogOptions.cpp, by which a program takes its default in place of another word.
VALUES: Mapping[str, Mapping[str, Values]] = {
    "rserver.conf": {
        **_each(
            """
            auth-sign-in-throttle-seconds auth-stay-signed-in-days auth-timeout-minutes monitor-interval-seconds
            rsession-memory-limit-mb rsession-process-limit rsession-proxy-max-wait-secs rsession-stack-limit-mb
            www-thread-pool-size
            """,
            INTEGER,
        ),
        **_each(
            """
            auth-cookies-force-secure auth-encrypt-password auth-none auth-validate-users server-daemonize
            server-set-umask session-use-file-storage www-enable-origin-check www-proxy-localhost
            www-use-emulated-stack www-verify-user-agent
            """,
            SWITCH,
        ),
    },
    "rsession.conf": {
        **_each(
            """
            session-timeout-minutes session-disconnected-timeout-minutes websocket-ping-seconds
            websocket-connect-timeout websocket-log-level websocket-handshake-timeout session-async-rpc-timeout-ms
            session-handle-offline-timeout-ms abort-free-mem-percent r-compatible-graphics-engine-version
            r-restore-workspace r-run-rprofile limit-file-upload-size-mb limit-cpu-time-minutes
            git-commit-large-file-size
            """,
            INTEGER,
        ),
        **_each(
            """
            session-connections-block-suspend session-external-pointers-block-suspend session-timeout-suspend
            session-create-public-folder session-create-profile session-rprofile-on-resume-default show-help-home
            session-default-clicolor-force session-quit-child-processes-on-exit package-output-to-package-folder
            restrict-directory-view session-suspend-on-incomplete-statement session-async-rpc-enabled
            session-handle-offline-enabled session-allow-project-user-data-dir-override allow-vcs-executable-edit
            allow-r-cran-repos-edit allow-vcs allow-package-installation allow-shell allow-terminal-websockets
            allow-file-downloads allow-file-uploads allow-remove-public-folder allow-rpubs-publish
            allow-external-publish allow-publish allow-presentation-commands allow-full-ui allow-launcher-jobs
            allow-over-limit-sessions allow-pai r-auto-reload-source limit-xfs-disk-quota show-user-identity
            copilot-enabled copilot-proxy-strict-ssl
            """,
            SWITCH,
        ),
    },
    "logging.conf": {
        "log-level": _one_of("trace, debug, info, warn, error"),
        "logger-type": _one_of("file, stderr, syslog"),
        "log-message-format": _one_of("pretty, json"),
    },
}

FILES: Mapping[str, File] = {
    # Its keys: planning/server_options.py. Those that an input may not give: values.py, OWNED_KEYS.
    "rserver.conf": File(Format.KEYS, Effect.RESTART, "A O", unknown=Unknown.NO_START),
    "rsession.conf": File(Format.KEYS, Effect.RELOAD, "A O E", _words(_RSESSION), Unknown.NO_SESSION),
    "launcher.conf": File(
        Format.SECTIONS,
        Effect.RESTART_LAUNCHER,
        "A L",
        {
            "server": frozenset(_LAUNCHER.split()),
            "cluster": frozenset({"name", "type", "exe", "config-file", "allowed-groups"}),
        },
        Unknown.NO_LAUNCHER,
        {
            "server": _owned(
                OF_PEERS,
                "address port server-user admin-group authorization-enabled unprivileged enable-ssl certificate-file "
                "certificate-key-file secure-cookie-key-file",
            ),
            "cluster": _owned("a cluster runs sessions on its own nodes", "name type exe config-file"),
        },
    ),
    "launcher.local.conf": File(
        Format.KEYS,
        Effect.RESTART_LAUNCHER,
        "A L",
        _words(_LAUNCHER_LOCAL),
        Unknown.NO_LAUNCHER,
        {
            "": _owned(OF_SHARED_STORAGE, "scratch-path load-balancer-preference")
            | _owned(OF_PEERS, "server-user unprivileged encryption-key")
        },
    ),
    PROFILES: File(
        Format.SECTIONS,
        Effect.RELOAD_LAUNCHER,
        "A O L E",
        _words("default-cpus default-mem-mb max-cpus max-mem-mb resource-profiles allow-custom-resources"),
        Unknown.KEPT,
    ),
    "launcher.local.resources.conf": File(
        Format.SECTIONS, Effect.RELOAD_LAUNCHER, "A L E", _words("name cpus mem-mb"), Unknown.KEPT
    ),
    "launcher-env": File(Format.RECORDS, Effect.RESTART, "A E", _words("JobType Workbench Cluster Environment")),
    "load-balancer": File(
        Format.KEYS,
        Effect.RELOAD,
        "A",
        _words(
            "balancer www-host-name delete-node-on-exit launcher-local-proxy launcher-balancing-enabled ssl "
            "ssl-verify-cert timeout verify-ssl-certs"
        ),
        Unknown.NO_START,
        {"": _owned(OF_PEERS, "www-host-name delete-node-on-exit launcher-balancing-enabled ssl ssl-verify-cert")},
    ),
    "file-locks": File(
        Format.KEYS,
        Effect.RESTART,
        "A",
        _words("lock-type refresh-rate timeout-interval enable-logging log-file use-symlinks"),
        owned={"": _owned(OF_SHARED_STORAGE, "lock-type")},
    ),
    "logging.conf": File(
        Format.SECTIONS,
        Effect.RELOAD,
        "A O",
        _words(
            "log-level logger-type log-message-format log-dir log-file-mode log-file-include-pid rotate rotate-days "
            "max-size-mb delete-days warn-syslog max-rotations trace-db-enabled log-code-locations"
        ),
    ),
    "env-vars": File(Format.KEYS, Effect.RELOAD, "A"),
    "repos.conf": File(Format.KEYS, Effect.NONE, "A E H"),
    "r-versions": File(Format.RECORDS, Effect.RELOAD, "A", _words("Path Label Module Script Library Repo")),
    "notifications.conf": File(Format.RECORDS, Effect.NONE, "A", _words("StartTime EndTime Message")),
    "jupyter.conf": File(
        Format.KEYS,
        Effect.RESTART,
        "A E H",
        _words(
            "labs-enabled notebooks-enabled jupyter-exe lab-version notebook-version lab-args notebook-args "
            "session-cull-minutes session-shutdown-minutes session-no-profile default-session-cluster "
            "default-session-container-image"
        ),
    ),
    "vscode.conf": File(Format.KEYS, Effect.RESTART, "A E H", _words(_IDE)),
    "positron.conf": File(Format.KEYS, Effect.RESTART, "A E H", _words(_IDE)),
    "vscode.extensions.conf": File(Format.TEXT, Effect.NONE, "A H"),
    "positron.extensions.conf": File(Format.TEXT, Effect.NONE, "A H"),
    "vscode-user-settings.json": File(Format.JSON, Effect.NONE, "A E H"),
    "positron-user-settings.json": File(Format.JSON, Effect.NONE, "A E H"),
    "positron-enforced-settings.json": File(Format.JSON, Effect.RESTART, "A E"),
    "rstudio-prefs.json": File(Format.JSON, Effect.NONE, "A H"),
    "profiles": File(
        Format.SECTIONS,
        Effect.RESTART,
        "A O E",
        _words(
            "cpu-affinity max-processes max-memory-mb session-limit session-timeout-minutes session-timeout-kill-hours "
            "nice r-version positron-enforced-settings"
        ),
    ),
    "health-check": File(Format.TEXT, Effect.RESTART, "A H"),
    "ip-rules": File(Format.TEXT, Effect.RESTART, "A"),
    "login.html": File(Format.TEXT, Effect.RESTART, "A"),
    "chronicle-local.gcfg": File(Format.TEXT, Effect.RESTART, "H"),
    **{
        f"nginx.{name}": File(Format.TEXT, Effect.RELOAD, "A")
        for name in ("http.conf", "server.conf", "site", "site.conf", "worker.conf", "static.conf")
    },
    # They hold a secret, so an input names one. The server reads databricks.conf as its own user.
    "databricks.conf": File(Format.SECTIONS, Effect.RESTART, "H", secret=True, owner=SERVICE_USER),
    "audit-database.conf": File(Format.KEYS, Effect.RESTART, "A", secret=True),
}

# Files that Benchwright writes on every node, with defaults that an input may change by keys alone.
WRITTEN = frozenset(
    {
        "rserver.conf",
        "jupyter.conf",
        "vscode.conf",
        "positron.conf",
        *(name for name, file in FILES.items() if file.owned),
    }
)
# Files that an input may not have: why, and what to give in their place.
REFUSED: Mapping[str, tuple[str, str]] = {
    "database.conf": ("Benchwright writes it with the password of the cluster's database", "`database`"),
    "secure-cookie-key": ("each cluster has a key of its own, which nodes fetch", "nothing: the key exists"),
    "openid-client-secret": ("Benchwright writes it", "`auth.client_id` and `auth.client_secret`"),
    "saml-metadata.xml": ("Benchwright writes it", "`auth.metadata`"),
    "scim-token": ("Benchwright writes it", "`auth.scim_token`"),
    "workbench-nss.conf": ("Workbench writes it when it makes accounts", "`auth.provisioning`"),
    **dict.fromkeys(
        ("launcher.pem", "launcher.pub", "session-rpc-key"),
        ("the nodes share it by the database of Workbench", "nothing: the key exists"),
    ),
    **dict.fromkeys(
        ("themes", "fonts", "keybindings", "snippets", "templates", "dictionaries"),
        ("it is a folder", "an AMI of your own (`image.ami`) that holds it"),
    ),
}
# Launchers that read profiles again without a restart: the interface with its plugins has it since May 2026
# (launcher-go-sdk, CHANGELOG.md, 0.2.0). A node restarts one that does not take the signal.
LAUNCHER_RELOADS_SINCE = "2026.06"


def effects(version: str) -> dict[str, Effect]:
    """Return what a change of each file needs with a version of Workbench, such as 2026.07.1+147.pro6."""
    reloads = version[: len(LAUNCHER_RELOADS_SINCE)] >= LAUNCHER_RELOADS_SINCE
    restarts = {} if reloads else {Effect.RELOAD_LAUNCHER: Effect.RESTART_LAUNCHER}
    return {name: restarts.get(file.effect, file.effect) for name, file in FILES.items()}


def unknown_keys(file: File, given: Iterator[tuple[str, str]]) -> list[str]:
    """Return those of some keys, each with its section, that are not published."""
    if file.keys is None:
        return []
    of_all = file.keys.get("", frozenset())
    return sorted(
        {
            f"[{section}] {key}" if section else key
            for section, key in given
            if key not in file.keys.get(section, of_all)
        }
    )


def wrong_value(name: str, key: str, value: str) -> Values | None:
    """Return what a key of a file takes, if a value is nothing of it."""
    takes = VALUES.get(name, {}).get(key)
    return takes if takes and not re.fullmatch(takes.pattern, value, re.IGNORECASE) else None


def order(section: str) -> tuple[int, str]:
    """Return where a section stands in a file: what holds for everyone, then groups, then users.

    A JSON object has no order. The last section that fits wins in `profiles`; the launcher puts its own in this order.
    """
    return (0 if section == "*" else 1 if section.startswith("@") else 2), section
