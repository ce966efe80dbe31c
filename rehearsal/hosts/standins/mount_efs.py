"""`mount.efs`, the mount helper of amazon-efs-utils: its option checks, and a bind of what the host is handed here.

What root may do there, and whether every user may write, was decided when the file system was exported to the host.
"""

import re
import subprocess
from pathlib import Path

from .surroundings import complain, fault, metadata, surroundings

LOG = Path("/var/log/amazon/efs/mount.log")
VERSION = Path("/etc/amazon/efs/VERSION")


def main(arguments: list[str]) -> int:
    """`mount.efs FILE_SYSTEM:/ DIRECTORY -o OPTIONS`, as mount(8) calls it."""
    if "--version" in arguments:
        print(f"{arguments[0]} Version: {VERSION.read_text().strip()}")
        return 0
    words = arguments[1:]
    given = words[words.index("-o") + 1] if "-o" in words else ""
    options = dict(word.partition("=")[::2] for word in given.split(","))
    specification, target = [word for word in words if not word.startswith("-") and word != given][:2]
    file_system, _, path = specification.partition(":")
    problem = _problem_with(file_system, path or "/", options) or _mount(file_system, options, target)
    _log(f"{specification} at {target}: {problem or 'mounted'}")
    return complain(problem) if problem else 0


def _problem_with(file_system: str, path: str, options: dict[str, str]) -> str | None:
    """The helper's own checks, then the server's."""
    point = options.get("accesspoint", "")
    if not re.fullmatch(r"fs-[0-9a-f]+", file_system):
        return f'Failed to resolve "{file_system}" - check that your file system ID is correct.'
    if "accesspoint" in options and "tls" not in options:
        return 'The "tls" option is required when mounting via "accesspoint"'
    if "iam" in options and "tls" not in options:
        return 'The "tls" option is required when mounting via "iam"'
    if "accesspoint" in options and not re.fullmatch(r"fsap-[0-9a-f]{17}", point):
        return f"Access Point ID {point} is malformed"
    if "accesspoint" in options and path != "/":
        return f"{path} cannot be mounted: an access point has its own root directory"
    reported = surroundings()
    if file_system not in reported["access_points"] or fault("mounts"):
        name = f"{file_system}.efs.{reported['region']}.amazonaws.com"
        return f'Failed to resolve "{name}" - check that your file system ID is correct.'
    denied = "mount.nfs4: access denied by server while mounting 127.0.0.1:/"
    if (
        point not in reported["access_points"][file_system]
        or "iam" not in options
        or "ClientMount" not in reported["file_system_actions"]
    ):
        return denied
    try:
        role = metadata("meta-data/iam/security-credentials/")
        metadata(f"meta-data/iam/security-credentials/{role}")
    except OSError as error:
        return f"AWS Access Key ID and Secret Access Key are not found in AWS credentials file: {error}"
    return None


def _mount(file_system: str, options: dict[str, str], target: str) -> str | None:
    source = surroundings()["access_points"][file_system][options["accesspoint"]]
    if not Path(target).is_dir():
        return f"mount.nfs4: mount point {target} does not exist"
    command = ["mount", "--bind", source, target]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    return done.stderr.strip() if done.returncode else None


def _log(line: str) -> None:
    LOG.parent.mkdir(parents=True, exist_ok=True)
    with LOG.open("a") as file:
        file.write(f"{line}\n")
