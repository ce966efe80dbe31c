"""What a node has that asks a directory."""

from benchwright.nodes.bundle import make_bundle
from tests.unit.benchwright.nodes.test_bundle import DATABASE, ENDPOINT, KEY, unpacked
from tests.unit.benchwright.nodes.test_sign_in import PROFILE
from tests.unit.benchwright.verification.test_checks import a_plan


def test_a_node_that_asks_a_directory_has_sssd_and_profiles_of_pam() -> None:
    auth = {"method": "sssd", "sssd_conf": "benchwright/auth/sssd", "probe_account": "svc-probe"}
    plan = a_plan({"auth": auth})
    before = set(unpacked(make_bundle(a_plan({}), ENDPOINT, DATABASE, KEY))["manifest"].splitlines())
    texts = unpacked(make_bundle(plan, ENDPOINT, DATABASE, KEY))
    assert sorted(set(texts["manifest"].splitlines()) - before) == [
        "0600 root root /etc/sssd/conf.d/benchwright.conf",
        "0600 root root /etc/sssd/sssd.conf",
        "0644 root root /etc/pam.d/rstudio",
        "0644 root root /etc/pam.d/rstudio-session",
    ]
    assert texts["files/etc/sssd/sssd.conf"] == ""  # a secret
    assert texts["files/etc/sssd/conf.d/benchwright.conf"] == "[nss]\noverride_homedir = /efs/home/%u\n"
    # It would let a server that runs as root take anyone in.
    assert "pam_rootok" not in texts["files/etc/pam.d/rstudio"]
    account = (
        "account required pam_unix.so\n"
        "account sufficient pam_localuser.so\n"
        "account [default=bad success=ok user_unknown=ignore] pam_sss.so\n"
    )
    sign_in = (
        "auth sufficient pam_unix.so\n"
        "auth [success=1 default=ignore] pam_localuser.so\n"
        "auth sufficient pam_sss.so use_first_pass\n"
        "auth required pam_deny.so\n"
    )
    assert texts["files/etc/pam.d/rstudio"] == sign_in + account
    session = PROFILE.replace("account required pam_unix.so\n", account) + "session optional pam_sss.so\n"
    assert texts["files/etc/pam.d/rstudio-session"] == session
    assert texts["env"].splitlines()[-1] == "PROBE_ACCOUNT=svc-probe"
    keys = ["auth-pam-sessions-enabled=1", "auth-pam-sessions-profile=rstudio-session"]
    assert [line for line in texts["files/etc/rstudio/rserver.conf"].splitlines() if "pam" in line] == keys
