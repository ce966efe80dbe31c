"""What "verified" means (docs/decisions/0014): pure checks of observations against the plan, and a remedy for each.

REMEDIES is data: one entry per check that can fail. A test holds both sides together.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from pydantic import BaseModel

from benchwright import licensing
from benchwright.models import HOME, SHARED_STORAGE, Plan, Wanted
from benchwright.nodes.report import Ides, LicenseTerms, NodeReport, accounts_digest, groups_digest
from benchwright.verification.list_nodes import BalancedNode, ListedNode

CLOCK_TOLERANCE = 1.0  # seconds by which a node's clock may be off
LICENSE_WARNING_DAYS = 30
MOST_NAMED = 20  # accounts or groups in a report
AUDIT_FOLDER = "rstudio-server 700"  # owner and mode: what people type is in it

REMEDIES: Mapping[str, str] = {
    "instances": "Start a deployment with {}: it brings the Auto Scaling group to the planned number and image.",
    "reports": "Look at /var/log/benchwright/configure.log on the node. Terminate a node that stays silent: a new one "
    "comes in its place.",
    "node table": "Run `sudo rstudio-server list-nodes` on the node that was asked, and look at "
    "/var/log/rstudio/rstudio-server/rserver.log there. Terminate the node if others print the table.",
    "online": "Look at /var/log/rstudio/rstudio-server/rserver.log on the node that is not Online. After a change of "
    "key or protocol, stop Workbench on all nodes, run `rstudio-server reset-cluster` on one of them, and start a "
    "deployment with {}.",
    "stale rows": "Delete the rows by hand with `rstudio-server delete-node ID` on any node: their instances no longer "
    "exist, and the verification could not delete them itself.",
    "image": "Start a deployment with {}: it replaces nodes of another image.",
    "workbench version": "Start a deployment with {}: it replaces nodes of an image with another version, all at once. "
    "Terminate a node on which someone installed another one.",
    "configuration": "Start a deployment with {}: it applies the recorded configuration to every node.",
    "files and accounts": "Start a deployment with {}: it restores what was changed on the node. To keep a change, put "
    "it into the input (`config`, `users`, `groups`) or into the image.",
    "service user": "Terminate a node whose account rstudio-server differs: a new one comes from the image.",
    "users": "Start a deployment with {}: it creates missing accounts. Remove an account with another uid on its node: "
    "someone made it by hand.",
    "groups": "Start a deployment with {}: it makes missing groups, and gives each the members of the plan. Remove a "
    "group with another gid on its node: someone made it by hand.",
    "directory account": "Look at `systemctl status sssd` and /var/log/sssd on a node that does not find the account, "
    "and start a deployment with {}. Where its ids differ, look for what makes them differ: an account of the "
    "image, `sss_override`, servers with other data, or ids that sssd makes itself in the order in which it sees "
    "domains (ldap_idmap_autorid_compat): have it take them from the directory (ldap_id_mapping = false), or set "
    "ldap_idmap_default_domain_sid.",
    "clocks": "Start a deployment with {}: it sets a clock that is off. Where it cannot, look at `chronyc sources` on "
    "the node, and give it a time source: 169.254.169.123 or another.",
    "services": "Look at `systemctl status rstudio-server rstudio-launcher` on the node, and start a deployment with "
    "{} to configure it again.",
    "health": "Look at `curl http://localhost:8787/health-check` and at rserver.log on the node, and start a "
    "deployment with {}.",
    "load balancer": "Look at www-host-name in /etc/rstudio/load-balancer on a node that the others do not name, and "
    "open the ports 8787 and 5559 between the nodes: they do not reach it.",
    "ides": 'Start a deployment with {"image": {"rebuild": true}}: it builds the image again, and names what keeps an '
    'IDE or a kernel from working. Start one with {"image": {"jupyter": false}} for nodes without JupyterLab.',
    "agent": "Start a deployment with {}: it starts the CloudWatch agent. If it stops again, look at "
    "`systemctl status amazon-cloudwatch-agent` and /opt/aws/amazon-cloudwatch-agent/logs on the node, and terminate "
    "the node if nothing helps: without the agent its logs are lost with it, and no alarm sees it.",
    "audit logs": "Start a deployment with {}: it creates the folder, which only root and Workbench can read. If "
    "someone else owns the folder, move it away on a node first.",
    "metrics": "Look at `curl http://localhost:8989/metrics` and at rserver.log on the node. Workbench shows metrics "
    'with a licence of the tier Enhanced or Advanced; with another one, deploy with {"metrics": null}.',
    "gpus": "Look at `nvidia-smi` and `journalctl -k` on the node. If the driver does not know the GPU, set another "
    'branch in image.nvidia; if someone changed the driver, start a deployment with {"image": {"rebuild": true}}.',
    "mounts": "Look at `findmnt /efs/home /efs/shared-storage` and at /var/log/amazon/efs/mount.log on the node, and "
    "fix what they name, or terminate the node.",
    "instance metadata": "Start a deployment with {}: it sets the guard of each node again. Where the image is older "
    'than the check `mount helper`, deploy with {"image": {"rebuild": true}}, or build the AMI of `image.ami` again: '
    "until the guard works, every user of Workbench can take the node's role.",
    "mount helper": "Start a deployment with {}: it sets the guard of each node again. Where the image is older than "
    'this check, deploy with {"image": {"rebuild": true}}, or build the AMI of `image.ami` again: until the guard '
    "works, every user of Workbench can read every home.",
    "targets": "Look at the reason, and at `curl http://localhost:8787/health-check` on the node: Target.Timeout means "
    "that the load balancer does not reach port 8787. A node that was just registered needs up to a minute.",
    "address": "Start a deployment with {} where there is no load balancer: it makes one. Put another certificate into "
    "access.certificate_arn where it is refused. The load balancer answers 502 and 503 when no node answers it: see "
    "the check targets.",
    "operational paths": "Start a deployment with {}: it restores the rule of the load balancer that refuses what "
    "Workbench shows without sign-in.",
    "certificate": "Start a deployment with {}: it writes the validation record into the hosted zone, and ACM renews "
    "the certificate that Benchwright requested. Without access.hosted_zone_id, create the record that ACM shows. "
    "Renew a certificate of your own, or give another in access.certificate_arn.",
    "sign in": "Start a deployment with {}: it applies the recorded sign-in to every node.",
    "license": "Put a valid licence file into a secret below <application>/license/ and deploy with its name as "
    "`license`. More than two nodes need the tier Advanced.",
}

type Reports = Mapping[str, NodeReport]  # by the instance that was asked

REPORTED_BY_WORKBENCH = frozenset({"online", "stale rows", "load balancer"})


class Check(BaseModel):
    """One check: whether it holds, what was found, and what to do if it does not hold."""

    name: str
    holds: bool
    found: str
    remedy: str = ""


class Verdict(BaseModel):
    """What verification/address.py says of an address, and verification/sign_in.py of an identity provider."""

    checks: list[Check] = []
    warnings: list[str] = []


NOTHING_FOUND = Verdict()


class Verification(BaseModel):
    """The verification report.

    license_terms: of the node whose licence expires first. stale: ids of rows whose instance no longer exists, which
    may safely be deleted.
    """

    verified: bool
    checks: list[Check]
    warnings: list[str]
    license: str
    license_terms: LicenseTerms
    stale: list[int]


class Observed(NamedTuple):
    """What was seen of a cluster. in_service: address by instance id; images: AMI by instance id; coming_or_leaving:
    addresses of instances that are not in service yet, or no longer. unreadable: who printed what cannot be read in
    place of `listed` and `balanced`, if any node did. strange: lines of the status page that cannot be read.
    """

    in_service: Mapping[str, str]
    images: Mapping[str, str]
    reports: Reports
    listed: Sequence[ListedNode]
    balanced: Sequence[BalancedNode]
    coming_or_leaving: frozenset[str] = frozenset()
    unreadable: str = ""
    strange: Sequence[str] = ()


def verify(
    plan: Plan,
    ami: str,
    configuration: str,
    observed: Observed,
    *,
    of_address: Verdict = NOTHING_FOUND,
    of_sign_in: Verdict = NOTHING_FOUND,
    license_warning_days: int = LICENSE_WARNING_DAYS,
) -> Verification:
    """Check everything; what could not be observed counts as wrong.

    license_warning_days: a licence that expires in fewer days is a warning.
    """
    wanted, reports = plan.wanted, observed.reports
    licences, terms = sorted({report.license or "unknown" for report in reports.values()}), _shortest(reports)
    checks = [
        *_members(plan, observed),
        *_versions(plan, ami, configuration, observed),
        *_accounts_of(plan, reports),
        *_at_work(reports),
        _balanced(observed),
        *_of_the_image(wanted, reports),
        *_administration(wanted, reports, licences),
        *_protected(reports),
        _licensed(wanted, licences, terms),
        *of_address.checks,
        *of_sign_in.checks,
    ]
    if observed.unreadable:  # then these would blame nodes for what no one has read
        checks = [check for check in checks if check.name not in REPORTED_BY_WORKBENCH]
    checks = [
        check if check.holds or check.remedy else check.model_copy(update={"remedy": REMEDIES[check.name]})
        for check in checks
    ]
    return Verification(
        verified=all(check.holds for check in checks),
        checks=checks,
        warnings=[
            *of_address.warnings,
            *of_sign_in.warnings,
            *_without_limits(reports),
            *_about_the_license(wanted, licences, terms, license_warning_days),
            *_about_an_own_image(wanted, reports),
            *(_without_passwords(wanted) if wanted.auth.method == "pam" else []),
        ],
        license=licences[0] if len(licences) == 1 else "differs",
        license_terms=terms,
        stale=_stale(observed),
    )


def _members(plan: Plan, observed: Observed) -> Iterator[Check]:
    """Check that the instances are the nodes of the cluster: in service, reporting, and Online in the node table."""
    addresses, reports = set(observed.in_service.values()), observed.reports
    yield Check(
        name="instances",
        holds=len(observed.in_service) == len(addresses) == plan.wanted.nodes.count,
        found=f"{len(observed.in_service)} in service, {plan.wanted.nodes.count} planned",
    )
    # What a node calls itself is one more thing that can be wrong: its report counts as that of the instance asked.
    failed = {
        instance: report.error or f"its report is that of {report.instance[:40]}"
        for instance, report in reports.items()
        if report.error or report.instance != instance
    }
    silent = dict.fromkeys(set(observed.in_service) - set(reports), "no report")
    yield _each("reports", {**silent, **failed}, f"{len(reports)} nodes")
    yield Check(name="node table", holds=not observed.unreadable, found=observed.unreadable or "readable")

    names, rows = _names(observed), Counter(node.ipv4 for node in observed.listed)
    online = {node.ipv4 for node in observed.listed if node.status == "Online"}
    not_online = {
        names[node.ipv4]: node.status for node in observed.listed if node.ipv4 in addresses and node.status != "Online"
    }
    missing = [names[address] for address in addresses - set(rows)]
    doubled = [names[address] for address, count in rows.items() if count > 1 and address in addresses]
    wrong = {
        **not_online,
        **dict.fromkeys(missing, "not in the node table"),
        **dict.fromkeys(online - addresses, "Online, but no node of this cluster"),
        **dict.fromkeys(doubled, "listed twice"),
    }
    yield _each("online", wrong, f"{len(online)} nodes Online")
    stale = _stale(observed)
    yield Check(name="stale rows", holds=not stale, found=f"rows {', '.join(map(str, stale))}" if stale else "none")


def _stale(observed: Observed) -> list[int]:
    """Return rows that no instance has the address of, and that Workbench itself does not call Online."""
    living = {*observed.in_service.values(), *observed.coming_or_leaving}
    return sorted(node.id for node in observed.listed if node.ipv4 not in living and node.status != "Online")


def _names(observed: Observed) -> dict[str, str]:
    """Return what a person reads of each address."""
    return {address: f"{instance} ({address})" for instance, address in observed.in_service.items()}


def _versions(plan: Plan, ami: str, configuration: str, observed: Observed) -> Iterator[Check]:
    """Check that nodes have the image, the Workbench, the configuration and the files of the plan."""
    reports = observed.reports
    yield _by_node("image", observed.images, ami)
    yield _by_node(
        "workbench version", _of_each(reports, lambda report: report.workbench), plan.wanted.workbench.version
    )
    yield _by_node("configuration", _of_each(reports, lambda report: report.configuration), configuration)
    yield _each("files and accounts", _unless(reports, _unchanged, _changes), "as configured")


def _accounts_of(plan: Plan, reports: Reports) -> Iterator[Check]:
    """Check that accounts and groups are those of the plan on every node."""
    digest = accounts_digest(plan)
    yield _same("service user", _of_each(reports, lambda report: report.rstudio_server))
    yield _each(
        "users",
        _unless(reports, lambda report: report.users is not None and report.users.digest == digest, _accounts),
        _named(account.name for account in plan.accounts),
    )
    yield _each(
        "groups",
        _unless(reports, lambda report: report.groups == groups_digest(plan), _groups),
        _named(group.name for group in plan.groups),
    )
    if plan.wanted.auth.by_directory:
        yield _same("directory account", _of_each(reports, lambda report: report.probe))


def _at_work(reports: Reports) -> Iterator[Check]:
    """Check that Workbench runs on every node."""
    yield _each("clocks", _unless(reports, _in_time, _offset), "within 1 s")
    yield _each("services", _unless(reports, _served, _states), "active")
    yield _each(
        "health",
        _unless(reports, lambda report: report.health == "ok", lambda report: report.health or "unknown"),
        "ok",
    )


def _balanced(observed: Observed) -> Check:
    """Check that Workbench spreads sessions over all nodes."""
    addresses, names = set(observed.in_service.values()), _names(observed)
    balanced = {node.ipv4 for node in observed.balanced}
    return Check(
        name="load balancer",
        holds=balanced == addresses,
        found=f"names {', '.join(sorted(balanced)) or 'no one'}"
        + "".join(f"; not {names[address]}" for address in sorted(addresses - balanced))
        + (f"; unreadable: {' | '.join(observed.strange[:3])}" if observed.strange else ""),
    )


def _of_the_image(wanted: Wanted, reports: Reports) -> Iterator[Check]:
    """Check what an image of ours has beside Workbench; of an image of one's own, this is a warning."""
    if not wanted.image.ami:
        yield _each("ides", _without_ides(wanted, reports), _ides(wanted))
        yield _each("gpus", _without_driver(wanted, reports), wanted.image.nvidia or "no driver")
        yield _each("agent", _without_agent(reports), "active")


def _administration(wanted: Wanted, reports: Reports, licences: Sequence[str]) -> Iterator[Check]:
    """Check audit logs and metrics. Without a licence Workbench lets no one in, and has nothing to measure."""
    if wanted.audit:
        yield _by_node("audit logs", _of_each(reports, lambda report: report.audit), AUDIT_FOLDER)
    if wanted.metrics and licences != ["missing"]:
        yield _by_node("metrics", _of_each(reports, lambda report: report.metrics), "ok")


def _protected(reports: Reports) -> Iterator[Check]:
    """Check that homes are mounted, and that no one reaches the metadata or the files past Workbench."""
    yield _each("mounts", _unless(reports, _mounted, lambda report: ", ".join(report.mounts) or "none"), "mounted")
    yield _by_node("instance metadata", _of_each(reports, lambda report: report.metadata), "refused")
    yield _by_node("mount helper", _of_each(reports, lambda report: report.helper), "refused")


def _licensed(wanted: Wanted, licences: Sequence[str], terms: LicenseTerms) -> Check:
    """Check that nodes have the licence of the plan, and that it allows as many nodes."""
    found = ", ".join(licences) or "unknown"
    if refused := licensing.refusal(terms.tier, wanted.nodes.count):
        return Check(name="license", holds=False, found=f"{refused[0]}; {wanted.nodes.count} are planned")
    if wanted.license and licences != ["Activated"]:
        return Check(name="license", holds=False, found=f"{found}, though the plan has one")
    return Check(name="license", holds=licences in (["Activated"], ["missing"]), found=found)


def _about_the_license(
    wanted: Wanted, licences: Sequence[str], terms: LicenseTerms, warning_days: int
) -> Iterator[str]:
    """Warn where there is none, and where it expires soon."""
    if licences == ["missing"] and not wanted.license:
        yield f"license: missing. Workbench runs unlicensed. {REMEDIES['license']}"
    if terms.days_left is not None and terms.days_left < warning_days:
        yield (
            f"license: {terms.days_left} days left. Ask Posit for its renewal, put the new file into the secret of "
            "`license`, and start a deployment with {} before then: people cannot sign in once it has expired."
        )


def _about_an_own_image(wanted: Wanted, reports: Reports) -> Iterator[str]:
    """Warn of what an image of one's own lacks."""
    if wanted.image.ami and (lacking := _without_ides(wanted, reports)):
        yield (
            f"ides: {_listed(lacking)}. Workbench offers what is missing, and its sessions fail. Build the AMI of "
            "`image.ami` again from the components of this release; without JupyterLab, deploy with "
            '{"image": {"jupyter": false}}.'
        )
    if wanted.image.ami and (without := _without_agent(reports)):
        yield (
            f"agent: {_listed(without)}. Without the CloudWatch agent, the logs of these nodes are lost with them, and "
            "alarms do not see them. Build the AMI of `image.ami` again from the components of this release."
        )


def _each(name: str, wrong: Mapping[str, object], right: str) -> Check:
    """Check that nothing is wrong, by instance."""
    return Check(name=name, holds=not wrong, found=_listed(wrong) or right)


def _listed(wrong: Mapping[str, object]) -> str:
    return "; ".join(f"{instance}: {value}" for instance, value in sorted(wrong.items()))


def _by_node(name: str, values: Mapping[str, object], expected: object) -> Check:
    """Check that each node has the value that is expected."""
    wrong = {
        instance: value if value is not None else "unknown" for instance, value in values.items() if value != expected
    }
    return _each(name, wrong, str(expected))


def _of_each[Value](reports: Reports, value: Callable[[NodeReport], Value]) -> dict[str, Value]:
    return {instance: value(report) for instance, report in reports.items()}


def _unless(
    reports: Reports, right: Callable[[NodeReport], bool], value: Callable[[NodeReport], object]
) -> dict[str, object]:
    """Return a value of each node that is not right."""
    return {instance: value(report) for instance, report in reports.items() if not right(report)}


def _without_ides(wanted: Wanted, reports: Reports) -> dict[str, str]:
    """Find what nodes lack. One that an earlier release configured reports none; the next deployment configures it."""
    return {
        instance: ", ".join(f"{each} is missing" for each in absent)
        for instance, report in reports.items()
        if report.ides and (absent := _lacking(wanted, report.ides))
    }


def _without_agent(reports: Reports) -> dict[str, str | None]:
    return {instance: report.agent for instance, report in reports.items() if report.agent not in (None, "active")}


def _shortest(reports: Reports) -> LicenseTerms:
    """Return the terms of the licence that expires first; where none says its days, those of any."""
    known = [report.license_terms for report in reports.values() if report.license_terms]
    dated = [terms for terms in known if terms.days_left is not None]
    return min(dated, key=lambda terms: terms.days_left or 0, default=known[0] if known else LicenseTerms())


def failing(verification: Verification) -> str:
    """Say in lines what does not hold, and what to do."""
    return "\n".join(
        f"- {check.name}: {check.found}. {check.remedy}" for check in verification.checks if not check.holds
    )


def unmet(verification: Verification) -> str:
    """Say in one line what does not hold yet."""
    return "; ".join(f"{check.name}: {check.found}" for check in verification.checks if not check.holds)


def _without_limits(reports: Reports) -> list[str]:
    """Warn of nodes whose job launcher says that it makes no control groups."""
    without = sorted(instance for instance, report in reports.items() if report.limits == "off")
    warning = (
        f"limits: the job launcher of {', '.join(without)} logs that it cannot make control groups, so it enforces no "
        "limits. Look for cgroup in /var/log/rstudio/launcher there: it needs cgroup v2, as Ubuntu 24.04 has, and "
        "writes below /sys/fs/cgroup."
    )
    return [warning] if without else []


def _without_passwords(wanted: Wanted) -> list[str]:
    """Warn where no one can sign in; passwords that the image has are not known here."""
    if wanted.image.ami or any(user.password for user in wanted.users.values()):
        return []
    found = "none of them has a password" if wanted.users else "none"
    warning = (
        f"users: {found}. No one can sign in to Workbench yet. Deploy with `users`, each with the name of a secret "
        "below <application>/users/ as `password`."
    )
    return [warning]


def _same(name: str, values: Mapping[str, str | None]) -> Check:
    found = sorted({value or "unknown" for value in values.values()})
    text = (
        found[0]
        if len(found) == 1
        else "; ".join(f"{instance}: {value or 'unknown'}" for instance, value in sorted(values.items()))
    )
    return Check(name=name, holds=len(found) == 1 and found != ["unknown"], found=text or "unknown")


def _unchanged(report: NodeReport) -> bool:
    """A node that reports an error has compared nothing; the check `reports` names it."""
    return report.differences == [] or bool(report.error)


def _changes(report: NodeReport) -> str:
    return "not compared" if report.differences is None else ", ".join(report.differences)


def _accounts(report: NodeReport) -> str:
    return f"{report.users.count} accounts, not all as planned" if report.users else "unknown"


def _groups(report: NodeReport) -> str:
    return "not all as planned" if report.groups else "unknown"


def _named(names: Iterable[str]) -> str:
    """Name accounts or groups, as many as a person reads."""
    ordered = sorted(names)
    more = f" and {len(ordered) - MOST_NAMED} more" if len(ordered) > MOST_NAMED else ""
    return f"{', '.join(ordered[:MOST_NAMED]) or 'none'}{more}"


def _in_time(report: NodeReport) -> bool:
    return report.clock_offset is not None and abs(report.clock_offset) <= CLOCK_TOLERANCE


def _offset(report: NodeReport) -> str:
    return "not synchronised" if report.clock_offset is None else f"{report.clock_offset:.1f} s off"


def _served(report: NodeReport) -> bool:
    return report.services.get("rstudio-server") == "active" and report.services.get("rstudio-launcher") == "active"


def _states(report: NodeReport) -> str:
    return ", ".join(f"{name} {state}" for name, state in report.services.items()) or "unknown"


def _lacking(wanted: Wanted, ides: Ides) -> list[str]:
    """Return what the plan wants of a node and the node does not have."""
    there = {"JupyterLab": ides.jupyterlab, "VS Code": ides.vscode, "Positron": ides.positron, "Quarto": ides.quarto}
    absent = [name for name in _servers(wanted) if there[name] is None]
    if wanted.image.tinytex and ides.tinytex != wanted.image.tinytex and not wanted.image.ami:
        absent.append(f"TinyTeX {wanted.image.tinytex}")
    return absent + [f"the kernel of Python {each}" for each in wanted.jupyter_versions if each not in ides.kernels]


def _servers(wanted: Wanted) -> list[str]:
    """Return the IDEs that the plan wants beside RStudio, and Quarto."""
    brought = {"VS Code": wanted.has_vscode, "Positron": wanted.has_positron, "Quarto": True}
    return [*(["JupyterLab"] if wanted.jupyter_versions else []), *(name for name, has in brought.items() if has)]


def _ides(wanted: Wanted) -> str:
    versions = ", ".join(wanted.jupyter_versions)
    tinytex = [f"TinyTeX {wanted.image.tinytex}"] if wanted.image.tinytex else []
    with_kernels = {"JupyterLab": f"JupyterLab with Python {versions}"}
    return ", ".join([*(with_kernels.get(name, name) for name in _servers(wanted)), *tinytex])


def _without_driver(wanted: Wanted, reports: Reports) -> dict[str, str]:
    """Find nodes with a GPU that the driver of the plan does not reach; an instance type without one needs none."""
    branch = wanted.image.nvidia
    return {
        instance: f"{report.gpus.count} GPUs with {report.gpus.driver or 'no driver'}, not one of branch {branch}"
        for instance, report in reports.items()
        if branch and report.gpus and report.gpus.count and not (report.gpus.driver or "").startswith(f"{branch}.")
    }


def _mounted(report: NodeReport) -> bool:
    return {HOME, SHARED_STORAGE} <= set(report.mounts)
