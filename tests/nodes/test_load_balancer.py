"""A load balancer in front of real nodes: by its name, over HTTPS that they trust, through its own addresses."""

import contextlib
import math
import os
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

from rehearsal.aws.clock import Clock
from rehearsal.aws.local_aws import LocalAws
from rehearsal.initial_account import ZONE_ID
from tests.nodes.conftest import World
from tests.unit.rehearsal.balanced_account import MODULES, PORT, Account
from tests.unit.rehearsal.fake_hosts import SERVICES

HOST = "workbench.example.com"
SERVE = f"""#!/bin/bash
mkdir -p /var/www/health-check
hostname > /var/www/index.html
cd /var/www && setsid python3 -m http.server {PORT} >/dev/null 2>&1 &
"""
ASK = f"curl -sS --max-time 20 -o /var/answer -w '%{{http_code}} %{{remote_ip}} %{{redirect_url}}' https://{HOST}"


@pytest.fixture
def account(world: World, tmp_path: Path) -> Iterator[Account]:
    with mock.patch.dict(os.environ), contextlib.ExitStack() as ending:
        aws = LocalAws(
            clock=Clock(math.inf), directory=tmp_path / "aws", modules=(*SERVICES, *MODULES), hosts=world.hosts
        )
        aws.start()
        ending.callback(aws.stop)
        ending.enter_context(aws.clock.busy())
        made = Account(aws, user_data=SERVE)
        made.elbv2.delete_listener(ListenerArn=made.listener)
        for port in (80, 443):
            rule = {
                "IpProtocol": "tcp",
                "FromPort": port,
                "ToPort": port,
                "UserIdGroupPairs": [{"GroupId": made.nodes}],
            }
            made.ec2.authorize_security_group_ingress(GroupId=made.front, IpPermissions=[rule])
        made.listen_as_the_template_does(HOST)
        made.create(2)
        made.healthy()
        yield made


def test_a_node_reaches_all_nodes_by_the_name_of_the_load_balancer(account: Account) -> None:
    (balancer,) = account.elbv2.describe_load_balancers()["LoadBalancers"]
    target = {"DNSName": balancer["DNSName"], "HostedZoneId": balancer["CanonicalHostedZoneId"]}
    record = {"Name": HOST, "Type": "A", "AliasTarget": {**target, "EvaluateTargetHealth": False}}
    changes = {"Changes": [{"Action": "CREATE", "ResourceRecordSet": record}]}
    account.aws.client("route53").change_resource_record_sets(HostedZoneId=ZONE_ID, ChangeBatch=changes)
    found = account.ec2.describe_network_interfaces(Filters=[{"Name": "description", "Values": ["ELB app/front/*"]}])
    addresses = {each["PrivateIpAddress"] for each in found["NetworkInterfaces"]}
    machines = [account.aws.machines.by_id[instance] for instance in account.instances()]
    script = f"for _ in 1 2 3 4; do {ASK}/ && echo && cat /var/answer; done"
    done = machines[0].run(script, timeout=60)
    assert done.returncode == 0, done.stderr
    answers = done.stdout.split()
    assert set(answers[::3]) == {"200"}
    assert set(answers[1::3]) <= addresses
    assert set(answers[2::3]) == {machine.name for machine in machines}
    refused = machines[0].run(f"{ASK}/load-balancer/status; echo; cat /var/answer", timeout=60)
    assert refused.stdout.split()[0::2] == ["403", "No."]
    plain = machines[0].run(ASK.replace("https://", "http://") + "/a?b=c", timeout=60)
    assert plain.stdout.split()[::2] == ["301", f"https://{HOST}:443/a?b=c"]
