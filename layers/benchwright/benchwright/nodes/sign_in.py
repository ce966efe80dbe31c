"""How people sign in, as the nodes have it: keys of rserver.conf, and the files beside it.

Sources: Posit Workbench administration guide, "OpenID Connect", "SAML", "User provisioning" and "PAM sessions", and
the PAM profile of rstudio/rstudio-docker-products. A content that is empty here is a secret, which infra/node/files.sh
fetches.
"""

from __future__ import annotations

from collections.abc import Mapping

from benchwright.models import Auth, Plan
from benchwright.nodes import directory
from benchwright.nodes.entries import Entry, ini, lines, rstudio
from benchwright.values import FIRST_PROVISIONED_ID, LOWEST_ID

SERVICE_USER = "rstudio-server"
CLIENT_SECRET, SAML_METADATA, SCIM_TOKEN = "openid-client-secret", "saml-metadata.xml", "scim-token"
PAM_PROFILE = "rstudio-session"


def options(plan: Plan, homes: str) -> dict[str, str]:
    """Return the keys of rserver.conf; none where people have passwords.

    homes: the folder of the homes.
    """
    auth, access = plan.wanted.auth, plan.wanted.access
    keys: dict[str, str | None] = {}
    if auth.method != "pam":
        # Names come from outside. Without this, whom the identity provider or the directory calls `ubuntu` would be the
        # administrator of that name. Source: rstudio/rstudio, src/cpp/server/server-options.json.
        keys["auth-minimum-user-id"] = str(LOWEST_ID)
    match auth.method:
        case "oidc":
            keys |= {
                "auth-openid": "1",
                "auth-openid-issuer": auth.issuer,
                "auth-openid-username-claim": auth.username_claim,
                "auth-openid-scopes": " ".join(auth.scopes) if auth.scopes else None,
                "auth-openid-groups-claim": auth.groups_claim,
            }
        case "saml":
            keys |= {
                "auth-saml": "1",
                "auth-saml-metadata-url": auth.metadata_url,
                "auth-saml-metadata-path": f"/etc/rstudio/{SAML_METADATA}" if auth.metadata else None,
                "auth-saml-sp-base-uri": f"https://{access.hostname}" if access else None,
                "auth-saml-sp-attribute-username": auth.username_attribute,
                "auth-saml-sp-attribute-groups": auth.groups_attribute,
                "auth-saml-sp-name-id-format": auth.name_id_format,
                "auth-saml-idp-post-binding": "1" if auth.post_binding else None,
            }
    if auth.provisions:
        keys |= {
            "user-provisioning-enabled": "1",
            "user-provisioning-register-on-first-login": "1" if auth.provisioning == "jit" else None,
            "user-provisioning-start-uid": str(FIRST_PROVISIONED_ID),
            "group-provisioning-start-gid": str(FIRST_PROVISIONED_ID),
            "user-homedir-path": homes,
        }
    if opens_sessions(auth):
        keys |= {"auth-pam-sessions-enabled": "1", "auth-pam-sessions-profile": PAM_PROFILE}
    keys["auth-required-user-group"] = auth.required_group
    if auth.admin_group:
        keys |= {"admin-enabled": "1", "admin-group": auth.admin_group}
    return {key: value for key, value in keys.items() if value is not None}


def files(plan: Plan, homes: str) -> list[Entry]:
    """Return the files beside rserver.conf.

    homes: the folder of the homes.
    """
    auth = plan.wanted.auth
    entries = []
    if auth.method == "oidc" and auth.client_id:
        client = ini({"client-id": auth.client_id})
        entries.append(rstudio(CLIENT_SECRET, client, mode="0600", owner=SERVICE_USER))
    if auth.metadata:
        entries.append(rstudio(SAML_METADATA, "", mode="0600", owner=SERVICE_USER))
    if auth.provisioning == "scim":
        entries += [rstudio(SCIM_TOKEN, "", mode="0600", owner=SERVICE_USER), _drop_in()]
    if opens_sessions(auth):
        entries.append(Entry(f"/etc/pam.d/{PAM_PROFILE}", "0644", "root", "root", _session_profile(auth)))
    return [*entries, *directory.files(auth, homes)]


def values(plan: Plan) -> Mapping[str, str]:
    """Return what the bundle's `env` says of sign-in."""
    auth, secrets = plan.wanted.auth, plan.sign_in
    return {
        "AUTH_SECRET_ARN": secrets.secret_arn,
        "AUTH_SECRET_VERSION": secrets.secret_version,
        "SCIM_SECRET_ARN": secrets.token_arn,
        "SCIM_SECRET_VERSION": secrets.token_version,
        "PROBE_ACCOUNT": auth.probe_account or "",
    }


def opens_sessions(auth: Auth) -> bool:
    """Return whether Workbench opens sessions by PAM.

    The profile makes the home of whom no configuration names, when they first come, and refuses an expired account.
    """
    return auth.method != "pam"


def _drop_in() -> Entry:
    """Return the unit file by which the server finds the token (posit-dev/team-operator#120)."""
    path = "/etc/systemd/system/rstudio-server.service.d/benchwright-scim.conf"
    variable = f"Environment=WORKBENCH_USER_SERVICE_AUTH_TOKEN_PATH=/etc/rstudio/{SCIM_TOKEN}"
    return Entry(path, "0644", "root", "root", lines(["[Service]", variable]))


def _session_profile(auth: Auth) -> str:
    """Return the PAM profile of sessions: Workbench opens them as root, so it asks for no password."""
    return lines(
        [
            "auth sufficient pam_rootok.so",
            "auth required pam_unix.so try_first_pass",
            *(directory.ACCOUNT if auth.by_directory else ("account required pam_unix.so",)),
            "session required pam_mkhomedir.so skel=/etc/skel umask=0077",
            "session required pam_env.so readenv=1 envfile=/etc/default/locale",
            "session required pam_limits.so",
            "session required pam_unix.so",
            *(("session optional pam_sss.so",) if auth.by_directory else ()),
        ]
    )
