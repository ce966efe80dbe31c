"""`xz -d`, as tar calls it: from standard input to standard output."""

import lzma
import sys

from .surroundings import complain


def main(arguments: list[str]) -> int:
    """Only where the machine has no xz of its own."""
    if arguments[1:] != ["-d"]:
        return complain(f"xz: this stand-in only decompresses, not: {arguments[1:]}")
    sys.stdout.buffer.write(lzma.decompress(sys.stdin.buffer.read()))
    return 0
