"""AWSTOE, the task executor of EC2 Image Builder: runs the phases of a component document on a host, for real.

Known: ExecuteBash, WebDownload, CreateFile and Reboot, loops, parameters, constants, references to inputs and outputs
of earlier steps, timeoutSeconds, maxAttempts and onFailure. Anything else fails by name
(docs.aws.amazon.com/imagebuilder/latest/userguide/toe-use-documents.html).
"""

import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from rehearsal.hosts.host import Completed, Host

DEFAULT_TIMEOUT = 7200.0
REFERENCE = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")
STEP_INPUT = re.compile(r"(?P<phase>\w+)\.(?P<step>[\w-]+)\.inputs\[(?P<number>\d+)\]\.(?P<name>\w+)")
STEP_OUTPUT = re.compile(r"(?P<phase>\w+)\.(?P<step>[\w-]+)\.outputs\.(?P<name>stdout|stderr)")
CURL_OPTIONS = "-fsSL --connect-timeout 30"


@dataclass(frozen=True)
class StepFailure:
    """The step that ended a phase, its action, and what went wrong."""

    step: str
    action: str
    message: str


class StepError(Exception):
    """When a step did not do its work; the message is for the build log."""


@dataclass
class _Run:
    host: Host
    variables: dict[str, str]
    log: Callable[[str], None]
    inputs: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, Completed] = field(default_factory=dict)

    def resolve(self, value: Any, more: Mapping[str, str]) -> Any:
        """The value with its references replaced. Raises StepError for one that nothing defines."""
        if isinstance(value, Mapping):
            return {key: self.resolve(item, more) for key, item in value.items()}
        if isinstance(value, list):
            return [self.resolve(item, more) for item in value]
        return REFERENCE.sub(lambda found: self._look_up(found[1], more), value) if isinstance(value, str) else value

    def _look_up(self, name: str, more: Mapping[str, str]) -> str:
        known = {**self.variables, **more}
        if name in known:
            return known[name]
        if (found := STEP_INPUT.fullmatch(name)) and f"{found['phase']}.{found['step']}" in self.inputs:
            inputs = self.inputs[f"{found['phase']}.{found['step']}"]
            if isinstance(inputs, list) and int(found["number"]) < len(inputs):
                return str(inputs[int(found["number"])].get(found["name"], ""))
        if (found := STEP_OUTPUT.fullmatch(name)) and f"{found['phase']}.{found['step']}" in self.outputs:
            return str(getattr(self.outputs[f"{found['phase']}.{found['step']}"], found["name"])).strip()
        raise StepError(
            f"The reference '{{{{ {name} }}}}' is defined nowhere: no parameter, constant or earlier step has it"
        )


def run_phase(
    host: Host,
    document: Mapping[str, Any],
    phase: str,
    parameters: Mapping[str, str],
    *,
    before_step: Callable[[str], str | None] = lambda _: None,
    log: Callable[[str], None] = lambda _: None,
) -> StepFailure | None:
    """Run one phase (build, validate or test) of a component on a host; a document without it has nothing to do.

    `before_step` may return a message with which the step of this name must fail; `log` gets each line of the build
    log.
    """
    steps: list[Mapping[str, Any]] = next((item["steps"] for item in document["phases"] if item["name"] == phase), [])
    run = _Run(host, _variables(document, parameters), log)
    failure: StepFailure | None = None
    for step in steps:
        log(f"Phase {phase}, step {step['name']} ({step['action']})")
        problem = before_step(step["name"]) or _run_step(run, phase, step)
        if not problem:
            continue
        log(f"Step {step['name']} failed: {problem}")
        match step.get("onFailure", "Abort"):
            case "Ignore":
                continue
            case "Continue":
                failure = failure or StepFailure(step["name"], step["action"], problem)
            case _:
                return failure or StepFailure(step["name"], step["action"], problem)
    return failure


def _variables(document: Mapping[str, Any], parameters: Mapping[str, str]) -> dict[str, str]:
    declared = {name: entry for item in document.get("parameters", []) for name, entry in item.items()}
    constants = {name: str(entry["value"]) for item in document.get("constants", []) for name, entry in item.items()}
    defaults = {name: str(entry["default"]) for name, entry in declared.items() if "default" in entry}
    return {**constants, **defaults, **{name: value for name, value in parameters.items() if name in declared}}


def _run_step(run: _Run, phase: str, step: Mapping[str, Any]) -> str | None:
    """What went wrong, or None."""
    unknown = set(step) - {"name", "action", "timeoutSeconds", "onFailure", "maxAttempts", "inputs", "loop"}
    if unknown or step["action"] not in ACTIONS:
        return f"The rehearsal of AWSTOE does not know {', '.join(sorted(unknown)) or 'the action ' + step['action']}"
    problem = None
    for attempt in range(1, int(step.get("maxAttempts", 1)) + 1):
        if attempt > 1:
            run.log(f"Attempt {attempt} of {step['maxAttempts']}")
        try:
            for more in _rounds(run, step.get("loop")):
                inputs = run.resolve(step.get("inputs"), more)
                key = f"{phase}.{step['name']}"
                run.inputs[key] = inputs
                run.outputs[key] = ACTIONS[step["action"]](
                    run, inputs, float(step.get("timeoutSeconds", DEFAULT_TIMEOUT))
                )
        except StepError as error:
            problem = str(error)
        else:
            return None
    return problem


def _rounds(run: _Run, loop: Mapping[str, Any] | None) -> Iterator[dict[str, str]]:
    if loop is None:
        yield {}
        return
    name = loop.get("name", "loop")
    if "forEach" in loop:
        values = [str(run.resolve(value, {})) for value in loop["forEach"]]
    elif "for" in loop:
        bounds = {key: int(run.resolve(value, {})) for key, value in loop["for"].items()}
        values = [str(number) for number in range(bounds["start"], bounds["end"] + 1, bounds["updateBy"])]
    else:
        raise StepError(f"The rehearsal of AWSTOE does not know this loop: {dict(loop)}")
    for index, value in enumerate(values):
        yield {f"{name}.index": str(index), f"{name}.value": value}


def _execute_bash(run: _Run, inputs: Mapping[str, Any], timeout: float) -> Completed:
    return _bash(run, "\n".join(inputs["commands"]), timeout)


def _web_download(run: _Run, inputs: list[Mapping[str, Any]], timeout: float) -> Completed:
    completed = Completed(0, "", "")
    for item in inputs:
        source, target = str(item["source"]), shlex.quote(str(item["destination"]))
        overwrite = "true" if item.get("overwrite", False) else f"! test -e {target}"
        completed = _bash(
            run,
            f"set -e\n{overwrite} || {{ echo {target} is there already; exit 1; }}\n"
            f'mkdir -p "$(dirname {target})"\ncurl {CURL_OPTIONS} -o {target} {shlex.quote(source)}',
            timeout,
        )
        if expected := item.get("checksum"):
            algorithm = str(item.get("algorithm", "")).lower()
            found = run.host.mirror.checksum(source, algorithm) if algorithm else None
            if found != str(expected).lower():
                raise StepError(
                    f"The {algorithm or 'missing algorithm'} checksum of {source} is {found}, not {expected}"
                )
    return completed


def _create_file(run: _Run, inputs: list[Mapping[str, Any]], timeout: float) -> Completed:
    completed = Completed(0, "", "")
    for item in inputs:
        target = shlex.quote(str(item["path"]))
        lines = ["set -e"]
        if not item.get("overwrite", False):
            lines.append(f"! test -e {target} || {{ echo {target} is there already; exit 1; }}")
        lines.append(f'mkdir -p "$(dirname {target})"')
        lines.append(f"printf %s {shlex.quote(str(item['content']))} >{target}")
        owner, group = item.get("owner"), item.get("group")
        if owner or group:
            lines.append(f"chown {shlex.quote(f'{owner or ""}:{group}' if group else str(owner))} {target}")
        if permissions := item.get("permissions"):
            lines.append(f"chmod {shlex.quote(str(permissions))} {target}")
        completed = _bash(run, "\n".join(lines), timeout)
    return completed


def _reboot(run: _Run, _inputs: Mapping[str, Any], _timeout: float) -> Completed:
    run.host.reboot()
    return Completed(0, "", "")


def _bash(run: _Run, commands: str, timeout: float) -> Completed:
    completed = run.host.run(f"#!/bin/bash\n{commands}\n", environment={}, timeout=timeout)
    lines = [*completed.stdout.splitlines(), *completed.stderr.splitlines()]
    for line in lines:
        run.log(line)
    if completed.timed_out:
        raise StepError(f"The step did not end in {timeout:.0f} seconds")
    if completed.returncode:
        raise StepError("; ".join(lines[-4:]) or f"exit code {completed.returncode}")
    return completed


ACTIONS: dict[str, Callable[[_Run, Any, float], Completed]] = {
    "ExecuteBash": _execute_bash,
    "WebDownload": _web_download,
    "CreateFile": _create_file,
    "Reboot": _reboot,
}
