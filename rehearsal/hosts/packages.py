"""The packages that the download mirror hands out:

real .deb archives whose programs are stand-ins of the version asked for.
"""

import gzip
import io
import lzma
import shutil
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rehearsal.hosts import debian
from rehearsal.hosts.base_image import launcher

LIBRARIES = (
    *("cairo2", "clang", "fontconfig1", "freetype", "fribidi", "gdal", "geos", "git2", "gl1-mesa", "glpk", "glu1-mesa"),
    *("harfbuzz", "icu", "jpeg", "magick++", "mysqlclient", "node", "png", "pq", "proj", "sodium", "sqlite3", "ssh2-1"),
    *("tiff", "udunits2"),
)
UBUNTU_PACKAGES = [
    "acl",
    "apt-transport-https",
    "attr",
    "binutils",
    "build-essential",
    "bzip2",
    "ca-certificates",
    "clang",
    "cmake",
    "cron",
    "curl",
    "debian-keyring",
    "dpkg-dev",
    "dpkg-sig",
    "file",
    "g++",
    "gcc",
    "gdebi-core",
    "gettext",
    "gettext-base",
    "git",
    "gnupg",
    "gpg",
    "iproute2",
    "jq",
    "less",
    "libcurl4-openssl-dev",
    "libcurl4t64",
    "libpq5",
    "libssl-dev",
    "libssl3t64",
    "logrotate",
    "lsb-release",
    "make",
    "nfs-common",
    "openssl",
    "perl",
    "pkgconf",
    "procps",
    "psmisc",
    "rrdtool",
    "rsync",
    "stunnel4",
    "sudo",
    "tar",
    "tzdata",
    "unattended-upgrades",
    "unzip",
    "uuid-runtime",
    "wget",
    "zip",
    "libxml2-dev",
    *("default-jdk", "gdal-bin", "gsfonts", "imagemagick", "tcl", "tk", "texlive-latex-base", "xz-utils"),
    *(f"lib{name}-dev" for name in LIBRARIES),
    *("tk-dev", "unixodbc", "unixodbc-dev", "zlib1g-dev"),
]
"""Packages of the Ubuntu archive that bring nothing which a node of the rehearsal lacks, because its host has it."""

BASH = "#!/bin/bash\n"


@dataclass(frozen=True)
class File:
    """A file of a package."""

    text: str
    mode: int = 0o644


@dataclass(frozen=True)
class Package:
    """A Debian package: paths are relative to the root, without a leading slash. `tree` is a folder of more files."""

    name: str
    version: str
    files: Mapping[str, File] = field(default_factory=dict)
    depends: tuple[str, ...] = ()
    postinst: str = ""
    prerm: str = ""
    tree: Path | None = None

    @property
    def filename(self) -> str:
        return f"{self.name}_{self.version}_amd64.deb".replace("+", "%2b")

    def control(self) -> str:
        depends = f"Depends: {', '.join(self.depends)}\n" if self.depends else ""
        return f"Package: {self.name}\nVersion: {self.version}\nArchitecture: amd64\n{depends}Description: a stand-in\n"

    def archive(self) -> bytes:
        """The .deb: an ar archive of two tarballs."""
        scripts = {
            name: File(text, 0o755) for name, text in (("postinst", self.postinst), ("prerm", self.prerm)) if text
        }
        control = tarball({"control": File(self.control()), **scripts})
        members = {
            "debian-binary": b"2.0\n",
            "control.tar.gz": control,
            "data.tar.gz": tarball(self.files, tree=self.tree),
        }
        archive = io.BytesIO(b"!<arch>\n")
        archive.seek(0, io.SEEK_END)
        for name, content in members.items():
            archive.write(f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode())
            archive.write(content + b"\n" * (len(content) % 2))
        return archive.getvalue()


def tarball(files: Mapping[str, File], folder: str = ".", tree: Path | None = None) -> bytes:
    """A gzip-compressed tar archive of these files and of what is in a folder, the same bytes each time."""
    content = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=content, mode="wb", compresslevel=1, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w") as tar,
    ):
        for path in sorted(tree.rglob("*")) if tree else []:
            tar.add(path, f"{folder}/{path.relative_to(tree)}", recursive=False)  # type: ignore[arg-type]
        for name, file in files.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(file.text.encode())
            member.mode = file.mode
            tar.addfile(member, io.BytesIO(file.text.encode()))
    return content.getvalue()


def program(module: str) -> File:
    """An executable that is one of the stand-ins."""
    return File(launcher(module), 0o755)


def script(text: str) -> File:
    """An executable that is a few lines of bash."""
    return File(BASH + text, 0o755)


def ubuntu_archive() -> list[Package]:
    """What `apt-get install` finds in Ubuntu's own archive."""
    return [
        *(Package(name, "1:24.04-0ubuntu1") for name in UBUNTU_PACKAGES),
        _chrony(),
        Package("locales", "2.39-0ubuntu8.6", {f"usr/sbin/{name}": script(text) for name, text in LOCALES.items()}),
        Package("pkg-config", "1.8.1-2build1", {"usr/bin/pkg-config": script(PKG_CONFIG)}),
        *_sssd(),
        *_nvidia(),
        Package("postgresql-client", "16+257build1.1", {}, ("postgresql-client-16",)),
        Package("postgresql-client-16", "16.10-0ubuntu0.24.04.1", {"usr/bin/psql": script(PSQL)}),
        # Only the image of the previous release has these two (tests/deployment/previous.py).
        Package("golang-go", "2:1.22~2build1", {"usr/bin/go": program("go")}),
        Package("rustup", "1.26.0-5", {"usr/bin/rustup": script(RUSTUP), "usr/bin/cargo": script(CARGO)}),
    ]


def workbench(version: str) -> Package:
    """Posit Workbench: the package is called rstudio-server, and its scripts do what the real ones do."""
    return Package(
        "rstudio-server",
        version,
        {
            "usr/lib/rstudio-server/VERSION": File(f"{version}\n"),
            "usr/lib/rstudio-server/bin/rserver": program("rserver"),
            "usr/lib/rstudio-server/bin/libnss_pwb.so": File("What it does, the stand-in of rserver does.\n"),
            "usr/lib/rstudio-server/bin/rsession": script(RSESSION),
            "usr/lib/rstudio-server/bin/rsession-options": program("rsession"),
            "usr/lib/rstudio-server/bin/rstudio-launcher": program("rstudio_launcher"),
            "usr/lib/rstudio-server/bin/quarto/bin/quarto": script(QUARTO),
            "usr/lib/rstudio-server/bin/quarto/share/version": File(f"{QUARTO_VERSION}\n"),
            **_ides(version),
            "usr/sbin/rstudio-server": program("rstudio_server"),
            "usr/lib/systemd/system/rstudio-server.service": File(SERVER_UNIT),
            "usr/lib/systemd/system/rstudio-launcher.service": File(LAUNCHER_UNIT),
            "etc/rstudio/rserver.conf": File("# Server Configuration File\n"),
            "etc/rstudio/rsession.conf": File("# R Session Configuration File\n"),
            "etc/rstudio/database.conf": File(
                "# Note: when changing database configuration, restart the server\n", 0o600
            ),
            "etc/rstudio/launcher.conf": File(LAUNCHER_CONF),
            "etc/pam.d/rstudio": File("@include common-auth\n@include common-account\n"),
        },
        postinst=WORKBENCH_POSTINST.replace("@NAME_SERVICE@", NAME_SERVICE if version >= NAME_SERVICE_SINCE else ""),
        prerm="#!/bin/bash\nsystemctl stop rstudio-server rstudio-launcher || true\n",
    )


def _ides(version: str) -> dict[str, File]:
    """VS Code and Positron, each since the release that brings it so (release notes of 2024.09 and 2025.09); Positron
    lies where posit-dev/images-workbench has it.
    """
    folder = "usr/lib/rstudio-server/bin"
    found = {}
    if version >= "2024.09":
        found[f"{folder}/pwb-code-server/bin/code-server"] = script(IDE.replace("@VERSION@", VSCODE_VERSION))
        found[f"{folder}/pwb-code-server/product.json"] = File(f'{{\n\t"version": "{VSCODE_VERSION}"\n}}\n')
    if version >= "2025.09":
        place = f"{folder}/positron-server/bundled"
        found[f"{place}/bin/positron-server"] = script(IDE.replace("@VERSION@", POSITRON_VERSION))
        found[f"{place}/product.json"] = File(
            f'{{\n\t"version": "{VSCODE_VERSION}",\n\t"positronVersion": "{POSITRON_VERSION}"\n}}\n'
        )
    return found


def tinytex(version: str) -> bytes:
    """The bundle of a release of TinyTeX: a folder, whose programs make a PDF of what is written in TeX."""
    programs = {name: script(TEX) for name in ("pdflatex", "xelatex", "lualatex")} | {"tlmgr": script(TLMGR)}
    files = {f"bin/x86_64-linux/{name}": file for name, file in programs.items()}
    return lzma.compress(gzip.decompress(tarball({**files, "LICENSE": File(f"{version}\n")}, ".TinyTeX")), preset=0)


def _nvidia() -> list[Package]:
    """Two branches of NVIDIA's driver, the newest kernel of Ubuntu on AWS, and its modules."""
    kernel, found = "6.14.0-1018-aws", [Package("linux-aws", "6.14.0-1018.18")]
    for branch, version in NVIDIA_VERSIONS.items():
        module = File(f"version={version}\n")
        modules = {f"usr/lib/modules/{kernel}/kernel/nvidia-{branch}srv-open/nvidia.ko": module}
        library = {f"usr/lib/x86_64-linux-gnu/libcuda.so.{version}": File("What it does needs a GPU.\n")}
        found += [
            Package(f"linux-modules-nvidia-{branch}-server-open-aws", "6.14.0-1018.18", modules),
            Package(f"nvidia-headless-no-dkms-{branch}-server-open", f"{version}-0ubuntu0.24.04.1", library),
            Package(f"nvidia-utils-{branch}-server", version, {"usr/bin/nvidia-smi": script(NVIDIA_SMI)}),
        ]
    return found


def drivers(version: str) -> Package:
    """Posit's professional drivers: their list, and a library of each."""
    library = "opt/rstudio-drivers/postgresql/bin/lib/libpostgresqlodbc_sb64.so"
    listed = f"[PostgreSQL]\nDriver = /{library}\n"
    files = {"opt/rstudio-drivers/odbcinst.ini.sample": File(listed), library: File("A driver.\n")}
    return Package("rstudio-drivers", version, files, ("unixodbc",))


def r(version: str) -> Package:
    """R as Posit builds it."""
    programs = {"R": R.replace("@VERSION@", version), "Rscript": RSCRIPT}
    return Package(
        f"r-{version}", "1", {f"opt/R/{version}/bin/{name}": script(text) for name, text in programs.items()}
    )


def python(version: str) -> Package:
    """Python as Posit builds it."""
    names = ("python", "python3", f"python{version.rpartition('.')[0]}")
    files = {f"opt/python/{version}/bin/{name}": program("python_build") for name in names}
    return Package(f"python-{version}", "1", files)


def efs_utils(version: str) -> Package:
    """What the build of aws/efs-utils leaves."""
    files = {
        "usr/sbin/mount.efs": program("mount_efs"),
        "etc/amazon/efs/VERSION": File(f"{version}\n"),
        "etc/amazon/efs/efs-utils.conf": File(
            "[mount]\nport_range_lower_bound = 20049\nport_range_upper_bound = 21049\n"
        ),
    }
    return Package("amazon-efs-utils", f"{version}-1", files, ("nfs-common", "stunnel4"))


def cloudwatch_agent(version: str) -> Package:
    """The CloudWatch agent, without those of its programs that a node does not use."""
    files = {
        f"{CLOUDWATCH_AGENT}/bin/start-amazon-cloudwatch-agent": program("cloudwatch_agent"),
        f"{CLOUDWATCH_AGENT}/bin/CWAGENT_VERSION": File(f"{version}\n"),
        "etc/systemd/system/amazon-cloudwatch-agent.service": File(CLOUDWATCH_AGENT_UNIT),
    }
    return Package("amazon-cloudwatch-agent", f"{version}-1", files)


def _chrony() -> Package:
    files = {
        "usr/sbin/chronyd": script("exec sleep infinity\n"),
        "usr/bin/chronyc": program("chronyc"),
        "etc/chrony/chrony.conf": File("pool ntp.ubuntu.com iburst maxsources 4\n"),
        "usr/lib/systemd/system/chrony.service": File(CHRONY_UNIT),
    }
    return Package("chrony", "4.5-1ubuntu4.2", files, postinst="#!/bin/bash\nsystemctl enable --now chrony\n")


def _sssd() -> list[Package]:
    """The real sssd of this machine's distribution where it was fetched, with its dependencies in one package.

    Otherwise what an image needs in order to pass its checks, and what says so when a cluster has a directory.
    """
    name, version = "sssd-common", "2.9.4-1.1ubuntu6"
    try:
        whole = Package(name, version, postinst=SSSD_POSTINST, tree=debian.tree("sssd"))
    except debian.NotFetched as error:
        programs = {each: script(f"cat >&2 <<'END'\n{error}\nEND\nexit 1\n") for each in ("sssd", "sssctl", "adcli")}
        if not shutil.which("pam-auth-update"):
            programs["pam-auth-update"] = script("exit 0\n")
        files = {f"usr/sbin/{each}": file for each, file in programs.items()}
        files |= {f"usr/lib/systemd/system/sssd{kind}": File(SSSD_UNIT) for kind in (".service", "-nss.socket")}
        modules = [f"{PAM_MODULES}/pam_sss.so", f"{PAM_MODULES}/pam_mkhomedir.so"]
        # Those of this machine stay: the stand-in of Workbench loads them.
        files |= {each: File("") for each in modules if not Path("/", each).exists()}
        whole = Package(name, version, files, postinst=SSSD_POSTINST)
    return [whole, *(Package(each, version, depends=(name,)) for each in debian.SETS["sssd"])]


PAM_MODULES = "usr/lib/x86_64-linux-gnu/security"
SSSD_UNIT = "[Service]\nExecStart=/usr/sbin/sssd -i\n\n[Install]\nWantedBy=multi-user.target\n"
# What the scripts of sssd-common, libnss-sss and libpam-sss do.
SSSD_POSTINST = """#!/bin/bash
set -euo pipefail
getent passwd sssd >/dev/null || useradd --system --user-group --home-dir /var/lib/sss --shell /usr/sbin/nologin sssd
install -d -m 0711 /etc/sssd
install -d -m 0755 /etc/sssd/conf.d /var/lib/sss /var/lib/sss/gpo_cache /var/lib/sss/pipes /var/lib/sss/pubconf
install -d -m 0700 /var/lib/sss/db /var/lib/sss/secrets
install -d -m 0750 /var/lib/sss/pipes/private /var/log/sssd
install -d -m 0775 /var/lib/sss/mc
grep -qE '^passwd:.*\\bsss\\b' /etc/nsswitch.conf ||
  sed -E -i '/^(passwd|group|shadow|netgroup|services):/ s/$/ sss/' /etc/nsswitch.conf
pam-auth-update --package
for unit in /usr/lib/systemd/system/sssd*.socket; do systemctl enable "${unit##*/}"; done
systemctl enable sssd
"""
# A copy of the locale that every machine has: glibc takes it for the one of its name.
LOCALES = {
    "locale-gen": 'cp -r /usr/lib/locale/C.utf8 "/usr/lib/locale/${1%.UTF-8}.utf8"\n',
    "update-locale": "printf '%s\\n' \"$@\" >/etc/default/locale\n",
}
PKG_CONFIG = """declare -A packages=(
  [libxml-2.0]=libxml2 [libcurl]=libcurl4-openssl [openssl]=libssl [cairo]=libcairo2 [fontconfig]=libfontconfig1
  [freetype2]=libfreetype [fribidi]=libfribidi [harfbuzz]=libharfbuzz [icu-uc]=libicu [gdal]=libgdal [geos]=libgeos
  [proj]=libproj [libpng]=libpng [libtiff-4]=libtiff
)
for module in $*; do
  case $module in --libs) libs=1; continue ;; --*) continue ;; esac
  package=${packages[$module]-}-dev
  dpkg-query -W "$package" >/dev/null 2>&1 || { echo "Package '$module' not found" >&2; exit 1; }
  [ -z "${libs-}" ] || echo "-l${module%-*}"
done
"""
R = """case $* in
  --version) echo 'R version @VERSION@ (rehearsal) -- "Stand-in"' ;;
  "CMD SHLIB "*.c) echo "${PKG_LIBS:?undefined reference}" >"$(basename "$3" .c).so" ;;
  *) echo "This stand-in of R does not know: $*" >&2; exit 2 ;;
esac
"""
RSCRIPT = """[[ ${2-} =~ dyn.load\\(.(.*\\.so).\\) ]] ||
  { echo "This stand-in of Rscript does not know: $*" >&2; exit 2; }
[ -s "${BASH_REMATCH[1]}" ] || { echo "unable to load shared object '${BASH_REMATCH[1]}'" >&2; exit 1; }
echo -n 1
"""
QUARTO_VERSION, VSCODE_VERSION, POSITRON_VERSION = "1.8.25", "1.106.2", "2026.07.1"
NVIDIA_VERSIONS = {"570": "570.195.03", "580": "580.105.08"}
# Posit's builds of VS Code's server print their version, and are asked for nothing else here.
IDE = """case $* in
  --version) echo @VERSION@ ;;
  *) echo "This stand-in of an IDE does not know: $*" >&2; exit 2 ;;
esac
"""
TEX = """file=${!#}
grep -q '\\\\end{document}' "$file" || { echo "! LaTeX Error: $file has no end." >&2; exit 1; }
echo "%PDF-1.7 of $file" >"${file%.tex}.pdf"
"""
TLMGR = """case $* in
  "postaction install script xetex") ;;
  "path add") ln -sf /opt/TinyTeX/bin/x86_64-linux/* /usr/local/bin/ ;;
  *) echo "tlmgr: unknown action: $*" >&2; exit 1 ;;
esac
"""
# No host of the rehearsal has a GPU.
NVIDIA_SMI = """echo "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver."
exit 9
"""
QUARTO = """case $* in
  --version) echo 1.8.25 ;;
  "render "*.qmd) command -v lualatex >/dev/null || { echo 'No TeX installation was detected.' >&2; exit 1; }
    echo '\\\\end{document}' >"${2%.qmd}.tex" && lualatex "${2%.qmd}.tex" ;;
  "check install") touch "$HOME/.cache" && echo '[>] Checking Quarto installation......OK' ;;
  *) echo "ERROR: Unknown command \\"$1\\"." >&2; exit 2 ;;
esac
"""
PSQL = 'case "${1-}" in -V|--version) echo "psql (PostgreSQL) 16.10" ;; *) exit 2 ;; esac\n'
RUSTUP = """set -euo pipefail
if [ "${1-} ${2-}" = "toolchain install" ] && [[ ${3-} =~ ^[0-9]+\\.[0-9]+\\.[0-9]+$ ]]; then
  mkdir -p "${RUSTUP_HOME:-$HOME/.rustup}/toolchains/$3"
elif [ "${1-}" = default ]; then :
else echo "error: this stand-in of rustup knows 'toolchain install VERSION' only, not: $*" >&2; exit 1; fi
"""
CARGO = """compgen -G "${RUSTUP_HOME:-$HOME/.rustup}/toolchains/*" >/dev/null || {
  echo "error: rustup could not choose a version of cargo to run: no default is configured." >&2
  exit 1
}
echo "cargo 1.91.1"
"""
RSESSION = """# As in life, no session starts with an option that it does not know.
if grep -qsvE '^[[:space:]]*(#|$)' "${RSTUDIO_CONFIG_DIR:-/etc/rstudio}/rsession.conf" || [ "$#" -gt 0 ]; then
  /usr/lib/rstudio-server/bin/rsession-options --test-config "${@:2}" || exit 1
fi
[ "$#" -eq 0 ] || exit 0
# Suspended, a session writes what it has in memory into its user's home, which takes time, and ends.
suspend() {
  kill $!
  sleep 1
  mkdir -p "$HOME/.local/share/rstudio/sessions/active/session-$$/suspended-session-data"
  exit
}
trap suspend USR1 USR2
sleep infinity &
wait
"""
SERVER_UNIT = """[Unit]
Description=Posit Workbench
After=network-online.target
Wants=network-online.target

[Service]
Type=forking
ExecStart=/usr/lib/rstudio-server/bin/rserver
EnvironmentFile=-/etc/rstudio/server-env
TimeoutStopSec=30

[Install]
WantedBy=multi-user.target
"""
LAUNCHER_UNIT = """[Unit]
Description=RStudio Launcher
After=network-online.target
Wants=network-online.target

[Service]
Type=forking
ExecStart=/usr/lib/rstudio-server/bin/rstudio-launcher
TimeoutStopSec=30

[Install]
WantedBy=multi-user.target
"""
LAUNCHER_CONF = """[server]
address=localhost
port=5559
server-user=rstudio-server
admin-group=rstudio-server
authorization-enabled=1
thread-pool-size=4
enable-debug-logging=0

[cluster]
name=Local
type=Local
"""
WORKBENCH_POSTINST = """#!/bin/bash
set -euo pipefail
getent group rstudio-server >/dev/null || groupadd --system rstudio-server
getent passwd rstudio-server >/dev/null ||
  useradd --system --gid rstudio-server --home-dir /var/lib/rstudio-server --shell /usr/sbin/nologin rstudio-server
for folder in lib/rstudio-server log/rstudio log/rstudio/rstudio-server; do
  install -d -m 0755 -o rstudio-server -g rstudio-server "/var/$folder"
done
for key in secure-cookie-key session-rpc-key; do
  [ -e "/var/lib/rstudio-server/$key" ] ||
    install -m 0600 /dev/stdin "/var/lib/rstudio-server/$key" </proc/sys/kernel/random/uuid
done
@NAME_SERVICE@[ "${RSTUDIO_INSTALL_NO_LICENSE_INITIALIZATION-}" = 1 ] || rstudio-server license-manager initialize
systemctl daemon-reload
systemctl enable rstudio-launcher rstudio-server
systemctl start rstudio-launcher rstudio-server
"""
NAME_SERVICE_SINCE = "2026.07"
"""Packages since then are known to do the following (posit-dev/images-workbench); older ones may leave it to people."""
NAME_SERVICE = """
ln -sf ../rstudio-server/bin/libnss_pwb.so /usr/lib/x86_64-linux-gnu/libnss_pwb.so.2
grep -Eq '^passwd:.*\\bpwb\\b' /etc/nsswitch.conf || sed -Ei 's/^(passwd|group|shadow):.*/& pwb/' /etc/nsswitch.conf
"""
CLOUDWATCH_AGENT = "opt/aws/amazon-cloudwatch-agent"
CLOUDWATCH_AGENT_UNIT = """[Unit]
Description=Amazon CloudWatch Agent
After=network.target

[Service]
Type=simple
ExecStart=/opt/aws/amazon-cloudwatch-agent/bin/start-amazon-cloudwatch-agent
KillMode=process
Restart=on-failure
RestartSec=60s

[Install]
WantedBy=multi-user.target
"""
CHRONY_UNIT = """[Unit]
Description=chrony, an NTP client/server

[Service]
Type=simple
ExecStart=/usr/sbin/chronyd

[Install]
WantedBy=multi-user.target
"""
