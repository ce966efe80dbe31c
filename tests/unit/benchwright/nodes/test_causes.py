"""What the node script says about why Workbench failed, by what Workbench printed."""

from pathlib import Path

import pytest

from tests.unit.benchwright.node_script import bash, function

DATABASE_CONF = "the password in database.conf does not fit the secure-cookie-key of this node"
BUNDLE = "the certificate of the database does not come from /etc/benchwright/rds-ca.pem"
OTHER = "another server than the database shows a certificate that this node does not trust"
PROVIDER = "Workbench cannot read what the identity provider says of itself"
DATABASE = "the database cannot be reached"
NONE = "It failed. The last line was"


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("ERROR Could not decrypt the PostgreSQL password of database.conf", f"It failed: {DATABASE_CONF}"),
        ("ERROR Failed sign-in - unable to decrypt password", NONE),
        (
            'ERROR connection to server at "db" (10.0.1.9), port 5432 failed: SSL error: certificate verify failed',
            f"It failed: {BUNDLE}",
        ),
        ('ERROR root certificate file "/etc/benchwright/rds-ca.pem" does not exist', f"It failed: {BUNDLE}"),
        (
            "ERROR asio.ssl error 167772294 (certificate verify failed) [host: 10.0.1.5, uri: /load-balancer/status]",
            f"It failed: {OTHER}",
        ),
        ("ERROR SAML metadata of https://idp.example.com/x: Connection refused", f"It failed: {PROVIDER}"),
        ("ERROR OpenID discovery failed: timeout expired", f"It failed: {PROVIDER}"),
        ("ERROR connection to server at 10.0.1.9 failed: Connection refused", f"It failed: {DATABASE}"),
        ("ERROR certificate verify failed for https://idp.example.com/metadata", f"It failed: {OTHER}"),
    ],
)
def test_a_failure_is_blamed_on_what_it_is_about(line: str, cause: str, tmp_path: Path) -> None:
    (tmp_path / "output").write_text(f"{line}\n")
    around = "work=. LOG=log SERVER_LOG=server.log\nnew_server_log() { :; }"
    script = "\n".join([around, function("known_cause"), function("explain"), "explain 'It failed' output"])
    assert bash(script, folder=tmp_path).startswith(cause)
