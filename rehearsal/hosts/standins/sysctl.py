"""`sysctl -n KEY`: what the files of /etc/sysctl.d set at boot. The kernel is that of the host, so it sets nothing."""

from __future__ import annotations

import os

from .surroundings import complain, names_in, read, write

FOLDER, SET = "/etc/sysctl.d", "/run/rehearsal-sysctl"


def apply() -> None:
    """As systemd-sysctl does: in the order of the names, a later file wins."""
    values = {}
    for name in names_in(FOLDER, ".conf"):
        for line in read(f"{FOLDER}/{name}").splitlines():
            key, equals, value = line.partition("=")
            if equals and not key.lstrip().startswith(("#", ";")):
                values[key.strip()] = value.strip()
    write(SET, "".join(f"{key}={value}\n" for key, value in values.items()))


def main(arguments: list[str]) -> int:
    if len(arguments) != 3 or arguments[1] != "-n":
        return complain("sysctl: this stand-in knows `-n KEY` alone")
    wanted = arguments[2]
    lines = read(SET).splitlines() if os.path.exists(SET) else []
    values = dict(line.split("=", 1) for line in lines)
    if wanted in values:
        print(values[wanted])
        return 0
    path = f"/proc/sys/{wanted.replace('.', '/')}"
    if not os.path.exists(path):
        return complain(f"sysctl: cannot stat {path}: No such file or directory")
    print(read(path).strip())
    return 0
