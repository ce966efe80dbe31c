"""From a plan to the files of /etc/rstudio and the bundle that a node applies: pure, deterministic, without secrets.

The bundle is a gzipped tar with `manifest` (mode, owner, group, path), `files/` (content), `secrets` (files that a
secret holds), `effects` (what a change of a file needs), `users`, `locked`, `groups`, `emptied` and `env`. Its hash
covers the plain configuration and the versions of the secrets, not what differs by node or by chance
(docs/decisions/0013).
"""

import hashlib
import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote

from benchwright.errors import NodeConfigurationFailed
from benchwright.models import DATABASE_NAME, DATABASE_USER, HOME, SHARED_STORAGE, File, Plan
from benchwright.nodes import administration, files, limits, sign_in
from benchwright.nodes.archive import compressed, packed
from benchwright.nodes.entries import Entry, ini, lines, rstudio
from benchwright.secrets import Secret

DATABASE_CA = "/etc/benchwright/rds-ca.pem"
JUPYTER = "/opt/python/jupyter"  # image/components/jupyter.yaml
CODE_SERVER = "/usr/lib/rstudio-server/bin/pwb-code-server/bin/code-server"  # of the package of Workbench


class Endpoint(NamedTuple):
    """Where the database answers."""

    host: str
    port: int


class Bundle(NamedTuple):
    """What a node applies, under the hash of its content."""

    configuration: str
    archive: bytes


def render_files(plan: Plan, endpoint: Endpoint) -> list[Entry]:
    """Render every file that Benchwright owns: those of /etc/rstudio, pip's, and what systemd keeps for Workbench.

    Sources: Posit Workbench administration guide, load balancing, database configuration and job launcher; for the
    advisory lock type, Posit's page on EFS. The password of database.conf and the key are added on the node.
    """
    server = {
        "load-balancing-enabled": "1",
        "server-shared-storage-path": SHARED_STORAGE,
        "server-project-sharing": "0",  # EFS knows no ACLs
        "server-health-check-enabled": "1",
        "launcher-address": "127.0.0.1",
        "launcher-port": "5559",
        "launcher-sessions-enabled": "1",
        "launcher-default-cluster": "Local",
        # How sessions and jobs reach their server: each node has a launcher of its own, so always over the same host.
        "launcher-sessions-callback-address": "http://127.0.0.1:8787",
    }
    if plan.license and plan.license.server:
        server["server-license-type"] = "remote"
    if plan.wanted.access:
        # TLS ends at the load balancer, whose headers Host and X-Forwarded-Proto say to Workbench what its address is.
        # Source: rstudio/rstudio, src/cpp/server/server-options.json; src/cpp/core/http/Request.cpp, proxiedUri.
        server["auth-cookies-force-secure"] = "1"
    server |= sign_in.options(plan, HOME) | administration.options(plan.wanted, SHARED_STORAGE)
    given = limits.profiles(plan.wanted.limits, plan.wanted.files)
    # Without the password: a URI's password is not percent-decoded and must stay out of it.
    uri = (
        f"postgresql://{DATABASE_USER}@{_word(endpoint.host)}:{endpoint.port}/{DATABASE_NAME}"
        f"?sslmode=verify-full&sslrootcert={quote(DATABASE_CA, safe='/')}"
    )
    written = [
        rstudio("rserver.conf", ini(files.together(server, plan.wanted.server_config))),
        rstudio("database.conf", ini({"provider": "postgresql", "connection-uri": uri}), mode="0600"),
        files.keys(
            "load-balancer",
            {"www-host-name": administration.PRIVATE_ADDRESS, "delete-node-on-exit": "1", "balancer": "sessions"},
            given,
        ),
        files.sections(
            "launcher.conf",
            {
                "server": {
                    "address": "0.0.0.0",  # peers reach the launcher of the node that holds a session
                    "port": "5559",
                    "server-user": "rstudio-server",
                    "admin-group": "rstudio-server",
                    "authorization-enabled": "1",
                    "thread-pool-size": "4",
                    **limits.server(plan.wanted.limits),
                },
                "cluster": {"name": "Local", "type": "Local"},
            },
            given,
        ),
        files.keys(
            "launcher.local.conf",
            {"scratch-path": f"{SHARED_STORAGE}/launcher-local", "load-balancer-preference": "nfs"},
            given,
        ),
        files.keys("file-locks", {"lock-type": "advisory"}, given),
        files.keys("jupyter.conf", _jupyter(plan), given),
        *_of_vscode_kind(plan, given),
        *_repositories(plan, given),
        *sign_in.files(plan, HOME),
        *limits.shares(plan.wanted.limits),
    ]
    return [*written, *files.others(given, {entry.path for entry in written})]


def _repositories(plan: Plan, given: Mapping[str, File]) -> list[Entry]:
    """Where R and pip get packages from; an input that gives repos.conf gives all of it."""
    pip = Entry(files.PIP_CONF, "0644", "root", "root", "[global]\n" + ini({"index-url": plan.wanted.repos.pypi}))
    if "repos.conf" in given and not given["repos.conf"].is_empty:
        return [pip]
    return [rstudio("repos.conf", ini({"CRAN": plan.wanted.repos.cran})), pip]


def _jupyter(plan: Plan) -> dict[str, str]:
    """JupyterLab is on in a new installation of Workbench, which does not bring it (Posit Workbench administration
    guide, Jupyter configuration).
    """
    if not plan.wanted.jupyter_versions:
        return {"labs-enabled": "0", "notebooks-enabled": "0"}
    return {"labs-enabled": "1", "notebooks-enabled": "0", "jupyter-exe": f"{JUPYTER}/bin/jupyter"}


def _of_vscode_kind(plan: Plan, given: Mapping[str, File]) -> list[Entry]:
    """VS Code and Positron, on as in a new installation, where the package brings them. Workbench finds the newest
    Positron of a node by itself (Posit Workbench administration guide, "VS Code sessions", "Positron Pro sessions").
    """
    vscode = {"enabled": "1", "exe": CODE_SERVER, "args": "--host=0.0.0.0"}
    return [
        *([files.keys("vscode.conf", vscode, given)] if plan.wanted.has_vscode else []),
        *([files.keys("positron.conf", {"enabled": "1"}, given)] if plan.wanted.has_positron else []),
    ]


def make_bundle(plan: Plan, endpoint: Endpoint, database: Secret, secure_cookie_key: Secret) -> Bundle:
    """Render and pack the configuration; the same plan and secrets give the same bytes."""
    entries = render_files(plan, endpoint)
    users = [
        " ".join(
            _word(text)
            for text in (
                *(account.name, str(account.uid), str(account.gid)),
                *(account.secret_arn or "-", account.secret_version or "-"),
            )
        )
        for account in plan.accounts
    ]
    values = {
        "WORKBENCH_VERSION": plan.wanted.workbench.version,
        "DATABASE_SECRET_ARN": database.arn,
        "DATABASE_SECRET_VERSION": database.version,
        "SECURE_COOKIE_KEY_SECRET_ARN": secure_cookie_key.arn,
        "SECURE_COOKIE_KEY_SECRET_VERSION": secure_cookie_key.version,
        "LICENSE_SECRET_ARN": plan.license.secret_arn if plan.license else "",
        "LICENSE_SECRET_VERSION": plan.license.secret_version if plan.license else "",
        "LICENSE_SERVER": plan.license.server if plan.license else "",
        **sign_in.values(plan),
    }
    contents = {
        "manifest": lines(f"{entry.mode} {entry.owner} {entry.group} {entry.path}" for entry in entries),
        "users": lines(users),
        "locked": lines(f"{name} {uid} {gid}" for name, (uid, gid) in plan.locked_accounts.items()),
        "groups": lines(f"{group.name} {group.gid} {','.join(group.members) or '-'}" for group in plan.groups),
        "emptied": lines(f"{name} {gid}" for name, gid in plan.emptied_groups.items()),
        "secrets": lines(
            f"{files.path_of(name)} {_word(secret.arn)} {_word(secret.version)}"
            for name, secret in plan.file_secrets.items()
        ),
        "effects": files.effects(plan.wanted.workbench.version),
        "env": lines(f"{name}={_word(value)}" for name, value in values.items()),
        **{f"files{entry.path}": entry.content for entry in entries},
    }
    configuration = hashlib.sha256(_packed(contents)).hexdigest()
    contents["env"] = f"CONFIGURATION={configuration}\n{contents['env']}"
    return Bundle(configuration, compressed(_packed(contents)))


def _word(text: str) -> str:
    """Return what AWS returned as it goes into a line of the bundle, where a space would begin something else.

    Raises NodeConfigurationFailed where it is no word.
    """
    if re.fullmatch(r"[!-~]*", text):
        return text
    raise NodeConfigurationFailed(
        f"{text[:200]!r} cannot be written into the configuration of the nodes: it is more than one word of ASCII. "
        "If it is the version of a secret, give the secret a new one without a ClientRequestToken of your own; then "
        "start again."
    )


def _packed(contents: Mapping[str, str]) -> bytes:
    return packed({name: text.encode() for name, text in contents.items()})
