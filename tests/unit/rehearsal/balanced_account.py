"""An account with a load balancer whose targets are the instances of an Auto Scaling group, for tests."""

import base64
from collections.abc import Callable
from typing import Any

from rehearsal.aws.local_aws import LocalAws
from rehearsal.initial_account import ZONE_ID
from tests.unit.rehearsal.fake_hosts import instance_profile

MODULES = tuple(f"rehearsal.aws.services.{name}" for name in ("route53", "acm", "elbv2", "wafv2", "cloudformation"))
GROUP = "workbench-nodes"
PORT = 8787
DELAY, INTERVAL = 60, 10
POLICY = "ELBSecurityPolicy-TLS13-1-2-Res-2021-06"


class Account:
    """An account with a load balancer whose targets are an Auto Scaling group's instances."""

    def __init__(self, aws: LocalAws, network: str = "10.0", user_data: str = "") -> None:
        """`network`: the first two numbers of all addresses; `user_data`: what an instance runs when it has booted."""
        self.aws = aws
        self.elbv2, self.ec2, self.autoscaling = (aws.client(name) for name in ("elbv2", "ec2", "autoscaling"))
        self.answers: dict[str, Callable[[], int]] = {}
        self.vpc = self.ec2.create_vpc(CidrBlock=f"{network}.0.0/16")["Vpc"]["VpcId"]
        self.subnets = [
            self.ec2.create_subnet(
                VpcId=self.vpc, CidrBlock=f"{network}.{n}.0/24", AvailabilityZone=f"us-east-1{zone}"
            )["Subnet"]["SubnetId"]
            for n, zone in enumerate("ab")
        ]
        self.front, self.nodes = self._group("front"), self._group("nodes")
        self.rule = [
            {"IpProtocol": "tcp", "FromPort": PORT, "ToPort": PORT, "UserIdGroupPairs": [{"GroupId": self.front}]}
        ]
        self.ec2.authorize_security_group_ingress(GroupId=self.nodes, IpPermissions=self.rule)
        self.balancer = self.elbv2.create_load_balancer(
            Name="front", Scheme="internal", Subnets=self.subnets, SecurityGroups=[self.front]
        )["LoadBalancers"][0]["LoadBalancerArn"]
        self.targets = self.target_group("first")
        self.listener = self.listen(80, self.targets)
        aws.balancing.probe = lambda _group, target, _source: self.answers.get(target.machine.id, lambda: 200)()
        data = {
            "ImageId": self.ec2.describe_images()["Images"][0]["ImageId"],
            "InstanceType": "m6i.large",
            "IamInstanceProfile": {"Arn": instance_profile(aws)},
            "SecurityGroupIds": [self.nodes],
            "UserData": base64.b64encode(user_data.encode()).decode(),
        }
        made = self.ec2.create_launch_template(LaunchTemplateName="node", LaunchTemplateData=data)
        self.template = {"LaunchTemplateId": made["LaunchTemplate"]["LaunchTemplateId"], "Version": "1"}

    def _group(self, name: str) -> str:
        made = self.ec2.create_security_group(GroupName=name, Description=name, VpcId=self.vpc)
        return str(made["GroupId"])

    def target_group(self, name: str) -> str:
        made = self.elbv2.create_target_group(
            Name=name, VpcId=self.vpc, Protocol="HTTP", Port=PORT, HealthCheckPath="/health-check",
            HealthCheckIntervalSeconds=INTERVAL, HealthyThresholdCount=3, UnhealthyThresholdCount=2,
        )  # fmt: skip
        arn = str(made["TargetGroups"][0]["TargetGroupArn"])
        delay = [{"Key": "deregistration_delay.timeout_seconds", "Value": str(DELAY)}]
        self.elbv2.modify_target_group_attributes(TargetGroupArn=arn, Attributes=delay)
        return arn

    def listen(self, port: int, group: str) -> str:
        made = self.elbv2.create_listener(
            LoadBalancerArn=self.balancer,
            Port=port,
            Protocol="HTTP",
            DefaultActions=[{"Type": "forward", "TargetGroupArn": group}],
        )
        return str(made["Listeners"][0]["ListenerArn"])

    def create(self, count: int = 2, hooks: Any = (), **more: Any) -> None:
        wanted = {"TargetGroupARNs": [self.targets], **more}
        self.autoscaling.create_auto_scaling_group(
            AutoScalingGroupName=GROUP, MinSize=0, MaxSize=4, DesiredCapacity=count, LaunchTemplate=self.template,
            VPCZoneIdentifier=",".join(self.subnets), LifecycleHookSpecificationList=list(hooks), **wanted,
        )  # fmt: skip

    def size(self, count: int) -> None:
        self.autoscaling.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=count)

    def instances(self) -> dict[str, str]:
        (group,) = self.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[GROUP])["AutoScalingGroups"]
        return {each["InstanceId"]: each["LifecycleState"] for each in group["Instances"]}

    def health(self, group: str = "", *instances: str) -> dict[str, str]:
        """State and reason of the targets, or of those that are asked for."""
        asked = {"Targets": [{"Id": each} for each in instances]} if instances else {}
        shown = self.elbv2.describe_target_health(TargetGroupArn=group or self.targets, **asked)
        return {
            each["Target"]["Id"]: " ".join(filter(None, map(each["TargetHealth"].get, ("State", "Reason"))))
            for each in shown["TargetHealthDescriptions"]
        }

    def until(self, question: Callable[[], Any], within: float = 600) -> None:
        end = self.aws.clock.now() + within
        while not question():
            assert self.aws.clock.now() < end
            self.aws.clock.sleep(5)

    def in_service(self, count: int = 2) -> list[str]:
        self.until(lambda: list(self.instances().values()) == ["InService"] * count)
        return list(self.instances())

    def healthy(self, count: int = 2) -> list[str]:
        instances = self.in_service(count)
        self.until(lambda: self.health() == dict.fromkeys(instances, "healthy"))
        return instances

    def listen_as_the_template_does(self, host: str, secure: int = 443, plain: int = 80) -> None:
        """A certificate for a host, and the listeners and the rule that access.yaml has."""
        acm, elbv2, route53 = self.aws.client("acm"), self.elbv2, self.aws.client("route53")
        certificate = acm.request_certificate(DomainName=host, ValidationMethod="DNS")["CertificateArn"]
        self.aws.clock.sleep(10)
        (validation,) = acm.describe_certificate(CertificateArn=certificate)["Certificate"]["DomainValidationOptions"]
        record = validation["ResourceRecord"]
        wanted = {
            "Name": record["Name"], "Type": "CNAME", "TTL": 60, "ResourceRecords": [{"Value": record["Value"]}],
        }  # fmt: skip
        changes = {"Changes": [{"Action": "UPSERT", "ResourceRecordSet": wanted}]}
        route53.change_resource_record_sets(HostedZoneId=ZONE_ID, ChangeBatch=changes)
        self.aws.clock.sleep(200)
        forward = [{"Type": "forward", "TargetGroupArn": self.targets}]
        made = elbv2.create_listener(
            LoadBalancerArn=self.balancer, Port=secure, Protocol="HTTPS", SslPolicy=POLICY,
            Certificates=[{"CertificateArn": certificate}], DefaultActions=forward,
        )["Listeners"][0]["ListenerArn"]  # fmt: skip
        redirect = {"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"}
        elbv2.create_listener(
            LoadBalancerArn=self.balancer, Port=plain, Protocol="HTTP",
            DefaultActions=[{"Type": "redirect", "RedirectConfig": redirect}],
        )  # fmt: skip
        fixed = {"StatusCode": "403", "ContentType": "text/plain", "MessageBody": "No."}
        elbv2.create_rule(
            ListenerArn=made, Priority=1,
            Conditions=[{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/load-balancer/*"]}}],
            Actions=[{"Type": "fixed-response", "FixedResponseConfig": fixed}],
        )  # fmt: skip
