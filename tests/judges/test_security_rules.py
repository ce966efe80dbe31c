"""The templates before AwsSolutions, a pack of security rules by AWS (cdk-nag, npm; `make tools`).

The rules judge values, so each template is judged as it is deployed: functions and conditions are evaluated with the
parameters of a cluster that has all that an input can ask for.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from rehearsal.aws.services.cloudformation.intrinsics import Later, Scope
from tests.templates.templates import TEMPLATES, translated

pytestmark = pytest.mark.judge

HERE = Path(__file__).parent
TOOLS = HERE.parents[1] / ".tools"
EXCEPTIONS = HERE / "security_exceptions.yaml"
EVERYWHERE = "in every policy"

ACCOUNT, REGION = "ACCOUNT", "REGION"  # words that the exceptions can show
PSEUDO = {
    "AWS::AccountId": ACCOUNT,
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::StackId": f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/APPLICATION/1",
    "AWS::StackName": "APPLICATION",
    "AWS::URLSuffix": "amazonaws.com",
}
SUBNETS = ["subnet-0123456789abcdef0", "subnet-0fedcba9876543210"]
CLUSTER = {
    "Application": "APPLICATION",
    "Cluster": "CLUSTER",
    "BucketName": "bucket",
    "VpcId": "vpc-0123456789abcdef0",
    "NodeSecurityGroupId": "sg-0123456789abcdef0",
    "PrivateSubnetIds": SUBNETS,
    "DeletionProtection": "true",
}
PARAMETERS: dict[str, dict[str, Any]] = {
    "application": {"NotificationEmail": "someone@example.com"},
    "network": {"Application": "APPLICATION"},
    "foundation": {
        "CloudFormationRoleArn": f"arn:aws:iam::{ACCOUNT}:role/APPLICATION-cloudformation",
        "DatabaseClientSecurityGroupId": "sg-0fedcba9876543210",
    },
    "access": {
        "Hostname": "workbench.example.com",
        "CertificateArn": f"arn:aws:acm:{REGION}:{ACCOUNT}:certificate/1",
        "HostedZoneId": "Z0123",
        "AllowedCidrs": ["10.0.0.0/8", "172.16.0.0/12"],
        "WebAclArn": f"arn:aws:wafv2:{REGION}:{ACCOUNT}:regional/webacl/people/1",
        "SubnetIds": SUBNETS,
    },
    "nodes": {
        "ImageId": "ami-0123456789abcdef0",
        "InstanceType": "m7i.xlarge",
        "NodeCount": 2,
        "MaximumNodeCount": 3,
        "WorkbenchVersion": "2026.07.1+147.pro6",
        "NodeInstanceProfileArn": f"arn:aws:iam::{ACCOUNT}:instance-profile/APPLICATION/CLUSTER/node",
        "FileSystemId": "fs-0123456789abcdef0",
        "HomeAccessPointId": "fsap-0123456789abcdef0",
        "SharedStorageAccessPointId": "fsap-0fedcba9876543210",
        "NodeScript": "scripts/1",
        "NodeLogGroup": "/APPLICATION/CLUSTER/nodes",
        "TargetGroupArn": f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:targetgroup/1/1",
        "TopicArn": f"arn:aws:sns:{REGION}:{ACCOUNT}:topic",
        "VerifiedNightly": "ENABLED",
        "DatabaseEndpoint": "database.cluster-0.example.com",
        "DatabaseConnectionsLimit": 1280,
    },
}


class Violation(NamedTuple):
    """What the pack says: `rule` with its finding in brackets if it has several, `resource` as template/LogicalId."""

    rule: str
    resource: str


def deployed(name: str, template: Mapping[str, Any]) -> dict[str, Any]:
    """Return the resources of a template as these parameters make them; references to resources remain."""
    declared = template.get("Parameters", {})
    given = {key: _default(parameter) for key, parameter in declared.items() if "Default" in parameter}
    given |= {key: value for key, value in (CLUSTER | PARAMETERS[name]).items() if key in declared}
    scope = Scope(
        template,
        given,
        PSEUDO,
        lambda resource, attribute: Later("Fn::GetAtt", [resource, attribute]) if attribute else Later("Ref", resource),
        lambda _: [f"{REGION}a", f"{REGION}b"],
    )
    kept = {key: scope.value(resource) for key, resource in template["Resources"].items() if scope.exists(resource)}
    for resource in kept.values():
        resource.pop("Condition", None)
    return {"Resources": _written(kept)}


def _default(parameter: Mapping[str, Any]) -> Any:
    value = parameter["Default"]
    return value.split(",") if parameter["Type"].startswith(("CommaDelimitedList", "List<")) else value


def _written(value: Any) -> Any:
    match value:
        case Later("Fn::Sub", parts):
            return "".join(part if isinstance(part, str) else _named(part) for part in parts)
        case Later(function, argument):
            return {function: _written(argument)}
        case dict():
            return {key: _written(item) for key, item in value.items()}
        case list() | tuple():
            return [_written(item) for item in value]
        case _:
            return value


def _named(later: Later) -> str:
    argument = later.argument
    return f"<{argument if isinstance(argument, str) else '.'.join(map(str, argument))}>"


def judged(templates: Mapping[str, Mapping[str, Any]], folder: Path) -> dict[Violation, str]:
    """Return what the pack finds in the templates, each with its reason."""
    assert (TOOLS / "node_modules" / "cdk-nag").is_dir(), "cdk-nag is not installed: make tools"
    for name, template in templates.items():
        (folder / f"{name}.json").write_text(json.dumps(deployed(name, template)))
    run = subprocess.run(
        [TOOLS / "bin" / "node", HERE / "security_rules.mjs", TOOLS, folder],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return {Violation(each["rule"], each["resource"]): each["reason"] for each in json.loads(run.stdout)}


def exceptions(found: Iterable[Violation]) -> Iterator[Violation]:
    """Yield each exception: of a finding in every policy, once for each policy that has it, or once without one."""
    for group in yaml.safe_load(EXCEPTIONS.read_text()):
        assert group["reason"].endswith("."), group
        for rule, named in group["rules"].items():
            everywhere = [each.resource for each in found if each.rule == rule] or [EVERYWHERE]
            yield from (Violation(rule, resource) for resource in (everywhere if named == EVERYWHERE else named))


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[Violation, str]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_DEFAULT_REGION", "us-east-1")  # the transform of SAM wants one
        templates = TEMPLATES | {"application": translated()}
    return judged(templates, tmp_path_factory.mktemp("templates"))


def test_nothing_but_the_exceptions_breaks_a_rule(found: dict[Violation, str]) -> None:
    excepted = set(exceptions(found))
    assert {violation: reason for violation, reason in found.items() if violation not in excepted} == {}


def test_each_exception_is_needed_and_stands_once(found: dict[Violation, str]) -> None:
    excepted = list(exceptions(found))
    assert [exception for exception in excepted if exception not in found] == []
    assert len(excepted) == len(set(excepted))


def test_an_address_needs_no_exception(found: dict[Violation, str]) -> None:
    assert [violation for violation in found if violation.resource.startswith("access/")] == []


def test_the_rules_see_every_resource_of_an_address() -> None:
    """A condition that the parameters do not fulfil would hide its resource from the rules."""
    assert deployed("access", TEMPLATES["access"])["Resources"].keys() == TEMPLATES["access"]["Resources"].keys()


def log_nothing(resources: dict[str, Any]) -> None:
    attributes = resources["LoadBalancer"]["Properties"]["LoadBalancerAttributes"]
    attributes[:] = [each for each in attributes if not each["Key"].startswith("access_logs.")]


def admit_everyone(resources: dict[str, Any]) -> None:
    resources["LoadBalancerSecurityGroup"]["Properties"]["SecurityGroupIngress"][0]["CidrIp"] = "0.0.0.0/0"


def describe_nothing(resources: dict[str, Any]) -> None:
    resources["LoadBalancerSecurityGroup"]["Properties"]["GroupDescription"] = ""


def test_the_rules_would_find_it(tmp_path: Path) -> None:
    template = deepcopy(TEMPLATES["access"])
    for harm in (log_nothing, admit_everyone, describe_nothing):
        harm(template["Resources"])
    assert judged({"access": template}, tmp_path).keys() == {
        Violation("AwsSolutions-ELB2", "access/LoadBalancer"),
        Violation("AwsSolutions-EC23", "access/LoadBalancerSecurityGroup"),
        Violation("AwsSolutions-EC27", "access/LoadBalancerSecurityGroup"),
    }
