"""What a node encrypts is what Posit's tool makes, and Workbench reads."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from rehearsal.hosts.standins.rskey import Key
from tests.unit.benchwright.node_script import FOLDER

# The key and the payload of rskey's own tests (github.com/rstudio/rskey, workbench/workbench_test.go).
KEY = b"d3161166-e89b-4158-af3b-5980e3056cc6\n"
KNOWN = "BFA25145OoPWwVZMdN/K7eDJUD5gLg916yildo6m+XG0+Sld7r+SuKXS3Rsi/TC0qbVZ5uCMBFA25145"
REFUSED = "it was not encrypted with this key"


def run(action: str, text: str, folder: Path, key: bytes = KEY) -> str:
    """What the program prints, without its end of line; what it complains of, if it fails."""
    (folder / "key").write_bytes(key)
    program = [sys.executable, "-IS", str(FOLDER / "workbench_secret.py"), action, str(folder / "key")]
    done = subprocess.run(program, input=f"{text}\n", capture_output=True, text=True, check=False, timeout=60)
    assert (done.stdout == "") == (done.returncode != 0) == (done.stderr != "")
    return (done.stdout or done.stderr).removesuffix("\n")


def test_what_posit_encrypted_is_decrypted(tmp_path: Path) -> None:
    assert run("decrypt", KNOWN, tmp_path) == "success"


@pytest.mark.parametrize("text", ["a", "some big secret!", "fifteen letters", "zwölf Boxkämpfer", "x" * 200, " a b "])
def test_what_is_encrypted_is_decrypted_here_and_by_another_implementation(text: str, tmp_path: Path) -> None:
    first, second = (run("encrypt", text, tmp_path) for _ in range(2))
    assert first != second
    assert re.fullmatch(r"BFA25145([A-Za-z0-9+/]{4})+([A-Za-z0-9+/]{2,3}={1,2})?BFA25145", first)
    assert (run("decrypt", first, tmp_path), Key(KEY).decrypt(first)) == (text, text)
    assert run("decrypt", Key(KEY).encrypt(text), tmp_path) == text


# The last three are those of rskey's tests that are too short, are no base64, and have half a block.
@pytest.mark.parametrize(
    "text",
    [
        "",
        "secret",
        KNOWN.replace("BFA25145", "BFA25146"),
        KNOWN[:-1],
        "BFA25145BFA25145",
        "BFA25145xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxBFA25145",
        "BFA25145D75Xreg+vkkVgaFW3GOQvwzKHXUI5pOX4+2yJ5ZNJqZz7h4WEOxbeovH3GINg1E=BFA25145",
    ],
)
def test_what_this_key_did_not_encrypt_is_refused(text: str, tmp_path: Path) -> None:
    assert run("decrypt", text, tmp_path) == REFUSED


def test_a_key_that_workbench_would_not_take_is_refused(tmp_path: Path) -> None:
    for action in ("encrypt", "decrypt"):
        assert run(action, KNOWN, tmp_path, key=KEY[:31]) == "the key has 31 bytes, and Workbench takes 32 or more"
