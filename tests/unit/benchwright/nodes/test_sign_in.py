"""How people sign in, as the nodes have it."""

from pathlib import Path
from typing import Any

import pytest

from benchwright.models import Auth, Plan, SignIn
from benchwright.nodes.bundle import make_bundle, render_files
from tests.documentation.input_reference import OIDC, SAML, SSSD
from tests.unit.benchwright.node_script import bash, function
from tests.unit.benchwright.nodes.test_bundle import DATABASE, ENDPOINT, KEY, unpacked
from tests.unit.benchwright.planning.test_sign_in import JIT, SCIM
from tests.unit.benchwright.verification.test_checks import a_plan

PROFILE = """auth sufficient pam_rootok.so
auth required pam_unix.so try_first_pass
account required pam_unix.so
session required pam_mkhomedir.so skel=/etc/skel umask=0077
session required pam_env.so readenv=1 envfile=/etc/default/locale
session required pam_limits.so
session required pam_unix.so
"""
PROVISIONING = {
    "user-provisioning-enabled": "1",
    "user-provisioning-start-uid": "200000",
    "group-provisioning-start-gid": "200000",
    "user-homedir-path": "/efs/home",
}
SESSIONS = {"auth-pam-sessions-enabled": "1", "auth-pam-sessions-profile": "rstudio-session"}
FROM_OUTSIDE = {"auth-minimum-user-id": "2000", **SESSIONS}
OPENID = {"auth-openid": "1", "auth-openid-issuer": "https://idp.example.com", **FROM_OUTSIDE}


def plan_of(raw: Any, **auth: Any) -> Plan:
    return a_plan({**raw, "auth": {**raw["auth"], **auth}})


def added(plan: Plan) -> tuple[dict[str, str], dict[str, tuple[str, str, str]]]:
    """What sign-in adds to rserver.conf, and the files beside it: mode, owner and content."""
    before = plan.model_copy(update={"wanted": plan.wanted.model_copy(update={"auth": Auth()})})
    entries, others = ({each.path: each for each in render_files(one, ENDPOINT)} for one in (plan, before))
    conf = "/etc/rstudio/rserver.conf"
    lines = [entries[conf].content.splitlines(), others[conf].content.splitlines()]
    assert [line for line in lines[0] if line in lines[1]] == lines[1]
    keys = dict(line.split("=", 1) for line in lines[0] if line not in lines[1])
    new = {path: entries[path] for path in sorted(set(entries) - set(others))}
    return keys, {path: (each.mode, f"{each.owner}:{each.group}", each.content) for path, each in new.items()}


def test_openid_connect() -> None:
    """Also where no account is made: a removed person has one that is expired, and only PAM looks at that."""
    secret = ("0600", "rstudio-server:rstudio-server", "client-id=workbench\n")
    files = {"/etc/pam.d/rstudio-session": ("0644", "root:root", PROFILE), "/etc/rstudio/openid-client-secret": secret}
    assert added(plan_of(OIDC)) == (OPENID, files)
    of_people = {"groups": {"a": {"members": ["ann"]}, "b": {"members": ["ann"]}}}
    more = {"username_claim": "email", "scopes": ["openid", "email"], "admin_group": "a", "required_group": "b"}
    keys, _ = added(plan_of({**OIDC, **of_people}, **more))
    assert keys == OPENID | {
        "auth-openid-username-claim": "email",
        "auth-openid-scopes": "openid email",
        "auth-required-user-group": "b",
        "admin-enabled": "1",
        "admin-group": "a",
    }


def test_accounts_that_workbench_makes() -> None:
    keys, files = added(plan_of(JIT))
    jit = {"auth-openid-groups-claim": "groups", "user-provisioning-register-on-first-login": "1"}
    assert keys == OPENID | PROVISIONING | jit
    assert files["/etc/pam.d/rstudio-session"] == ("0644", "root:root", PROFILE)
    assert set(files) == {"/etc/pam.d/rstudio-session", "/etc/rstudio/openid-client-secret"}


def test_accounts_that_the_identity_provider_makes() -> None:
    keys, files = added(plan_of(SCIM))
    assert PROVISIONING.items() <= keys.items()
    assert "user-provisioning-register-on-first-login" not in keys
    assert files == {
        "/etc/pam.d/rstudio-session": ("0644", "root:root", PROFILE),
        "/etc/rstudio/scim-token": ("0600", "rstudio-server:rstudio-server", ""),
        "/etc/systemd/system/rstudio-server.service.d/benchwright-scim.conf": (
            "0644",
            "root:root",
            "[Service]\nEnvironment=WORKBENCH_USER_SERVICE_AUTH_TOKEN_PATH=/etc/rstudio/scim-token\n",
        ),
    }


def test_saml_knows_its_address() -> None:
    keys, files = added(plan_of(SAML, username_attribute="NameID", name_id_format="emailaddress", post_binding=True))
    assert files == {"/etc/pam.d/rstudio-session": ("0644", "root:root", PROFILE)}
    assert keys == FROM_OUTSIDE | {
        "auth-saml": "1",
        "auth-saml-metadata-url": "https://idp.example.com/metadata.xml",
        "auth-saml-sp-base-uri": "https://workbench.example.com",
        "auth-saml-sp-attribute-username": "NameID",
        "auth-saml-sp-name-id-format": "emailaddress",
        "auth-saml-idp-post-binding": "1",
    }


def test_saml_with_metadata_of_a_secret() -> None:
    auth = {"metadata_url": None, "metadata": "benchwright/auth/saml", "provisioning": "jit", "groups_attribute": "g"}
    plan = plan_of(SAML, **auth)
    keys, files = added(plan)
    assert keys == FROM_OUTSIDE | PROVISIONING | {
        "auth-saml": "1",
        "auth-saml-metadata-path": "/etc/rstudio/saml-metadata.xml",
        "auth-saml-sp-base-uri": "https://workbench.example.com",
        "auth-saml-sp-attribute-groups": "g",
        "user-provisioning-register-on-first-login": "1",
    }
    assert files["/etc/rstudio/saml-metadata.xml"] == ("0600", "rstudio-server:rstudio-server", "")
    secret = SignIn(secret_arn="arn:saml", secret_version="v3")
    bundle = make_bundle(plan.model_copy(update={"sign_in": secret}), *REST)
    assert "AUTH_SECRET_ARN=arn:saml\nAUTH_SECRET_VERSION=v3\n" in unpacked(bundle)["env"]


def test_people_of_a_directory_get_a_home_when_they_first_come() -> None:
    keys, files = added(plan_of(SSSD))
    assert keys == FROM_OUTSIDE
    assert "/etc/pam.d/rstudio-session" in files


def test_passwords_alone_add_nothing() -> None:
    assert added(a_plan({"auth": {}})) == ({}, {})


def test_who_has_accounts_below_2000_on_an_image_lets_them_in_by_config() -> None:
    conf = render_files(
        a_plan({**OIDC, "image": {"ami": "ami-0123456789abcdef0"}, "config": {"auth-minimum-user-id": "1000"}}),
        ENDPOINT,
    )[0].content
    assert "auth-minimum-user-id=1000\n" in conf and "=2000" not in conf


def test_a_new_version_of_a_secret_is_another_configuration() -> None:
    plan = plan_of(SCIM)
    one, two = (
        make_bundle(plan.model_copy(update={"sign_in": SignIn(token_arn="arn:token", token_version=version)}), *REST)
        for version in ("v1", "v2")
    )
    assert one.configuration != two.configuration
    assert "SCIM_SECRET_ARN=arn:token\nSCIM_SECRET_VERSION=v1\n" in unpacked(one)["env"]


REST = (ENDPOINT, DATABASE, KEY)
NODE = """
work=. RSERVER_CONF=/rserver.conf WORKBENCH_VERSION=2024.09.0 changed=(etc/rstudio/rserver.conf)
NSS_SWITCH=nsswitch.conf NSS_MODULE=libnss_pwb.so.2 NSS_OF_WORKBENCH=libnss_pwb.so
begin() { :; }
fail() { printf '%s' "$1"; exit 0; }
systemctl() { printf '%s\\n' "$*"; }
"""


JSON_SECRET = (
    "The secret arn:oidc holds JSON, as the key/value pairs of the console are; put the client secret alone into it, "
    "as plain text."
)


@pytest.mark.parametrize(
    ("secret", "said"),
    [
        ("s3cret", ""),
        ("{s3cret", ""),
        (
            '{"client_secret":"s3cret"}',
            JSON_SECRET,
        ),
        *(
            (
                secret,
                (
                    "The client secret in arn:oidc has a # or a space at an end, which Workbench would take away. Have "
                    "your identity provider make another client secret, and put it there."
                ),
            )
            for secret in (" s3cret", "s3cret ", "s3#cret")
        ),
    ],
)
def test_a_client_secret_is_plain_text(tmp_path: Path, secret: str, said: str) -> None:
    (tmp_path / "source").write_text("client-id=workbench\n")
    (tmp_path / "secret").write_text(secret)
    (tmp_path / "stage").mkdir()
    programs = f"""{NODE}
AUTH_SECRET_ARN=arn:oidc AUTH_SECRET_VERSION=v3 CLIENT_SECRET_FILE=/file
read_secret() {{ cat secret; }}
{function("stage_client_secret")}"""
    assert bash(f"{programs}stage_client_secret source", folder=tmp_path) == said
    if not said:
        assert (tmp_path / "stage" / "file").read_text() == f"client-id=workbench\nclient-secret={secret}\n"


UBUNTU = (
    "passwd:         files systemd\ngroup:          files systemd\nshadow:         files systemd\nhosts: files dns\n"
)


def switched(folder: Path, switch: str, *, provisions: bool = True, module: bool = True) -> str:
    """What nsswitch.conf says after a run; or what the run says of its failure."""
    (folder / "stage").mkdir(exist_ok=True)
    (folder / "stage" / "rserver.conf").write_text("user-provisioning-enabled=1\n" if provisions else "x=1\n")
    (folder / "nsswitch.conf").write_text(switch)
    if module:
        (folder / "libnss_pwb.so").touch()
    said = bash(f"{NODE}{function('provisions')}{function('ensure_name_service')}ensure_name_service", folder=folder)
    assert [each.name for each in folder.glob("nsswitch*")] == ["nsswitch.conf"]
    return said or (folder / "nsswitch.conf").read_text()


def test_programs_find_the_accounts_that_workbench_makes(tmp_path: Path) -> None:
    right = UBUNTU.replace("systemd\n", "systemd pwb\n")
    assert switched(tmp_path, UBUNTU) == right
    assert (tmp_path / "libnss_pwb.so.2").resolve() == tmp_path / "libnss_pwb.so"
    assert switched(tmp_path, right) == right
    assert (tmp_path / "nsswitch.conf").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(
    ("switch", "right"),
    [
        ("passwd: files systemd sss\n", "passwd: files systemd pwb sss\ngroup: files pwb\nshadow: files pwb\n"),
        ("passwd: files # local\n", "passwd: files pwb # local\ngroup: files pwb\nshadow: files pwb\n"),
        ("passwd:\tfiles pwb sss\n", "passwd:\tfiles pwb sss\ngroup: files pwb\nshadow: files pwb\n"),
    ],
)
def test_the_module_comes_before_that_of_a_directory(tmp_path: Path, switch: str, right: str) -> None:
    assert switched(tmp_path, switch) == right


def test_nothing_is_touched_where_workbench_makes_no_accounts(tmp_path: Path) -> None:
    assert switched(tmp_path, UBUNTU, provisions=False) == UBUNTU
    assert not (tmp_path / "libnss_pwb.so.2").is_symlink()


def test_a_version_of_workbench_without_the_module_fails_with_a_remedy(tmp_path: Path) -> None:
    said = switched(tmp_path, UBUNTU, module=False)
    assert said.startswith("Workbench 2024.09.0 on this node brings no module for the accounts that it makes: ")
    assert said.endswith("take auth.provisioning back in the input.")
    assert (tmp_path / "nsswitch.conf").read_text() == UBUNTU


def test_files_of_a_run_that_was_killed_are_known_to_the_next_one(tmp_path: Path) -> None:
    """Also what it placed without systemd having read it."""
    for inside in ("state/secrets", "work"):
        (tmp_path / inside).mkdir(parents=True)
    before, now, both = tmp_path / "before", tmp_path / "now", tmp_path / "state/files"
    for path in (before, now, tmp_path / "work/record.x", tmp_path / "work/staged"):
        path.touch()
    both.write_text(f"{before}\n")
    (tmp_path / "work/files").write_text(f"{now}\n")
    said = bash(
        f"{NODE}work=work STATE=state ORIGINALS=state/originals effects=' '\n"
        f"{function('keep_originals')}{function('keep_copy')}{function('placeable')}{function('place_files')}place_files",
        folder=tmp_path,
    )
    assert said == "daemon-reload\n"
    assert (before.exists(), now.exists(), both.read_text()) == (False, True, f"{before}\n{now}\n")
