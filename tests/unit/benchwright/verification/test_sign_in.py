"""What a verification says of the identity provider, as a node has read it."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from benchwright.models import merge_patch
from benchwright.nodes.identity_provider import Answer
from benchwright.verification.checks import Check, Verdict, verify
from benchwright.verification.sign_in import failure, judge_sign_in, read_answer
from tests.documentation.input_reference import OIDC, SAML, SSSD
from tests.unit.benchwright.verification.test_checks import PLAN, a_plan, observed

NOW = datetime(2026, 11, 29, tzinfo=UTC)
ISSUER = OIDC["auth"]["issuer"]
PLACE = f"{ISSUER}/.well-known/openid-configuration"
METADATA = SAML["auth"]["metadata_url"]


def answer(raw: Any, **said: Any) -> Answer:
    oidc: dict[str, Any] = {"method": "oidc", "place": PLACE} | ({} if said else {"issuer": ISSUER})
    saml = {"method": "saml", "place": METADATA, "bindings": ["HTTP-POST", "HTTP-Redirect"]}
    return Answer(**((oidc if raw is OIDC else saml) | said))


def end(days: int) -> int:
    return int((NOW + timedelta(days=days)).timestamp())


def judged(raw: Any, **said: Any) -> tuple[str, str]:
    """What is wrong, and the remedy."""
    verdict = judge_sign_in(a_plan(raw), answer(raw, **said), NOW)
    (check,) = verdict.checks
    assert (check.name, check.holds, verdict.warnings) == ("sign in", False, [])
    return check.found, check.remedy


@pytest.mark.parametrize(
    ("raw", "place", "said"), [(OIDC, PLACE, {}), (SAML, METADATA, {"expires": [end(31), end(-1)]})]
)
def test_an_identity_provider_that_nodes_can_read_is_right(raw: Any, place: str, said: Any) -> None:
    right = Verdict(checks=[Check(name="sign in", holds=True, found=f"{place} is readable")])
    assert judge_sign_in(a_plan(raw), answer(raw, **said), NOW) == right


@pytest.mark.parametrize("plan", [PLAN, a_plan(SSSD)])
def test_where_no_identity_provider_signs_people_in_nothing_is_checked(plan: Any) -> None:
    assert judge_sign_in(plan, None, NOW) == Verdict()


@pytest.mark.parametrize(
    ("problem", "remedy"),
    [
        (
            "curl: (6) Could not resolve host: idp.example.com",
            "Nodes do not find this host name in DNS. Correct {}, or",
        ),
        ("curl: (7) Failed to connect to idp.example.com port 443", "Nodes do not reach it. Let them out to port 443"),
        ("curl: (28) Connection timed out after 20001 milliseconds", "Nodes do not reach it. Let them out to port 443"),
        ("curl: (60) SSL certificate problem: certificate has expired", "Nodes do not trust its certificate. Renew it"),
        ("curl: (35) TLS connect error", "Nodes do not trust its certificate. Renew it where it has expired"),
        ("it answers 302", "Workbench may not follow a redirect. Put the address to which it leads into {}."),
        ("it answers 403", "The identity provider does not let nodes read it. Have it admit the addresses of the NAT"),
        ("it answers 404", "Nothing is there. Compare {} with what your identity provider shows"),
        ("it answers 503", "The identity provider is out of order. Start again once it answers."),
        ("it is not JSON", "Compare {} with what your identity provider shows"),
        (
            "it was valid until 2026-11-28T00:00:00Z",
            "Have the identity provider publish its metadata again; with auth.metadata, put the new metadata into",
        ),
        ("there is no such file", "Start a deployment with {{}}: it puts the file back."),
    ],
)
def test_each_problem_has_its_remedy(problem: str, remedy: str) -> None:
    for raw, key, place in ((OIDC, "auth.issuer", PLACE), (SAML, "auth.metadata_url", METADATA)):
        found, advice = judged(raw, problem=problem)
        assert found == f"{place}: {problem}"
        assert advice.startswith(remedy.format(key))


@pytest.mark.parametrize(
    ("issuer", "why"),
    [
        (f"{ISSUER}/", "They differ in the slash at the end. "),
        ("https://x", "Workbench refuses tokens of another issuer."),
    ],
)
def test_another_issuer_is_named_with_the_input_that_corrects_it(issuer: str, why: str) -> None:
    found, remedy = judged(OIDC, issuer=issuer)
    assert found == f"{PLACE} names the issuer {issuer}, and auth.issuer is {ISSUER}"
    assert remedy.startswith(why)
    assert remedy.endswith(f"start a deployment with {json.dumps({'auth': {'issuer': issuer}})}.")


def test_certificates_of_saml_end() -> None:
    found, remedy = judged(SAML, expires=[end(-9), end(-1)])
    assert found == f"{METADATA}: the last certificate of the identity provider ended on 2026-11-28"
    assert remedy.startswith("Have the identity provider make another one; with auth.metadata, put the new metadata in")
    soon = judge_sign_in(a_plan(SAML), answer(SAML, expires=[end(29)]), NOW)
    assert [check.holds for check in soon.checks] == [True]
    assert soon.warnings[0].startswith("sign in: the last certificate of the identity provider ends on 2026-12-28. Ask")


@pytest.mark.parametrize(
    ("posts", "bindings", "missing", "remedy"),
    [
        (False, ["HTTP-POST"], "HTTP-Redirect", 'It takes them by HTTP-POST: start a deployment with {"auth": {"post_'),
        (True, ["HTTP-Redirect"], "HTTP-POST", "It takes them by HTTP-Redirect: start a deployment with "),
        (False, ["SOAP"], "HTTP-Redirect", "Have it offer a SingleSignOnService by HTTP-Redirect or HTTP-POST."),
        (True, [], "HTTP-POST", "Have it offer a SingleSignOnService by HTTP-POST or HTTP-Redirect."),
    ],
)
def test_a_provider_takes_requests_as_workbench_sends_them(
    posts: bool, bindings: list[str], missing: str, remedy: str
) -> None:
    found, advice = judged(merge_patch(SAML, {"auth": {"post_binding": posts}}), bindings=bindings)
    assert found == f"{METADATA}: the identity provider takes no requests by {missing}"
    assert advice.startswith(remedy)


def test_a_provider_that_takes_signed_requests_alone_is_warned_about() -> None:
    verdict = judge_sign_in(a_plan(SAML), answer(SAML, signed_requests=True), NOW)
    assert [check.holds for check in verdict.checks] == [True]
    (text,) = verdict.warnings
    assert text.startswith(f"sign in: {METADATA} says that the identity provider takes signed requests alone, and ")


@pytest.mark.parametrize("said", [None, answer(SAML)])
def test_a_node_that_has_not_asked_keeps_the_cluster_from_being_verified(said: Answer | None) -> None:
    verdict = judge_sign_in(a_plan(OIDC), said, NOW)
    found = verify(a_plan(OIDC), "ami-1", "hash", observed(), of_sign_in=verdict)
    (check,) = [check for check in found.checks if check.name == "sign in"]
    assert (check.found, found.verified) == ("no node has asked the identity provider", False)
    assert check.remedy == "Start a deployment with {}: it applies the recorded sign-in to every node."


def test_the_remedy_of_a_cause_reaches_the_report() -> None:
    verdict = judge_sign_in(a_plan(OIDC), answer(OIDC, problem="it answers 503"), NOW)
    found = verify(a_plan(OIDC), "ami-1", "hash", observed(), of_sign_in=verdict)
    (check,) = [check for check in found.checks if check.name == "sign in"]
    assert check.remedy == "The identity provider is out of order. Start again once it answers."


def test_what_a_node_prints_is_read() -> None:
    line = {"method": "saml", "place": "x", "entity": "y", "bindings": [], "expires": [1], "signed_requests": False}
    output = f"table\n\n=== address ===\nx\n\n=== sign-in ===\n{json.dumps(line)}\nmore\n"
    assert read_answer(output) == Answer(method="saml", place="x", expires=[1])


@pytest.mark.parametrize(
    "output", ["", "table\n", "\n=== sign-in ===\n", "\n=== sign-in ===\n{\n", '\n=== sign-in ===\n{"method":1}']
)
def test_what_cannot_be_read_is_no_answer(output: str) -> None:
    assert read_answer(output) is None


@pytest.mark.parametrize(
    ("said", "found", "remedy"),
    [
        ({"problem": "it answers 404"}, f"{PLACE}: it answers 404", "Nothing is there. Compare auth.issuer with what "),
        (
            {"issuer": f"{ISSUER}/"},
            f"{PLACE} names the issuer {ISSUER}/, and auth.issuer is {ISSUER}",
            "They differ in the slash at the end. If this is your identity provider, start a deployment with ",
        ),
    ],
)
def test_a_node_that_took_nothing_says_why_as_the_check_does(said: Any, found: str, remedy: str) -> None:
    why = failure(a_plan(OIDC), answer(OIDC, **said), NOW)
    assert why.startswith(f"{found}, so nothing was changed on this node. {remedy}")
    assert failure(a_plan(OIDC), answer(OIDC), NOW) == ""
