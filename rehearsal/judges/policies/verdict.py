"""The verdict on recorded rehearsals: what IAM would have denied, and which permissions are unused."""

import json
import re
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from rehearsal.aws import recorder
from rehearsal.judges.policies import implied
from rehearsal.judges.policies.authorization import Authorization, Call, UnjudgedError
from rehearsal.judges.policies.mapping import authorizations
from rehearsal.judges.policies.simulator import TOOLS, Answer, NoSimulatorError, simulate

KEPT: Final = Path(__file__).parent / "kept.toml"
"""Grants that no rehearsal uses, each with its reason."""

ELSEWHERE: Final = frozenset({"CloudFormationRole", "BuildInstanceRole"})
"""Roles whose unused grants are judged by tests/templates/test_cloudformation_role.py, or are policies of AWS."""

PEOPLE: Final = frozenset({"sam", "cli"})
"""Who calls as the administrator: who installs the application, and who types in a terminal beside `make serve`."""

FILLED: Final = re.compile(
    r"aws:(PrincipalAccount|PrincipalArn|RequestedRegion|ResourceAccount|SecureTransport|Source(Account|Arn)|TagKeys)"
    r"|acm:(DomainNames|ValidationMethod)|autoscaling:TargetGroupARNs"
    r"|aws:(RequestTag|ResourceTag)/.+|(ec2|elasticfilesystem|elasticloadbalancing):CreateAction|ec2:Vpc"
    r"|elasticfilesystem:Access(PointArn|edViaMountTarget)"
    r"|iam:(AWSServiceName|PassedToService|PermissionsBoundary)|kms:(CallerAccount|ViaService)"
    r"|cloudwatch:namespace|kms:EncryptionContext:aws:logs:arn|lambda:SourceFunctionArn|s3:prefix|ssm:resourceTag/.+"
    r"|elasticloadbalancing:ResourceTag/.+|route53:ChangeResourceRecordSets(Actions|NormalizedRecordNames|RecordTypes)"
)
"""The condition keys that authorizations carry. With any other, a statement could mean what no one has looked at."""


@dataclass
class Verdict:
    """`judged` counts calls. `denied` has a sentence for each thing that IAM would not have allowed, or that could not
    be judged. `unused` has, by role, what is granted and was never used, as "statement: action". `not_judged` says why
    nothing was judged at all.
    """

    judged: int = 0
    denied: list[str] = field(default_factory=list)
    unused: dict[str, list[str]] = field(default_factory=dict)
    not_judged: str = ""


@dataclass(frozen=True)
class Grant:
    """One action of one statement of one role; `role` and `statement` as the template calls them."""

    role: str
    statement: str
    action: str


def judge(directories: Iterable[Path], tools: Path = TOOLS, region: str = "us-east-1") -> Verdict:
    """Judge the calls.jsonl in each directory by the policies.json beside it; what is unused is so in all of them."""
    verdict = Verdict()
    granted: set[Grant] = set()
    used: set[Grant] = set()
    try:
        for directory in directories:
            policies = json.loads((directory / "policies.json").read_text())
            lines = list(recorder.read(directory / "calls.jsonl"))
            calls = [Call(line, region) for line in lines if line["role"]]
            asked, problems = _asked(calls, policies, region)
            problems += _without_role(lines)
            answers = _answers(list(asked), policies, tools)
            verdict.judged += len(calls)
            verdict.denied += problems + _denials(asked, answers) + unknown_conditions(policies)
            granted |= {grant for arn in policies for _, _, grant in _grants(arn, policies)}
            used |= _used(answers, policies)
    except NoSimulatorError as error:
        return Verdict(not_judged=str(error))
    unused: defaultdict[str, list[str]] = defaultdict(list)
    for grant in sorted(granted - used, key=lambda each: (each.role, each.statement, each.action)):
        unused[grant.role].append(f"{grant.statement}: {grant.action}")
    verdict.unused = dict(unused)
    return verdict


def complaints(unused: Mapping[str, Iterable[str]], kept: Path = KEPT) -> list[str]:
    """Grants that are neither used nor kept for a reason, and reasons that are needed no more."""
    reasoned = {
        (role, f"{entry['statement']}: {action}")
        for entry in tomllib.loads(kept.read_text())["kept"]
        for role in entry["roles"]
        for action in entry["actions"]
    }
    vain = {(role, grant) for role, grants in unused.items() for grant in grants}
    return [
        f"{role} never uses {grant}: take it away, or say why it stays" for role, grant in sorted(vain - reasoned)
    ] + [
        f"{kept.name} keeps {grant} of {role}, which is used, or not granted" for role, grant in sorted(reasoned - vain)
    ]


def logical_id(role: str) -> str:
    """The role's name in the template, from its ARN: CloudFormation sets the stack before and characters behind."""
    found = re.search(r"-([A-Za-z0-9]+)-[A-Z0-9]{12}$", role)
    return found[1] if found else role


def unknown_conditions(policies: Mapping[str, Any]) -> list[str]:
    """Condition keys that no authorization carries, in the documents of roles and resources."""
    keys = {
        (key, statement.get("Sid", "?"))
        for arn, policy in policies.items()
        if logical_id(arn) != "BuildInstanceRole"
        for document in _documents(policy).values()
        for statement in document["Statement"]
        for operands in statement.get("Condition", {}).values()
        for key in operands
    }
    return [
        f"no authorization carries {key}, which {sid} asks for"
        for key, sid in sorted(keys)
        if not FILLED.fullmatch(key)
    ]


def _without_role(lines: Iterable[Mapping[str, Any]]) -> list[str]:
    """Calls of others than people that no role answers for, which no one could judge."""
    found = {(line["caller"], line["service"], line["operation"]) for line in lines if not line["role"]}
    return [
        f"{caller} called {service}:{operation} without a role"
        for caller, service, operation in sorted(found)
        if caller not in PEOPLE
    ]


def _asked(
    calls: Iterable[Call], policies: Mapping[str, Any], region: str
) -> tuple[dict[Authorization, set[str]], list[str]]:
    """Each different authorization with those that ask for it, and what cannot be judged."""
    asked: defaultdict[Authorization, set[str]] = defaultdict(set)
    problems: dict[str, None] = {}
    for call in calls:
        why = f"{call.caller} called {call.service}:{call.operation}"
        try:
            facts = implied.facts_of_lambda(call)
            own = [authorization.knowing(facts) for authorization in authorizations(call)]
            for authorization in (*implied.by_call(call, policies), *own):
                asked[authorization].add(why)
        except (UnjudgedError, AssertionError, KeyError) as error:
            problems[f"{why}, which cannot be judged: {error!r}"] = None
        if call.role not in policies:
            problems[f"{why} with a role that policies.json does not know: {call.role}"] = None
    for authorization in implied.standing(policies, region):
        asked[authorization].add(f"{authorization.principal} reports what happened")
    return dict(asked), list(problems)


def _answers(asked: list[Authorization], policies: Mapping[str, Any], tools: Path) -> dict[Authorization, Answer]:
    principals = {
        arn: {"identity": _named(_identity(policy)), "boundary": _boundary(policy)}
        for arn, policy in policies.items()
        if "trust" in policy
    }
    documents = [_authorization(each, policies) for each in asked]
    return dict(zip(asked, simulate(principals, documents, tools), strict=True))


def _authorization(asked: Authorization, policies: Mapping[str, Any]) -> dict[str, Any]:
    own = {"resource": json.loads(asked.policy)} if asked.policy.startswith("{") else policies.get(asked.policy, {})
    caller = asked.principal if asked.principal.startswith("arn:") else ""
    account = (caller or asked.resource).split(":")[4] if asked.resource != "*" or caller else ""
    facts = {"aws:SecureTransport": "true"}
    if caller:
        facts |= {"aws:PrincipalArn": caller, "aws:PrincipalAccount": account, "aws:ResourceAccount": account}
    return {
        "principal": asked.principal,
        "action": asked.action,
        "resource": asked.resource,
        "account": account,
        "context": {**facts, **dict(asked.context)},
        "resourcePolicy": own.get("resource") or own.get("trust"),
    }


def _denials(asked: Mapping[Authorization, set[str]], answers: Mapping[Authorization, Answer]) -> list[str]:
    return [
        f"{logical_id(each.principal)} may not {each.action} on {each.resource}, and {', '.join(sorted(asked[each]))}: "
        f"{answer.result} {answer.why} with {json.dumps(dict(each.context))}"
        for each, answer in answers.items()
        if answer.result != "Allowed"
    ]


def _used(answers: Mapping[Authorization, Answer], policies: Mapping[str, Any]) -> set[Grant]:
    """What allowed something: of each statement that did, the actions that match."""
    by_statement: defaultdict[tuple[str, str, int], list[Grant]] = defaultdict(list)
    for arn in policies:
        for name, place, grant in _grants(arn, policies):
            by_statement[arn, name, place].append(grant)
    return {
        grant
        for asked, answer in answers.items()
        for name, place in answer.grants
        for grant in by_statement[asked.principal, name, place]
        if _matches(grant.action, asked.action)
    }


def _grants(arn: str, policies: Mapping[str, Any]) -> Iterator[tuple[str, int, Grant]]:
    """The actions that a role is granted, each with the policy's name and the statement's place in it."""
    role = logical_id(arn)
    if "trust" not in policies[arn] or role in ELSEWHERE:
        return
    for name, document in _identity(policies[arn]).items():
        for place, statement in enumerate(document["Statement"]):
            actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
            for action in actions:
                yield name, place, Grant(role, statement.get("Sid", f"{name} {place}"), action)


def _matches(pattern: str, action: str) -> bool:
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), action, re.IGNORECASE) is not None


def _documents(policy: Mapping[str, Any]) -> dict[str, Any]:
    """Every document of a role or a resource."""
    if "trust" not in policy:
        return {"": policy["resource"]}
    return _identity(policy) | {"trust": policy["trust"]}


def _identity(policy: Mapping[str, Any]) -> dict[str, Any]:
    return {**policy["inline"], **policy["managed"]}


def _boundary(policy: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    return _named({"boundary": policy["boundary"]}) if policy["boundary"] else None


def _named(documents: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"name": name, "policy": document} for name, document in documents.items()]
