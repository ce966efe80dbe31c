"""Reads what the AWS CLI prints of a secret, one JSON string, and writes its text.

Without arguments, every line of it; with `line`, its one line; with `line KEY`, the value of KEY in its JSON. Exits
with a sentence about what is wrong with it. Editors on Windows begin a text with a byte-order mark and end its lines
with CRLF: neither is meant.
"""

import json
import re
import sys

answer = sys.stdin.read()
if not answer:
    sys.exit(1)  # the CLI has said why
of_one_line, keys = len(sys.argv) > 1, sys.argv[2:]
why = "its value is not text"
try:
    text = json.loads(answer).removeprefix("\ufeff")
    why = f"it is not JSON with {' '.join(keys)}"
    for key in keys:
        text = json.loads(text)[key]
    if not of_one_line:
        text = text.replace("\r\n", "\n")
    elif not keys:
        text = text.rstrip("\r\n")
    checked = text if of_one_line else re.sub("[\t\n ]", "", text)
    why = "it has a character that cannot be printed"
    if not checked:
        why = "it is empty"
    elif "\n" in checked:
        why = "it has more than one line"
    re.fullmatch("[^\0-\x1f\x7f-\x9f]+", checked)[0]
    data = text.encode()
except Exception:
    sys.exit(why)
sys.stdout.buffer.write(data)
