"""The published keys of Workbench's rserver.conf, so that an input with another one is warned about in the first state.

Workbench does not start when rserver.conf has a key that it does not know (rstudio#9709), and its full reference
(docs.posit.co/ide/server-pro/admin/reference/rserver_conf.html) differs by version. So this list only warns; the first
node that applies the configuration decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from benchwright.planning.similar_names import meant

# By where it is published: the prefix of the names, then the rest of each name.
_OPEN_SOURCE: Mapping[str, str] = {  # github.com/rstudio/rstudio, src/cpp/server/server-options.json
    "": "verify-installation secure-cookie-key-file session-use-file-storage rldpath-path database-config-file "
    "db-command monitor-interval-seconds",
    "server-": "working-dir user daemonize pid-file app-armor-enabled set-umask data-dir add-header",
    "www-": "address port root-path local-path symbol-maps-path use-emulated-stack thread-pool-size proxy-localhost "
    "verify-user-agent same-site frame-origin enable-origin-check allow-origin",
    "rsession-": "which-r path ld-library-path config-file proxy-max-wait-secs memory-limit-mb stack-limit-mb "
    "process-limit",
    "auth-": "none validate-users stay-signed-in-days timeout-minutes encrypt-password login-page-html "
    "rdp-login-page-html required-user-group minimum-user-id pam-helper-path pam-require-password-prompt "
    "pam-requires-priv sign-in-throttle-seconds revocation-list-dir cookies-force-secure",
}
_WORKBENCH: Mapping[
    str, str
] = {  # the administration guide, the release notes, and configurations that Posit publishes
    "": "verify-user verify-test load-balancing-enabled r-versions-path r-versions-scan r-versions-multiple "
    "session-python-index-url max-streams-per-user streaming-connection-timeout-seconds use-legacy-homepage "
    "force-admin-ui-enabled license-warning-days databricks-enabled",
    "server-": "db-migrate-path nginx-path nginx-conf-template-path health-check-enabled health-check-delay access-log "
    "project-sharing project-sharing-root-dir shared-storage-path user-home-page multiple-sessions license-type "
    "product-check data-dir-mode",
    "rsession-": "exec-command no-profile diagnostics-enabled diagnostics-dir diagnostics-strace-enabled",
    "auth-": "pam-sessions-enabled pam-sessions-profile pam-sessions-use-password pam-sessions-close user-rewrite-rule "
    "openid openid-issuer openid-scopes openid-username-claim openid-groups-claim openid-aws-role-claim "
    "openid-aws-session-name-claim saml saml-metadata-url saml-metadata-path saml-sp-attribute-username "
    "saml-sp-attribute-email saml-sp-attribute-name saml-sp-attribute-groups saml-sp-attribute-posix-id "
    "saml-sp-attribute-homedir saml-sp-name-id-format saml-sp-base-uri saml-idp-post-binding proxy proxy-sign-in-url "
    "proxy-sign-out-url proxy-user-header proxy-user-header-rewrite proxy-require-hmac",
    "user-": "provisioning-enabled provisioning-register-on-first-login provisioning-start-uid homedir-path",
    "group-": "provisioning-start-gid",
    "launcher-": "address port use-ssl verify-ssl-certs default-cluster adhoc-clusters sessions-enabled "
    "sessions-callback-address sessions-callback-verify-ssl-certs sessions-clusters sessions-container-image "
    "sessions-container-images sessions-container-run-as-root sessions-connection-timeout-seconds "
    "sessions-create-container-user sessions-create-container-user-mode sessions-create-container-home-dir "
    "sessions-forward-container-environment sessions-forward-environment sessions-forward-groups "
    "sessions-proxy-timeout-seconds sessions-init-script-path sessions-use-pam-password sessions-auto-update "
    "sessions-init-container-image-name sessions-init-container-image-tag sessions-init-container-run-user "
    "positron-init-container-enabled positron-init-container-image-name positron-init-container-image-tag",
    "admin-": "enabled group superuser-group monitor-log-use-server-time-zone",
    "audit-": "data-path r-sessions r-sessions-format r-sessions-limit-mb r-sessions-limit-months r-console "
    "r-console-format r-console-user-limit-mb r-console-user-limit-months",
    "audited-jobs": " -storage-path",
    "monitor-": "data-path rrd-enabled rrd-data-path stderr-enabled graphite-enabled graphite-host graphite-port "
    "graphite-client-id",
    "metrics-": "enabled port address",
    "ssl-": "enabled certificate certificate-key protocols ciphers redirect-http hsts-enabled hsts-max-age "
    "hsts-include-subdomains",
    "workbench-api-": "enabled admin-enabled super-admin-enabled",
}
# Keys of older releases that keep a newer one from starting (release notes of 2025.09.0).
REMOVED: Mapping[str, str] = {
    "auth-google-accounts": "2025.09",
    "auth-google-accounts-redirect-base-uri": "2025.09",
}
PUBLISHED = frozenset(
    f"{prefix}{rest}"
    for names in (_OPEN_SOURCE, _WORKBENCH)
    for prefix, rests in names.items()
    for rest in rests.split(" ")
)

MOST_SHOWN, LONGEST_SHOWN = 10, 80  # keys in a warning, and characters of a value


def known(version: str) -> frozenset[str]:
    """Return the published keys of a version of Workbench, such as 2026.07.1+147.pro6."""
    release = ".".join(version.split(".")[:2])
    return PUBLISHED | {key for key, removed in REMOVED.items() if release < removed}


def given(values: Mapping[str, Any]) -> dict[str, tuple[str, Any]]:
    """Return the path and the value of each key of rserver.conf in an input, which may be wrong: `config` has them, or
    the file itself.
    """
    found: dict[str, tuple[str, Any]] = {}
    for path in (("files", "rserver.conf", "keys"), ("config",)):
        part: Any = values
        for name in path:
            part = part.get(name) if isinstance(part, dict) else None
        found |= {key: (".".join((*path, key)), value) for key, value in part.items()} if isinstance(part, dict) else {}
    return found


def warn(config: Iterable[str], version: str, path: str = "config") -> list[str]:
    """Return a warning about the keys that this version of Workbench is not known to have, or none.

    path: of the key of the input that holds them.
    """
    unknown = sorted(set(config) - known(version))
    if not unknown:
        return []
    shown = unknown[:MOST_SHOWN]
    more = f" and {len(unknown) - MOST_SHOWN} more" if len(unknown) > MOST_SHOWN else ""
    hints = [f"{key} was removed in {REMOVED[key]}" for key in shown if key in REMOVED]
    hints += [f"{key} looks like a key of rsession.conf" for key in shown if key.startswith("session-")]
    named = [f"{key}{meant(key, known(version))}" for key in shown]
    return [
        f"{path}: {', '.join(named)}{more}: not among the published keys of rserver.conf. "
        + "".join(f"{hint}. " for hint in hints)
        + f"With a key that Workbench {version} does not know, the first node fails and the others are not touched. "
        "Compare with the output of `rserver --help` on a node; null takes a key back."
    ]
