"""The managed instances, and the documents that run on them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from moto.ssm.models import ssm_backends

from rehearsal.aws.calls import PROCEED, Call, Proceed, ServiceError
from rehearsal.aws.local_aws import LocalAws
from rehearsal.aws.services.ec2.instances import Machine

from . import documents
from .associations import Associations
from .documents import Step

AGENT_VERSION = "3.3.3050.0"


class SystemsManager:
    """The managed instances, and the documents that run on them."""

    def __init__(self, aws: LocalAws) -> None:
        self._aws = aws
        self._backend = ssm_backends[aws.account][aws.region]
        self._registered: dict[str, float] = {}
        self.associations = Associations(aws, self.prepare, self.select)

    # Documents

    def create_document(self, call: Call) -> Proceed:
        if call.get("DocumentType", "Command") != "Command":
            return PROCEED
        documents.parse(call["Content"], call.get("DocumentFormat", "JSON"))
        return PROCEED

    def update_document(self, call: Call) -> dict[str, Any] | Proceed:
        name = call["Name"]
        known = self._backend._documents.get(name)
        if known is None or known.get_latest_version().document_type != "Command":
            return PROCEED
        documents.parse(call["Content"], call.get("DocumentFormat", "JSON"))
        description = self._backend.update_document(
            content=call["Content"],
            attachments=call.get("Attachments"),
            name=name,
            version_name=call.get("VersionName"),
            document_version=call.get("DocumentVersion") or "$LATEST",
            document_format=call.get("DocumentFormat", "JSON"),
            target_type=call.get("TargetType"),
        )
        self.associations.document_changed(name)
        return {"DocumentDescription": json.loads(json.dumps(description, default=_seconds))}

    def prepare(
        self, name: str, version: str | None, parameters: Mapping[str, Sequence[str]]
    ) -> tuple[str, list[Step]]:
        """The version of a document that is meant, and its steps with these parameters."""
        if name == "AWS-RunShellScript":
            return "1", documents.steps(documents.RUN_SHELL_SCRIPT, parameters)
        known = self._backend._documents.get(name)
        if known is None:
            raise ServiceError("InvalidDocument", f"Document with name {name} does not exist.")
        if version in (None, "$DEFAULT"):
            document = known.get_default_version()
        elif version == "$LATEST":
            document = known.get_latest_version()
        else:
            document = known.versions.get(version)
        if document is None:
            raise ServiceError("InvalidDocumentVersion", f"Document {name} has no version {version}.")
        return document.document_version, documents.steps(document.content_json, parameters)

    # Instances

    def notice(self, machine: Machine) -> None:
        """An instance has changed: its agent registers, or is gone for good."""
        if machine.gone.is_set():
            self._registered.pop(machine.id, None)
        elif machine.online and machine.id not in self._registered:
            self._registered[machine.id] = self._aws.clock.now()
            self.associations.appeared(machine)

    def select(self, targets: Iterable[Mapping[str, Any]]) -> list[Machine]:
        """The registered instances that fit all of the targets."""
        machines = [self._aws.machines.by_id[instance_id] for instance_id in list(self._registered)]
        for target in targets:
            key, values = target["Key"], target.get("Values") or []
            if key == "InstanceIds":
                machines = [machine for machine in machines if machine.id in values or "*" in values]
            elif key.startswith("tag:"):
                machines = [machine for machine in machines if machine.all_tags.get(key[4:]) in values]
            else:
                raise ServiceError("InvalidTarget", f"The rehearsal knows no target {key}.")
        return machines

    def describe_instance_information(self, call: Call) -> dict[str, Any]:
        machines = [self._aws.machines.by_id[instance_id] for instance_id in list(self._registered)]
        filters = [(item["Key"], item["Values"]) for item in call.get("Filters") or []]
        filters += [(item["key"], item["valueSet"]) for item in call.get("InstanceInformationFilterList") or []]
        for key, values in filters:
            if key == "InstanceIds":
                machines = [machine for machine in machines if machine.id in values]
            elif key == "PingStatus":
                machines = [machine for machine in machines if _ping(machine) in values]
            elif key.startswith("tag:"):
                machines = [machine for machine in machines if machine.all_tags.get(key[4:]) in values]
            else:
                raise ServiceError("InvalidInstanceInformationFilterValue", f"The rehearsal knows no filter {key}.")
        return call.page("InstanceInformationList", [self._shown(machine) for machine in machines])

    def start_session(self, call: Call) -> dict[str, Any]:
        """As for a node whose agent reaches no Session Manager: there is none here. Documents of one's own are read
        before; Amazon's are not here.
        """
        name = call.get("DocumentName")
        if name and not name.startswith("AWS-"):
            known = self._backend._documents.get(name)
            if known is None or known.get_default_version().document_type != "Session":
                raise ServiceError("InvalidDocument", f"Document type Session with name {name} does not exist.")
            documents.parameter_values(known.get_default_version().content_json, call.get("Parameters") or {})
        message = f"{call['Target']} is not connected. The rehearsal runs commands on nodes, and has no sessions."
        raise ServiceError("TargetNotConnected", message)

    def _shown(self, machine: Machine) -> dict[str, Any]:
        return {
            "InstanceId": machine.id,
            "PingStatus": _ping(machine),
            "LastPingDateTime": self._aws.clock.datetime(),
            "AgentVersion": AGENT_VERSION,
            "IsLatestVersion": True,
            "PlatformType": "Linux",
            "PlatformName": "Ubuntu",
            "PlatformVersion": "24.04",
            "ResourceType": "EC2Instance",
            "IPAddress": machine.address,
            "ComputerName": f"{machine.name}.ec2.internal",
            "SourceId": machine.id,
            "SourceType": "AWS::EC2::Instance",
        }

    # Tags: moto knows those of everything but associations

    def add_tags_to_resource(self, call: Call) -> dict[str, Any] | Proceed:
        if call["ResourceType"] != "Association":
            return PROCEED
        self.associations.tags(call["ResourceId"]).update({tag["Key"]: tag["Value"] for tag in call["Tags"]})
        return {}

    def remove_tags_from_resource(self, call: Call) -> dict[str, Any] | Proceed:
        if call["ResourceType"] != "Association":
            return PROCEED
        for key in call["TagKeys"]:
            self.associations.tags(call["ResourceId"]).pop(key, None)
        return {}

    def list_tags_for_resource(self, call: Call) -> dict[str, Any] | Proceed:
        if call["ResourceType"] != "Association":
            return PROCEED
        tags = self.associations.tags(call["ResourceId"])
        return {"TagList": [{"Key": key, "Value": value} for key, value in tags.items()]}


def _ping(machine: Machine) -> str:
    return "Online" if machine.online else "ConnectionLost"


def _seconds(moment: Any) -> Any:
    return moment.timestamp()
