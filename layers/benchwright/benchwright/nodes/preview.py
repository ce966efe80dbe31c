"""What a deployment would do to the nodes: which go, what their configuration changes, and which services restart."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

from pydantic import BaseModel

from benchwright.dry_run import Change, Step, counted
from benchwright.models import Nodes as Wanted
from benchwright.nodes.auto_scaling import LIVING, Group
from benchwright.nodes.replacement import manner
from benchwright.rstudio_files import Effect

type Contents = Mapping[str, str]
type Action = Literal["create", "change", "remove"]

EFFECTS = (Effect.NONE, Effect.RELOAD, Effect.RELOAD_LAUNCHER, Effect.RESTART, Effect.RESTART_LAUNCHER)
# By the strongest effect: what a node does.
SENTENCES: Mapping[Effect, str] = {
    Effect.NONE: "No service of Workbench restarts or reloads.",
    Effect.RELOAD: "The Workbench server reads its files again. No service restarts, and sessions go on.",
    Effect.RELOAD_LAUNCHER: "The job launcher reads its profiles again. No service restarts, and sessions go on.",
    Effect.RESTART: "The Workbench server restarts, on one node first. Sessions go on.",
    Effect.RESTART_LAUNCHER: "The Workbench server and the job launcher restart, on one node first.",
}
MOST_LISTED = 100  # users, and groups, that change: of more, states pass on and people read how many there are
SUSPENDED = "RStudio sessions are suspended and open again; all others are lost."
# Where a node puts each secret that `env` of a bundle names by ARN and version (infra/node/files.sh); that of sign-in
# is in one of its files.
SECRETS: Mapping[str, str] = {
    "DATABASE_SECRET": "/etc/rstudio/database.conf",
    "SECURE_COOKIE_KEY_SECRET": "/etc/rstudio/secure-cookie-key",
    "LICENSE_SECRET": "/var/lib/rstudio-server/benchwright.lic",
    "LICENSE_SERVER": "/var/lib/benchwright/license-server",
    "SCIM_SECRET": "/etc/rstudio/scim-token",
}


class Nodes(BaseModel):
    """How many nodes there are now and then; how many are created, removed and replaced, and of those at the same time.

    all_at_once: whether every node goes before the first new one comes. why: what makes the old ones outdated.
    """

    now: int = 0
    then: int = 0
    created: int = 0
    removed: int = 0
    replaced: int = 0
    at_once: int = 1
    all_at_once: bool = False
    why: list[str] = []

    @property
    def turns(self) -> int:
        """How often nodes come before as many leave."""
        return math.ceil(self.replaced / self.at_once)

    @property
    def kept(self) -> int:
        """How many nodes stay as they are, and apply the configuration in place."""
        return self.now - self.removed - self.replaced


def nodes_after(group: Group, wanted: Wanted, why: list[str], *, new_template: bool, all_at_once: bool) -> Nodes:
    """Count the nodes. new_template: whether the launch template would get a new version."""
    living = [node for node in group.nodes if node.state in LIVING]
    staying = min(len(living), wanted.count)
    outdated = len(living) if new_template else sum(node.template_version != group.template_version for node in living)
    return Nodes(
        now=len(living),
        then=wanted.count,
        created=wanted.count - staying,
        removed=len(living) - staying,
        replaced=staying if all_at_once else min(outdated, staying),
        at_once=wanted.at_once,
        all_at_once=all_at_once and bool(living),
        why=why if outdated or all_at_once else [],
    )


def configuration(before: Contents | None, after: Contents) -> list[Change]:
    """Compare what two bundles hold; before: None where no node has applied one."""
    old, new = before or {}, after
    found = [*_files(old, new), *_of_secrets(old, new)]
    found += _listed("user", _by_name(old, "users"), _by_name(new, "users"), _by_name(new, "locked"))
    found += _listed("group", _by_name(old, "groups"), _by_name(new, "groups"), _by_name(new, "emptied"))
    unique: dict[tuple[str, str], Change] = {}
    for change in found:
        unique.setdefault((change.kind, change.name), change)
    return sorted(unique.values(), key=lambda each: (each.kind, each.name))


def effect_of(changes: Iterable[Change], bundle: Contents) -> Effect:
    """Return the strongest effect that changes of files have, as infra/node/workbench.sh finds it (effect_of)."""
    words = {path: Effect(word) for word, path in _pairs(bundle.get("effects", ""))}
    found = [words.get(change.name, _usual(change.name)) for change in changes if change.kind == "file"]
    return max(found, key=EFFECTS.index, default=Effect.NONE)


def publication(before: Contents | None, after: Contents, nodes: Nodes) -> tuple[list[Step], Effect]:
    """Return what publishing and applying the configuration would do."""
    changes = configuration(before, after)
    effect = effect_of(changes, after)
    of = {kind: [each for each in changes if each.kind == kind] for kind in ("file", "user", "group")}
    omitted = {kind: len(of[kind]) for kind in ("user", "group") if len(of[kind]) > MOST_LISTED}
    named = [each for each in changes if each.kind not in omitted]
    if before is None:
        counts = {kind: len(listed) for kind, listed in of.items() if listed}
        sentences = [
            f"Nodes get their configuration: {', '.join(counted(number, kind) for kind, number in counts.items())}."
        ]
    elif not changes:
        sentences = ["The configuration of the nodes stays as it is."]
    else:
        sentences = [*map(_sentence, named), *(_count(kind, of[kind]) for kind in omitted)]
    steps = [Step(step="Publish configuration", sentences=sentences, changes=named, omitted=omitted)]
    if nodes.kept and changes and before is not None:
        applied = f"{counted(nodes.kept, 'node')} that stay{'s' if nodes.kept == 1 else ''}: {SENTENCES[effect]}"
        steps.append(Step(step="Configure nodes", sentences=[f"On {applied}"], minutes=2))
    return steps, effect if nodes.kept and before is not None else Effect.NONE


def replacement(nodes: Nodes) -> list[str]:
    """Say what becomes of the nodes."""
    reasons = f" ({', '.join(nodes.why)})" if nodes.why else ""
    if nodes.all_at_once:
        new = counted(nodes.then, "new one")
        why = "since versions of Workbench cannot be mixed"
        return [f"All {counted(nodes.now, 'node')} go before {new} come, {why}{reasons}. No one can work meanwhile."]
    sentences = []
    if nodes.created:
        sentences.append(f"{counted(nodes.created, 'node')} {'is' if nodes.created == 1 else 'are'} launched.")
    if nodes.removed:
        sentences.append(f"{counted(nodes.removed, 'node')} of {nodes.now} {'goes' if nodes.removed == 1 else 'go'}.")
    if nodes.replaced:
        verb = "is" if nodes.replaced == 1 else "are"
        how = manner(nodes.replaced, nodes.at_once)
        sentences.append(f"{counted(nodes.replaced, 'node')} {verb} replaced{how}{reasons}.")
    return sentences or ["The nodes stay."]


def sessions(count: int | None, nodes: Nodes, effect: Effect) -> list[str]:
    """Say what becomes of sessions that run. count: how many there are; None where no node has reported it."""
    leaving = nodes.removed + nodes.replaced
    everywhere = leaving == nodes.now
    if not nodes.now or not (leaving or effect is Effect.RESTART_LAUNCHER):
        return []
    if count == 0:
        return ["No session runs now."]
    how = "sessions" if count is None else counted(count, "session")
    if leaving and not everywhere and effect is not Effect.RESTART_LAUNCHER:
        return [f"Of {how} that run now, those on {counted(leaving, 'node')} of {nodes.now} end. {SUSPENDED}"]
    return [f"All {how} that run now end. {SUSPENDED}"]


def _sentence(change: Change) -> str:
    verbs = {"create": "is made", "change": "changes", "remove": "is removed", "replace": "is replaced"}
    if change.kind == "user" and change.action == "remove":
        return f"The account {change.name} is locked; its home is kept."
    if change.kind == "group" and change.action == "remove":
        return f"The group {change.name} loses its members."
    because = f" ({', '.join(change.because)})" if change.because else ""
    return f"The {change.kind} {change.name} {verbs[change.action]}{because}."


def _count(kind: str, changes: Sequence[Change]) -> str:
    """Say what becomes of so many users or groups that none is named."""
    verbs = {
        "create": "made",
        "change": "changed",
        "remove": "locked, with their homes kept" if kind == "user" else "emptied",
    }
    numbers = Counter[str](change.action for change in changes)
    said = ", ".join(f"{numbers[action]:,} {verb}" for action, verb in verbs.items() if numbers[action])
    return f"{len(changes):,} {kind}s: {said}."


def _files(old: Contents, new: Contents) -> Iterator[Change]:
    places = _manifest(old), _manifest(new)
    for path in sorted({*places[0], *places[1]}):
        before, after = (
            (place.get(path), contents.get(f"files{path}")) for place, contents in zip(places, (old, new), strict=True)
        )
        if before != after:
            yield Change(action=_action(before[0], after[0]), kind="file", name=path)


def _of_secrets(old: Contents, new: Contents) -> Iterator[Change]:
    """Find files whose content is a secret of which there is another version."""
    before, after = _environment(old), _environment(new)
    for name, path in SECRETS.items():
        pair = [(each.get(f"{name}_VERSION") or each.get(name) or None) for each in (before, after)]
        if pair[0] != pair[1]:
            yield Change(action=_action(*pair), kind="file", name=path, because=["the secret"] if all(pair) else [])
    if before.get("AUTH_SECRET_VERSION") != after.get("AUTH_SECRET_VERSION"):
        for path in _manifest(new):
            if path.rpartition("/")[2] in ("openid-client-secret", "saml-metadata.xml", "sssd.conf"):
                yield Change(action="change", kind="file", name=path, because=["the secret"])
    given = _by_name(old, "secrets"), _by_name(new, "secrets")
    for path in sorted(given[0].keys() & given[1].keys()):
        if given[0][path] != given[1][path]:
            yield Change(action="change", kind="file", name=path, because=["the secret"])


def _listed(kind: str, old: Contents, new: Contents, left: Contents) -> Iterator[Change]:
    """Compare the users, or the groups. left: those that earlier inputs had."""
    for name in sorted({*old, *new}):
        if old.get(name) != new.get(name) and (name in new or name in left):
            yield Change(action=_action(old.get(name), new.get(name)), kind=kind, name=name)


def _action(before: object, after: object) -> Action:
    if before is None:
        return "create"
    return "remove" if after is None else "change"


def _usual(path: str) -> Effect:
    name = path.rpartition("/")[2]
    return Effect.RESTART_LAUNCHER if name.startswith("launcher") or name == "secure-cookie-key" else Effect.RESTART


def _manifest(contents: Contents) -> dict[str, str]:
    lines = (line.rsplit(" ", 1) for line in contents.get("manifest", "").splitlines())
    return {path: how for how, path in lines}


def _by_name(contents: Contents, file: str) -> dict[str, str]:
    """Return the lines of a list of a bundle by their first words."""
    return {line.split()[0]: line for line in contents.get(file, "").splitlines()}


def _environment(contents: Contents) -> dict[str, str]:
    pairs = (line.partition("=") for line in contents.get("env", "").splitlines())
    return {name: value for name, _, value in pairs}


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        word, _, path = line.partition(" ")
        yield word, path
