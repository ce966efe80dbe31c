"""From an execution's input to a plan: pure decisions, no conversation with AWS.

`read_as_far_as_possible` finds every problem at once, and what the input names that only AWS can tell to exist;
`make_plan` adds what was recorded and looked up.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError

from benchwright.errors import InvalidInput
from benchwright.models import (
    CLUSTER_NAME,
    FIRST_ALLOCATED_ID,
    HIGHEST_ID,
    OWNED_KEYS,
    RESERVED_USERS,
    Account,
    Image,
    ImagePlan,
    License,
    Once,
    Plan,
    SecretName,
    Wanted,
    merge_patch,
)

DEFAULT_CLUSTER = "workbench"
Source = Literal["input", "recorded", "parameter", "default"]
Problem = tuple[str, Any, str, str]  # path, value, what is wrong, what to give


@dataclass(frozen=True)
class Request:
    """An execution's input, taken apart: which cluster, what acts once, and the patch on the recorded input."""

    cluster: str
    once: Once
    patch: dict[str, Any]


@dataclass(frozen=True)
class Named:
    """What an input names and only AWS can tell to exist: secrets by the path of the key that names them, and an AMI.

    Each is right in itself, whatever else is wrong with the input.
    """

    secrets: Mapping[str, str]
    ami: str | None


@dataclass(frozen=True)
class Reading:
    """An input as far as it can be read. wanted: None where a problem keeps it from being read as a whole."""

    request: Request
    wanted: Wanted | None
    named: Named
    problems: tuple[str, ...]

    def whole(self, more: Iterable[Problem] = ()) -> tuple[Request, Wanted]:
        """Return the request and every effective value; raises InvalidInput that lists all problems, and `more`."""
        problems = [*self.problems, *(_problem(*problem) for problem in more)]
        if problems or self.wanted is None:
            raise InvalidInput(_bulleted(problems))
        return self.request, self.wanted


@dataclass(frozen=True)
class Secret:
    """A secret that the input names, as Secrets Manager describes it."""

    arn: str
    version: str


@dataclass(frozen=True)
class Looked:
    """What the plan needs to know from outside: secrets by name, and the parent image behind its public parameter."""

    secrets: Mapping[str, Secret]
    parent_image: str


@dataclass(frozen=True)
class Known:
    """What earlier executions recorded of a cluster."""

    input: dict[str, Any] = field(default_factory=dict)
    accounts: dict[str, tuple[int, int]] = field(default_factory=dict)  # name -> (uid, gid); never forgotten
    parent_image: str = ""
    generation: int = 0
    rebuilt_by: str = ""  # the execution that began this generation: a retry of the same step does not begin another


def read_as_far_as_possible(
    raw: Any, known: Mapping[str, Any], defaults: Mapping[str, Any], application: str
) -> Reading:
    """Read an input and find every problem that it has in itself; raises InvalidInput where it is no object at all.

    known: the recorded input of the cluster; defaults: the stack's parameters in the shape of an input.
    """
    request, problems = _taken_apart(raw)
    wanted = None
    patch = {key: value for key, value in request.patch.items() if key in Wanted.model_fields}
    merged = _with_defaults(merge_patch(merge_patch(dict(defaults), dict(known)), patch), defaults)
    try:
        wanted = Wanted.model_validate(merged)
    except ValidationError as error:
        seen = {problem.split(":")[0] for problem in problems}
        problems += [text for text in _explained(error) if text.split(":")[0] not in seen]
    problems += _contradictions(merged, application)
    return Reading(request, wanted, _named(merged, application), tuple(problems))


def read_input(
    raw: Any, known: Mapping[str, Any], defaults: Mapping[str, Any], application: str
) -> tuple[Request, Wanted]:
    """Return the request and every effective value; raises InvalidInput that lists all problems at once."""
    return read_as_far_as_possible(raw, known, defaults, application).whole()


def cluster_of(raw: Any) -> str:
    """Return the name of the cluster that an input is about, as far as it can be told; the default one otherwise."""
    return _taken_apart(raw)[0].cluster


def read_verify_input(raw: Any) -> str:
    """Return the name of the cluster that a verification is about; raises InvalidInput for anything else in its
    input.
    """
    request, problems = _taken_apart(raw)
    problems += [
        _problem(key, value, "a verification changes nothing", "cluster alone") for key, value in request.patch.items()
    ]
    if problems:
        raise InvalidInput(_bulleted(list(dict.fromkeys(problems))))
    return request.cluster


def _taken_apart(raw: Any) -> tuple[Request, list[str]]:
    """Separate the cluster's name and the keys that act once from the patch; list what is wrong with them."""
    if not isinstance(raw, dict):
        raise InvalidInput(f"The input must be a JSON object such as {{}}, not {_shown(raw)}.")
    patch = {key: value for key, value in raw.items() if key != "Comment"}  # the console fills in a Comment
    problems = []
    cluster = patch.pop("cluster", DEFAULT_CLUSTER)
    if not isinstance(cluster, str) or not re.fullmatch(CLUSTER_NAME, cluster):
        problems.append(
            _problem(
                "cluster", cluster, "not a cluster name", "lower-case letters, digits and -, at most 20, a letter first"
            )
        )
        cluster = DEFAULT_CLUSTER
    only_if_deployed, rebuild = patch.pop("only_if_deployed", False), False
    if isinstance(image := patch.get("image"), dict):
        patch["image"] = image = dict(image)
        rebuild = image.pop("rebuild", False)
        if rebuild is True and image.get("ami"):
            problems.append(_problem("image.rebuild", rebuild, "it is given together with image.ami", "one of the two"))
        if not image:
            patch.pop("image")
    for path, value in (("only_if_deployed", only_if_deployed), ("image.rebuild", rebuild)):
        if not isinstance(value, bool):
            problems.append(_problem(path, value, "it is neither true nor false", "true or false"))
    problems += _unknown_keys(patch, Wanted, "")
    once = Once(rebuild=rebuild is True, only_if_deployed=only_if_deployed is True)
    return Request(cluster, once, patch), problems


def sources_of(patch: Mapping[str, Any], known: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Source]:
    """Tell for each effective value where it came from, by dotted path."""
    flat_patch, flat_known, flat_defaults = _flat(patch), _flat(known), _flat(defaults)
    sources: dict[str, Source] = {}
    for path in (*flat_defaults, *flat_known, *flat_patch, *_flat(_model_defaults())):
        if flat_patch.get(path) is not None:
            sources[path] = "input"
        elif path in flat_patch or path not in flat_known:
            sources[path] = "parameter" if path in flat_defaults else "default"
        else:
            sources[path] = "recorded"
    return dict(sorted(sources.items()))


def make_plan(
    request: Request, wanted: Wanted, known: Known, looked: Looked, *, defaults: Mapping[str, Any], execution: str
) -> tuple[Plan, Known]:
    """Decide what this execution shall make true, and what to record of it."""
    begins_generation = not known.generation or (request.once.rebuild and known.rebuilt_by != execution)
    image = ImagePlan(
        ami=wanted.image.ami,
        parent_image=looked.parent_image if begins_generation else known.parent_image,
        generation=known.generation + 1 if begins_generation else known.generation,
    )
    ids = allocate_ids(wanted, known.accounts)
    secrets = looked.secrets
    accounts = [
        Account(
            name=name,
            uid=ids[name][0],
            gid=ids[name][1],
            secret_arn=secrets[user.password].arn if user.password else "",
            secret_version=secrets[user.password].version if user.password else "",
        )
        for name, user in sorted(wanted.users.items())
    ]
    license_ = (
        License(secret_arn=secrets[wanted.license].arn, secret_version=secrets[wanted.license].version)
        if wanted.license
        else None
    )
    plan = Plan(
        cluster=request.cluster,
        wanted=wanted,
        image=image,
        license=license_,
        accounts=accounts,
        locked_accounts=sorted(set(ids) - set(wanted.users)),
        sources=sources_of(request.patch, known.input, defaults),
    )
    rebuilt_by = execution if request.once.rebuild else known.rebuilt_by
    return plan, Known(merge_patch(known.input, request.patch), ids, image.parent_image, image.generation, rebuilt_by)


def allocate_ids(wanted: Wanted, known: Mapping[str, tuple[int, int]]) -> dict[str, tuple[int, int]]:
    """Give every user one uid and gid for ever; raises InvalidInput when a given id contradicts a recorded one.

    An id is never used again, not even after its user was removed: files keep their owner's number.
    """
    ids = dict(known)
    problems = []
    for name, user in sorted(wanted.users.items()):
        if user.uid is None:
            continue
        pair = (user.uid, user.gid if user.gid is not None else user.uid)
        if name in known and known[name] != pair:
            uid, gid = known[name]
            problems.append(
                _problem(
                    f"users.{name}.uid",
                    pair[0],
                    f"the user has uid {uid} and gid {gid} since an earlier execution",
                    "these, or leave them out",
                )
            )
        owner = next((other for other, (uid, _) in ids.items() if uid == pair[0] and other != name), None)
        if owner:
            problems.append(
                _problem(f"users.{name}.uid", pair[0], f"the uid belongs to {owner}", "another uid, or leave it out")
            )
        ids[name] = pair
    taken = {number for pair in ids.values() for number in pair}
    following = FIRST_ALLOCATED_ID
    for name, user in sorted(wanted.users.items()):
        if name in ids:
            continue
        while following in taken:
            following += 1
        if following > HIGHEST_ID:
            problems.append(_problem(f"users.{name}", name, "no free uid is left", "an explicit uid"))
            break
        ids[name] = (following, user.gid if user.gid is not None else following)
        taken.add(following)
    if problems:
        raise InvalidInput(_bulleted(problems))
    return ids


def _named(merged: Mapping[str, Any], application: str) -> Named:
    """Find what is named and right in itself."""
    secret_name = TypeAdapter(SecretName)
    image = {"ami": _object(merged, "image").get("ami")}
    return Named(
        secrets={
            path: name
            for path, name in _secret_keys(merged).items()
            if _is_valid(secret_name, name) and name.startswith(_secret_prefix(path, application))
        },
        ami=image["ami"] if _is_valid(TypeAdapter(Image), image) else None,
    )


def _is_valid(kind: TypeAdapter[Any], value: Any) -> bool:
    try:
        kind.validate_python(value)
    except ValidationError:
        return False
    return True


def _secret_keys(merged: Mapping[str, Any]) -> dict[str, Any]:
    """What the keys that name secrets hold, by path."""
    users = {name: user for name, user in _object(merged, "users").items() if isinstance(user, dict)}
    named = {"license": merged.get("license")} | {
        f"users.{name}.password": user.get("password") for name, user in users.items()
    }
    return dict(sorted(named.items()))


def _secret_prefix(path: str, application: str) -> str:
    """How the names of secrets begin that nodes may read for a key."""
    return f"{application}/{'license' if path == 'license' else 'users'}/"


def _contradictions(merged: Mapping[str, Any], application: str) -> list[str]:
    """Find what no single field can tell.

    Works on an input that may be wrong in other ways too, so that everything is told at once.
    """
    problems = []
    users = {name: user for name, user in _object(merged, "users").items() if isinstance(user, dict)}
    problems += [
        _problem(f"users.{name}", users[name], "it is an account of the system", "another name")
        for name in sorted(RESERVED_USERS & set(users))
    ]
    for kind in ("uid", "gid"):
        owners: dict[int, str] = {}
        for name, user in sorted(users.items()):
            number = user.get(kind)
            if isinstance(number, int) and (first := owners.setdefault(number, name)) != name:
                problems.append(_problem(f"users.{name}.{kind}", number, f"users.{first} has it", "each user its own"))
    config = _object(merged, "config")
    problems += [
        _problem(f"config.{key}", config[key], "Benchwright writes this key itself", "other keys of rserver.conf")
        for key in sorted(OWNED_KEYS & set(config))
    ]
    for path, secret in _secret_keys(merged).items():
        prefix = _secret_prefix(path, application)
        if isinstance(secret, str) and not secret.startswith(prefix):
            problems.append(
                _problem(path, secret, "the nodes may not read it", f"a secret whose name begins with {prefix}")
            )
    return problems


def _object(merged: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = merged.get(key)
    return value if isinstance(value, dict) else {}


def _with_defaults(merged: dict[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Give back the default of what a null in the input took away."""
    whole = dict(merged)
    for key, value in defaults.items():
        if key not in whole:
            whole[key] = value
        elif isinstance(value, dict) and isinstance(whole[key], dict):
            whole[key] = _with_defaults(whole[key], value)
    return whole


def _unknown_keys(patch: Mapping[str, Any], model: type[BaseModel], prefix: str) -> list[str]:
    """Find unknown keys even where their value is null, which a merge would swallow."""
    problems = []
    for key, value in patch.items():
        path = f"{prefix}{key}"
        if key not in model.model_fields:
            known = ", ".join(
                sorted({*model.model_fields, *({"cluster", "only_if_deployed"} if not prefix else set())})
            )
            problems.append(_problem(path, value, "an unknown key", f"one of {known}"))
        elif isinstance(value, dict) and (part := _part_of(annotation := model.model_fields[key].annotation)):
            for name, item in value.items() if get_origin(annotation) is dict else [("", value)]:
                if isinstance(item, dict):
                    problems += _unknown_keys(item, part, f"{path}.{name}." if name else f"{path}.")
    return problems


def _part_of(annotation: Any) -> type[BaseModel] | None:
    """Return the model that an annotation holds, also within an optional or a map."""
    kinds = (annotation, *get_args(annotation))
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)


def _explained(error: ValidationError) -> list[str]:
    """One line per problem: path, value, what is wrong, what to give."""
    lines: list[str] = []
    for detail in error.errors():
        parts = [str(part) for part in detail["loc"] if part != "[key]"]
        message = detail["msg"].removeprefix("Value error, ")
        if not parts:  # a rule over the whole input, which names its keys itself
            lines += message.split("; ")
            continue
        path = ".".join(parts)
        lines.append(_problem(path, detail["input"], message, _described(parts)))
    return list(dict.fromkeys(lines))


def _described(parts: list[str]) -> str:
    """Return the description of the innermost field on a path."""
    model: type[BaseModel] | None = Wanted
    described = "a value as in docs/input.md"
    for part in parts:
        if model and part in model.model_fields:
            field_info = model.model_fields[part]
            described = field_info.description or described
            model = _part_of(field_info.annotation)
    return described


def _problem(path: str, value: Any, wrong: str, give: str) -> str:
    return f"{path}: {_shown(value)} is refused: {wrong}. Give {give}."


def _shown(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _bulleted(problems: list[str]) -> str:
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    return "\n".join([f"The input has {count}; nothing was changed.", *(f"- {problem}" for problem in problems)])


def _model_defaults() -> dict[str, Any]:
    return {
        name: info.default for name, info in Wanted.model_fields.items() if not info.is_required() and name != "image"
    } | {"image": {"ami": None}}


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Spread nested objects to dotted paths; lists and empty objects are values."""
    flat: dict[str, Any] = {}
    for key, item in value.items():
        if isinstance(item, dict) and item:
            flat |= _flat(item, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = item
    return flat
