"""Encrypts a line as Workbench does, or decrypts it: `encrypt` or `decrypt`, and the file of the secure-cookie-key.

The format is that of Posit's tool for it (github.com/rstudio/rskey, workbench/workbench.go): the CRC-32 of the key
file, before and after base64 of 16 bytes of initialisation vector, 16 zero bytes and the text in AES-128-CBC, whose key
is the first 16 bytes of the file, XORed with a fixed sequence. Exits with a sentence about what is wrong.

It calls OpenSSL's library, since the command `openssl` takes the key as an argument, which other processes can read.
"""

import base64
import ctypes
import itertools
import os
import re
import sys
import zlib
from pathlib import Path

SEQUENCE = (223, 99, 111, 160, 122, 212, 223, 105, 37, 190)
BLOCK = 16

crypto = ctypes.CDLL("libcrypto.so.3")
for name in ("EVP_CIPHER_CTX_new", "EVP_aes_128_cbc"):
    getattr(crypto, name).restype = ctypes.c_void_p


def aes(secret: bytes, vector: bytes, data: bytes, *, encrypts: bool) -> bytes:
    """AES-128-CBC with the padding of PKCS#7; raises ValueError for what was not encrypted so."""
    context = ctypes.c_void_p(crypto.EVP_CIPHER_CTX_new())
    cipher = ctypes.c_void_p(crypto.EVP_aes_128_cbc())
    written, rest = ctypes.c_int(), ctypes.c_int()
    out, end = ctypes.create_string_buffer(len(data) + BLOCK), ctypes.create_string_buffer(BLOCK)
    if not (
        crypto.EVP_CipherInit_ex(context, cipher, None, secret, vector, ctypes.c_int(encrypts))
        and crypto.EVP_CipherUpdate(context, out, ctypes.byref(written), data, len(data))
        and crypto.EVP_CipherFinal_ex(context, end, ctypes.byref(rest))
    ):
        raise ValueError
    return out.raw[: written.value] + end.raw[: rest.value]


action, path = sys.argv[1:]
key = Path(path).read_bytes()
if len(key) < 32:
    sys.exit(f"the key has {len(key)} bytes, and Workbench takes 32 or more")
mark = b"%08X" % zlib.crc32(key)
secret = bytes(one ^ other for one, other in zip(key[:BLOCK], itertools.cycle(SEQUENCE), strict=False))
text = sys.stdin.buffer.read().removesuffix(b"\n")
if action == "encrypt":
    vector = os.urandom(BLOCK)
    encrypted = vector + bytes(BLOCK) + aes(secret, vector, text, encrypts=True)
    print((mark + base64.b64encode(encrypted) + mark).decode())
else:
    try:
        between = re.fullmatch(b"%b(.+)%b" % (mark, mark), text)[1]
        encrypted = base64.b64decode(between + b"=" * (-len(between) % 4), validate=True)
        sys.stdout.buffer.write(aes(secret, encrypted[:BLOCK], encrypted[2 * BLOCK :], encrypts=False) + b"\n")
    except (TypeError, ValueError):
        sys.exit("it was not encrypted with this key")
