"""What AWS's services publish of themselves in CloudWatch, as far as the local AWS has the facts.

Sources: the pages "CloudWatch metrics" of EC2 Auto Scaling, Application Load Balancers, Aurora, ACM, Step Functions,
Lambda and EventBridge Scheduler in their user guides. Services publish each minute, ACM twice a day. Here that happens
when someone asks: what counts events then counts those since it was asked last.

What is no fact here, nothing publishes: EFS's throughput and operations, Aurora's capacity and local storage, since the
file systems are folders, and the database is a PostgreSQL without limits.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

CONNECTIONS: Final = "select count(*) from pg_stat_activity where backend_type = 'client backend'"
ENDS: Final = {"FAILED": "ExecutionsFailed", "TIMED_OUT": "ExecutionsTimedOut", "ABORTED": "ExecutionsAborted"}

type Value = tuple[str, dict[str, str], float]
"""A metric's name, its dimensions and its value."""


@dataclass
class ServiceMetrics:
    """Publishes what the services of a LocalAws would."""

    aws: Any
    _counted: set[str] = field(default_factory=set)
    """The executions that were published."""

    def publish(self) -> None:
        """Publish a value of each metric for this minute; the time is this machine's, as that of nodes."""
        for namespace, values in {
            "AWS/AutoScaling": self._groups(),
            "AWS/ApplicationELB": self._targets(),
            "AWS/RDS": self._databases(),
            "AWS/CertificateManager": self._certificates(),
            "AWS/States": self._executions(),
            "AWS/Lambda": self._functions(),
        }.items():
            put(self.aws.client("cloudwatch"), namespace, values)

    def _groups(self) -> Iterator[Value]:
        for group in self.aws.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]:
            states = [instance["LifecycleState"] for instance in group["Instances"]]
            for enabled in group["EnabledMetrics"]:
                if enabled["Metric"] == "GroupInServiceInstances":
                    name = {"AutoScalingGroupName": group["AutoScalingGroupName"]}
                    yield enabled["Metric"], name, states.count("InService")

    def _targets(self) -> Iterator[Value]:
        balancing = self.aws.client("elbv2")
        for group in balancing.describe_target_groups()["TargetGroups"]:
            health = balancing.describe_target_health(TargetGroupArn=group["TargetGroupArn"])
            states = [each["TargetHealth"]["State"] for each in health["TargetHealthDescriptions"]]
            for balancer in group["LoadBalancerArns"]:
                own = {
                    "TargetGroup": group["TargetGroupArn"].rpartition(":")[2],
                    "LoadBalancer": balancer.partition(":loadbalancer/")[2],
                }
                yield "HealthyHostCount", own, states.count("healthy")
                yield "UnHealthyHostCount", own, states.count("unhealthy")

    def _databases(self) -> Iterator[Value]:
        for cluster, server in self.aws.postgres.items():
            if server.running:
                ((connections,),) = server.execute(CONNECTIONS)
                own = connections - 1  # that of the question
                yield "DatabaseConnections", {"DBClusterIdentifier": cluster}, own

    def _certificates(self) -> Iterator[Value]:
        acm = self.aws.client("acm")
        for each in acm.list_certificates()["CertificateSummaryList"]:
            certificate = acm.describe_certificate(CertificateArn=each["CertificateArn"])["Certificate"]
            if certificate["Status"] == "ISSUED":
                left = certificate["NotAfter"] - datetime.now(UTC)
                yield "DaysToExpiry", {"CertificateArn": each["CertificateArn"]}, left.days

    def _executions(self) -> Iterator[Value]:
        states = self.aws.client("stepfunctions")
        for machine in states.list_state_machines()["stateMachines"]:
            arn = machine["stateMachineArn"]
            for execution in states.list_executions(stateMachineArn=arn)["executions"]:
                ended = execution["executionArn"]
                if execution["status"] in ENDS and ended not in self._counted:
                    self._counted.add(ended)
                    yield ENDS[execution["status"]], {"StateMachineArn": arn}, 1

    def _functions(self) -> Iterator[Value]:
        invocations = self.aws.functions.invocations
        while invocations:
            name, failed = invocations.popleft()
            yield "Errors", {"FunctionName": name}, float(failed)


def put(watch: Any, namespace: str, values: Iterable[Value]) -> None:
    """Publish values as a service does; `watch` is a client of CloudWatch."""
    now = datetime.now(UTC)
    for name, dimensions, value in values:
        named = [{"Name": key, "Value": each} for key, each in dimensions.items()]
        datum = {"MetricName": name, "Dimensions": named, "Value": float(value), "Timestamp": now}
        watch.put_metric_data(Namespace=namespace, MetricData=[datum])
