"""Python as Posit builds it, with `-m venv`, `-m pip` and kernels of Jupyter; and `jupyter`, as its packages leave it.

Packages are those of the image's list by name and version, with the commands and files that matter to Workbench. A
kernel is a process of the interpreter that its specification names, and computes what it is given.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

from .surroundings import complain

INDEX = "/".join(("https://pypi.org", "simple", ""))  # in parts: no index stands in any file
COMMANDS = {"jupyter_core": ("jupyter",)}
EXTENSIONS = ("pwb_jupyterlab",)
SPECIFICATION = ("python", "-m", "ipykernel_launcher", "-f", "{connection_file}")
SECONDS = 60


class Environment:
    """A Python, or a virtual environment of one: its folder, its version, and what is installed in it."""

    def __init__(self, prefix: str) -> None:
        self.prefix = Path(prefix)
        settings = self.prefix / "pyvenv.cfg"
        lines = settings.read_text().splitlines() if settings.exists() else [f"version = {self.prefix.name}"]
        self.version = dict(line.split(" = ", 1) for line in lines)["version"]
        self.packages = self.prefix / "lib" / f"python{self.version.rpartition('.')[0]}" / "site-packages"

    def installed(self, package: str) -> str | None:
        """The version of a package, if it is there."""
        found = [path.name.removesuffix(".dist-info") for path in self.packages.glob(f"{package}-*.dist-info")]
        return found[0].rpartition("-")[2] if found else None


def main(arguments: list[str]) -> int:
    """What this is depends on its name and its place, as with the programs that it stands for."""
    program = os.path.abspath(arguments[0])
    if os.path.basename(program) == "jupyter":
        return _jupyter(Environment(os.path.dirname(os.path.dirname(os.path.realpath(program)))), arguments[1:])
    environment = Environment(os.path.dirname(os.path.dirname(program)))
    match arguments[1:]:
        case ["-V" | "--version"]:
            print(f"Python {environment.version}")
            return 0
        case ["-m", "venv", "--clear", folder]:
            return _make_environment(environment, Path(folder))
        case ["-m", "pip", "install", *words]:
            return _install(environment, words)
        case ["-m", "ipykernel", "install", *words]:
            return _install_kernel(environment, program, words)
        case ["-m", "ipykernel_launcher", "-f", file]:
            return _run_kernel(environment, program, file)
    return complain(f"This stand-in of Python does not know: {' '.join(arguments[1:])}", 2)


def _make_environment(base: Environment, folder: Path) -> int:
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "bin").mkdir(parents=True)
    for name in ("python", "python3"):
        (folder / "bin" / name).symlink_to(base.prefix / "bin" / "python")
    (folder / "pyvenv.cfg").write_text(f"home = {base.prefix}/bin\nversion = {base.version}\n")
    Environment(str(folder)).packages.mkdir(parents=True)
    return 0


def _install(environment: Environment, words: list[str]) -> int:
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    names: list[str] = []
    files: dict[str, str] = {}
    rest = iter(words)
    for word in rest:
        if word in {"--requirement", "--constraint", "--only-binary"}:
            files[word] = next(rest)
        elif word != "--quiet":
            names.append(word)
    marks = {"python_full_version": environment.version}
    pinned = {
        canonicalize_name(wanted.name): wanted
        for option in ("--requirement", "--constraint")
        if option in files
        for wanted in map(Requirement, _lines(files[option]))
        if wanted.marker is None or wanted.marker.evaluate(marks)
    }
    wanted = (
        [*pinned.values()]
        if "--requirement" in files
        else [pinned.get(canonicalize_name(name), Requirement(name)) for name in names]
    )
    try:
        index = _published()
    except OSError as error:
        return complain(f"ERROR: Could not fetch URL {INDEX}: {error}")
    for each in wanted:
        versions = [version for name, version in index if name == canonicalize_name(each.name)]
        fitting = [version for version in versions if each.specifier.contains(version)]
        if not fitting:
            return complain(f"ERROR: No matching distribution found for {each}")
        _unpack(environment, each.name.replace("-", "_"), fitting[-1])
    return 0


def _published() -> list[tuple[str, str]]:
    import ssl
    import urllib.request

    trust = ssl.create_default_context(cafile="/etc/ssl/certs/ca-certificates.crt")
    with urllib.request.urlopen(INDEX, timeout=30, context=trust) as response:
        return [(name, version) for name, version in (line.split("==") for line in response.read().decode().split())]


def _unpack(environment: Environment, name: str, version: str) -> None:
    for other in environment.packages.glob(f"{name}-*.dist-info"):
        shutil.rmtree(other)
    folder = environment.packages / f"{name}-{version}.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(f"Name: {name}\nVersion: {version}\n")
    for command in COMMANDS.get(name, ()):
        shutil.copy(sys.argv[0], environment.prefix / "bin" / command)
    if name in EXTENSIONS:
        extension = environment.prefix / "share/jupyter/labextensions" / name
        extension.mkdir(parents=True, exist_ok=True)
        (extension / "package.json").write_text(json.dumps({"name": name, "version": version}))
    if name == "ipykernel":
        _write_specification(environment.prefix, "python3", list(SPECIFICATION), "Python 3 (ipykernel)")


def _install_kernel(environment: Environment, program: str, words: list[str]) -> int:
    if environment.installed("ipykernel") is None:
        return complain(f"{program}: No module named ipykernel")
    options = dict(word.removeprefix("--").partition("=")[::2] for word in words)
    if unknown := options.keys() - {"prefix", "user", "name", "display-name"}:
        return complain(f"ipython-kernel-install: error: unrecognized arguments: --{min(unknown)}", 2)
    prefix = Path(options["prefix"]) if "prefix" in options else Path.home() / ".local"
    words = [program, *SPECIFICATION[1:]]
    _write_specification(prefix, options.get("name", "python3"), words, options.get("display-name", "Python 3"))
    return 0


def _write_specification(prefix: Path, name: str, words: list[str], shown: str) -> None:
    folder = prefix / "share/jupyter/kernels" / name
    folder.mkdir(parents=True, exist_ok=True)
    specification = {"argv": words, "display_name": shown, "language": "python"}
    (folder / "kernel.json").write_text(json.dumps(specification, indent=1))


def _run_kernel(environment: Environment, program: str, file: str) -> int:
    if environment.installed("ipykernel") is None:
        return complain(f"{program}: No module named ipykernel_launcher")
    code = json.loads(Path(file).read_text())["code"]
    sys.prefix, sys.executable = str(environment.prefix), program
    exec(compile(code, "<kernel>", "exec"), {"__name__": "__main__"})
    return 0


def _jupyter(environment: Environment, words: list[str]) -> int:
    match words:
        case ["run", option] if option.startswith("--kernel="):
            return _run(environment, option.removeprefix("--kernel="))
        case ["labextension", "list"]:
            for folder in sorted(environment.prefix.glob("share/jupyter/labextensions/*")):
                extension = json.loads((folder / "package.json").read_text())
                name, version = extension["name"], extension["version"]
                print(f"        {name} v{version} enabled OK (python, {name})", file=sys.stderr)
            return 0
        case ["lab", "--version"] if version := environment.installed("jupyterlab"):
            print(version)
            return 0
        case ["lab", "--no-browser", *options] if environment.installed("jupyterlab"):
            return _serve(dict(option.removeprefix("--").split("=", 1) for option in options))
    return complain(f"This stand-in of jupyter does not know: {' '.join(words)}")


def _run(environment: Environment, name: str) -> int:
    """Start a kernel with what standard input says; kernels of a person come before those of the environment."""
    import subprocess
    import tempfile

    own = Path.home() / ".local/share/jupyter"
    folders = [own, environment.prefix / "share/jupyter", Path("/usr/local/share/jupyter"), Path("/usr/share/jupyter")]
    found = [path for folder in folders if (path := folder / "kernels" / name / "kernel.json").exists()]
    if not found:
        return complain(f"jupyter_client.kernelspec.NoSuchKernel: No such kernel named {name}")
    argv = json.loads(found[0].read_text())["argv"]
    (own / "runtime").mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=own / "runtime", suffix=".json") as file:
        json.dump({"code": sys.stdin.read()}, file)
        file.flush()
        argv = [word.replace("{connection_file}", file.name) for word in argv]
        argv[0] = str(environment.prefix / "bin/python") if argv[0] == "python" else argv[0]
        return subprocess.run(argv, timeout=SECONDS, check=False).returncode


def _serve(options: dict[str, str]) -> int:
    import http.server

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            allowed = self.path == f"/api/status?token={options['IdentityProvider.token']}"
            self.send_response(200 if allowed else 403)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            pass

    http.server.HTTPServer((options["ip"], int(options["port"])), Handler).serve_forever()
    return 0


def _lines(file: str) -> list[str]:
    return [line for line in Path(file).read_text().splitlines() if line and not line.startswith("#")]
