"""Reads the discovery document of an OpenID provider from standard input (OpenID Connect Discovery 1.0, section 3).

With `discovery` it prints a line of JSON with the issuer that the document names; with `keys`, the address of the keys
that sign its tokens. Exits with a sentence about what is wrong.
"""

import json
import sys

ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")

text = sys.stdin.buffer.read().decode("utf-8", "replace")
if not text.strip():
    sys.exit("it is empty")
try:
    document = json.loads(text)
except ValueError:
    sys.exit("it is not JSON")
if not isinstance(document, dict) or not isinstance(document.get("issuer"), str):
    sys.exit("it has no issuer, so it is not a discovery document")
missing = [name for name in ENDPOINTS if not str(document.get(name, "")).startswith("https://")]
if missing:
    sys.exit(f"it lacks an https address as {', '.join(missing)}")
if sys.argv[1] == "keys":
    print(document["jwks_uri"])
else:
    print(json.dumps({"issuer": document["issuer"][:500]}))
