"""Reads an sssd.conf and prints what of it does not fit a cluster of Workbench, a sentence for each.

Exits with 1 where there is any. The path is the only argument. Values are not printed, but of options that are no
secrets. Sources: sssd.conf(5), sssd-ldap(5), sssd-ad(5) of sssd 2.9.
"""

import configparser
import sys
from pathlib import Path

HOME = "/efs/home/"
SERVICES = ("rstudio", "rstudio-session")  # of PAM: sign-in to Workbench, and its sessions
GPO_MAPS = ("interactive", "remote_interactive", "network", "batch", "service", "permit")


def is_true(text: str) -> bool:
    return text.lower() in {"true", "1", "yes", "on"}


def words(text: str) -> set[str]:
    return set(text.replace(",", " ").split())


def problems(conf: configparser.ConfigParser) -> list[str]:
    """Return what does not fit."""
    top = dict(conf["sssd"]) if conf.has_section("sssd") else {}
    found = []
    if missing := [name for name in ("nss", "pam") if name not in words(top.get("services", ""))]:
        found.append(f"services of [sssd] must have nss and pam, and lacks {' and '.join(missing)}.")
    for section in conf.sections():
        if section.startswith("domain/"):
            found += [f"[{section}] {problem}" for problem in of_domain(dict(conf[section]), top)]
    return found


def of_domain(domain: dict[str, str], top: dict[str, str]) -> list[str]:
    found = []
    provider = domain.get("id_provider", "")
    keytab = domain.get("krb5_keytab") or domain.get("ldap_krb5_keytab") or "/etc/krb5.keytab"
    if provider in {"ad", "ipa"} and not Path(keytab).exists():
        found.append(
            f"has id_provider = {provider}, which needs a computer account of each node ({keytab}), and Benchwright "
            "joins no node to a domain: use id_provider = ldap with a bind account (for Active Directory with "
            "ldap_schema = ad and ldap_id_mapping = true)."
        )
    enforcing = domain.get("ad_gpo_access_control", "enforcing").lower() == "enforcing"
    if domain.get("access_provider") == "ad" and enforcing:
        mapped = {word for name in GPO_MAPS for word in words(domain.get(f"ad_gpo_map_{name}", ""))}
        if missing := [f"+{service}" for service in SERVICES if f"+{service}" not in mapped]:
            found.append(
                f"lets group policies of Active Directory decide, which refuse Workbench: it needs ad_gpo_map_service ="
                f" {', '.join(missing)}."
            )
    home = domain.get("override_homedir", "")
    if home and not home.startswith(HOME):
        found.append(
            f"has override_homedir = {home}, where each node has homes of its own: leave it out, or set it to {HOME}%u."
        )
    names = domain.get("full_name_format", top.get("full_name_format", ""))
    if is_true(domain.get("use_fully_qualified_names", "")) and names != "%1$s":
        found.append(
            "has use_fully_qualified_names, so names have an @, which Workbench does not take: set it to False."
        )
    return found


def main(path: str) -> int:
    conf = configparser.ConfigParser(
        interpolation=None, strict=False, delimiters=("=",), comment_prefixes=("#", ";"), default_section=""
    )
    # An indented line is an option of its own to sssd, and would be more of the value before it to configparser.
    conf.read_string("\n".join(line.strip() for line in Path(path).read_text().splitlines()))
    found = problems(conf)
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
