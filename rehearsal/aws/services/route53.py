"""Route 53: the hosted zone that the account has, changes of records as AWS checks them, and when they are in force.

moto keeps the zones. Of a change it checks little, and one that was made is in force at once.
"""

import contextlib
import secrets
import string
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from rehearsal.aws.calls import PROCEED, Call, Proceed, ServiceError
from rehearsal.aws.local_aws import LocalAws
from rehearsal.initial_account import ZONE_ID, ZONE_NAME

# Terraform logs 35, 36, 39, 45 and 57 (bshehram/myservice-devops-aws-tf, SAMPLE_TF_APPLY.md), in another log 35; within
# 60 as a rule (API reference, GetChange).
INSYNC_SECONDS = 40
"""Route 53 puts a change on all name servers within 60 seconds (developer guide, GetChange)."""


def install(aws: LocalAws) -> None:
    """Answer what moto answers otherwise than Route 53."""
    zones = Zones(aws)
    aws.server.serve("route53", zones, within=zones.settled)
    aws.zones = zones


@dataclass
class Zones:
    """The hosted zones of the account, with the moments of their changes."""

    aws: LocalAws
    lock: threading.RLock = field(default_factory=threading.RLock)
    changes: dict[str, float] = field(default_factory=dict)
    """When each change was made, by its id."""
    since: dict[tuple[str, str, str], float] = field(default_factory=dict)
    """Since when a record is as it is, by zone, name and type."""
    _begun: bool = False

    @property
    def backend(self) -> Any:
        from moto.route53.models import route53_backends

        return self.aws.moto_backend(route53_backends, "aws")

    @contextlib.contextmanager
    def settled(self) -> Iterator[None]:
        """One operation at a time. The zone of the account is there from the first on: most rehearsals need none."""
        with self.lock:
            if not self._begun:
                self._begun = True
                self._make_zone()
            yield

    def _make_zone(self) -> None:
        kind = self.aws.initial_account.zone
        if kind == "none":
            return
        made = self.backend.create_hosted_zone(f"{ZONE_NAME}.", private_zone=kind == "private")
        self.backend.zones[ZONE_ID] = self.backend.zones.pop(made.resource_id)
        made.resource_id = ZONE_ID

    def public_answer(self, name: str, kind: str) -> tuple[list[str], float] | None:
        """What the name servers of the world say of a name, and since when (AWS time); None where they know nothing.

        They ask the zone to which the name was delegated: none that is private, nor one that no one delegated to.
        """
        with self.settled():
            within = [
                zone
                for zone in list(self.backend.zones.values())
                if _lies_in(name, zone.name) and self._is_public(zone)
            ]
            if not within:
                return None
            zone = max(within, key=lambda each: len(each.name))
            for record in zone.rrsets:
                if record.type == kind and _absolute(record.name) == _absolute(name):
                    made = self.since.get((zone.resource_id, _absolute(name), kind), 0.0)
                    return [str(value) for value in record.records], made + INSYNC_SECONDS
        return None

    def _is_public(self, zone: Any) -> bool:
        undelegated = zone.resource_id == ZONE_ID and self.aws.initial_account.zone == "undelegated"
        return not zone.private_zone and not undelegated

    def change_resource_record_sets(self, call: Call) -> Mapping[str, Any]:
        zone = self._zone(call["HostedZoneId"])
        wanted = {(_absolute(each.name), each.type, each.set_identifier): each for each in zone.rrsets}
        problems: list[str] = []
        touched = []
        for change in call["ChangeBatch"]["Changes"]:
            given = change["ResourceRecordSet"]
            if unknown := sorted(set(given) - {"Name", "Type", "TTL", "ResourceRecords", "AliasTarget"}):
                raise ServiceError("InvalidInput", f"The rehearsal does not know {', '.join(unknown)} of a record.")
            name, kind = _absolute(given["Name"]), given["Type"]
            key = (name, kind, None)
            if not _lies_in(name, zone.name):
                problems.append(f"RRSet with DNS name {name} is not permitted in zone {zone.name}")
                continue
            if problem := self._problem(change["Action"], given, wanted, name):
                problems.append(problem)
                continue
            touched.append((zone.resource_id, name, kind))
            if change["Action"] == "DELETE":
                del wanted[key]
            else:
                wanted[key] = _record(given, name)
        if problems:
            raise ServiceError("InvalidChangeBatch", f"[{', '.join(problems)}]")
        zone.rrsets = list(wanted.values())
        now = self.aws.clock.now()
        self.since |= dict.fromkeys(touched, now)
        change_id = "C" + "".join(secrets.choice(string.ascii_uppercase + string.digits) for _ in range(20))
        self.changes[change_id] = now
        if self.aws.balancing:
            self.aws.balancing.publish()
        return {"ChangeInfo": self._change(change_id)}

    def aliases(self) -> Iterator[tuple[str, str]]:
        """Name and target of each record that is an alias, as they are looked up: in lower case, without a dot at the
        end.
        """
        if not self._begun:
            return
        for zone in list(self.backend.zones.values()):
            for record in zone.rrsets:
                if record.type == "A" and record.alias_target:
                    target = str(record.alias_target["DNSName"]).lower().rstrip(".").removeprefix("dualstack.")
                    yield str(record.name).lower().rstrip("."), target

    def get_change(self, call: Call) -> Mapping[str, Any]:
        change_id = call["Id"].removeprefix("/change/")
        if change_id not in self.changes:
            raise ServiceError("NoSuchChange", f"Could not find resource with ID: {change_id}")
        return {"ChangeInfo": self._change(change_id)}

    def get_hosted_zone(self, call: Call) -> Proceed:
        self._zone(call["Id"])
        return PROCEED

    def list_resource_record_sets(self, call: Call) -> Proceed:
        self._zone(call["HostedZoneId"])
        return PROCEED

    def create_hosted_zone(self, _: Call) -> Proceed:
        return PROCEED

    def list_hosted_zones(self, call: Call) -> Mapping[str, Any]:
        zones = sorted(self.backend.zones.values(), key=lambda each: each.resource_id)
        start, size = call.get("Marker") or "", int(call.get("MaxItems") or 100)
        left = [zone for zone in zones if zone.resource_id >= start]
        more = {"NextMarker": left[size].resource_id} if len(left) > size else {}
        shown = {"HostedZones": left[:size], "Marker": start, "MaxItems": str(size)}
        return {**shown, "IsTruncated": bool(more), **more}

    def list_hosted_zones_by_name(self, _: Call) -> Proceed:
        return PROCEED

    def _zone(self, identifier: str) -> Any:
        name = identifier.rpartition("/")[2]
        found = self.backend.zones.get(name)
        if found is None:
            raise ServiceError("NoSuchHostedZone", f"No hosted zone found with ID: {name}")
        return found

    def _change(self, change_id: str) -> dict[str, Any]:
        made = self.changes[change_id]
        status = "INSYNC" if self.aws.clock.now() >= made + INSYNC_SECONDS else "PENDING"
        return {"Id": f"/change/{change_id}", "Status": status, "SubmittedAt": self.aws.clock.datetime()}

    def _problem(self, action: str, given: Mapping[str, Any], present: Mapping[Any, Any], name: str) -> str:
        """Why Route 53 would not make this change, "" if it would."""
        kind = given["Type"]
        found = present.get((name, kind, None))
        what = f"resource record set [name='{name}', type='{kind}']"
        if ("AliasTarget" in given) == ("ResourceRecords" in given and "TTL" in given):
            return (
                "Invalid request: Expected exactly one of [AliasTarget, all of [TTL, and ResourceRecords], or "
                f"TrafficPolicyInstanceId], but found none in Change with [Action={action}, Name={name}, Type={kind}, "
                "SetIdentifier=null]"
            )
        if action == "DELETE":
            if found is None:
                return f"Tried to delete {what} but it was not found"
            if _values(_record(given, name)) != _values(found):
                return f"Tried to delete {what} but the values provided do not match the current values"
            return ""
        if action == "CREATE" and found is not None:
            return f"Tried to create {what} but it already exists"
        others = [other for of_name, other, _ in present if of_name == name and other != kind]
        if others and "CNAME" in (kind, *others):
            return (
                f"RRSet of type {kind} with DNS name {name} is not permitted as it conflicts with other records with "
                "the same DNS name in zone"
            )
        return self._problem_of_alias(given) if "AliasTarget" in given else ""

    def _problem_of_alias(self, given: Mapping[str, Any]) -> str:
        target = given["AliasTarget"]
        name, zone = target["DNSName"].lower().rstrip(".").removeprefix("dualstack."), target["HostedZoneId"]
        balancers = list(self.aws.balancing.backend.load_balancers.values()) if self.aws.balancing else []
        tried = f"Tried to create an alias that targets {name}., type {given['Type']} in zone {zone}"
        found = [each for each in balancers if each.dns_name.lower() == name]
        if not found:
            return f"{tried}, but that target was not found"
        if found[0].canonical_hosted_zone_id != zone:
            return f"{tried}, but the alias target name does not lie within the target zone"
        return ""


def _record(given: Mapping[str, Any], name: str) -> Any:
    """A record in moto's form."""
    from moto.route53.models import RecordSet

    records = [each["Value"] for each in given.get("ResourceRecords") or []]
    return RecordSet({**given, "Name": name, "ResourceRecords": records})


def _values(record: Any) -> tuple[Any, ...]:
    alias = record.alias_target or {}
    target = str(alias.get("DNSName", "")).lower().rstrip(".")
    return (
        record.ttl and int(record.ttl),
        sorted(record.records or []),
        target,
        alias.get("HostedZoneId"),
        str(alias.get("EvaluateTargetHealth", False)).lower(),
    )


def _absolute(name: str) -> str:
    return name.lower().rstrip(".") + "."


def _lies_in(name: str, zone: str) -> bool:
    return f".{_absolute(name)}".endswith(f".{_absolute(zone)}")
