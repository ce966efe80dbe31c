"""What a node says of the identity provider that Workbench signs people in by."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from saml2 import BINDING_HTTP_POST

from tests.saml import IdentityProvider
from tests.unit.benchwright.node_script import FOLDER, bash, function

PROVIDER = IdentityProvider()
ENCRYPTION = PROVIDER.metadata().replace('use="signing"', 'use="encryption"')
KEY = (
    PROVIDER.metadata()[PROVIDER.metadata().index("<KeyDescriptor") :].partition("</KeyDescriptor>")[0]
    + "</KeyDescriptor>"
)
TWO = "<EntitiesDescriptor xmlns='urn:oasis:names:tc:SAML:2.0:metadata'>{0}{0}</EntitiesDescriptor>".format(
    PROVIDER.metadata().partition("?>")[2]
)


def read(metadata: str) -> "subprocess.CompletedProcess[str]":
    program = [sys.executable, str(FOLDER / "saml_metadata.py")]
    return subprocess.run(program, input=metadata, capture_output=True, text=True, timeout=60, check=False)


def test_metadata_says_how_long_its_certificates_last() -> None:
    provider = IdentityProvider(days=-1, bindings=(BINDING_HTTP_POST,))
    signed = provider.metadata().replace("<IDPSSODescriptor", '<IDPSSODescriptor WantAuthnRequestsSigned="true"')
    done = read(signed)
    assert (done.returncode, done.stderr, done.stdout.count("\n")) == (0, "", 1)
    assert json.loads(done.stdout) == {
        "bindings": ["HTTP-POST"],
        "expires": [int(provider.end.timestamp())],
        "signed_requests": True,
    }


@pytest.mark.parametrize(
    ("metadata", "problem"),
    [
        (" ", "it is empty"),
        ("<html>Sign in</html", "it is not XML"),
        ("<html/>", "it has no EntityDescriptor with an IDPSSODescriptor, so it is not that of an identity provider"),
        (TWO, "it has 2 identity providers, and Workbench needs that of one"),
        (PROVIDER.metadata().replace("entityID", "ID"), "its EntityDescriptor has no entityID"),
        (ENCRYPTION, "its IDPSSODescriptor has no certificate to check signatures with"),
        (PROVIDER.metadata().replace("Certificate>MII", "Certificate>AAA"), "one of its certificates cannot be read"),
    ],
)
def test_what_is_no_metadata_is_refused_with_the_reason(metadata: str, problem: str) -> None:
    done = read(metadata)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"{problem}\n")


MANY = PROVIDER.metadata().replace("</KeyDescriptor>", "</KeyDescriptor>" + KEY * 40)
PAST = PROVIDER.metadata().replace("entityID", 'validUntil="2020-01-01T00:00:00Z" entityID')


@pytest.mark.parametrize(
    ("metadata", "problem"),
    [
        (MANY, "its IDPSSODescriptor has 41 certificates to check signatures with, and 20 are the most that are read"),
        (PAST, "it was valid until 2020-01-01T00:00:00Z"),
    ],
)
def test_metadata_that_has_too_much_or_is_past_is_a_problem(metadata: str, problem: str) -> None:
    done = read(metadata)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"{problem}\n")


CURL = """
begin() { echo "--- $1"; }
curl() {
  printf '%s\\n' "$*" >>asked
  case ${@: -1} in
    */moved* | */old-keys) printf 302 ;;
    */.well-known/openid-configuration) cp discovery.json "$work/discovery"; printf 200 ;;
    */keys) printf 200 ;;
    */expired) printf '%s\\n' 'curl: (60) SSL certificate problem: certificate has expired' \\
      'More details here: https://curl.se/docs/sslcerts.html' '' 'how to fix it, visit that page.' >&2; return 60 ;;
    *) cp metadata.xml "$work/metadata.xml"; printf 200 ;;
  esac
}
work=. RSERVER_CONF=rserver.conf
"""
NAMES = (
    "json",
    "complaint",
    "option",
    "provider_of",
    "ask_identity_provider",
    "read_discovery_document",
    "read_saml_metadata",
    "fetch_of_provider",
)
FUNCTIONS = "".join(map(function, NAMES))
SAID = {
    "bindings": ["HTTP-POST", "HTTP-Redirect"],
    "expires": [int(PROVIDER.end.timestamp())],
    "signed_requests": False,
}


ISSUER = "https://idp.example.com/realms/people"
DISCOVERY = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/authorize",
    "token_endpoint": f"{ISSUER}/token",
    "jwks_uri": f"{ISSUER}/keys",
}


def ask(folder: Path, *options: str, discovery: object = DISCOVERY) -> str:
    (folder / "discovery.json").write_text(discovery if isinstance(discovery, str) else json.dumps(discovery))
    (folder / "metadata.xml").write_text(PROVIDER.metadata())
    (folder / "rserver.conf").write_text("".join(f"{option}\n" for option in options))
    return bash(f"{CURL}{FUNCTIONS}ask_identity_provider rserver.conf", folder=folder)


@pytest.mark.parametrize(
    ("key", "place", "said"),
    [
        ("metadata-url", "https://idp.example.com/metadata?a=b", SAID),
        ("metadata-path", "metadata.xml", SAID),
        ("metadata-path", "gone.xml", {"problem": "there is no such file"}),
        ("metadata-url", "https://idp.example.com/moved", {"problem": "it answers 302"}),
        (
            "metadata-url",
            "https://idp.example.com/expired",
            {"problem": "curl: (60) SSL certificate problem: certificate has expired"},
        ),
    ],
)
def test_a_node_reads_the_metadata_where_workbench_does(
    tmp_path: Path, key: str, place: str, said: dict[str, object]
) -> None:
    printed = ask(tmp_path, "auth-saml=1", f"auth-saml-{key}={place}").splitlines()
    assert printed[:2] == ["", "=== sign-in ==="]
    assert [json.loads(line) for line in printed[2:]] == [{"method": "saml", "place": place, **said}]


def test_a_node_asks_no_one_where_people_have_passwords(tmp_path: Path) -> None:
    assert ask(tmp_path, "auth-saml=0", "auth-saml-metadata-url=https://idp.example.com/") == ""


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_node_reads_the_discovery_document_where_workbench_does(tmp_path: Path, slash: str) -> None:
    printed = ask(tmp_path, "auth-openid=1", f"auth-openid-issuer={ISSUER}{slash}").splitlines()
    assert printed[:2] == ["", "=== sign-in ==="]
    place = f"{ISSUER}/.well-known/openid-configuration"
    assert [json.loads(line) for line in printed[2:]] == [{"method": "oidc", "place": place, "issuer": ISSUER}]
    options = "-sS --globoff --proto =https --max-time 20 --max-filesize 1000000 -o"
    assert (tmp_path / "asked").read_text().splitlines() == [
        f"{options} ./discovery -w %{{http_code}} {place}",
        f"{options} ./keys -w %{{http_code}} {ISSUER}/keys",
    ]


@pytest.mark.parametrize(
    ("discovery", "problem"),
    [
        ("", "it is empty"),
        ("<html>", "it is not JSON"),
        ([1], "it has no issuer, so it is not a discovery document"),
        ({"issuer": 1}, "it has no issuer, so it is not a discovery document"),
        ({"issuer": ISSUER}, "it lacks an https address as authorization_endpoint, token_endpoint, jwks_uri"),
        ({**DISCOVERY, "token_endpoint": "http://idp"}, "it lacks an https address as token_endpoint"),
        (
            {**DISCOVERY, "jwks_uri": f"{ISSUER}/old-keys"},
            f"of its keys, {ISSUER}/old-keys: it answers 302",
        ),
        (
            {**DISCOVERY, "jwks_uri": f"{ISSUER}/expired"},
            f"of its keys, {ISSUER}/expired: curl: (60) SSL certificate problem: certificate has expired",
        ),
    ],
)
def test_what_no_one_can_sign_in_by_is_a_problem(tmp_path: Path, discovery: object, problem: str) -> None:
    printed = ask(tmp_path, "auth-openid=1", f"auth-openid-issuer={ISSUER}", discovery=discovery)
    assert json.loads(printed.splitlines()[2])["problem"] == problem


REFUSED = (
    "The secret arn:saml (input: auth.metadata) holds no metadata of a SAML identity provider: it has no "
    "EntityDescriptor with an IDPSSODescriptor, so it is not that of an identity provider. Put into it what your "
    "identity provider publishes as its metadata, the whole XML, and deploy again."
)


@pytest.mark.parametrize(
    ("secret", "said"),
    [
        (PROVIDER.metadata(), ""),
        (PAST, ""),
        ("<html/>", REFUSED),
    ],
)
def test_a_secret_that_holds_no_metadata_fails_the_node_first(tmp_path: Path, secret: str, said: str) -> None:
    (tmp_path / "secret").write_text(secret)
    programs = """
work=. AUTH_SECRET_ARN=arn:saml AUTH_SECRET_VERSION=v3 SAML_METADATA_FILE=/file
stage_secret() { cp secret "$work/stage$3"; printf '%s\\n' "$*" >asked; }
fail() { printf '%s' "$1"; exit 0; }
mkdir stage
"""
    printed = bash(f"{programs}{function('stage_saml_metadata')}stage_saml_metadata", folder=tmp_path)
    assert printed == said
    assert (tmp_path / "asked").read_text() == "arn:saml v3 /file\n"
