"""Whether a cluster's address works: its load balancer and certificate as AWS describes them, and its pages as a node
gets them through it.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from benchwright.access import certificates
from benchwright.access.certificates import DnsRecord
from benchwright.aws import client
from benchwright.models import Access, Plan
from benchwright.nodes.target_health import HEALTHY, target_health
from benchwright.settings import settings
from benchwright.stacks.change_sets import outputs
from benchwright.verification.checks import NOTHING_FOUND, REMEDIES, Check, Verdict
from benchwright.verification.list_nodes import ADDRESS_SEPARATOR, SIGN_IN_SEPARATOR

MOST_ADDRESSES = 3  # of the load balancer's, that a node is asked about: it has one or more in each zone
SIGN_IN_PAGES = ("/", "/auth-sign-in")
OPERATIONAL_PATHS = ("/load-balancer/status", "/health-check", "/metrics")
# The same in spellings that a rule may miss: with 200, Workbench understood what the load balancer let through.
DISGUISED_PATHS = ("//health-check", "/%68ealth-check", "/load-balancer%2fstatus")
ANSWERS, SHOWN, REFUSED = (200, 302, 303), 200, 403
# ACM renews 60 days before the end (ACM user guide, "Renewal for domains validated by DNS"), or 45 days before the end
# of a certificate that is valid for 198 days (nottinfra.co.uk/signals/aws-acm-certificate-validity-period-update).
FEW_DAYS = 30


class Address(NamedTuple):
    """An address as AWS describes it.

    load_balancer: its name in DNS; empty where there is none, and then nothing else is known. addresses: some of its
    private ones. targets: by instance "healthy", or the state and the reason. issued: whether it has a certificate for
    the host name. record: what you must create for one that is requested. expires: of the certificate in use.
    """

    hostname: str
    load_balancer: str = ""
    addresses: Sequence[str] = ()
    targets: Mapping[str, str] = {}
    issued: bool = False
    record: DnsRecord | None = None
    expires: datetime | None = None


class Answer(NamedTuple):
    """What a node got for a page of the address: code is 0 where no answer came, and detail says why; else detail is
    where a redirect leads.
    """

    address: str
    path: str
    code: int
    detail: str


def observe(plan: Plan) -> Address | None:
    """Look at the address of a cluster; None where its plan has none."""
    if (access := plan.wanted.access) is None:
        return None
    found = outputs(settings().stack_name(plan.cluster, "access"))
    if "LoadBalancerArn" not in found:
        return Address(access.hostname)
    arn = found.get("CertificateArn", "")
    certificate = certificates.describe(arn) if arn else None
    issued = bool(arn) and (certificate is None or certificate.covers(access.hostname))
    is_final = issued and (access.certificate_arn or certificates.is_requested(arn, plan.cluster))
    return Address(
        hostname=access.hostname,
        load_balancer=found["LoadBalancerName"],
        addresses=_private_addresses(found["LoadBalancerArn"]),
        targets=target_health(found["TargetGroupArn"]),
        issued=issued,
        record=None if is_final else _pending_record(plan.cluster, access),
        expires=certificate.expires if certificate else None,
    )


def question(address: Address | None) -> str:
    """Return what a node is asked: the host name and the addresses behind it; empty where there is nothing to ask."""
    return " ".join([address.hostname, *address.addresses]) if address and address.issued and address.addresses else ""


def read_answers(text: str) -> list[Answer]:
    """Read what the node script prints after ADDRESS_SEPARATOR: a line `address path code detail` for each page."""
    answers = []
    of_address = text.partition(f"{ADDRESS_SEPARATOR}\n")[2].partition(f"{SIGN_IN_SEPARATOR}\n")[0]
    for line in of_address.splitlines():
        address, path, code, *rest = [*line.split(" ", 3), "", "", ""][:4]
        if code.isdecimal():
            answers.append(Answer(address, path, int(code), " ".join(rest).strip()[:200]))
    return answers


def judge_address(
    address: Address | None, answers: Sequence[Answer], instances: Sequence[str], now: datetime
) -> Verdict:
    """Compare an address with the nodes in service; what no node has answered counts as wrong.

    Nothing is checked before there is a certificate: then a warning says what you must create.
    """
    if address is None:
        return NOTHING_FOUND
    if not address.load_balancer:
        return Verdict(checks=[_check("address", [f"{address.hostname} has no load balancer"], "")])
    if not address.issued:
        return Verdict(warnings=[_unissued(address)])
    days = math.floor((address.expires - now).total_seconds() / 86_400) if address.expires else None
    checks = [
        _check("targets", _wrong_targets(address, instances), f"{len(instances)} healthy"),
        _check("address", _wrong_pages(address, answers), f"https://{address.hostname} answers"),
        _check("operational paths", _open_paths(answers), "refused"),
        Check(name="certificate", holds=(days or 0) > 0, found="unknown" if days is None else f"{days} days left"),
    ]
    warnings = []
    if address.record:
        warnings.append(
            f"access: the certificate for {address.hostname} is not issued yet, and the one before stays in use. "
            f"Create the record {address.record.name} CNAME {address.record.value}, and start a deployment with {{}}."
        )
    if days is not None and days < FEW_DAYS:
        warnings.append(f"certificate: {days} days left. {REMEDIES['certificate']}")
    if any(each.path == "name" and not each.detail for each in answers):
        warnings.append(
            f"access: nodes find no address of {address.hostname} in DNS. Create the record "
            f"{address.hostname} CNAME {address.load_balancer}."
        )
    return Verdict(checks=checks, warnings=warnings)


def _unissued(address: Address) -> str:
    name = address.hostname
    record = f"{address.record.name} CNAME {address.record.value}" if address.record else "that ACM shows for it"
    return (
        f"access: the certificate for {name} is not issued yet, so https://{name} does not answer. Create the record "
        f"{record}, and {name} CNAME {address.load_balancer}. Then start a deployment with {{}}. Until then, people "
        "with a password use the tunnel, and those of an identity provider cannot sign in."
    )


def _check(name: str, wrong: Sequence[str], right: str) -> Check:
    return Check(name=name, holds=not wrong, found="; ".join(wrong) or right)


def _wrong_targets(address: Address, instances: Sequence[str]) -> list[str]:
    targets = address.targets
    states = {instance: targets.get(instance, "not registered") for instance in instances}
    wrong = [f"{instance}: {state}" for instance, state in states.items() if state != HEALTHY]
    others = {instance: state for instance, state in targets.items() if instance not in states}
    return wrong + [
        f"{instance}: {state}, but not in service" for instance, state in others.items() if "draining" not in state
    ]


def _wrong_pages(address: Address, answers: Sequence[Answer]) -> list[str]:
    own = f"https://{address.hostname}/"
    wrong = _unanswered(answers, SIGN_IN_PAGES)
    for each in answers:
        if each.path in SIGN_IN_PAGES and each.code not in ANSWERS:
            code = each.code or "nothing"
            wrong.append(f"{each.address} answers {code} to {each.path}: {each.detail or 'no reason given'}")
        elif each.path == "/" and each.detail and not each.detail.startswith(own):
            wrong.append(f"{each.address} redirects / to {each.detail}, not to {own}")
    return wrong


def _open_paths(answers: Sequence[Answer]) -> list[str]:
    return _unanswered(answers, (*OPERATIONAL_PATHS, *DISGUISED_PATHS)) + [
        f"{each.address} answers {each.code or each.detail} to {each.path}"
        for each in answers
        if (each.path in OPERATIONAL_PATHS and each.code != REFUSED)
        or (each.path in DISGUISED_PATHS and each.code == SHOWN)
    ]


def _unanswered(answers: Sequence[Answer], paths: Sequence[str]) -> list[str]:
    missing = [path for path in paths if not any(each.path == path for each in answers)]
    return [f"no node has asked for {', '.join(missing)}"] if missing else []


def _private_addresses(load_balancer: str) -> list[str]:
    """Return some of the load balancer's addresses in the network, which those that face the internet have, too.

    Its network interfaces are known by their description: Elastic Load Balancing user guide, "Network interfaces".
    """
    name = load_balancer.partition(":loadbalancer/")[2]
    pages = (
        client("ec2")
        .get_paginator("describe_network_interfaces")
        .paginate(Filters=[{"Name": "description", "Values": [f"ELB {name}"]}])
    )
    found = sorted(interface["PrivateIpAddress"] for page in pages for interface in page["NetworkInterfaces"])
    return found[:MOST_ADDRESSES]


def _pending_record(cluster: str, access: Access) -> DnsRecord | None:
    pending = [
        each for each in certificates.of_cluster(cluster, access.hostname) if each.status == certificates.PENDING
    ]
    return pending[0].record if pending else None
