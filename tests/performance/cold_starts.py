"""What a cold start computes, and how large the layers are, from what `sam build` made."""

from __future__ import annotations

import compileall
import importlib.util
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from py_compile import PycInvalidationMode

from rehearsal.application import BUILT, ROOT
from tests.performance.numbers import Number
from tests.templates.templates import APPLICATION, resources

FUNCTIONS = resources(APPLICATION, "AWS::Serverless::Function")
RUNS = 15
MEGABYTE = 1_000_000
MEASURED = "CPU time of a process"


def folders(function: str) -> list[Path]:
    """Where Lambda looks for the modules of a function: its code, and its layers of Python."""
    layers = (layer["Ref"] for layer in FUNCTIONS[function]["Properties"]["Layers"])
    return [BUILT / function, *(BUILT / name / "python" for name in layers if (BUILT / name / "python").is_dir())]


def cpu_seconds(statement: str, function: str, *further: Path) -> float:
    """The seconds that a bare interpreter computes for a statement, as a function. Others on this machine count for
    nothing, so it is what Lambda's processors have to do, too. The process exits at once: Lambda's
    goes on, and an orderly end takes a sixth of the time.

    The environment is that of Lambda (docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html). further: more
    folders of modules.
    """
    task, *layers = folders(function)
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(map(str, (task, *layers, *further))),
        "PYTHONDONTWRITEBYTECODE": "1",
        "LAMBDA_TASK_ROOT": str(task),
        "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
        "AWS_LAMBDA_FUNCTION_NAME": function,
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "APPLICATION": "benchwright",
        "POWERTOOLS_METRICS_NAMESPACE": "Benchwright",
        "PYDANTIC_DISABLE_PLUGINS": "__all__",
    }
    python = os.path.realpath(sys._base_executable)  # type: ignore[attr-defined]
    process = subprocess.Popen(
        [python, "-S", "-s", "-c", f"{statement}; import os; os._exit(0)"], env=environment, cwd=task
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{function}: `{statement}` ended with {process.returncode}")
    return used.ru_utime + used.ru_stime


@contextmanager
def boto3() -> Iterator[Path]:
    """A folder with what boto3 has beside botocore, which the layer does without, in bytecode as the layer's."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("boto3", "s3transfer"):
            spec = importlib.util.find_spec(name)
            assert spec is not None
            assert spec.origin is not None
            shutil.copytree(Path(spec.origin).parent, Path(folder, name), ignore=shutil.ignore_patterns("__pycache__"))
        compileall.compile_dir(folder, quiet=1, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH)
        yield Path(folder)


def of_imports() -> Iterator[Number]:
    """Every handler beside boto3, in turn, since this machine's speed changes."""
    heaviest, slowest, baselines = "", 0.0, list[float]()
    with boto3() as folder:
        for function in sorted(FUNCTIONS):
            pairs = [
                (cpu_seconds("import app", function), cpu_seconds("import boto3", function, folder))
                for _ in range(RUNS)
            ]
            handler, compared = (min(column) for column in zip(*pairs, strict=True))  # what disturbs only adds
            yield Number(f"import of {function}", 1000 * handler, "ms", MEASURED)
            baselines.append(compared)
            if handler / compared > slowest:
                heaviest, slowest = function, handler / compared
    baseline = statistics.median(baselines)
    yield Number("import of boto3", 1000 * baseline, "ms", f"{MEASURED}, in turn with each handler: the median")
    yield Number("import of the heaviest handler, times that of boto3", slowest, "", f"{MEASURED}, {heaviest}", 1.5)


def of_layers() -> Iterator[Number]:
    """Each layer as SAM uploads it."""
    for layer, resource in sorted(resources(APPLICATION, "AWS::Serverless::LayerVersion").items()):
        place = BUILT / layer
        if not place.is_dir():  # SAM leaves one without a build where it is
            place = ROOT / resource["Properties"]["ContentUri"]
        yield Number(f"{layer}, zipped", zipped(place) / MEGABYTE, "MB", "files of `sam build`", 14)


def zipped(folder: Path) -> int:
    """Bytes of a folder as an archive."""
    with tempfile.TemporaryFile() as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(folder.rglob("*")):
                archive.write(path, path.relative_to(folder))
        return file.tell()
