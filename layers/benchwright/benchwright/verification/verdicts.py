"""What the verification of one cluster or of every cluster ends with: a report, and a message for people."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, Field

from benchwright.failure.console_links import link_of
from benchwright.failure.explanation import DEFAULT_ACTION, NEXT_ACTIONS, SHORTENED, between, cut
from benchwright.step import StepResult

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


class Report(StepResult):
    """failed: whether a cluster failed; the execution then fails with this error and text. output: what it answers
    otherwise. subject and text: the message for subscribers, in what SNS allows.
    """

    failed: bool = False
    error: str = ""
    subject: str
    text: str
    output: dict[str, Any] = Field(default_factory=dict)


def brief(cluster: "Cluster") -> str:
    """Describe a verified cluster, and its warnings, in a few lines."""
    return fit(_described(len(cluster.nodes), cluster.workbench, cluster.image, cluster.verification.warnings))


def _described(nodes: int, workbench: str, image: str, warnings: Sequence[str]) -> str:
    what = f"{nodes} node{'' if nodes == 1 else 's'} with Workbench {workbench} of the image {image}"
    return "\n".join([what, *(f"Warning: {warning}" for warning in warnings)])


def reason(error: str, step: str, message: str) -> str:
    """Say in a few lines why a cluster failed."""
    return fit(f"{error} in step {step!r}: {message.strip() or 'no cause was given'}")


def fit(text: str) -> str:
    """Shorten a text to what there is room for among those of other clusters."""
    short = text
    while len(json.dumps(short, ensure_ascii=False).encode()) > LONGEST_MESSAGE:
        short = short[: len(short) * 3 // 4]
    return text if short == text else f"{short}{SHORTENED}"


def report_every(verdicts: Sequence[ClusterVerdict], left_out: Sequence[str], execution: str) -> Report:
    """Report on every recorded cluster: those that failed first, and why, then those that were not verified.

    left_out: clusters for which the execution had no room; they count as failed.
    """
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


def report_one(verdict: ClusterVerdict, execution: str, changes: Sequence[str] | None = None) -> Report:
    """Report on the one cluster that an execution was about.

    changes: a line for each thing that it changed; None where it was a verification.
    """
    if verdict.explanation:
        return Report(failed=True, **verdict.explanation.model_dump())
    after = [*_evidence(execution), f"Execution: {execution}"]
    found = verdict.summary
    if found is None:
        title = f"the cluster {verdict.cluster} was not verified"
        output = {"cluster": verdict.cluster, "message": verdict.message}
        text = between([_sentence(title), ""], verdict.message, after)
        return Report(subject=_subject(title), text=text, output=output)
    ended = "is what its record says" if changes is None else "is deployed and verified"
    title = f"the cluster {verdict.cluster} {ended}"
    middle = [
        _described(len(found["nodes"]), found["workbench"], found["image"], found["warnings"]),
        *_way_in(found["connection"]),
        *([] if changes is None else ["", *_changed(changes)]),
        "",
        "Checks:",
        *(f"- {check['name']}: {check['found']}" for check in found["verification"]["checks"]),
    ]
    text = between([_sentence(title), ""], "\n".join(middle), after)
    return Report(subject=_subject(title), text=text, output=found)


def _way_in(connection: Mapping[str, str]) -> list[str]:
    """Say where people find Workbench: at its address, or through a tunnel."""
    tunnel = [] if connection["url"].startswith("https:") else ["After this command:", connection["port_forwarding"]]
    return ["", f"Workbench: {connection['url']}", *tunnel]


def _changed(changes: Sequence[str]) -> list[str]:
    if not changes:
        return ["Nothing changed since it was last verified."]
    return ["Changed since it was last verified:", *(f"- {change}" for change in changes)]


def _section(heading: str, verdicts: Sequence[ClusterVerdict]) -> list[str]:
    return [heading, *(f"- {each.cluster}: {each.message}" for each in verdicts), ""] if verdicts else []


def _evidence(execution: str) -> list[str]:
    return ["", "Evidence:", *link, ""] if (link := link_of(execution)) else [""]


def _sentence(title: str) -> str:
    return f"{title[0].upper()}{title[1:]}."


def _subject(title: str) -> str:
    return f"Benchwright: {title}"[:LONGEST_SUBJECT]
