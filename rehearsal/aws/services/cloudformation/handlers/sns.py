"""SNS topics, their policies and subscriptions."""

from typing import Any

from ..context import Context, Made, Properties
from ..handler import Handler, Tagging
from ..service_call import call
from ..templates import text

_ATTRIBUTES = ("DisplayName", "KmsMasterKeyId", "SignatureVersion", "TracingConfig")


class Topic(Handler):
    # aws-cloudformation/aws-cloudformation-resource-providers-sns, topic/BaseHandlerStd.java: waits 10 s.
    type = "AWS::SNS::Topic"
    seconds = 11
    tagging = Tagging("ResourceArn")
    deletes = ("DeleteTopic", "TopicArn")

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
    deletes = ("Unsubscribe", "SubscriptionArn")

    def create(self, context: Context, properties: Properties) -> Made:
        answer = call(context.client("sns"), "Subscribe", properties, ReturnSubscriptionArn=True)
        return Made(answer["SubscriptionArn"], {"Arn": answer["SubscriptionArn"]})
