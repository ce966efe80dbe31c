"""Whether people can sign in, as far as a node finds out: it reads what the identity provider says of itself."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from pydantic import ValidationError

from benchwright.models import Auth, Plan
from benchwright.nodes.identity_provider import Answer
from benchwright.verification.checks import NOTHING_FOUND, Check, Verdict
from benchwright.verification.list_nodes import SIGN_IN_SEPARATOR

CHECK = "sign in"
FEW_DAYS = timedelta(days=30)  # until the last certificate of a SAML provider ends
NEW_METADATA = "put the new metadata into its secret, and start a deployment with {}."
# What to do, by what curl and infra/node/identity_provider.sh print. Exit codes of curl: its manual, "Exit codes".
CAUSES: Mapping[str, str] = {
    r"curl: \(6\)": "Nodes do not find this host name in DNS. Correct {key}, or give the network a resolver that knows "
    "the name.",
    r"curl: \((7|28|52|56)\)": "Nodes do not reach it. Let them out to port 443 of the identity provider: routes, NAT, "
    "firewalls, and the list of those whom the provider lets in.",
    r"curl: \((35|51|53|58|59|60|66|77|80|83|91)\)": "Nodes do not trust its certificate. Renew it where it has "
    "expired or is for another name. Put the CA of a private one into the image "
    "(/usr/local/share/ca-certificates, update-ca-certificates).",
    r"it answers 3\d\d": "Workbench may not follow a redirect. Put the address to which it leads into {key}.",
    r"it answers (401|403)": "The identity provider does not let nodes read it. Have it admit the addresses of the NAT "
    "gateways.",
    r"it answers 4\d\d": "Nothing is there. Compare {key} with what your identity provider shows; docs/sign-in.md "
    "has the form for each.",
    r"it answers 5\d\d": "The identity provider is out of order. Start again once it answers.",
    r"no such file": "Start a deployment with {}: it puts the file back.",
    r"it was valid until": f"Have the identity provider publish its metadata again; with auth.metadata, {NEW_METADATA}",
    r"": "Compare {key} with what your identity provider shows; docs/sign-in.md has the form for each.",
}


def read_answer(output: str) -> Answer | None:
    """Read what the node script prints after SIGN_IN_SEPARATOR; None where it printed nothing that can be read."""
    line = output.partition(f"{SIGN_IN_SEPARATOR}\n")[2].partition("\n")[0]
    try:
        return Answer.model_validate_json(line)
    except ValidationError:
        return None


def judge_sign_in(plan: Plan, answer: Answer | None, now: datetime) -> Verdict:
    """Compare what the identity provider says of itself with the plan; what no node has answered counts as wrong."""
    auth = plan.wanted.auth
    if not auth.by_provider:
        return NOTHING_FOUND
    if answer is None or answer.method != auth.method:
        return Verdict(checks=[Check(name=CHECK, holds=False, found="no node has asked the identity provider")])
    if answer.problem:
        remedy = next(text for pattern, text in CAUSES.items() if re.search(pattern, answer.problem))
        return _wrong(f"{answer.place}: {answer.problem}", remedy.replace("{key}", _key(auth)))
    if auth.method == "oidc" and answer.issuer != auth.issuer:
        return _wrong(*_other_issuer(answer, auth))
    ends = max((datetime.fromtimestamp(each, UTC) for each in answer.expires), default=None)
    if ends and ends <= now:
        found = f"{answer.place}: the last certificate of the identity provider ended on {ends:%Y-%m-%d}"
        return _wrong(found, f"Have the identity provider make another one; with auth.metadata, {NEW_METADATA}")
    if auth.method == "saml" and (binding := _binding(auth)) not in answer.bindings:
        return _wrong(*_without(binding, answer, auth))
    warnings = []
    if answer.signed_requests:
        warnings.append(
            f"sign in: {answer.place} says that the identity provider takes signed requests alone, and Benchwright "
            "does not let Workbench sign them. Switch that off there, for the application of Workbench."
        )
    if ends and ends - now < FEW_DAYS:
        warnings.append(
            f"sign in: the last certificate of the identity provider ends on {ends:%Y-%m-%d}. Ask for its successor "
            f"before then; with auth.metadata, {NEW_METADATA}"
        )
    return Verdict(checks=[Check(name=CHECK, holds=True, found=f"{answer.place} is readable")], warnings=warnings)


def failure(plan: Plan, answer: Answer, now: datetime) -> str:
    """Say why a node did not take a plan, from what it got of the identity provider; empty where that fits the plan."""
    wrong = [check for check in judge_sign_in(plan, answer, now).checks if not check.holds]
    return " ".join(f"{check.found}, so nothing was changed on this node. {check.remedy}" for check in wrong)


def _wrong(found: str, remedy: str) -> Verdict:
    return Verdict(checks=[Check(name=CHECK, holds=False, found=found, remedy=remedy)])


def _key(auth: Auth) -> str:
    if auth.method == "oidc":
        return "auth.issuer"
    return "auth.metadata_url" if auth.metadata_url else "auth.metadata"


def _binding(auth: Auth) -> str:
    return "HTTP-POST" if auth.post_binding else "HTTP-Redirect"


def _without(binding: str, answer: Answer, auth: Auth) -> tuple[str, str]:
    """Say that the provider does not take requests as Workbench sends them (SAML 2.0 Metadata, section 2.4.3)."""
    found = f"{answer.place}: the identity provider takes no requests by {binding}"
    if (other := "HTTP-Redirect" if auth.post_binding else "HTTP-POST") not in answer.bindings:
        return found, f"Have it offer a SingleSignOnService by {binding} or {other}."
    right = json.dumps({"auth": {"post_binding": not auth.post_binding}})
    return found, f"It takes them by {other}: start a deployment with {right}."


def _other_issuer(answer: Answer, auth: Auth) -> tuple[str, str]:
    """Say that the issuers differ; every token would be refused (OpenID Connect Discovery 1.0, section 4.3)."""
    found = f"{answer.place} names the issuer {answer.issuer}, and auth.issuer is {auth.issuer}"
    slash = answer.issuer.rstrip("/") == str(auth.issuer).rstrip("/")
    right = json.dumps({"auth": {"issuer": answer.issuer}})
    why = "They differ in the slash at the end. " if slash else "Workbench refuses tokens of another issuer. "
    return found, f"{why}If this is your identity provider, start a deployment with {right}."
