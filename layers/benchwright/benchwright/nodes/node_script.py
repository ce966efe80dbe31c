"""The script that makes an instance a node: the folder infra/node, as it goes into the bucket."""

import hashlib
from pathlib import Path
from typing import NamedTuple

from benchwright.nodes.archive import compressed, packed

SCRIPT_DIRECTORY = Path("/opt/node")  # where Lambda unpacks it: the layer made of infra/


class NodeScript(NamedTuple):
    """The folder as a tar.gz, and the SHA-256 of that in hexadecimal digits.

    The SSM document of a cluster carries the hash, and runs nothing else.
    """

    sha256: str
    archive: bytes


def load_script(directory: Path = SCRIPT_DIRECTORY) -> NodeScript:
    """Read and pack the script."""
    archive = compressed(packed({path.name: path.read_bytes() for path in directory.iterdir() if path.is_file()}))
    return NodeScript(hashlib.sha256(archive).hexdigest(), archive)
