"""Tags of all resources."""

from dataclasses import dataclass

from rehearsal.aws.calls import Call
from rehearsal.aws.local_aws import LocalAws

from .resources import Answer, Resources, absent


@dataclass(frozen=True)
class Tags:
    aws: LocalAws
    resources: Resources

    def list_tags_for_resource(self, call: Call) -> Answer:
        return {"tags": self._tags(call["resourceArn"])}

    def tag_resource(self, call: Call) -> Answer:
        self._tags(call["resourceArn"]).update(call["tags"])
        return {}

    def untag_resource(self, call: Call) -> Answer:
        for key in call["tagKeys"]:
            self._tags(call["resourceArn"]).pop(key, None)
        return {}

    def _tags(self, arn: str) -> dict[str, str]:
        for resources in (self.resources.components, self.resources.recipes, self.resources.infrastructures):
            if arn in resources:
                tags: dict[str, str] = resources[arn].setdefault("tags", {})
                return tags
        if arn in self.resources.images:
            image = self.resources.images[arn]
            image.tags = dict(image.tags)
            return image.tags
        raise absent(arn)
