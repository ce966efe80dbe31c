"""Reads the metadata of a SAML identity provider, and writes what a sign-in needs of it: one line of JSON.

`bindings` is how it takes requests for sign-in, `expires` when each certificate that it signs with does (seconds since
1970), `signed_requests` whether it takes signed requests alone. Exits with a sentence about what is wrong with the
metadata (Metadata for the OASIS Security Assertion Markup Language V2.0, sections 2.3.2, 2.4.1, 2.4.3);
with `also-past`, it may be past.
"""

import base64
import json
import ssl
import subprocess
import sys
from datetime import UTC, datetime
from xml.etree import ElementTree

METADATA = "{urn:oasis:names:tc:SAML:2.0:metadata}"
ENTITY, PROVIDER = f"{METADATA}EntityDescriptor", f"{METADATA}IDPSSODescriptor"
MOST = 20  # certificates, and bindings
CERTIFICATE = "{http://www.w3.org/2000/09/xmldsig#}X509Certificate"


def expires(text):
    """When a certificate ends, in seconds since 1970; raises an error where it is none."""
    asked = ["openssl", "x509", "-inform", "DER", "-noout", "-enddate"]
    certificate = base64.b64decode("".join(text.split()))
    done = subprocess.run(asked, check=True, input=certificate, capture_output=True, timeout=20)
    return ssl.cert_time_to_seconds(done.stdout.decode().strip().removeprefix("notAfter="))


text = sys.stdin.buffer.read()
why = "it is empty"
try:
    if not text.strip():
        raise ValueError
    why = "it is not XML"
    root = ElementTree.fromstring(text)
    why = "it has no EntityDescriptor with an IDPSSODescriptor, so it is not that of an identity provider"
    entities = [each for each in root.iter(ENTITY) if each.find(PROVIDER) is not None]
    entity = entities[0]
    why = f"it has {len(entities)} identity providers, and Workbench needs that of one"
    (entity,) = entities
    why = "its EntityDescriptor has no entityID"
    entity.attrib["entityID"]
    provider = entity.find(PROVIDER)
    services = provider.findall(f"{METADATA}SingleSignOnService")
    keys = [each for each in provider.findall(f"{METADATA}KeyDescriptor") if each.get("use") != "encryption"]
    certificates = [each for key in keys for each in key.iter(CERTIFICATE)]
    why = "its IDPSSODescriptor has no certificate to check signatures with"
    certificates[0]
    why = (
        f"its IDPSSODescriptor has {len(certificates)} certificates to check signatures with, and {MOST} are the most "
        "that are read"
    )
    if certificates[MOST:]:
        raise ValueError
    for each in (root, entity, provider):
        until = each.get("validUntil", "9999-12-31T00:00:00Z")
        why = f"it was valid until {until[:40]}"
        if datetime.fromisoformat(until).replace(tzinfo=UTC) < datetime.now(UTC) and "also-past" not in sys.argv:
            raise ValueError
    why = "one of its certificates cannot be read"
    answer = {
        "bindings": sorted({each.get("Binding", "").rpartition(":")[2][:40] for each in services})[:MOST],
        "expires": sorted({expires(each.text or "") for each in certificates})[-10:],
        "signed_requests": provider.get("WantAuthnRequestsSigned", "false") in ("true", "1"),
    }
except Exception:
    sys.exit(why)
print(json.dumps(answer, separators=(",", ":")))
