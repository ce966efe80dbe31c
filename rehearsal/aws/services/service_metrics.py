"""What AWS's services publish of themselves in CloudWatch, as far as the local AWS has the facts.

Sources: the pages "CloudWatch metrics" of EC2 Auto Scaling, Application Load Balancers, Aurora, EFS, ACM, Step
Functions, Lambda and EventBridge Scheduler in their user guides. Services publish each minute, ACM twice a day. Here
that happens when someone asks: what counts events then counts those since it was asked last, as those of a minute.
"""

import contextlib
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from rehearsal.aws.services import efs
from rehearsal.aws.services.efs_traffic import Traffic

PROCESSES: Final = "select pid, backend_type = 'client backend' from pg_stat_activity where pid <> pg_backend_pid()"
ACU_OF_A_PROCESSOR: Final = 4
"""A capacity unit has about 2 GiB of memory and the processors that go with them (Aurora user guide, "Aurora Serverless
v2 capacity"); the instance classes of Aurora with the same processors, db.r6g and its like, have 8 GiB for each.
"""
MIB: Final = 1 << 20
ENDS: Final = {"FAILED": "ExecutionsFailed", "TIMED_OUT": "ExecutionsTimedOut", "ABORTED": "ExecutionsAborted"}

type Value = tuple[str, dict[str, str], float]
"""A metric's name, its dimensions and its value."""


@dataclass
class ServiceMetrics:
    """Publishes what the services of a LocalAws would."""

    aws: Any
    _counted: set[str] = field(default_factory=set)
    """The executions that were published."""
    _traffic: dict[str, Traffic] = field(default_factory=dict)
    """By file system."""
    _worked: dict[str, tuple[float, dict[int, float]]] = field(default_factory=dict)
    """By cluster: when its server was asked last, and for how long each process had worked by then."""

    def publish(self) -> None:
        """Publish a value of each metric for this minute; the time is this machine's, as that of nodes."""
        for namespace, values in {
            "AWS/AutoScaling": self._groups(),
            "AWS/ApplicationELB": self._targets(),
            "AWS/RDS": self._databases(),
            "AWS/EFS": self._file_systems(),
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
        """Local storage is what the file system of the server's folder has left: its data, logs and temporary files."""
        for cluster in self.aws.client("rds").describe_db_clusters()["DBClusters"]:
            name = {"DBClusterIdentifier": cluster["DBClusterIdentifier"]}
            server = self.aws.postgres[cluster["DBClusterIdentifier"]]
            if server.running:
                processes = dict(server.execute(PROCESSES))
                yield "DatabaseConnections", name, sum(processes.values())
                limits = cluster["ServerlessV2ScalingConfiguration"]
                needed = ACU_OF_A_PROCESSOR * self._processors(cluster["DBClusterIdentifier"], processes)
                capacity = min(max(needed, limits["MinCapacity"]), limits["MaxCapacity"])
                yield "ACUUtilization", name, 100 * capacity / limits["MaxCapacity"]
                disk = os.statvfs(server.directory)
                yield "FreeLocalStorage", name, disk.f_bavail * disk.f_frsize

    def _processors(self, cluster: str, processes: Iterable[int]) -> float:
        """How many processors the server's processes could have used since they were asked about last.

        That they had to wait for one on a busy machine counts, too. Source: the Linux kernel's sched-stats.rst: the
        first two numbers of /proc/PID/schedstat are nanoseconds on a processor and waiting for one.
        """
        now, worked = time.monotonic(), {}
        for process in processes:
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                running, waiting, _ = Path(f"/proc/{process}/schedstat").read_text().split()
                worked[process] = (int(running) + int(waiting)) / 1e9
        before, known = self._worked.get(cluster, (now, worked))
        self._worked[cluster] = now, worked
        done = sum(seconds - known.get(process, 0) for process, seconds in worked.items())
        return done / (now - before) if now > before else 0

    def _file_systems(self) -> Iterator[Value]:
        """Source of the largest throughput and operations: EFS user guide, "Amazon EFS performance specifications", of
        Regional file systems; where they depend on the region, the lowest.
        """
        for shown in self.aws.client("efs").describe_file_systems()["FileSystems"]:
            name = {"FileSystemId": shown["FileSystemId"]}
            directory = efs.directory(self.aws, shown["FileSystemId"])
            moved = self._traffic.setdefault(shown["FileSystemId"], Traffic(directory)).since_last()
            permitted, reads, writes = {
                "elastic": (1024 * MIB, 900_000, 500_000),
                "provisioned": (shown.get("ProvisionedThroughputInMibps", 0) * MIB, 55_000, 25_000),
                "bursting": (
                    100 * MIB,
                    35_000,
                    7_000,
                ),  # the credits of a new file system, 2.1 TiB, outlast a rehearsal
            }[shown["ThroughputMode"]]
            yield "MeteredIOBytes", name, moved.metered
            yield "PermittedThroughput", name, permitted
            yield "PercentIOLimit", name, 100 * (moved.reads / reads + moved.writes / writes) / 60

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
