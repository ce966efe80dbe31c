"""A function of local.yaml under the AWS Lambda runtime interface emulator: `sam local invoke` without Docker.

The emulator is the one inside the SAM command line, which puts it into its containers. Instead of a container it gets
mounts of its own: the layers as /opt, and a hosts file that knows the machine by Docker's name for it.
"""

import json
import os
import platform
import shlex
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self

import samcli
import yaml

from rehearsal import launcher

BINARY: Final = Path(samcli.__file__).parent / (
    f"local/rapid/aws-lambda-rie-{'arm64' if platform.machine() == 'aarch64' else 'x86_64'}"
)
# What SAM passes to a function beside the template's variables: samcli/local/lambdafn/env_vars.py
OF_SAM: Final = {
    "AWS_SAM_LOCAL": "true",
    "AWS_REGION": "eu-central-1",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_ACCESS_KEY_ID": "defaultkey",
    "AWS_SECRET_ACCESS_KEY": "defaultsecret",
}
OF_THE_SHELL: Final = {"AWS_ENDPOINT_URL": "http://localhost:1"}
"""A variable of the person's shell counts more than the template's, and build/serve.env sets this one."""

START_SECONDS: Final = 20


class Emulator:
    """A context: the emulator with one function, for one call at a time, since a second one kills it."""

    def __init__(
        self, template: Path, function: str, directory: Path, *, runtime: Path, names: Mapping[str, str]
    ) -> None:
        """`directory` is for this function alone; `runtime` holds the runtime client, `names` what hosts resolve to."""
        document = yaml.load(template.read_text(encoding="utf-8"), yaml.CSafeLoader)
        self.properties = document["Globals"]["Function"] | document["Resources"][function]["Properties"]
        self.layers = [
            Path(document["Resources"][layer["Ref"]]["Properties"]["ContentUri"]) for layer in self.properties["Layers"]
        ]
        self.directory, self.runtime, self.names = directory, runtime, names

    def __enter__(self) -> Self:
        self.directory.mkdir(parents=True)
        hosts = self.directory / "hosts"
        hosts.write_text("".join(f"{address} {name}\n" for name, address in self.names.items()))
        self.log = self.directory / "log"
        self.port, runtime_port = _free_port(), _free_port()
        interpreter = os.path.realpath(sys._base_executable)  # type: ignore[attr-defined]
        addresses = ["--runtime-interface-emulator-address", f"127.0.0.1:{self.port}"]
        addresses += ["--runtime-api-address", f"127.0.0.1:{runtime_port}"]
        command = [str(BINARY), *addresses, interpreter, "-S", "-s", "-m", "awslambdaric", self.properties["Handler"]]
        # Later layers lie over earlier ones. An interpreter that lives below /opt must stay there.
        lowest = "/opt" if interpreter.startswith("/opt/") else str(self.directory)
        opt = ":".join([*map(str, reversed(self.layers)), lowest])
        script = [
            f"mount -t overlay -o lowerdir={shlex.quote(opt)} overlay /opt",
            f"mount --bind {shlex.quote(str(hosts))} /etc/hosts",
            f"exec {shlex.join(command)}",
        ]
        task = self.properties["CodeUri"]
        environment = {
            "PATH": os.defpath,
            "PYTHONPATH": f"{task}:/opt/python:{self.runtime}",
            "LAMBDA_TASK_ROOT": task,
            "AWS_LAMBDA_FUNCTION_TIMEOUT": str(self.properties["Timeout"]),
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(self.properties["MemorySize"]),
            **OF_SAM,
            **{name: str(value) for name, value in self.properties["Environment"]["Variables"].items()},
            **OF_THE_SHELL,
        }
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                ["unshare", "--mount", "--propagation", "private", "bash", "-euc", "\n".join(script)],
                cwd=task,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self

    def __exit__(self, *_: object) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def invoke(self, event: Any) -> Any:
        """The function's answer; an error is an answer too, a mapping with `errorType`."""
        address = f"http://127.0.0.1:{self.port}/2015-03-31/functions/function/invocations"
        request = urllib.request.Request(address, json.dumps(event).encode())
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                with urllib.request.urlopen(request, timeout=float(self.properties["Timeout"]) + 10) as answer:
                    return json.loads(answer.read())
            except urllib.error.URLError:  # no one listens yet
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError(f"no emulator: {self.log.read_text(errors='replace')[-2000:]}") from None
                time.sleep(0.05)


def _free_port() -> int:
    with launcher.listening("127.0.0.1") as listener:
        port: int = listener.getsockname()[1]
        return port
