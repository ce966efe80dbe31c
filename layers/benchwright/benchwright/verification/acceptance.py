"""Acceptance tests by Posit: what `vip verify` of posit-vip needs to test a cluster as its users see it.

Source: github.com/posit-dev/vip, src/vip/config.py (the keys, and that VIP_TEST_USERNAME and VIP_TEST_PASSWORD hold the
credentials), and `vip verify --help` of posit-vip 2026.10.3.
"""

import json
from collections.abc import Mapping

from pydantic import BaseModel

from benchwright.models import Plan

PROVIDERS: Mapping[str, str] = {"pam": "password", "sssd": "password", "oidc": "oidc", "saml": "saml"}


class Acceptance(BaseModel):
    """vip_toml: the content of the file vip.toml, without a secret. command: runs the tests beside that file; where
    people have passwords, with those of an account in VIP_TEST_USERNAME and VIP_TEST_PASSWORD, else in a browser.
    """

    vip_toml: str
    command: str


def acceptance(plan: Plan, application: str, url: str) -> Acceptance:
    """Write the configuration.

    url: of Workbench for people, or of the tunnel. Strings of JSON are strings of TOML, too.
    """
    wanted = plan.wanted
    provider = PROVIDERS[wanted.auth.method]
    sections: Mapping[str, Mapping[str, object]] = {
        "general": {"deployment_name": f"{application} {plan.cluster}"},
        "connect": {"enabled": False},
        "package_manager": {"enabled": False},
        "workbench": {"url": url, "version": wanted.workbench.version.partition("+")[0]},
        "auth": {"provider": provider},
        # Which versions an AMI of your own has is not known here.
        "runtimes": {}
        if wanted.image.ami
        else {"r_versions": wanted.r_versions, "python_versions": wanted.python_versions},
    }
    browser = "" if provider == "password" else " --interactive-auth"
    return Acceptance(
        vip_toml="\n".join(
            f"[{name}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())
            for name, values in sections.items()
        ),
        command=f"vip verify --config vip.toml --categories workbench{browser}",
    )
