"""SNS topics, their policies and subscriptions."""

from typing import Any

from ..handler import Context, Handler, Made, Properties
from ..service_call import call
from ..templates import text

_ATTRIBUTES = ("DisplayName", "KmsMasterKeyId", "SignatureVersion", "TracingConfig")


class Topic(Handler):
    type = "AWS::SNS::Topic"
    seconds = 10

    def create(self, context: Context, properties: Properties) -> Made:
        name = properties.get("TopicName") or context.name(256)
        attributes = {key: text(properties[key]) for key in _ATTRIBUTES if key in properties}
        answer = call(context.client("sns"), "CreateTopic", properties, Name=name, Attributes=attributes)
        return Made(answer["TopicArn"], {"TopicArn": answer["TopicArn"], "TopicName": name})

    def update(self, context: Context, physical_id: str, old: Properties, new: Properties) -> dict[str, Any]:
        for key in _ATTRIBUTES:
            if old.get(key) != new.get(key):
                context.client("sns").set_topic_attributes(
                    TopicArn=physical_id, AttributeName=key, AttributeValue=text(new.get(key, ""))
                )
        return {}

    def retag(self, context: Context, physical_id: str, new: dict[str, str], removed: list[str]) -> None:
        sns = context.client("sns")
        if new:
            call(sns, "TagResource", ResourceArn=physical_id, Tags=new)
        if removed:
            sns.untag_resource(ResourceArn=physical_id, TagKeys=removed)

    def delete(self, context: Context, physical_id: str, properties: Properties) -> None:
        context.client("sns").delete_topic(TopicArn=physical_id)


class TopicPolicy(Handler):
    """Deleting it leaves the topics with a policy for their owner only, which is the default one."""

    type = "AWS::SNS::TopicPolicy"

    def create(self, context: Context, properties: Properties) -> Made:
        self._set(context, properties["Topics"], properties["PolicyDocument"])
        return Made(context.name(128))

    def update(self, context: Context, physical_id: str, old: Properties, new: Properties) -> dict[str, Any]:
        self._set(context, new["Topics"], new["PolicyDocument"])
        return {}

    def delete(self, context: Context, physical_id: str, properties: Properties) -> None:
        for topic in properties["Topics"]:
            owner = {
                "Sid": "__default_statement_ID",
                "Effect": "Allow",
                "Principal": {"AWS": "*"},
                "Action": ["SNS:GetTopicAttributes", "SNS:SetTopicAttributes", "SNS:Publish", "SNS:Subscribe"],
                "Resource": topic,
                "Condition": {"StringEquals": {"AWS:SourceOwner": context.account}},
            }
            self._set(context, [topic], {"Version": "2008-10-17", "Statement": [owner]})

    def _set(self, context: Context, topics: list[str], document: dict[str, Any]) -> None:
        for topic in topics:
            call(
                context.client("sns"),
                "SetTopicAttributes",
                TopicArn=topic,
                AttributeName="Policy",
                AttributeValue=document,
            )


class Subscription(Handler):
    type = "AWS::SNS::Subscription"

    def create(self, context: Context, properties: Properties) -> Made:
        answer = call(context.client("sns"), "Subscribe", properties, ReturnSubscriptionArn=True)
        return Made(answer["SubscriptionArn"], {"Arn": answer["SubscriptionArn"]})

    def delete(self, context: Context, physical_id: str, properties: Properties) -> None:
        context.client("sns").unsubscribe(SubscriptionArn=physical_id)
