"""Records of hosted zones."""

from typing import Any

from ..context import Context, Made, Properties
from ..errors import NotRehearsed
from ..handler import Handler
from ..service_call import converted

INSYNC_SECONDS = 600


class RecordSet(Handler):
    """`Ref` answers the name. Created with CREATE, so a record that someone else made is no one's to overwrite."""

    type = "AWS::Route53::RecordSet"

    def __init__(self) -> None:
        self._changes: dict[tuple[str, str], str] = {}

    def create(self, context: Context, properties: Properties) -> Made:
        """The record is there at once: whatever fails from now on, a rollback deletes it."""
        place = properties["HostedZoneId"], properties["Name"]
        self._changes[place] = self._change(context, ("CREATE", properties))
        return Made(properties["Name"])

    def ready(self, context: Context, physical_id: str, properties: Properties) -> dict[str, Any]:
        if change := self._changes.pop((properties["HostedZoneId"], physical_id), ""):
            self._wait(context, change)
        return {}

    def update(self, context: Context, physical_id: str, old: Properties, new: Properties) -> dict[str, Any]:
        self._wait(context, self._change(context, ("UPSERT", new)))
        return {}

    def delete(self, context: Context, physical_id: str, properties: Properties) -> None:
        self._wait(context, self._change(context, ("DELETE", properties)))

    def _change(self, context: Context, *changes: tuple[str, Properties]) -> str:
        route53 = context.client("route53")
        shape = route53.meta.service_model.shape_for("ResourceRecordSet")
        batch = []
        for action, properties in changes:
            if "HostedZoneName" in properties:
                raise NotRehearsed(f"The rehearsal does not implement HostedZoneName of {self.type}")
            given = {name: properties[name] for name in properties if name not in ("HostedZoneId", "Comment")}
            if "ResourceRecords" in given:
                given["ResourceRecords"] = [{"Value": value} for value in given["ResourceRecords"]]
            batch.append({"Action": action, "ResourceRecordSet": converted(shape, given, self.type)})
        zone = changes[0][1]["HostedZoneId"]
        changes[0][1].get("Comment")
        answer = route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": batch})
        return str(answer["ChangeInfo"]["Id"])

    def _wait(self, context: Context, change: str) -> None:
        route53 = context.client("route53")
        context.until(
            lambda: route53.get_change(Id=change)["ChangeInfo"]["Status"] == "INSYNC",
            within=INSYNC_SECONDS,
            what=f"the change {change}",
        )
