"""Looks for the values of secrets, in every form they may take, in every place where a stranger could read them."""

import base64
import contextlib
import gzip
import html
import io
import json
import shlex
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, quote_plus

from botocore.exceptions import ClientError

from rehearsal.hosts import logs as hosts_logs

SHORTEST: Final = 8
"""A shorter value would be found everywhere, by chance."""

PUBLIC_KEYS: Final = frozenset({"username", "engine", "host", "port", "dbname", "dbClusterIdentifier", "masterarn"})
"""Parts of a secret's JSON that are no secret."""

Place = tuple[str, bytes]
"""Where something was read, in words, and what stands there."""

ClientFactory = Callable[[str], Any]


@dataclass(frozen=True)
class Secret:
    """A value that may stand in Secrets Manager and nowhere else."""

    name: str
    value: str

    def forms(self) -> dict[bytes, str]:
        """Every spelling of the value that a careless program would leave behind, with the spelling's name."""
        value = self.value
        raw = value.encode()
        spellings: dict[str, str] = {
            "plain": value,
            "JSON": json.dumps(value)[1:-1],
            "JSON, not ASCII": json.dumps(value, ensure_ascii=False)[1:-1],
            "URL-encoded": quote(value, safe=""),
            "URL-encoded, path": quote(value),
            "URL-encoded, form": quote_plus(value),
            "shell": shlex.quote(value).strip("'"),
            "shell, as it traces": value.replace("'", "'\\''"),
            "shell, backslashes": "".join(c if c.isalnum() or c in "_-./:=@%+," else f"\\{c}" for c in value),
            "shell, double quotes": "".join(f"\\{c}" if c in '"$`\\' else c for c in value),
            "SQL": value.replace("'", "''"),
            "SQL, escape string": value.replace("\\", "\\\\").replace("'", "\\'"),
            "INI": value.replace("%", "%%"),
            "sed": "".join(f"\\{c}" if c in "/&\\" else c for c in value),
            "HTML": html.escape(value),
            "hexadecimal": raw.hex(),
            "Python": repr(value)[1:-1],
        }
        for name in ("JSON", "SQL", "shell"):  # a payload in a payload: escaped once more for each level
            twice = json.dumps(spellings[name])[1:-1]
            spellings[f"{name}, in JSON"] = twice
            spellings[f"{name}, in JSON in JSON"] = json.dumps(twice)[1:-1]
        found = {spelling.encode(): name for name, spelling in reversed(spellings.items())}
        for offset in range(3):  # base64 of a longer text that holds the value at any offset
            encoded = base64.b64encode(b"\0" * offset + raw)
            body = encoded[-(-offset * 8 // 6) : (offset + len(raw)) * 8 // 6]  # the characters that hold only its bits
            found.setdefault(body, "base64")
            found.setdefault(body.replace(b"+", b"-").replace(b"/", b"_"), "base64, URL-safe")
        return {form: name for form, name in found.items() if len(form) >= SHORTEST}


@dataclass
class Findings:
    """The report's `secrets`: how many secrets were looked for, how often one was found, and where."""

    checked: int = 0
    found: int = 0
    where: list[str] = field(default_factory=list)
    places: int = 0
    """How many texts were searched: none would mean that the search itself is broken."""


def search(secrets: Iterable[Secret], places: Iterable[Place]) -> Findings:
    """Look for every form of every secret in every place."""
    forms = [(secret, form, name) for secret in secrets for form, name in secret.forms().items()]
    findings = Findings(checked=len({secret for secret, _, _ in forms}))
    for place, text in places:
        findings.places += 1
        seen: set[Secret] = set()
        for secret, form, name in forms:
            if secret not in seen and form in text:
                seen.add(secret)
                findings.found += 1
                findings.where.append(f"{secret.name} ({name}) in {place}")
    return findings


def stored(client: ClientFactory) -> list[Secret]:
    """Every value of every version in Secrets Manager that a program generated or a person brought."""
    manager = client("secretsmanager")
    secrets: set[Secret] = set()
    for page in manager.get_paginator("list_secrets").paginate():
        for entry in page["SecretList"]:
            for version in entry.get("SecretVersionsToStages") or {None: []}:
                chosen = {"VersionId": version} if version else {}
                with contextlib.suppress(ClientError):  # made, but without a value yet
                    text = manager.get_secret_value(SecretId=entry["ARN"], **chosen)["SecretString"]
                    secrets.update(Secret(entry["Name"], value) for value in _values(text))
    return sorted(secrets, key=lambda secret: secret.name)


def _values(text: str) -> Iterator[str]:
    """The secret parts of a secret: of an object every value but those that are public; else the whole text."""
    try:
        content = json.loads(text)
    except ValueError:
        content = text
    if isinstance(content, dict):
        values = [str(value) for key, value in content.items() if key not in PUBLIC_KEYS]
    else:
        values = [text.strip()]
    for value in values:
        if len(value) >= SHORTEST:
            yield value
            lines = value.splitlines()
            if len(lines) > 1:  # a licence file: its lines may appear one by one
                yield from (line for line in lines if len(line) >= 4 * SHORTEST)


def places(client: ClientFactory, logs: Iterable[Path] = (), hosts: Path | None = None) -> Iterator[Place]:
    """Every place of an account where a secret must not stand, `logs` (as that of PostgreSQL) as files, and all that
    the hosts of the directory `hosts` have logged.
    """
    for reader in (
        _executions,
        _logs,
        _parameters,
        _commands,
        _stacks,
        _objects,
        _functions,
        _tables,
        _launch_templates,
        _messages,
    ):
        yield from reader(client)
    for log in logs:
        if log.is_file():
            yield f"log {log.name}", log.read_bytes()
    for name, file in hosts_logs.of_all(hosts) if hosts else ():
        yield f"log {name}", file.read_bytes()


def _text(document: object) -> bytes:
    """A document as one text: without escapes of its own, so that a nested JSON string keeps the form it has."""
    lines: list[str] = []

    def collect(node: object) -> None:
        if isinstance(node, dict):
            for key, value in node.items():
                lines.append(str(key))
                collect(value)
        elif isinstance(node, list | tuple | set):
            for value in node:
                collect(value)
        else:
            lines.append(node.decode(errors="replace") if isinstance(node, bytes) else str(node))

    collect(document)
    return "\n".join(lines).encode()


def _pages(client: Any, operation: str, key: str, **arguments: Any) -> Iterator[Any]:
    if client.can_paginate(operation):
        for page in client.get_paginator(operation).paginate(**arguments):
            yield from page.get(key) or ()
    else:
        yield from getattr(client, operation)(**arguments).get(key) or ()


def _executions(client: ClientFactory) -> Iterator[Place]:
    states = client("stepfunctions")
    for machine in _pages(states, "list_state_machines", "stateMachines"):
        arn = machine["stateMachineArn"]
        yield f"definition of {machine['name']}", _text(states.describe_state_machine(stateMachineArn=arn))
        for execution in _pages(states, "list_executions", "executions", stateMachineArn=arn):
            described = states.describe_execution(executionArn=execution["executionArn"])
            described.pop("ResponseMetadata", None)
            events = list(_pages(states, "get_execution_history", "events", executionArn=execution["executionArn"]))
            yield f"execution history of {execution['name']}", _text([described, events])


def _logs(client: ClientFactory) -> Iterator[Place]:
    logs = client("logs")
    for group in _pages(logs, "describe_log_groups", "logGroups"):
        name = group["logGroupName"]
        messages = [event["message"] for event in _pages(logs, "filter_log_events", "events", logGroupName=name)]
        yield f"log group {name}", _text(messages)


def _parameters(client: ClientFactory) -> Iterator[Place]:
    ssm = client("ssm")
    for parameter in _pages(ssm, "describe_parameters", "Parameters"):
        if parameter["Name"].startswith("/aws/"):
            continue
        for version in _pages(ssm, "get_parameter_history", "Parameters", Name=parameter["Name"], WithDecryption=True):
            yield f"SSM parameter {parameter['Name']}", _text(version)
    for document in _pages(
        ssm, "list_documents", "DocumentIdentifiers", Filters=[{"Key": "Owner", "Values": ["Self"]}]
    ):
        yield f"SSM document {document['Name']}", _text(ssm.get_document(Name=document["Name"])["Content"])


def _commands(client: ClientFactory) -> Iterator[Place]:
    ssm = client("ssm")
    for command in _pages(ssm, "list_commands", "Commands"):
        yield f"parameters of command {command['CommandId']}", _text(command)
    for invocation in _pages(ssm, "list_command_invocations", "CommandInvocations", Details=True):
        where = f"output of command {invocation['CommandId']} on {invocation['InstanceId']}"
        yield where, _text(invocation)


def _stacks(client: ClientFactory) -> Iterator[Place]:
    stacks = client("cloudformation")
    for stack in _pages(stacks, "describe_stacks", "Stacks"):
        name, arn = stack["StackName"], stack["StackId"]
        yield f"parameters and outputs of stack {name}", _text(stack)
        yield (
            f"events of stack {name}",
            _text(list(_pages(stacks, "describe_stack_events", "StackEvents", StackName=arn))),
        )
        if stack["StackStatus"] != "REVIEW_IN_PROGRESS":  # only its change sets have a template yet
            yield f"template of stack {name}", _text(stacks.get_template(StackName=arn)["TemplateBody"])
        for change_set in _pages(stacks, "list_change_sets", "Summaries", StackName=arn):
            described = stacks.describe_change_set(ChangeSetName=change_set["ChangeSetId"], StackName=arn)
            yield f"change set {change_set['ChangeSetName']} of stack {name}", _text(described)


def _objects(client: ClientFactory) -> Iterator[Place]:
    s3 = client("s3")
    for bucket in s3.list_buckets().get("Buckets", []):
        if bucket["Name"].startswith("aws-sam-cli-managed-"):
            continue  # packages of the application, uploaded before there was a secret
        for entry in _pages(s3, "list_object_versions", "Versions", Bucket=bucket["Name"]):
            version = {"VersionId": entry["VersionId"]} if entry.get("VersionId") not in (None, "null") else {}
            body = s3.get_object(Bucket=bucket["Name"], Key=entry["Key"], **version)["Body"].read()
            yield from unpacked(f"s3://{bucket['Name']}/{entry['Key']}", body)


def unpacked(name: str, body: bytes) -> Iterator[Place]:
    """An object, and all that lies inside it if it is an archive, however deep."""
    yield name, body
    with contextlib.suppress(tarfile.TarError, zipfile.BadZipFile, OSError, EOFError):
        if body[:2] == b"\x1f\x8b":
            yield from unpacked(f"{name} (unpacked)", gzip.decompress(body))
        elif body[:2] == b"PK":
            with zipfile.ZipFile(io.BytesIO(body)) as archive:
                for member in archive.infolist():
                    if not member.is_dir():
                        yield from unpacked(f"{name}!{member.filename}", archive.read(member))
        elif body[257:262] == b"ustar":
            with tarfile.open(fileobj=io.BytesIO(body)) as tar:
                for entry in tar:
                    content = tar.extractfile(entry)
                    if content is not None:
                        yield from unpacked(f"{name}!{entry.name}", content.read())


def _functions(client: ClientFactory) -> Iterator[Place]:
    for function in _pages(client("lambda"), "list_functions", "Functions"):
        yield f"configuration of function {function['FunctionName']}", _text(function)


def _tables(client: ClientFactory) -> Iterator[Place]:
    dynamodb = client("dynamodb")
    for table in _pages(dynamodb, "list_tables", "TableNames"):
        yield f"table {table}", _text(list(_pages(dynamodb, "scan", "Items", TableName=table)))


def _launch_templates(client: ClientFactory) -> Iterator[Place]:
    ec2 = client("ec2")
    for template in _pages(ec2, "describe_launch_templates", "LaunchTemplates"):
        chosen = {"LaunchTemplateId": template["LaunchTemplateId"]}
        for version in _pages(ec2, "describe_launch_template_versions", "LaunchTemplateVersions", **chosen):
            yield f"launch template {template['LaunchTemplateName']}", _text(version)
            user_data = version.get("LaunchTemplateData", {}).get("UserData")
            if user_data:
                yield f"user data of {template['LaunchTemplateName']}", base64.b64decode(user_data)


def _messages(client: ClientFactory) -> Iterator[Place]:
    """What was published to topics is in the executions' histories; here are the subscriptions and queues."""
    yield "SNS topics", _text(list(_pages(client("sns"), "list_topics", "Topics")))
