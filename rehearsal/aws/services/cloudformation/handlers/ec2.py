"""Networks, security groups and launch templates."""

from typing import Any, ClassVar

from ..context import Context, Made, Properties
from ..handler import Handler
from ..service_call import call


class Ec2Resource(Handler):
    """What EC2's resources share: tags are set by the resource's id, and when one is created by its kind."""

    kind: ClassVar[str] = ""
    creates: ClassVar[tuple[str, str, str]] = ("", "", "")
    """The operation that creates one, and where in its answer the id stands, which is all that Fn::GetAtt can ask."""

    def create(self, context: Context, properties: Properties) -> Made:
        operation, member, name = self.creates
        made = self.make(context, operation, properties)[member][name]
        return Made(made, {name: made})

    def make(self, context: Context, operation: str, properties: Properties, **fixed: Any) -> dict[str, Any]:
        """Call the operation that creates one, with its tags."""
        tags = properties.get("Tags")
        specifications = [{"ResourceType": self.kind, "Tags": tags}] if tags else None
        return call(context.client("ec2"), operation, properties, TagSpecifications=specifications, **fixed)

    def retag(self, context: Context, physical_id: str, new: dict[str, str], removed: list[str]) -> None:
        ec2, resource = context.client("ec2"), self.resource_id(context, physical_id)
        if new:
            call(ec2, "CreateTags", Resources=[resource], Tags=new)
        if removed:
            ec2.delete_tags(Resources=[resource], Tags=[{"Key": key} for key in removed])

    def resource_id(self, context: Context, physical_id: str) -> str:
        """EC2's id for what CloudFormation calls `physical_id`."""
        return physical_id


class Vpc(Ec2Resource):
    type = "AWS::EC2::VPC"
    kind = "vpc"
    seconds = 14
    deletes = ("DeleteVpc", "VpcId")

    def create(self, context: Context, properties: Properties) -> Made:
        ec2 = context.client("ec2")
        vpc = self.make(context, "CreateVpc", properties)["Vpc"]
        context.identify(vpc["VpcId"])
        self._attributes(context, vpc["VpcId"], properties)
        of_vpc = [{"Name": "vpc-id", "Values": [vpc["VpcId"]]}]
        groups = ec2.describe_security_groups(Filters=of_vpc)["SecurityGroups"]
        acls = ec2.describe_network_acls(Filters=of_vpc)["NetworkAcls"]
        return Made(
            vpc["VpcId"],
            {
                "VpcId": vpc["VpcId"],
                "CidrBlock": vpc["CidrBlock"],
                "CidrBlockAssociations": [each["AssociationId"] for each in vpc["CidrBlockAssociationSet"]],
                "DefaultNetworkAcl": next((acl["NetworkAclId"] for acl in acls), ""),
                "DefaultSecurityGroup": next(its["GroupId"] for its in groups if its["GroupName"] == "default"),
            },
        )

    def _attributes(self, context: Context, vpc_id: str, properties: Properties) -> None:
        for name in ("EnableDnsSupport", "EnableDnsHostnames"):
            if name in properties:
                context.client("ec2").modify_vpc_attribute(VpcId=vpc_id, **{name: {"Value": properties[name]}})

    def update(self, context: Context, physical_id: str, old: Properties, new: Properties) -> dict[str, Any]:
        self._attributes(context, physical_id, new)
        return {}


class Subnet(Ec2Resource):
    type = "AWS::EC2::Subnet"
    kind = "subnet"
    seconds = 5
    deletes = ("DeleteSubnet", "SubnetId")

    def create(self, context: Context, properties: Properties) -> Made:
        subnet = self.make(context, "CreateSubnet", properties)["Subnet"]
        context.identify(subnet["SubnetId"])
        self._map(context, subnet["SubnetId"], properties)
        known = {name: subnet[name] for name in ("SubnetId", "VpcId", "CidrBlock", "AvailabilityZone")}
        return Made(subnet["SubnetId"], known)

    def _map(self, context: Context, subnet_id: str, properties: Properties) -> None:
        if "MapPublicIpOnLaunch" in properties:
            wanted = {"Value": properties["MapPublicIpOnLaunch"]}
            context.client("ec2").modify_subnet_attribute(SubnetId=subnet_id, MapPublicIpOnLaunch=wanted)

    def update(self, context: Context, physical_id: str, old: Properties, new: Properties) -> dict[str, Any]:
        self._map(context, physical_id, new)
        return {}


class InternetGateway(Ec2Resource):
    type = "AWS::EC2::InternetGateway"
    kind = "internet-gateway"
    seconds = 17
    deletes = ("DeleteInternetGateway", "InternetGatewayId")
    creates = ("CreateInternetGateway", "InternetGateway", "InternetGatewayId")


class GatewayAttachment(Handler):
    type = "AWS::EC2::VPCGatewayAttachment"
    seconds = 3
    deletes = ("DetachInternetGateway", "", "InternetGatewayId", "VpcId")

    def create(self, context: Context, properties: Properties) -> Made:
        call(context.client("ec2"), "AttachInternetGateway", properties)
        return Made(f"IGW|{properties['VpcId']}", {"AttachmentType": "IGW"})


class ElasticIp(Ec2Resource):
    """`Ref` answers the address, not the allocation."""

    type = "AWS::EC2::EIP"
    kind = "elastic-ip"
    seconds = 18

    def create(self, context: Context, properties: Properties) -> Made:
        answer = self.make(context, "AllocateAddress", properties)
        return Made(answer["PublicIp"], {"AllocationId": answer["AllocationId"], "PublicIp": answer["PublicIp"]})

    def resource_id(self, context: Context, physical_id: str) -> str:
        addresses = context.client("ec2").describe_addresses(PublicIps=[physical_id])["Addresses"]
        return str(addresses[0]["AllocationId"])

    def delete(self, context: Context, physical_id: str, properties: Properties) -> None:
        context.client("ec2").release_address(AllocationId=self.resource_id(context, physical_id))


class NatGateway(Ec2Resource):
    type = "AWS::EC2::NatGateway"
    kind = "natgateway"
    # The median of these two, 109 and 125 of another log of CDK, and fourteen of Terraform, which have 84 to 154. The
    # deletion: 42, 61 and 61 of Terraform.
    seconds = 112
    delete_seconds = 61
    creates = ("CreateNatGateway", "NatGateway", "NatGatewayId")

    def ready(self, context: Context, physical_id: str, properties: Properties) -> dict[str, Any]:
        context.until(lambda: self._state(context, physical_id) == "available", within=600, what=physical_id)
        return {}

    def delete(self, context: Context, physical_id: str, properties: Properties) -> None:
        context.client("ec2").delete_nat_gateway(NatGatewayId=physical_id)
        context.until(lambda: self._state(context, physical_id) == "deleted", within=600, what=physical_id)

    def _state(self, context: Context, gateway: str) -> str:
        found = context.client("ec2").describe_nat_gateways(NatGatewayIds=[gateway])["NatGateways"]
        return str(found[0]["State"]) if found else "deleted"


class RouteTable(Ec2Resource):
    type = "AWS::EC2::RouteTable"
    kind = "route-table"
    seconds = 12
    deletes = ("DeleteRouteTable", "RouteTableId")
    creates = ("CreateRouteTable", "RouteTable", "RouteTableId")


class Route(Handler):
    type = "AWS::EC2::Route"
    updates = ("ReplaceRoute", "")
    deletes = ("DeleteRoute", "", "RouteTableId", "DestinationCidrBlock")

    def create(self, context: Context, properties: Properties) -> Made:
        call(context.client("ec2"), "CreateRoute", properties)
        destination = properties["DestinationCidrBlock"]
        return Made(f"{properties['RouteTableId']}|{destination}", {"CidrBlock": destination})


class RouteTableAssociation(Handler):
    type = "AWS::EC2::SubnetRouteTableAssociation"
    delete_seconds = 17
    deletes = ("DisassociateRouteTable", "AssociationId")

    def create(self, context: Context, properties: Properties) -> Made:
        association = call(context.client("ec2"), "AssociateRouteTable", properties)["AssociationId"]
        return Made(association, {"Id": association})


class VpcEndpoint(Ec2Resource):
    type = "AWS::EC2::VPCEndpoint"
    kind = "vpc-endpoint"
    seconds = 3
    deletes = ("DeleteVpcEndpoints", "VpcEndpointIds")

    def create(self, context: Context, properties: Properties) -> Made:
        answer = self.make(context, "CreateVpcEndpoint", properties)
        endpoint = answer["VpcEndpoint"]
        return Made(
            endpoint["VpcEndpointId"],
            {
                "Id": endpoint["VpcEndpointId"],
                "DnsEntries": [
                    f"{each.get('HostedZoneId')}:{each['DnsName']}" for each in endpoint.get("DnsEntries", [])
                ],
                "NetworkInterfaceIds": endpoint.get("NetworkInterfaceIds", []),
            },
        )


IN_USE_SECONDS = 900
"""How long the deletion of a security group in use is tried, about: many public reports of failed stacks name 10 to 20
minutes."""

_EVERYTHING = {"IpProtocol": "-1", "CidrIp": "0.0.0.0/0"}


def permission(rule: dict[str, Any], *, outbound: bool) -> dict[str, Any]:
    """A rule of a template as an IpPermission of the API."""
    side = "Destination" if outbound else "Source"
    described = {"Description": rule["Description"]} if "Description" in rule else {}
    request = {"IpProtocol": rule["IpProtocol"]}
    request |= {port: int(rule[port]) for port in ("FromPort", "ToPort") if port in rule}
    if "CidrIp" in rule:
        request["IpRanges"] = [{"CidrIp": rule["CidrIp"]} | described]
    if "CidrIpv6" in rule:
        request["Ipv6Ranges"] = [{"CidrIpv6": rule["CidrIpv6"]} | described]
    if f"{side}PrefixListId" in rule:
        request["PrefixListIds"] = [{"PrefixListId": rule[f"{side}PrefixListId"]} | described]
    if f"{side}SecurityGroupId" in rule:
        request["UserIdGroupPairs"] = [{"GroupId": rule[f"{side}SecurityGroupId"]} | described]
    return request


class SecurityGroup(Ec2Resource):
    """With SecurityGroupEgress, the rule that lets everything out is taken away first."""

    type = "AWS::EC2::SecurityGroup"
    kind = "security-group"
    seconds = 10

    def create(self, context: Context, properties: Properties) -> Made:
        ec2 = context.client("ec2")
        name, description = properties.get("GroupName") or context.name(255), properties["GroupDescription"]
        made = self.make(context, "CreateSecurityGroup", properties, GroupName=name, Description=description)
        group = made["GroupId"]
        context.identify(group)
        if "SecurityGroupIngress" in properties:
            self._allow(ec2, group, properties["SecurityGroupIngress"], outbound=False)
        if properties.get("SecurityGroupEgress"):
            self._revoke(ec2, group, [_EVERYTHING], outbound=True)
            self._allow(ec2, group, properties["SecurityGroupEgress"], outbound=True)
        return Made(group, {"GroupId": group, "Id": group, "VpcId": properties.get("VpcId")})

    def update(self, context: Context, physical_id: str, old: Properties, new: Properties) -> dict[str, Any]:
        ec2 = context.client("ec2")
        for name, outbound in (("SecurityGroupIngress", False), ("SecurityGroupEgress", True)):
            default = [_EVERYTHING] if outbound else []
            before, after = (its.get(name) or default for its in (old, new))
            self._revoke(ec2, physical_id, [rule for rule in before if rule not in after], outbound=outbound)
            self._allow(ec2, physical_id, [rule for rule in after if rule not in before], outbound=outbound)
        return {}

    def delete(self, context: Context, physical_id: str, properties: Properties) -> None:
        """Try again for a while when something still uses the group: interfaces outlive what had them."""
        ec2 = context.client("ec2")
        last = context.aws.clock.now() + IN_USE_SECONDS

        def deleted() -> bool:
            try:
                ec2.delete_security_group(GroupId=physical_id)
            except ec2.exceptions.ClientError as error:
                if error.response["Error"]["Code"] != "DependencyViolation" or context.aws.clock.now() >= last:
                    raise
                return False
            return True

        context.until(deleted, within=2 * IN_USE_SECONDS, every=15, what=physical_id)

    def _allow(self, ec2: Any, group: str, rules: list[dict[str, Any]], *, outbound: bool) -> None:
        if rules:
            authorize = ec2.authorize_security_group_egress if outbound else ec2.authorize_security_group_ingress
            authorize(GroupId=group, IpPermissions=[permission(rule, outbound=outbound) for rule in rules])

    def _revoke(self, ec2: Any, group: str, rules: list[dict[str, Any]], *, outbound: bool) -> None:
        if rules:
            revoke = ec2.revoke_security_group_egress if outbound else ec2.revoke_security_group_ingress
            revoke(GroupId=group, IpPermissions=[permission(rule, outbound=outbound) for rule in rules])


class SecurityGroupIngress(Handler):
    type = "AWS::EC2::SecurityGroupIngress"

    def create(self, context: Context, properties: Properties) -> Made:
        answer = context.client("ec2").authorize_security_group_ingress(
            GroupId=properties["GroupId"], IpPermissions=[self._permission(properties)]
        )
        rule = answer["SecurityGroupRules"][0]["SecurityGroupRuleId"]
        return Made(rule, {"Id": rule})

    def _permission(self, properties: Properties) -> dict[str, Any]:
        return permission({name: properties[name] for name in properties}, outbound=False)

    def delete(self, context: Context, physical_id: str, properties: Properties) -> None:
        context.client("ec2").revoke_security_group_ingress(
            GroupId=properties["GroupId"], IpPermissions=[self._permission(properties)]
        )


class LaunchTemplate(Handler):
    """A change of LaunchTemplateData makes a new version; the default version stays the first one."""

    # 1 and 3 (DotBlossom/AWS-CDK-InferenceCluster-Peering, README).
    type = "AWS::EC2::LaunchTemplate"
    seconds = 3
    deletes = ("DeleteLaunchTemplate", "LaunchTemplateId")

    def create(self, context: Context, properties: Properties) -> Made:
        name = properties.get("LaunchTemplateName") or context.name(128)
        answer = call(context.client("ec2"), "CreateLaunchTemplate", properties, LaunchTemplateName=name)
        template = answer["LaunchTemplate"]
        return Made(template["LaunchTemplateId"], self._attributes(template["LaunchTemplateId"], 1))

    def update(self, context: Context, physical_id: str, old: Properties, new: Properties) -> dict[str, Any]:
        answer = call(
            context.client("ec2"),
            "CreateLaunchTemplateVersion",
            LaunchTemplateId=physical_id,
            LaunchTemplateData=new["LaunchTemplateData"],
            VersionDescription=new.get("VersionDescription"),
        )
        return self._attributes(physical_id, answer["LaunchTemplateVersion"]["VersionNumber"])

    def _attributes(self, template: str, latest: int) -> dict[str, Any]:
        return {"LaunchTemplateId": template, "DefaultVersionNumber": "1", "LatestVersionNumber": str(latest)}
