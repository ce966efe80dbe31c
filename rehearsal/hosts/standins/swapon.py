"""`swapon --show`, and the swap space that cloud-init makes at the first boot of an instance.

Source: canonical/cloud-init, cloudinit/config/cc_mounts.py: the key `swap` of /etc/cloud/cloud.cfg.d, a file of that
size with mode 0600, and a line of fstab. The kernel is that of the host, so nothing is swapped, and the file
has no blocks.
"""

from __future__ import annotations

import os

from .surroundings import complain, names_in, read

TYPE_CHECKING = False  # typing's own would import typing
if TYPE_CHECKING:
    from typing import Any

CLOUD, FSTAB = "/etc/cloud/cloud.cfg.d", "/etc/fstab"


def make() -> None:
    """Make the swap space that a file of cloud-init asks for, once."""
    wanted: dict[str, Any] = {}
    for name in names_in(CLOUD, ".cfg"):
        import yaml

        wanted = (yaml.safe_load(read(f"{CLOUD}/{name}")) or {}).get("swap") or wanted
    if not wanted or os.path.exists(wanted["filename"]):
        return
    with open(os.open(wanted["filename"], os.O_CREAT | os.O_WRONLY, 0o600), "wb") as file:
        file.truncate(wanted["size"])
    with open(FSTAB, "a") as fstab:
        fstab.write(f"{wanted['filename']}\tnone\tswap\tsw,comment=cloudconfig\t0\t0\n")


def main(arguments: list[str]) -> int:
    if arguments[1:] != ["--show=NAME", "--noheadings"]:
        return complain("swapon: this stand-in knows --show=NAME --noheadings alone")
    fields = [line.split() for line in read(FSTAB).splitlines() if not line.startswith("#")]
    for source, _, kind, *_rest in (each for each in fields if len(each) >= 4):
        if kind == "swap" and os.path.exists(source):
            print(source)
    return 0
