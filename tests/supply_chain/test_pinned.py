"""Whatever is fetched is fixed beforehand: versions with hashes, and no place to fetch them from but the public one."""

import json
import re
from collections.abc import Iterator
from importlib.metadata import requires
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.supply_chain.requirements import FILES, ROOT, NotPinnedError, pins

OUTSIDE = {
    ".git",
    ".venv",
    ".venv-audit",
    ".venv-checkov",
    ".venv-watch",
    ".venv-vip",
    ".tools",
    ".aws-sam",
    "build",
    "node_modules",
    "__pycache__",
    ".hypothesis",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
}
# An index, a registry or a mirror by its address: whoever has one configures it for the own machine. Posit's public one
# is what people get on nodes unless an input has another, such as the documents' examples.
PLACE = re.compile(
    r"--(extra-)?index-url\b|--find-links\b|--trusted-host\b|https?://(?!packagemanager\.posit\.co/pypi/latest/|packages\.example\.)[^\s\"'<>)]*/simple\b|\"resolved\":|\bGOPROXY\b"
    r"|registry\s*=\s*[\"']?https?:|(?i:pip|uv|npm_config)_(INDEX_URL|DEFAULT_INDEX|registry)\s*[=:]\s*[\"']?https?:"
)
ADDRESS = re.compile(r"https?://(?:\{\{ \w+ \}\}|[^\s\"'])+")

AGENT = "https://amazoncloudwatch-agent.s3.amazonaws.com/ubuntu/amd64/{{ Version }}/amazon-cloudwatch-agent"
TINYTEX = "https://github.com/rstudio/tinytex-releases/releases/download"
# How what the image is made of is known to be what was meant. For five of them TLS alone: SECURITY.md names them.
VERIFIED = {
    "https://awscli.amazonaws.com/awscli-exe-linux-x86_64-{{ Version }}.zip": "checksum",
    "https://amazon-efs-utils.aws.com/efs-utils.gpg": "TLS",
    "https://amazon-efs-utils.aws.com/repo/deb/ubuntu/24.04": "signature",
    "https://dl.posit.co/public/pro/gpg.51C0B5BB19F92D60.key": "fingerprint",
    "https://dl.posit.co/public/pro/deb/ubuntu": "signature",
    "https://dl.posit.co/public/pro/deb/ubuntu/dists/noble/main/binary-amd64/Packages": "read for versions only",
    "https://amazoncloudwatch-agent.s3.amazonaws.com/assets/amazon-cloudwatch-agent.gpg": "fingerprint",
    f"{AGENT}.deb.sig": "signed file",
    f"{AGENT}.deb": "signed file",
    "https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem": "TLS",
    "https://cdn.posit.co/r/ubuntu-2404/pkgs/r-${version}_1_amd64.deb": "TLS",
    f"{TINYTEX}/v${{version}}/TinyTeX-linux-x86_64-v${{version}}.tar.xz": "TLS",
    "https://cdn.rstudio.com/python/ubuntu-2404/pkgs/python-${version}_1_amd64.deb": "TLS",
}
MARKS = {
    "checksum": r"source: {address}\n\s+destination: \S+\n\s+checksum: [0-9a-f]{{64}}\n\s+algorithm: SHA256\n",
    "fingerprint": r"source: {address}\n(.*\n)*.*'\^fpr:+{{{{ KeyFingerprint }}}}:'",
    "signature": r"signed-by=\S+\] {address} ",
    "signed file": r"source: {address}\n(.*\n)*.*gpg --batch --verify amazon-\S+\.deb\.sig amazon-\S+\.deb\n",
    "read for versions only": (
        r"repository={address}\n(.*\n)*.*index=\$\(curl [^|]*\"\$repository\"\) .*\n"
        r"(.*\n)*.*\$\(awk [^|]*<<<\"\$index\"\)"
    ),
    "TLS": r"{address}",
}


def own_files() -> Iterator[Path]:
    """Every file of the project but this one, in which the places stand as a pattern."""
    for folder, folders, names in ROOT.walk():
        folders[:] = sorted(set(folders) - OUTSIDE)
        yield from (path for name in sorted(names) if (path := folder / name).is_file() and path != Path(__file__))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_each_line_of_requirements_is_an_exact_version_with_hashes(path: Path) -> None:
    found = [pin.name for pin in pins(path)]
    assert len(found) == len(set(found))


@pytest.mark.parametrize("name", ["rehearsal/requirements.txt", "tests/requirements.txt", "watch/requirements.txt"])
def test_nothing_is_missing_where_pip_installs_without_looking_for_dependencies(name: str) -> None:
    """The Makefile installs with --no-deps: a package that another needs must stand in the same file."""
    pinned = {pin.name for pin in pins(ROOT / name) if pin.applies}
    needed = {
        f"{package} needs {requirement.name}"
        for package in pinned
        for requirement in map(Requirement, requires(package) or [])
        if (requirement.marker is None or requirement.marker.evaluate({"extra": ""}))
        and canonicalize_name(requirement.name) not in pinned
    }
    assert needed == set()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_what_is_asked_for_is_pinned(path: Path) -> None:
    def asked(source: Path) -> Iterator[str]:
        for line in source.read_text(encoding="utf-8").splitlines():
            if line.startswith("-r "):
                yield from asked(source.parent / line.removeprefix("-r "))
            elif line and not line.startswith("#"):
                yield canonicalize_name(Requirement(line).name)

    assert set(asked(path.with_suffix(".in"))) <= {pin.name for pin in pins(path)}


@pytest.mark.parametrize(
    "line",
    [
        "left>=1.0 --hash=sha256:" + "0" * 64,
        "left==1.0",
        "left==1.0 --hash=md5:" + "0" * 32,
        "left==1.* --hash=sha256:" + "0" * 64,
        "left @ https://example.org/left.whl --hash=sha256:" + "0" * 64,
        "--extra-" + "index-url https://example.org/" + "simple",  # in parts: no index stands in any file
        "-r others.txt",
        "",
    ],
)
def test_a_line_that_pins_nothing_is_refused(line: str, tmp_path: Path) -> None:
    path = tmp_path / "requirements.txt"
    path.write_text(f"{line}\n")
    with pytest.raises(NotPinnedError):
        pins(path)


def test_the_tools_of_npm_are_fixed_by_version_and_hash() -> None:
    named = json.loads((ROOT / "tests" / "package.json").read_text())
    wanted = named["dependencies"] | named["devDependencies"]
    assert [name for name, version in wanted.items() if not re.fullmatch(r"(npm:\S+@)?\d+\.\d+\.\d+\S*", version)] == []
    lock = json.loads((ROOT / "tests" / "package-lock.json").read_text())
    packages: dict[str, Any] = {path: package for path, package in lock["packages"].items() if path}
    root = lock["packages"][""]
    assert (root["dependencies"], root["devDependencies"]) == (named["dependencies"], named["devDependencies"])
    # What a package brings with it is fixed by the hash of that package, and has none of its own.
    bundles = tuple(f"{path}/node_modules/" for path, package in packages.items() if "bundleDependencies" in package)
    fetched = {
        path: package
        for path, package in packages.items()
        if not (package.get("inBundle") and path.startswith(bundles))
    }
    assert [
        path
        for path, package in fetched.items()
        if not package.get("version") or not re.fullmatch(r"sha512-[A-Za-z0-9+/]{86}==", package.get("integrity", ""))
    ] == []


def test_no_file_names_a_place_to_fetch_from_but_the_public_one() -> None:
    named = [
        f"{path.relative_to(ROOT)}: {found[0]}"
        for path in own_files()
        if (found := PLACE.search(path.read_text(encoding="utf-8", errors="replace")))
    ]
    assert named == []


def test_the_makefile_installs_only_what_is_pinned() -> None:
    text = (ROOT / "Makefile").read_text()
    assert re.search(r"^PIP_INSTALL := -m pip install .*--require-hashes ", text, re.MULTILINE)
    assert re.search(r"^NPM_CI := bin/npm ci .*--ignore-scripts ", text, re.MULTILINE)
    recipes = text.replace("$(PIP_INSTALL)", "pip install").replace("$(NPM_CI)", "npm ci")
    installs = re.findall(r"^\t(?!@echo).*\b(?:pip|npm|uv|pipx)\b.*$", recipes, re.MULTILINE)
    assert len(installs) == 5
    assert [
        line for line in installs if not re.search(r"pip install --requirement \$<$|npm ci( --omit dev)?$", line)
    ] == []


def test_whatever_the_image_is_made_of_is_verified_or_named_in_security_md() -> None:
    paths = sorted([*(ROOT / "image" / "components").glob("*.yaml"), *(ROOT / "image" / "files").rglob("*")])
    components = {path: path.read_text() for path in paths if path.is_file()}
    found: dict[str, Path] = {}
    for path, text in components.items():
        shell = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
        found |= dict.fromkeys(ADDRESS.findall(shell), path)
    found = {
        address: path
        for address, path in found.items()
        if not any(own in address for own in ("169.254.169.254", "127.0.0.1", "localhost"))
    }
    assert set(found) == set(VERIFIED)
    for address, how in VERIFIED.items():
        assert re.search(MARKS[how].format(address=re.escape(address)), components[found[address]]), (address, how)
    reported = (ROOT / "SECURITY.md").read_text()
    hosts = [address.split("/")[2] for address, how in VERIFIED.items() if how == "TLS"]
    assert [host for host in hosts if f"`{host}`" not in reported] == []


def test_versions_of_components_are_fixed() -> None:
    """Only the parent is the newest of its kind: Canonical's when a generation begins, recorded with the cluster."""
    for path in (ROOT / "image" / "components").glob("*.yaml"):
        constants = {
            name: reported["value"]
            for one in yaml.safe_load(path.read_text()).get("constants", [])
            for name, reported in one.items()
        }
        assert [value for value in constants.values() if re.search(r"latest|stable|\*", value)] == [], path.name
