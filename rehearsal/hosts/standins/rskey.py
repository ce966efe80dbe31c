"""`rskey`, Posit's tool that encrypts as Workbench does, written from its documented format.

A payload is CRC32(key file) in hex, then base64 without padding of a 32-byte field whose first 16 bytes are the
initialisation vector and of AES-128-CBC with PKCS#7, then the CRC32 again. The AES key is the first 16 bytes of the key
file, XORed with a fixed sequence (github.com/rstudio/rskey, workbench/workbench.go).

The stand-in of Workbench and the tests use `Key`; the command is only called by nodes of the previous release
(tests/deployment/previous.py).
"""

import base64
import binascii
import getopt
import os
import stat
import sys
import zlib
from pathlib import Path

from .surroundings import complain

SEQUENCE = (223, 99, 111, 160, 122, 212, 223, 105, 37, 190)
SHORTEST_KEY = 32
SHORTEST_PAYLOAD = 8 * 2 + 32


class KeyFileError(Exception):
    """When a key cannot be used, or what it must decrypt was not encrypted with it."""


class Key:
    """The content of a secure-cookie-key file, every byte of it."""

    def __init__(self, content: bytes) -> None:
        if len(content) < SHORTEST_KEY:
            raise KeyFileError(f"Encryption keys must be at least {SHORTEST_KEY} bytes long")
        self.fingerprint = f"{zlib.crc32(content):08X}"
        self._secret = bytes(byte ^ SEQUENCE[place % len(SEQUENCE)] for place, byte in enumerate(content[:16]))

    def encrypt(self, text: str) -> str:
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
        from cryptography.hazmat.primitives.padding import PKCS7

        vector = os.urandom(16)
        padder = PKCS7(128).padder()
        encryptor = Cipher(algorithms.AES(self._secret), modes.CBC(vector)).encryptor()
        hidden = encryptor.update(padder.update(text.encode()) + padder.finalize()) + encryptor.finalize()
        payload = base64.b64encode(vector + bytes(16) + hidden).decode().rstrip("=")
        return f"{self.fingerprint}{payload}{self.fingerprint}"

    def decrypt(self, text: str) -> str:
        """Raises KeyFileError."""
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
        from cryptography.hazmat.primitives.padding import PKCS7

        if len(text) < SHORTEST_PAYLOAD:
            raise KeyFileError("Payload is too short to be encrypted")
        if text[:8] != text[-8:]:
            raise KeyFileError("payload missing embedded checksums")
        if text[:8] != self.fingerprint:
            raise KeyFileError("Decryption failed")
        payload = text[8:-8]
        try:
            content = base64.b64decode(payload + "=" * (-len(payload) % 4), validate=True)
        except binascii.Error as error:
            raise KeyFileError(f"failed to decode secret: {error}") from error
        if len(content) % 16 or len(content) <= 32:
            raise KeyFileError("Payload is too short to be encrypted")
        decryptor = Cipher(algorithms.AES(self._secret), modes.CBC(content[:16])).decryptor()
        unpadder = PKCS7(128).unpadder()
        try:
            padded = decryptor.update(content[32:]) + decryptor.finalize()
            return (unpadder.update(padded) + unpadder.finalize()).decode()
        except ValueError as error:
            raise KeyFileError("Decryption failed") from error


def _lines(text: str) -> list[str]:
    """As Go's bufio.ScanLines splits them: at line feeds alone, and a carriage return before one goes with it."""
    return [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")] if text else []


def main(arguments: list[str]) -> int:
    """`rskey encrypt|decrypt|fingerprint --mode=workbench -f KEYFILE`; text comes line by line from a pipe, not from a
    file.
    """
    try:
        given, words = getopt.gnu_getopt(arguments[1:], "f:", ["mode=", "keyfile="])
    except getopt.GetoptError as error:
        return complain(f"Error: {error}")
    options = dict(given)
    file = options.get("-f") or options.get("--keyfile")
    if not words or words[0] not in {"encrypt", "decrypt", "fingerprint"}:
        return complain(f'Error: unknown command "{" ".join(words)}" for "rskey"')
    if options.get("--mode") != "workbench":
        return complain("Error: this stand-in knows --mode=workbench only")
    if not file:
        return complain("Error: keyfile is missing but must be provided")
    try:
        key = Key(Path(file).read_bytes())
        if words[0] == "fingerprint":
            print(key.fingerprint)
            return 0
        if not stat.S_ISFIFO(os.fstat(0).st_mode):
            return complain("Error: inappropriate ioctl for device")
        for line in _lines(sys.stdin.buffer.read().decode()):
            print(key.encrypt(line) if words[0] == "encrypt" else key.decrypt(line))
    except OSError as error:
        return complain(f"Error: open {file}: {os.strerror(error.errno or 0).lower()}")
    except KeyFileError as error:
        return complain(f"Error: {error}")
    return 0
