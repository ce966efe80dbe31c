"""The download mirror: what the Internet is to a build instance.

Each address gives what the real one gives in kind (a .deb, a zip, a package index), with stand-ins inside; an address
that no one serves is 404, and a host that is not here does not resolve. HTTPS is signed by the rehearsal's own
authority, which the base image trusts.
"""

import functools
import hashlib
import http.server
import io
import re
import socketserver
import ssl
import threading
import urllib.parse
import zipfile
from collections.abc import Callable
from pathlib import Path

import trustme

from rehearsal.hosts import packages
from rehearsal.hosts.packages import File, Package, program, script, tarball
from rehearsal.launcher import stop_serving

HOSTS = [
    "amazon-efs-utils.aws.com",
    "amazoncloudwatch-agent.s3.amazonaws.com",
    "archive.ubuntu.com",
    "awscli.amazonaws.com",
    "truststore.pki.rds.amazonaws.com",
    "github.com",
    "proxy.golang.org",
    "cdn.posit.co",
    "cdn.rstudio.com",
    "dl.posit.co",
    "download2.rstudio.org",
    "pypi.org",
]

# Versions that exist, so that one which does not is refused as in life.
WORKBENCH_VERSIONS = [
    "2025.05.0+496.pro5",
    "2025.05.1+513.pro3",
    "2025.09.2+418.pro4",
    "2026.01.0+392.pro5",
    "2026.01.1+403.pro11",
    "2026.01.2+418.pro1",
    "2026.04.0+526.pro2",
    "2026.05.0+764.pro1",
    "2026.05.1+225.pro10",
    "2026.06.0+242.pro13",
    "2026.07.0+139.pro9",
    "2026.07.1+147.pro6",
]
DRIVERS_VERSIONS = ["2026.03.0", "2026.07.0"]
TINYTEX_VERSIONS = ["2026.04", "2026.08", "2026.10"]
NEWEST_PATCH_OF_R = {"4.1": 3, "4.2": 3, "4.3": 3, "4.4": 3, "4.5": 3, "4.6": 1}
NEWEST_PATCH_OF_PYTHON = {"3.9": 25, "3.10": 20, "3.11": 15, "3.12": 13, "3.13": 15, "3.14": 9}

# Checksums of the real files that components pin; what is handed out in their place has another one.
REAL_CHECKSUMS = {
    "https://awscli.amazonaws.com/awscli-exe-linux-x86_64-2.36.40.zip": (
        "sha256",
        "a904e314340ad4c4b62beb50e9259d4becb2acf3dffc86c96c553c834d7fdf7a",
    ),
}
EFS_UTILS_VERSIONS = ("3.2.0", "3.3.0")
# Only the image of the previous release compiles these two (tests/deployment/previous.py).
EFS_UTILS_COMMITS = {"def6e74fbbe891d07212b5bcd82109d5e5b59be7": "3.2.0"}
RSKEY_VERSIONS = ("v0.6.1",)
CLOUDWATCH_AGENT_VERSIONS = ("1.300072.0b1766",)
PYTHON_PACKAGES = Path(__file__).parents[2] / "image/files/etc/benchwright/jupyter.txt"
SIGNING_KEY = "8B65E5A107BBEFE3BA99C59751C0B5BB19F92D60"
CLOUDWATCH_AGENT_KEY = "937616F3450B7D806CBD9725D58167303B789C72"
EFS_UTILS_KEY = hashlib.sha256(b"made up: Amazon publishes no fingerprint").hexdigest()[:40].upper()


class Mirror:
    """Serves `content` over HTTP and HTTPS."""

    def __init__(self, authority: trustme.CA) -> None:
        self.authority = authority
        self.requests: list[str] = []
        self._servers: list[http.server.ThreadingHTTPServer] = []

    def start(self, address: str) -> None:
        """Listen on ports 80 and 443 of this address."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert(*HOSTS).configure_cert(context)
        for scheme, port in (("http", 80), ("https", 443)):
            server = _Server((address, port), _handler_of(self, scheme))
            if scheme == "https":
                server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
            self._servers.append(server)
            threading.Thread(target=server.serve_forever, name=f"mirror {scheme}", daemon=True).start()

    def stop(self) -> None:
        for server in self._servers:
            stop_serving(server)

    def checksum(self, url: str, algorithm: str) -> str | None:
        """The checksum of the real file at this address, as far as it is known; of our own content otherwise."""
        known = REAL_CHECKSUMS.get(url)
        if known:
            return known[1] if known[0] == algorithm else None
        content = self.content(url)
        return None if content is None else hashlib.new(algorithm, content).hexdigest()

    def content(self, url: str) -> bytes | None:
        """What is at this address, or None."""
        parts = urllib.parse.urlsplit(url)
        place = f"{parts.hostname}{urllib.parse.unquote(parts.path)}"
        if place == "truststore.pki.rds.amazonaws.com/global/global-bundle.pem":
            return self.authority.cert_pem.bytes()
        for pattern, make in ROUTES:
            if found := re.fullmatch(pattern, place):
                return make(*found.groups())
        return None


def aws_cli(version: str) -> bytes | None:
    """The installer of the AWS CLI: only of versions whose checksum is known here."""
    if f"https://awscli.amazonaws.com/awscli-exe-linux-x86_64-{version}.zip" not in REAL_CHECKSUMS:
        return None
    files = {
        "aws/install": script(AWS_CLI_INSTALL),
        "aws/dist/aws": program("aws"),
        "aws/dist/VERSION": File(f"{version}\n"),
    }
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, file in files.items():
            entry = zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))
            entry.external_attr = (0o100000 | file.mode) << 16
            entry.create_system = 3
            archive.writestr(entry, file.text)
    return content.getvalue()


def efs_utils_sources(commit: str) -> bytes | None:
    """The sources of aws/efs-utils at a commit: its build script needs a Rust toolchain and leaves the package."""
    version = EFS_UTILS_COMMITS.get(commit)
    if version is None:
        return None
    package = packages.efs_utils(version)
    build = EFS_UTILS_BUILD.replace("@DEB@", f"{package.name}-{package.version}_amd64.deb")
    files = {f"package/{name}": file for name, file in package.files.items()}
    control = {"package.control": File(package.control())}
    return tarball({"build-deb.sh": script(build), **control, **files}, folder=f"efs-utils-{commit}")


def _efs_utils_index() -> bytes:
    """The repository of aws/efs-utils for Ubuntu 24.04 (aws/efs-utils#373 has its addresses and versions)."""
    return package_index(*map(packages.efs_utils, EFS_UTILS_VERSIONS), url="pool/main/a/amazon-efs-utils")


def _efs_utils_package(version: str) -> bytes | None:
    return packages.efs_utils(version).archive() if version in EFS_UTILS_VERSIONS else None


def _efs_utils_key() -> bytes:
    return _armored("PUBLIC KEY BLOCK", EFS_UTILS_KEY)


def rskey_module(version: str) -> bytes | None:
    """The Go module of rskey."""
    return program("rskey").text.encode() if version in RSKEY_VERSIONS else None


def package_index(*archive: Package, url: str) -> bytes:
    """A `Packages` file: the stanza of each package, and where it is."""
    return "\n".join(f"{package.control()}Filename: {url}/{package.filename}\n" for package in archive).encode()


@functools.cache
def ubuntu_packages() -> dict[str, Package]:
    return {package.filename: package for package in packages.ubuntu_archive()}


def workbench_packages() -> dict[str, Package]:
    return {package.filename: package for package in map(packages.workbench, WORKBENCH_VERSIONS)}


def _ubuntu_index() -> bytes:
    return package_index(*ubuntu_packages().values(), url="pool/main")


def _ubuntu_package(name: str) -> bytes | None:
    package = ubuntu_packages().get(name.replace("+", "%2b"))
    return package.archive() if package else None


def _workbench_index() -> bytes:
    drivers = package_index(*map(packages.drivers, DRIVERS_VERSIONS), url="pool/noble/main/r/rs/rstudio-drivers")
    return drivers + b"\n" + package_index(*workbench_packages().values(), url="pool/noble/main/r/rs/rstudio-server")


def _drivers_package(version: str) -> bytes | None:
    return packages.drivers(version).archive() if version in DRIVERS_VERSIONS else None


def _tinytex(release: str, version: str) -> bytes | None:
    return packages.tinytex(version) if release == version and version in TINYTEX_VERSIONS else None


def _workbench_package(version: str) -> bytes | None:
    return packages.workbench(version).archive() if version in WORKBENCH_VERSIONS else None


def _workbench_file(version: str) -> bytes | None:
    return _workbench_package(version.replace("-", "+", 1))


def _r_package(minor: str, patch: str) -> bytes | None:
    known = int(patch) <= NEWEST_PATCH_OF_R.get(minor, -1)
    return packages.r(f"{minor}.{patch}").archive() if known else None


def _python_package(minor: str, patch: str) -> bytes | None:
    known = int(patch) <= NEWEST_PATCH_OF_PYTHON.get(minor, -1)
    return packages.python(f"{minor}.{patch}").archive() if known else None


@functools.cache
def _python_packages() -> bytes:
    """What the index had when the image's list was made of it."""
    pins = [line.partition(" ;")[0] for line in PYTHON_PACKAGES.read_text().splitlines() if not line.startswith("#")]
    return "\n".join(pins).encode()


def _signing_key() -> bytes:
    return _armored("PUBLIC KEY BLOCK", SIGNING_KEY)


def _cloudwatch_agent_key() -> bytes:
    return _armored("PUBLIC KEY BLOCK", CLOUDWATCH_AGENT_KEY)


def _cloudwatch_agent(version: str) -> bytes | None:
    return packages.cloudwatch_agent(version).archive() if version in CLOUDWATCH_AGENT_VERSIONS else None


def _cloudwatch_agent_signature(version: str) -> bytes | None:
    """What the stand-in of gpg takes for the signature of this file by that key."""
    package = _cloudwatch_agent(version)
    return package and _armored("SIGNATURE", f"{CLOUDWATCH_AGENT_KEY} {hashlib.sha256(package).hexdigest()}")


def _armored(kind: str, comment: str) -> bytes:
    return f"-----BEGIN PGP {kind}-----\nComment: rehearsal {comment}\n-----END PGP {kind}-----\n".encode()


ROUTES: list[tuple[str, Callable[..., bytes | None]]] = [
    (r"amazon-efs-utils\.aws\.com/efs-utils\.gpg", _efs_utils_key),
    (
        r"amazon-efs-utils\.aws\.com/repo/deb/ubuntu/24\.04/dists/24\.04/main/binary-amd64/Packages",
        _efs_utils_index,
    ),
    (
        r"amazon-efs-utils\.aws\.com/repo/deb/ubuntu/24\.04/pool/main/a/amazon-efs-utils/amazon-efs-utils_(.+)-1_amd64\.deb",
        _efs_utils_package,
    ),
    (r"amazoncloudwatch-agent\.s3\.amazonaws\.com/assets/amazon-cloudwatch-agent\.gpg", _cloudwatch_agent_key),
    (
        r"amazoncloudwatch-agent\.s3\.amazonaws\.com/ubuntu/amd64/([0-9a-z.]+)/amazon-cloudwatch-agent\.deb",
        _cloudwatch_agent,
    ),
    (
        r"amazoncloudwatch-agent\.s3\.amazonaws\.com/ubuntu/amd64/([0-9a-z.]+)/amazon-cloudwatch-agent\.deb\.sig",
        _cloudwatch_agent_signature,
    ),
    (r"awscli\.amazonaws\.com/awscli-exe-linux-x86_64-([0-9.]+)\.zip", aws_cli),
    (r"github\.com/aws/efs-utils/archive/([0-9a-f]{40})\.tar\.gz", efs_utils_sources),
    (
        r"github\.com/rstudio/tinytex-releases/releases/download/v([0-9.]+)/TinyTeX-linux-x86_64-v([0-9.]+)\.tar\.xz",
        _tinytex,
    ),
    (r"proxy\.golang\.org/github\.com/rstudio/rskey/@v/(v[0-9.]+)\.zip", rskey_module),
    (r"cdn\.posit\.co/r/ubuntu-2404/pkgs/r-(\d+\.\d+)\.(\d+)_1_amd64\.deb", _r_package),
    (
        r"(?:cdn\.rstudio\.com|cdn\.posit\.co)/python/ubuntu-2404/pkgs/python-(\d+\.\d+)\.(\d+)_1_amd64\.deb",
        _python_package,
    ),
    (r"archive\.ubuntu\.com/ubuntu/dists/noble/main/binary-amd64/Packages", _ubuntu_index),
    (r"archive\.ubuntu\.com/ubuntu/pool/main/([^/]+)", _ubuntu_package),
    (r"dl\.posit\.co/public/pro/gpg\.51C0B5BB19F92D60\.key", _signing_key),
    (r"dl\.posit\.co/public/pro/deb/ubuntu/dists/noble/main/binary-amd64/Packages", _workbench_index),
    (
        r"dl\.posit\.co/public/pro/deb/ubuntu/pool/noble/main/r/rs/rstudio-server/rstudio-server_(.+)_amd64\.deb",
        _workbench_package,
    ),
    (r"pypi\.org/simple/", _python_packages),
    (
        r"dl\.posit\.co/public/pro/deb/ubuntu/pool/noble/main/r/rs/rstudio-drivers/rstudio-drivers_(.+)_amd64\.deb",
        _drivers_package,
    ),
    (r"download2\.rstudio\.org/server/(?:jammy|noble)/amd64/rstudio-workbench-(.+)-amd64\.deb", _workbench_file),
]

AWS_CLI_INSTALL = """set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
version=$(cat "$here/dist/VERSION")
target=/usr/local/aws-cli/v2/$version
if [ -e "$target" ] && [ "${1-}" != --update ]; then
  echo "Found preexisting AWS CLI installation: $target. Please rerun install script with --update flag." >&2
  exit 1
fi
install -d "$target/dist"
install -m 0755 "$here/dist/aws" "$target/dist/aws"
install -m 0644 "$here/dist/VERSION" "$target/dist/VERSION"
ln -sfn "$target" /usr/local/aws-cli/v2/current
ln -sfn /usr/local/aws-cli/v2/current/dist/aws /usr/local/bin/aws
echo "You can now run: /usr/local/bin/aws --version"
"""
EFS_UTILS_BUILD = """set -euo pipefail
cd "$(dirname "$0")"
cargo --version
mkdir -p build
dpkg-deb --build-from package.control package "build/@DEB@"
"""


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)  # not HTTPServer's, which asks a name server for this machine's name


def _handler_of(mirror: Mirror, scheme: str) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        timeout = 20

        def do_GET(self) -> None:
            url = f"{scheme}://{self.headers.get('Host', '')}{self.path}"
            mirror.requests.append(url)
            content = mirror.content(url)
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content or b"")

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            pass

    return Handler
