"""Web ACLs of AWS WAF in front of a load balancer."""

from ..context import Context, Made, Properties
from ..handler import Handler


class WebAclAssociation(Handler):
    type = "AWS::WAFv2::WebACLAssociation"
    seconds = 5

    def create(self, context: Context, properties: Properties) -> Made:
        resource, web_acl = properties["ResourceArn"], properties["WebACLArn"]
        context.client("wafv2").associate_web_acl(ResourceArn=resource, WebACLArn=web_acl)
        return Made(f"{resource}|{web_acl}")

    def delete(self, context: Context, physical_id: str, properties: Properties) -> None:
        context.client("wafv2").disassociate_web_acl(ResourceArn=properties["ResourceArn"])
