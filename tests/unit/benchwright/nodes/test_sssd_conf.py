"""What the node script says of an sssd.conf that does not fit a cluster of Workbench."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.benchwright.node_script import FOLDER

DOMAIN = {"id_provider": "ldap", "ldap_uri": "ldaps://directory.example.com", "ldap_default_authtok": "a secret"}
AD = {"id_provider": "ad", "access_provider": "ad"}
MAPPED = {"ad_gpo_map_service": "+rstudio, +rstudio-session"}
JOIN = (
    "[domain/example] has id_provider = ad, which needs a computer account of each node (/etc/krb5.keytab), and "
    "Benchwright joins no node to a domain: use id_provider = ldap with a bind account (for Active Directory with "
    "ldap_schema = ad and ldap_id_mapping = true).\n"
)
POLICIES = "lets group policies of Active Directory decide, which refuse Workbench: it needs ad_gpo_map_service ="
HOMES = "where each node has homes of its own: leave it out, or set it to /efs/home/%u.\n"
NAMES = "has use_fully_qualified_names, so names have an @, which Workbench does not take: set it to False.\n"


def said(folder: Path, domain: dict[str, str], **top: str) -> tuple[int, str]:
    """The exit code of the check, and what it prints."""
    values = {"services": "nss, pam", "domains": "example", **top}
    sections = {"sssd": values, "nss": {"filter_users": "root"}, "domain/example": domain}
    if keytab := domain.get("krb5_keytab"):
        domain["krb5_keytab"] = str(folder / keytab)
    text = "".join(f"[{name}]\n{''.join(f'{k} = {v}\n' for k, v in each.items())}\n" for name, each in sections.items())
    (folder / "sssd.conf").write_text(f"# % is not special\n{text}")
    (folder / "keytab").touch()
    command = [sys.executable, "-IS", str(FOLDER / "sssd_conf.py"), str(folder / "sssd.conf")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.stderr == ""
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    "domain",
    [
        DOMAIN,
        {**DOMAIN, "override_homedir": "/efs/home/%u"},
        {**DOMAIN, "use_fully_qualified_names": "False"},
        {**DOMAIN, "use_fully_qualified_names": "True", "full_name_format": "%1$s"},
        {**AD, **MAPPED, "krb5_keytab": "keytab"},
        {**AD, "ad_gpo_map_permit": "+rstudio, +rstudio-session", "krb5_keytab": "keytab"},
        {**AD, "ad_gpo_access_control": "permissive", "krb5_keytab": "keytab"},
    ],
)
def test_an_sssd_conf_that_fits_passes(domain: dict[str, str], tmp_path: Path) -> None:
    assert said(tmp_path, dict(domain)) == (0, "\n")
    assert said(tmp_path, dict(domain), services="nss pam,ssh") == (0, "\n")


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({**AD, **MAPPED}, JOIN),
        ({**AD, "krb5_keytab": "keytab"}, f"[domain/example] {POLICIES} +rstudio, +rstudio-session.\n"),
        (
            {**AD, "krb5_keytab": "keytab", "ad_gpo_map_service": "+rstudio"},
            f"[domain/example] {POLICIES} +rstudio-session.\n",
        ),
        ({"override_homedir": "/home/%u"}, f"[domain/example] has override_homedir = /home/%u, {HOMES}"),
        ({"use_fully_qualified_names": "TRUE"}, f"[domain/example] {NAMES}"),
    ],
)
def test_an_sssd_conf_that_does_not_fit_is_refused_with_the_remedy(
    changed: dict[str, str], problem: str, tmp_path: Path
) -> None:
    assert said(tmp_path, {**DOMAIN, **changed}) == (1, problem)


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"ldap_schema": "ad\n  override_homedir = /home/%u"}, f"has override_homedir = /home/%u, {HOMES}"),
        ({"ldap_schema": "ad\n\tuse_fully_qualified_names = True"}, NAMES),
        (
            {**AD, "krb5_keytab": "keytab", "ad_gpo_map_permit": "+a\n  ad_gpo_map_service = +rstudio-session"},
            f"{POLICIES} +rstudio.\n",
        ),
    ],
)
def test_an_indented_line_is_an_option_as_sssd_reads_it(changed: dict[str, str], problem: str, tmp_path: Path) -> None:
    assert said(tmp_path, {**DOMAIN, **changed}) == (1, f"[domain/example] {problem}")


@pytest.mark.parametrize(
    ("services", "missing"), [("", "nss and pam"), ("ssh, pam", "nss"), ("nss, pamela", "pam"), ("nss", "pam")]
)
def test_the_services_that_workbench_needs_must_be_named(services: str, missing: str, tmp_path: Path) -> None:
    problem = f"services of [sssd] must have nss and pam, and lacks {missing}.\n"
    assert said(tmp_path, dict(DOMAIN), services=services) == (1, problem)
