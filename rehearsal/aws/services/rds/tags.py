"""Tags of clusters and instances."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rehearsal.aws.calls import PROCEED, Call, Proceed

from .model import Databases


@dataclass(frozen=True)
class Tags:
    databases: Databases

    def add_tags_to_resource(self, call: Call) -> Mapping[str, Any] | Proceed:
        tagged = self.databases.by_arn(call["ResourceName"])
        if tagged is None:
            return PROCEED
        tags = {tag["Key"]: tag for tag in [*tagged.document.get("TagList", []), *call["Tags"]]}
        tagged.document["TagList"] = list(tags.values())
        return {}

    def remove_tags_from_resource(self, call: Call) -> Mapping[str, Any] | Proceed:
        tagged = self.databases.by_arn(call["ResourceName"])
        if tagged is None:
            return PROCEED
        kept = [tag for tag in tagged.document.get("TagList", []) if tag["Key"] not in call["TagKeys"]]
        tagged.document["TagList"] = kept
        return {}

    def list_tags_for_resource(self, call: Call) -> Mapping[str, Any] | Proceed:
        tagged = self.databases.by_arn(call["ResourceName"])
        return PROCEED if tagged is None else {"TagList": tagged.document.get("TagList", [])}
