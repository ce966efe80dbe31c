"""What nodes have that ask a directory for accounts: sssd, and the PAM profiles by which Workbench asks it.

Sources: sssd.conf(5); the PAM profiles of rstudio/rstudio-docker-products; pam-configs of Debian's libpam-sss. The
content of sssd.conf is a secret, which infra/node/files.sh fetches.
"""

from __future__ import annotations

from benchwright.models import Auth
from benchwright.nodes.entries import Entry, lines

# Accounts of the node itself keep their passwords, and come in also while the directory is away.
ACCOUNT = (
    "account required pam_unix.so",
    "account sufficient pam_localuser.so",
    "account [default=bad success=ok user_unknown=ignore] pam_sss.so",
)
# Of a local name the directory's password is not asked: whom the directory calls `ubuntu` would be the local `ubuntu`.
SIGN_IN = (
    "auth sufficient pam_unix.so",
    "auth [success=1 default=ignore] pam_localuser.so",
    "auth sufficient pam_sss.so use_first_pass",
    "auth required pam_deny.so",
)


def files(auth: Auth, homes: str) -> list[Entry]:
    """Return the files of a node beside those of Workbench, none without a directory.

    homes: the folder of the homes. Those of the directory would be on one node alone, and sssd.conf has the last word
    only in the section of a domain, which a node checks.
    """
    if not auth.by_directory:
        return []
    return [
        Entry("/etc/sssd/sssd.conf", "0600", "root", "root", ""),
        Entry("/etc/sssd/conf.d/benchwright.conf", "0600", "root", "root", f"[nss]\noverride_homedir = {homes}/%u\n"),
        Entry("/etc/pam.d/rstudio", "0644", "root", "root", lines((*SIGN_IN, *ACCOUNT))),
    ]
