"""`dpkg`, `dpkg-query` and `dpkg-deb`:

real .deb archives are unpacked to the root, and a database remembers what they brought.
"""

import io
import os
import sys
from pathlib import Path
from typing import NamedTuple

from .surroundings import complain

DATABASE = Path("/var/lib/dpkg/status")
INFO = Path("/var/lib/dpkg/info")


class PackageError(Exception):
    """When dpkg must refuse a file or a script of a package failed."""


class Archive(NamedTuple):
    """An opened .deb."""

    control: dict[str, str]
    scripts: dict[str, str]
    data: bytes

    @classmethod
    def read(cls, path: Path) -> "Archive":
        """Raises PackageError when it is none."""
        import tarfile  # most starts only ask what is installed

        content = path.read_bytes()
        members = dict(_members(content)) if content.startswith(b"!<arch>\n") else {}
        if "control.tar.gz" not in members:
            raise PackageError(f"dpkg-deb: error: '{path}' is not a Debian format archive")
        with tarfile.open(fileobj=io.BytesIO(members["control.tar.gz"])) as tar:
            texts = {Path(entry.name).name: (tar.extractfile(entry) or io.BytesIO()).read().decode() for entry in tar}
        return cls(fields(texts.pop("control")), texts, members["data.tar.gz"])


def _members(content: bytes) -> list[tuple[str, bytes]]:
    members, offset = [], 8
    while offset < len(content):
        header = content[offset : offset + 60].decode()
        size = int(header[48:58])
        members.append((header[:16].strip().rstrip("/"), content[offset + 60 : offset + 60 + size]))
        offset += 60 + size + size % 2
    return members


def fields(stanza: str) -> dict[str, str]:
    """The fields of a control stanza."""
    return {
        name: value.strip() for name, colon, value in (line.partition(":") for line in stanza.splitlines()) if colon
    }


def installed() -> dict[str, dict[str, str]]:
    """Stanzas of what is installed, by package."""
    text = DATABASE.read_text() if DATABASE.exists() else ""
    return {stanza["Package"]: stanza for stanza in map(fields, text.split("\n\n")) if stanza}


def install(path: Path) -> None:
    """Unpack and configure one package. Raises PackageError."""
    import tarfile

    archive = Archive.read(path)
    name = archive.control["Package"]
    with tarfile.open(fileobj=io.BytesIO(archive.data)) as tar:
        files = [f"/{os.path.normpath(entry.name)}" for entry in tar]
        tar.extractall("/", filter="fully_trusted")
    INFO.mkdir(parents=True, exist_ok=True)
    (INFO / f"{name}.list").write_text("".join(f"{file}\n" for file in files))
    for script, text in archive.scripts.items():
        (INFO / f"{name}.{script}").write_text(text)
        (INFO / f"{name}.{script}").chmod(0o755)
    print(f"Setting up {name} ({archive.control['Version']}) ...")
    _run_script(name, "postinst", "configure")
    _record({**installed(), name: {**archive.control, "Status": "install ok installed"}})


def remove(name: str) -> None:
    """Remove a package and its files."""
    _run_script(name, "prerm", "remove")
    listing = INFO / f"{name}.list"
    for file in map(Path, listing.read_text().splitlines() if listing.exists() else []):
        file.unlink(missing_ok=True)
    for leftover in INFO.glob(f"{name}.*"):
        leftover.unlink()
    _record({package: stanza for package, stanza in installed().items() if package != name})


def _run_script(name: str, script: str, argument: str) -> None:
    path = INFO / f"{name}.{script}"
    if path.exists():
        import subprocess

        code = subprocess.run([path, argument], stdin=subprocess.DEVNULL, timeout=300, check=False).returncode
        if code:
            raise PackageError(
                f"dpkg: error processing package {name} (--configure):\n"
                f" installed {name} package {script} script subprocess returned error exit status {code}"
            )


def _record(packages: dict[str, dict[str, str]]) -> None:
    DATABASE.parent.mkdir(parents=True, exist_ok=True)
    stanzas = ("".join(f"{key}: {value}\n" for key, value in stanza.items()) for stanza in packages.values())
    DATABASE.write_text("\n".join(stanzas))


def build(control: Path, folder: Path, target: Path) -> None:
    """Make a .deb of a control file and a tree: what `dpkg-deb --build` does, with our own file layout."""
    members = {"control.tar.gz": _tar({"control": control}), "data.tar.gz": _tar(_tree(folder))}
    content = b"!<arch>\n"
    for name, data in (("debian-binary", b"2.0\n"), *members.items()):
        content += (
            f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode() + data + b"\n" * (len(data) % 2)
        )
    target.write_bytes(content)


def _tree(folder: Path) -> dict[str, Path]:
    return {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()}


def _tar(files: dict[str, Path]) -> bytes:
    import gzip
    import tarfile

    content = io.BytesIO()
    with gzip.GzipFile(fileobj=content, mode="wb", mtime=0) as zipped, tarfile.open(fileobj=zipped, mode="w") as tar:
        for name, path in files.items():
            tar.add(path, arcname=f"./{name}")
    return content.getvalue()


def main(arguments: list[str]) -> int:
    """`-i FILE...`, `-s PACKAGE`, `-l [PACKAGE]`, `-W [-f FORMAT] PACKAGE`, `--print-architecture`, `--build-from`."""
    options = [word for word in arguments[1:] if word.startswith("-")]
    words = [word for word in arguments[1:] if not word.startswith("-")]
    if "--print-architecture" in options:
        print("amd64")
        return 0
    try:
        if "--build-from" in options:
            build(*map(Path, words))
        elif {"-i", "--install"} & set(options):
            for word in words:
                install(Path(word))
        else:
            return _describe(options, words)
    except (PackageError, OSError) as error:
        return complain(str(error))
    return 0


def _describe(options: list[str], words: list[str]) -> int:
    here = installed()
    given = next((word for word in options if word.startswith(("-f=", "--showformat="))), "")
    template = given.partition("=")[2] or "${Package}\t${Version}\n"
    code = 0
    for word in words or sorted(here):
        if word.startswith("${"):
            template = word
        elif word not in here:
            code = complain(f"dpkg-query: no packages found matching {word}")
        elif {"-s", "--status"} & set(options):
            sys.stdout.write("".join(f"{key}: {value}\n" for key, value in here[word].items()))
        elif {"-l", "--list"} & set(options):
            print(f"ii  {word}  {here[word]['Version']}  amd64")
        else:
            text = template.replace("\\n", "\n").replace("\\t", "\t").replace("${db:Status-Status}", "installed")
            for key, value in here[word].items():
                text = text.replace(f"${{{key}}}", value)
            sys.stdout.write(text)
    return code
