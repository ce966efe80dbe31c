"""A company's directory: a real slapd (OpenLDAP) that nodes reach over TLS, with people and groups as POSIX has them.

Its certificate is by the authority that hosts trust. It answers only who binds as READER; a person's password is
checked by a bind as the person.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import trustme

from rehearsal.hosts import debian

HOST, PORT = "directory.example.com", 636
BASE = "dc=example,dc=com"
READER, READER_PASSWORD = f"cn=reader,{BASE}", "a reader's password"
SECONDS = 30


@dataclass(frozen=True)
class Person:
    """An account of the directory."""

    name: str
    uid: int
    gid: int
    password: str
    home: str = ""
    shell: str = "/bin/bash"


class Directory:
    """One slapd. `start` and `stop` may be called in turn: what is in it stays."""

    def __init__(
        self, authority: trustme.CA, people: Sequence[Person], groups: Mapping[str, tuple[int, list[str]]]
    ) -> None:
        """groups: gid and members by name. Raises NotFetched where slapd was not fetched."""
        self._programs = debian.tree("slapd")
        self._libraries = {"LD_LIBRARY_PATH": str(self._programs / "usr/lib/x86_64-linux-gnu")}
        self._folder = Path(tempfile.mkdtemp(prefix="directory-"))
        self._slapd: subprocess.Popen[bytes] | None = None
        (self._folder / "data").mkdir()
        certificate = authority.issue_cert(HOST)
        certificate.private_key_pem.write_to_path(self._folder / "key.pem")
        chain = b"".join(part.bytes() for part in certificate.cert_chain_pems)
        (self._folder / "certificate.pem").write_bytes(chain)
        self._configuration = self._folder / "slapd.conf"
        self._configuration.write_text(
            CONFIGURATION.format(
                etc=self._programs / "etc/ldap",
                lib=self._programs / "usr/lib/ldap",
                here=self._folder,
                base=BASE,
                reader=READER,
            )
        )
        entries = [ROOT, *map(_person, people), *(_group(name, *each) for name, each in groups.items())]
        self._run("slapadd", "-q", "-f", str(self._configuration), text="\n\n".join(entries))

    def start(self, address: str) -> None:
        """Listen at this address. Raises TimeoutError where slapd does not."""
        command = [
            str(self._programs / "usr/sbin/slapd"),
            "-d",
            "0",
            "-f",
            str(self._configuration),
            "-h",
            f"ldaps://{address}:{PORT}",
        ]
        self._slapd = subprocess.Popen(
            command,
            env={**os.environ, **self._libraries},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + SECONDS
        while True:
            try:
                socket.create_connection((address, PORT), timeout=SECONDS).close()
                return
            except OSError:
                if self._slapd.poll() is not None or time.monotonic() > deadline:
                    raise TimeoutError(f"slapd does not listen at {address}:{PORT}") from None
                time.sleep(0.05)

    def stop(self) -> None:
        """Be unreachable."""
        if self._slapd:
            self._slapd.send_signal(signal.SIGTERM)
            self._slapd.wait(SECONDS)
            self._slapd = None

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self._folder)

    def _run(self, program: str, *arguments: str, text: str) -> None:
        command = [str(self._programs / "usr/sbin" / program), *arguments]
        environment = {**os.environ, **self._libraries}
        subprocess.run(command, env=environment, input=text.encode(), capture_output=True, timeout=SECONDS, check=True)


def sssd_conf(**options: str) -> str:
    """An sssd.conf by which a node asks this directory; `options` are more keys of its domain, or others."""
    domain = {
        "id_provider": "ldap",
        "auth_provider": "ldap",
        "ldap_uri": f"ldaps://{HOST}",
        "ldap_search_base": BASE,
        "ldap_default_bind_dn": READER,
        "ldap_default_authtok": READER_PASSWORD,
        "ldap_tls_cacert": "/etc/ssl/certs/ca-certificates.crt",
        **options,
    }
    lines = "".join(f"{key} = {value}\n" for key, value in domain.items())
    return f"[sssd]\nservices = nss, pam\ndomains = example\n\n[domain/example]\n{lines}"


def _person(person: Person) -> str:
    classes = ("inetOrgPerson", "posixAccount")
    attributes = {
        "cn": person.name,
        "sn": person.name,
        "uid": person.name,
        "uidNumber": person.uid,
        "gidNumber": person.gid,
        "homeDirectory": person.home or f"/home/{person.name}",
        "loginShell": person.shell,
        "userPassword": person.password,
    }
    return _entry(f"uid={person.name},{BASE}", classes, attributes)


def _group(name: str, gid: int, members: Sequence[str]) -> str:
    entry = _entry(f"cn={name},{BASE}", ("posixGroup",), {"cn": name, "gidNumber": gid})
    return "\n".join([entry, *(f"memberUid: {member}" for member in members)])


def _entry(name: str, classes: Sequence[str], attributes: Mapping[str, object]) -> str:
    lines = [f"dn: {name}", *(f"objectClass: {each}" for each in classes)]
    return "\n".join([*lines, *(f"{key}: {value}" for key, value in attributes.items())])


ROOT = f"""dn: {BASE}
objectClass: domain
dc: example

dn: {READER}
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: reader
userPassword: {READER_PASSWORD}"""
CONFIGURATION = """include {etc}/schema/core.schema
include {etc}/schema/cosine.schema
include {etc}/schema/nis.schema
include {etc}/schema/inetorgperson.schema
modulepath {lib}
moduleload back_mdb
pidfile {here}/slapd.pid
TLSCertificateFile {here}/certificate.pem
TLSCertificateKeyFile {here}/key.pem
database mdb
suffix "{base}"
directory {here}/data
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="{reader}" read by anonymous auth by * none
"""
