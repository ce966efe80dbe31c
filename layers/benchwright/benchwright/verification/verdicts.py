"""What the verification of one cluster or of every cluster ends with: a report, and a message for people."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel

from benchwright.failure.console_links import link_of
from benchwright.failure.explanation import DEFAULT_ACTION, NEXT_ACTIONS, SHORTENED, between, cut

if TYPE_CHECKING:
    from benchwright.verification.rounds import Cluster

# Bytes of JSON of what is said of one cluster among many: a state has 262,144 for those of forty.
LONGEST_MESSAGE = 5_000
LONGEST_FAILURES = 24_000  # characters of all failures in a report; the rest of its room is for what did not fail
LONGEST_SUBJECT = 99  # characters: SNS takes less than 100
SEVERAL = "VerificationFailed"  # the name of an execution's error whose clusters failed with different ones
NO_RECORD = "no cluster is recorded, so there was nothing to verify"
LEFT_OUT = (
    "it was not verified, since one execution has no room for more clusters. Start `verify` with its name, by a "
    "schedule of your own."
)


class Explanation(BaseModel):
    """Why a cluster failed, as functions/explain_failure wrote it."""

    error: str
    subject: str
    text: str


class ClusterVerdict(BaseModel):
    """How the verification of one cluster ended.

    message: what it is, or why not, in a few lines. summary and explanation: all of it, where the execution was about
    this cluster alone.
    """

    cluster: str
    status: Literal["verified", "not verified", "failed"]
    message: str = ""
    error: str = ""
    summary: dict[str, Any] | None = None
    explanation: Explanation | None = None


class Report(BaseModel):
    """failed: whether a cluster failed; the execution then fails with this error and text. output: what it answers
    otherwise. subject and text: the message for subscribers, in what SNS allows.
    """

    done: bool = True
    failed: bool = False
    error: str = ""
    subject: str
    text: str
    output: dict[str, Any] = {}


def brief(cluster: Cluster) -> str:
    """Describe a verified cluster, and its warnings, in a few lines."""
    count = len(cluster.nodes)
    what = f"{count} node{'' if count == 1 else 's'} with Workbench {cluster.workbench} of the image {cluster.image}"
    return fit("\n".join([what, *(f"Warning: {warning}" for warning in cluster.verification.warnings)]))


def reason(error: str, step: str, message: str) -> str:
    """Say in a few lines why a cluster failed."""
    return fit(f"{error} in step {step!r}: {message.strip() or 'no cause was given'}")


def fit(text: str) -> str:
    """Shorten a text to what there is room for among those of other clusters."""
    short = text
    while len(json.dumps(short, ensure_ascii=False).encode()) > LONGEST_MESSAGE:
        short = short[: len(short) * 3 // 4]
    return text if short == text else f"{short}{SHORTENED}"


def report(
    verdicts: Sequence[ClusterVerdict], execution: str, *, every_cluster: bool, left_out: Sequence[str] = ()
) -> Report:
    """Report on every recorded cluster, or on the one that an execution was about.

    left_out: clusters for which the execution had no room; they count as failed.
    """
    if every_cluster:
        return _report_every(verdicts, left_out, execution)
    return _report_one(verdicts[0], execution)


def _report_every(verdicts: Sequence[ClusterVerdict], left_out: Sequence[str], execution: str) -> Report:
    """Name first those that failed, and why, then those that were not verified."""
    verdicts = [
        *verdicts,
        *(ClusterVerdict(cluster=name, status="failed", message=LEFT_OUT, error=SEVERAL) for name in left_out),
    ]
    of_status = {
        status: [each for each in verdicts if each.status == status]
        for status in ("failed", "not verified", "verified")
    }
    failed = of_status["failed"]
    errors = list(dict.fromkeys(each.error for each in failed))
    names = ", ".join(each.cluster for each in failed)
    if failed:
        title = f"{len(failed)} of {len(verdicts)} recorded clusters failed verification: {names}"
    elif verdicts:
        title = f"{len(of_status['verified'])} of {len(verdicts)} recorded clusters verified"
    else:
        title = NO_RECORD
    room = LONGEST_FAILURES // max(1, len(failed))
    middle = [
        *(f"{each.cluster}: {cut(each.message, room)}\n" for each in failed),
        *_section("Not verified, which is no failure:", of_status["not verified"]),
        *_section("Verified:", of_status["verified"]),
    ]
    after = [
        *_evidence(execution),
        *(f"Next, for {each}: {NEXT_ACTIONS.get(each, DEFAULT_ACTION)}" for each in errors),
        *(
            [f'For all that is known of one, start `verify` with {{"cluster": "{failed[0].cluster}"}}.']
            if failed
            else []
        ),
        f"Execution: {execution}",
    ]
    shown = [each.model_dump(include={"cluster", "status", "message"}) for each in verdicts]
    return Report(
        failed=bool(failed),
        error="" if not failed else errors[0] if len(errors) == 1 else SEVERAL,
        subject=_subject(title),
        text=between([_sentence(title), ""], "\n".join(middle).rstrip(), after),
        output={} if failed else {"message": title, "clusters": shown},
    )


def _report_one(verdict: ClusterVerdict, execution: str) -> Report:
    if verdict.explanation:
        return Report(failed=True, **verdict.explanation.model_dump())
    after = [*_evidence(execution), f"Execution: {execution}"]
    if verdict.summary is None:
        title = f"the cluster {verdict.cluster} was not verified"
        output = {"cluster": verdict.cluster, "message": verdict.message}
        return Report(
            subject=_subject(title), text=between([_sentence(title), ""], verdict.message, after), output=output
        )
    title = f"the cluster {verdict.cluster} is what its record says"
    checks = [f"- {each['name']}: {each['found']}" for each in verdict.summary["verification"]["checks"]]
    middle = "\n".join([verdict.message, "", "Checks:", *checks])
    return Report(subject=_subject(title), text=between([_sentence(title), ""], middle, after), output=verdict.summary)


def _section(heading: str, verdicts: Sequence[ClusterVerdict]) -> list[str]:
    return [heading, *(f"- {each.cluster}: {each.message}" for each in verdicts), ""] if verdicts else []


def _evidence(execution: str) -> list[str]:
    return ["", "Evidence:", *link, ""] if (link := link_of(execution)) else [""]


def _sentence(title: str) -> str:
    return f"{title[0].upper()}{title[1:]}."


def _subject(title: str) -> str:
    return f"Benchwright: {title}"[:LONGEST_SUBJECT]
