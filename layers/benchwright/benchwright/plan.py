"""From an execution's input to a plan: pure decisions, no conversation with AWS.

`read_input` finds every problem at once, and what the input names that only AWS can tell to exist;
`make_plan` adds what was recorded and looked up.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import AfterValidator, BaseModel, TypeAdapter, ValidationError

from benchwright import unproven
from benchwright.engine import Engines, choose
from benchwright.errors import InvalidInput
from benchwright.models import (
    APPLICATION_NAME,
    APPLICATION_NAME_IN_WORDS,
    CLUSTER_NAME,
    CLUSTER_NAME_IN_WORDS,
    DEFAULT_CLUSTER,
    FIRST_ALLOCATED_ID,
    FORMS,
    HIGHEST_ID,
    LONGEST_APPLICATION,
    LONGEST_CLUSTER,
    OWNED_KEYS,
    RESERVED_USERS,
    WRITTEN_KEYS,
    Account,
    Image,
    ImagePlan,
    License,
    Once,
    Part,
    Plan,
    SecretName,
    Wanted,
    merge_patch,
)

# Levels of an input: users, a name, its keys, and room for what is wrong. Python's own readers end at about 1,000.
DEEPEST = 8
# Bytes of JSON. A plan is a state's result and, beside the report on up to 50 nodes, part of an execution's output:
# these may have 262,144, and more ends an execution so that no state can catch it (Step Functions developer guide,
# "States.DataLimitExceeded"). With input and accounts it is one item of DynamoDB, which may have 409,600.
LONGEST_PLAN, LONGEST_RECORD = 160_000, 390_000
# How much of an input a refusal repeats: characters of a value and of a path, and problems.
LONGEST_SHOWN, LONGEST_PATH, MOST_PROBLEMS = 80, 120, 20
KINDS = {str: "a text", list: "a list", bool: "true or false", int: "a number", float: "a number", type(None): "null"}
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
    """An input as far as it can be read.

    wanted: None where a problem keeps it from being read as a whole. recorded: the input of earlier executions.
    """

    request: Request
    wanted: Wanted | None
    named: Named
    problems: tuple[Problem, ...]
    recorded: Mapping[str, Any] = field(default_factory=dict)

    def whole(self, more: Iterable[Problem] = ()) -> tuple[Request, Wanted]:
        """Return the request and every effective value; raises InvalidInput that lists all problems, and `more`."""
        problems = [self._with_source(problem) for problem in (*self.problems, *more)]
        if problems or self.wanted is None:
            raise _refusal(problems)
        return self.request, self.wanted

    def _with_source(self, problem: Problem) -> Problem:
        """Say of a refused value that this input does not hold it, where it is a recorded one."""
        path, value, wrong, give = problem
        keys = tuple(path.split("."))
        if unproven.mentions(self.request.patch, keys) or not unproven.mentions(self.recorded, keys):
            return problem
        return path, value, f"{wrong} (an earlier execution recorded it)", give


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
    engines: Engines = field(default_factory=Engines)


def _whole_objects(recorded: dict[str, Any]) -> dict[str, Any]:
    """Refuse an input in which something else stands for an object: what reads the record looks into it."""
    for name, value in recorded.items():
        annotation = found.annotation if (found := Wanted.model_fields.get(name)) else None
        is_object = get_origin(annotation) is dict or (isinstance(annotation, type) and issubclass(annotation, Part))
        if is_object and not isinstance(value, dict):
            raise ValueError(f"{name} is {json.dumps(value)}, not an object")
    return recorded


type RecordedInput = Annotated[dict[str, Any], AfterValidator(_whole_objects)]


@dataclass(frozen=True)
class Known:
    """What earlier executions recorded of a cluster."""

    input: RecordedInput = field(default_factory=dict)
    accounts: dict[str, tuple[int, int]] = field(default_factory=dict)  # name -> (uid, gid)
    parent_image: str = ""
    engine_version: str = ""
    generation: int = 0
    rebuilt_by: str = ""  # the execution that began this generation: a retry of the same step does not begin another
    # The input and the generation of the last execution that verified the cluster, and who gave what differs from it.
    proven: RecordedInput = field(default_factory=dict)
    proven_accounts: tuple[str, ...] = ()  # names whose ids a verified execution has used
    proven_generation: int = 0
    origins: dict[str, list[str]] = field(default_factory=dict)  # execution -> dotted paths


def read_input(raw: Any, known: Mapping[str, Any], defaults: Mapping[str, Any], application: str) -> Reading:
    """Read an input and find every problem that it has in itself; raises InvalidInput where it is no object at all.

    known: the recorded input of the cluster; defaults: the stack's parameters in the shape of an input.
    """
    request, problems = _taken_apart(raw)
    if not _is_name(application, APPLICATION_NAME, LONGEST_APPLICATION):
        problems.append(
            (
                "the application's name",
                application,
                "the names of what it makes begin with it",
                f"the stack another name: {APPLICATION_NAME_IN_WORDS}",
            )
        )
    wanted = None
    patch = {key: value for key, value in request.patch.items() if key in Wanted.model_fields}
    merged = _with_defaults(merge_patch(merge_patch(dict(defaults), dict(known)), patch), defaults)
    try:
        wanted = Wanted.model_validate(merged)
    except ValidationError as error:
        seen = {path for path, *_ in problems}
        problems += [problem for problem in _explained(error) if problem[0] not in seen]
    problems += _contradictions(merged, application)
    problems += _without_effect(request, merged)
    return Reading(request, wanted, _named(merged, application), tuple(problems), known)


def cluster_of(raw: Any) -> str:
    """Return the name of the cluster that an input is about, as far as it can be told; the default one otherwise."""
    return _taken_apart(raw)[0].cluster


def read_verify_input(raw: Any) -> str:
    """Return the name of the cluster that a verification is about; raises InvalidInput for anything else in its
    input.
    """
    request, problems = _taken_apart(raw)
    problems += [
        (key, value, "a verification changes nothing", "cluster alone") for key, value in request.patch.items()
    ]
    if problems:
        raise _refusal(problems)
    return request.cluster


def _taken_apart(raw: Any) -> tuple[Request, list[Problem]]:
    """Separate the cluster's name and the keys that act once from the patch; list what is wrong with them."""
    if not isinstance(raw, dict):
        raise InvalidInput(f"The input must be a JSON object such as {{}}, not {KINDS.get(type(raw), 'this')}.")
    patch = {key: value for key, value in raw.items() if key != "Comment"}  # the console fills in a Comment
    problems: list[Problem] = []
    for key in [key for key, value in patch.items() if _is_deeper(value, DEEPEST)]:
        patch.pop(key)
        problems.append((key, "...", f"it is nested more than {DEEPEST} levels deep", "a value as in docs/input.md"))
    cluster = patch.pop("cluster", DEFAULT_CLUSTER)
    if not _is_name(cluster, CLUSTER_NAME, LONGEST_CLUSTER):
        problems.append(("cluster", cluster, "not a cluster name", CLUSTER_NAME_IN_WORDS))
        cluster = DEFAULT_CLUSTER
    only_if_deployed, rebuild = patch.pop("only_if_deployed", False), False
    if isinstance(image := patch.get("image"), dict):
        patch["image"] = image = dict(image)
        rebuild = image.pop("rebuild", False)
        if rebuild is True and image.get("ami"):
            problems.append(("image.rebuild", rebuild, "it is given together with image.ami", "one of the two"))
        if not image:
            patch.pop("image")
    for path, value in (("only_if_deployed", only_if_deployed), ("image.rebuild", rebuild)):
        if not isinstance(value, bool):
            problems.append((path, value, "it is neither true nor false", "true or false"))
    problems += _unknown_keys(patch, Wanted, "")
    once = Once(rebuild=rebuild is True, only_if_deployed=only_if_deployed is True)
    return Request(cluster, once, patch), problems


def _is_name(name: Any, pattern: str, longest: int) -> bool:
    return isinstance(name, str) and len(name) <= longest and re.fullmatch(pattern, name) is not None


def _is_deeper(value: Any, levels: int) -> bool:
    """Tell whether a value has more levels, without a call for each of them."""
    layer = [value]
    for _ in range(levels):
        parts = (item.values() if isinstance(item, dict) else item for item in layer if isinstance(item, dict | list))
        layer = [item for part in parts for item in part]
    return bool(layer)


def sources_of(patch: Mapping[str, Any], known: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Source]:
    """Tell for each effective value where it came from, by dotted path."""
    flat_patch, flat_known, flat_defaults = _flat(patch), _flat(known), _flat(defaults)
    sources: dict[str, Source] = {}
    given = {path for path, value in (flat_known | flat_patch).items() if value is not None}
    # A default that is an empty object, such as that of `users`, is in force only where nothing is given below it.
    defaults_in_force = [
        path for path in _flat(_model_defaults()) if not any(each.startswith(f"{path}.") for each in given)
    ]
    for path in (*flat_defaults, *flat_known, *flat_patch, *defaults_in_force):
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
    """Decide what this execution shall make true, and what to record of it.

    Raises InvalidInput where ids contradict each other, and where it would be too long for a state or the record.
    """
    begins_generation = not known.generation or (request.once.rebuild and known.rebuilt_by != execution)
    image = ImagePlan(
        ami=wanted.image.ami,
        parent_image=looked.parent_image if begins_generation else known.parent_image,
        generation=known.generation + 1 if begins_generation else known.generation,
    )
    # A version that an input gave is not one that was looked up: who takes it back gets another.
    looked_up = "" if known.input.get("database", {}).get("engine_version") else known.engine_version
    ids = allocate_ids(wanted, known)
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
    users = {
        name: user.model_copy(update=dict(zip(("uid", "gid"), ids[name], strict=True)))
        for name, user in wanted.users.items()
    }
    license_ = (
        License(secret_arn=secrets[wanted.license].arn, secret_version=secrets[wanted.license].version)
        if wanted.license
        else None
    )
    plan = Plan(
        cluster=request.cluster,
        wanted=wanted.model_copy(update={"users": users}),  # the plan shows effective values
        image=image,
        license=license_,
        accounts=accounts,
        engine_version=choose(wanted.database.engine_version, looked_up, looked.engines),
        locked_accounts=sorted(set(ids) - set(wanted.users)),
        sources=sources_of(request.patch, known.input, defaults),
    )
    rebuilt_by = execution if request.once.rebuild else known.rebuilt_by
    record = replace(
        known,
        input=merge_patch(known.input, request.patch),
        accounts=ids,
        parent_image=image.parent_image,
        engine_version=plan.engine_version,
        generation=image.generation,
        rebuilt_by=rebuilt_by,
        origins=unproven.origins(known, request.patch, execution),
    )
    _check_length(plan, record)
    return plan, record


def _check_length(plan: Plan, record: Known) -> None:
    told = len(json.dumps(plan.model_dump(mode="json", exclude={"accounts"})))
    inputs = [record.input, max(record.input, record.proven, key=lambda each: len(json.dumps(each))), record.origins]
    recorded = len(plan.model_dump_json().encode()) + len(json.dumps([*inputs, record.accounts]))
    for length, most, where in (
        (told, LONGEST_PLAN, "a state of Step Functions"),
        (recorded, LONGEST_RECORD, "the cluster's item in DynamoDB"),
    ):
        if length > most:
            wrong = f"it would have more than the {most:,} bytes that Benchwright puts into {where}"
            raise _refusal([("the plan", length, wrong, "fewer users, config keys or tags, or shorter values")])


def _gives_ids(recorded: Mapping[str, Any], name: str) -> bool:
    user = recorded.get("users", {}).get(name)
    return isinstance(user, dict) and (user.get("uid") is not None or user.get("gid") is not None)


def allocate_ids(wanted: Wanted, known: Known) -> dict[str, tuple[int, int]]:
    """Give every user one uid and gid for ever; raises InvalidInput when a given id contradicts a proven one.

    An id that a verified execution has used is never used again, not even after its user was removed: files keep their
    owner's number. One that was only recorded gives way to an id that an input gives.
    """
    ids = {name: pair for name, pair in known.accounts.items() if name in known.proven_accounts}
    unproven_ids = {name: pair for name, pair in known.accounts.items() if name not in ids}
    allocated = {name: pair for name, pair in unproven_ids.items() if not _gives_ids(known.input, name)}
    undecided = [name for name, user in wanted.users.items() if user.uid is None and user.gid is None]
    ids |= {name: allocated[name] for name in undecided if name in allocated}
    problems: list[Problem] = []
    for name, user in sorted(wanted.users.items()):
        if name in ids:
            uid, gid = ids[name]
            problems += [
                (
                    f"users.{name}.{kind}",
                    given,
                    f"the user has uid {uid} and gid {gid} since an earlier execution",
                    "these, or leave them out",
                )
                for kind, given, number in (("uid", user.uid, uid), ("gid", user.gid, gid))
                if given not in (None, number)
            ]
            continue
        before = allocated.get(name, (None, None)) if user.uid is None else (None, None)
        own = {"uid": user.uid if user.uid is not None else before[0]}
        own["gid"] = next((each for each in (user.gid, before[1], own["uid"]) if each is not None), None)
        for position, (kind, number) in enumerate(own.items()):
            owner = next(
                (other for other, pair in ids.items() if number is not None and pair[position] == number), None
            )
            if owner:
                remedy = f"another {kind}, or leave it out"
                problems.append((f"users.{name}.{kind}", number, f"the {kind} belongs to {owner}", remedy))
                break
        if own["uid"] is not None and own["gid"] is not None:
            ids[name] = (own["uid"], own["gid"])
    taken = {number for pair in (*ids.values(), *unproven_ids.values()) for number in pair}
    taken |= {user.gid for user in wanted.users.values() if user.gid is not None}
    following = FIRST_ALLOCATED_ID
    for name, user in sorted(wanted.users.items()):
        if name in ids:
            continue
        while following in taken:
            following += 1
        if following > HIGHEST_ID:
            problems.append((f"users.{name}", name, "no free uid is left", "an explicit uid"))
            break
        ids[name] = (following, user.gid if user.gid is not None else following)
        taken.add(following)
    for name, (uid, gid) in unproven_ids.items():  # of users who were removed: remembered unless another has them now
        if name not in ids and not any(uid == other[0] or gid == other[1] for other in ids.values()):
            ids[name] = (uid, gid)
    if problems:
        raise _refusal(problems)
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


def _contradictions(merged: Mapping[str, Any], application: str) -> list[Problem]:
    """Find what no single field can tell.

    Works on an input that may be wrong in other ways too, so that everything is told at once.
    """
    problems: list[Problem] = []
    users = {name: user for name, user in _object(merged, "users").items() if isinstance(user, dict)}
    problems += [
        (f"users.{name}", users[name], "it is an account of the system, or a group of it", "another name")
        for name in sorted(RESERVED_USERS & set(users))
    ]
    for kind in ("uid", "gid"):
        owners: dict[int, str] = {}
        for name, user in sorted(users.items()):
            implied = kind == "gid" and user.get("gid") is None
            number = user.get("uid" if implied else kind)
            if not isinstance(number, int) or (first := owners.setdefault(number, name)) == name:
                continue
            if not (implied and users[first].get("uid") == number):  # then the uid was told already
                problems.append((f"users.{name}.{kind}", number, f"users.{first} has it", "each user its own"))
    config = _object(merged, "config")
    problems += [
        (
            f"config.{key}",
            config[key],
            "Benchwright writes this key itself"
            if key in WRITTEN_KEYS
            else "nodes rely on Workbench's default for this key",
            "other keys of rserver.conf; null takes a recorded one back",
        )
        for key in sorted(OWNED_KEYS & set(config))
    ]
    for path, secret in _secret_keys(merged).items():
        prefix = _secret_prefix(path, application)
        if isinstance(secret, str) and not secret.startswith(prefix):
            problems.append((path, secret, "the nodes may not read it", f"a secret whose name begins with {prefix}"))
    return problems


def _without_effect(request: Request, merged: Mapping[str, Any]) -> list[Problem]:
    """Find what would be recorded and change nothing, since the cluster uses an AMI of somebody's own."""
    ami = _object(merged, "image").get("ami")
    if not ami or request.once.only_if_deployed:
        return []
    asked = [(key, request.patch[key]) for key in ("r_versions", "python_versions") if request.patch.get(key)]
    if request.once.rebuild and not _object(request.patch, "image").get("ami"):
        asked.append(("image.rebuild", True))
    remedy = 'it with "image": {"ami": null}, or leave it out'
    return [(key, value, f"the cluster uses the AMI {ami}, and nothing is built", remedy) for key, value in asked]


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


def _unknown_keys(patch: Mapping[str, Any], model: type[BaseModel], prefix: str) -> list[Problem]:
    """Find unknown keys even where their value is null, which a merge would swallow."""
    problems: list[Problem] = []
    for key, value in patch.items():
        path = f"{prefix}{key}"
        if key not in model.model_fields:
            known = ", ".join(
                sorted({*model.model_fields, *({"cluster", "only_if_deployed"} if not prefix else set())})
            )
            problems.append((path, _veiled(value), "an unknown key", f"one of {known}"))
        elif isinstance(value, dict) and (part := _part_of(annotation := model.model_fields[key].annotation)):
            for name, item in value.items() if get_origin(annotation) is dict else [("", value)]:
                if isinstance(item, dict):
                    problems += _unknown_keys(item, part, f"{path}.{name}." if name else f"{path}.")
    return problems


def _part_of(annotation: Any) -> type[BaseModel] | None:
    """Return the model that an annotation holds, also within an optional or a map."""
    kinds = (annotation, *get_args(annotation))
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)


def _explained(error: ValidationError) -> list[Problem]:
    problems: list[Problem] = []
    for detail in error.errors():
        parts = [str(part) for part in detail["loc"] if part != "[key]"]
        message = detail["msg"].removeprefix("Value error, ")
        if detail["type"] == "string_pattern_mismatch":
            message = f"not {FORMS[detail['ctx']['pattern']]}"
        problems.append((".".join(parts), detail["input"], message, _good_value(parts)))
    return problems


def _good_value(parts: list[str]) -> str:
    """Describe a good value of the innermost field on a path, with an example."""
    model: type[BaseModel] | None = Wanted
    good = "a value as in docs/input.md"
    for part in parts:
        if model and part in model.model_fields:
            field_info = model.model_fields[part]
            model = _part_of(field_info.annotation)
            if model and isinstance(field_info.annotation, type):
                whole = {name: inner.examples[0] for name, inner in model.model_fields.items() if inner.examples}
                good = f"an object such as {json.dumps(whole)}"
            else:
                example = json.dumps(field_info.examples[0]) if field_info.examples else ""
                good = f"{field_info.description}; for example {example}"
    return good


def _refusal(problems: Iterable[Problem]) -> InvalidInput:
    """Tell every problem in a line of its own, as far as a person reads."""
    lines = list(dict.fromkeys(_told(*problem) for problem in problems))
    count = "1 problem" if len(lines) == 1 else f"{len(lines)} problems"
    more = [f"- and {len(lines) - MOST_PROBLEMS} more"] if len(lines) > MOST_PROBLEMS else []
    shown = [f"- {line}" for line in lines[:MOST_PROBLEMS]]
    return InvalidInput("\n".join([f"The input has {count}; nothing was changed.", *shown, *more]))


def _told(path: str, value: Any, wrong: str, give: str) -> str:
    told = _cut(json.dumps(path)[1:-1], LONGEST_PATH)  # a key may hold anything, also line breaks
    shown = _cut(json.dumps(_hidden(path, value), default=str), LONGEST_SHOWN)
    return f"{told}: {shown} is refused: {wrong}. Give {give}."


def _hidden(path: str, value: Any) -> Any:
    """Return a value as it may be shown.

    Who writes a password or a licence where the name of its secret belongs, or below a key that they spelled wrong,
    must not find it in mails and logs. Below `users` and `license` a text is shown only if it looks like the name of a
    secret, or is the key itself; elsewhere, where the input has texts.
    """
    if path.split(".", maxsplit=1)[0] in ("users", "license"):
        return _hidden_secret(path, value)
    part = _part_of(Wanted.model_fields[path].annotation) if path in Wanted.model_fields else None
    texts = part.model_fields if part else {}
    match value:
        case dict():
            return {
                key: item if key in texts and isinstance(item, str) else _veiled(item) for key, item in value.items()
            }
        case list():
            return [item if isinstance(item, str) else _veiled(item) for item in value]
    return value


def _hidden_secret(path: str, value: Any) -> Any:
    """Return a value below `users` or `license` as it may be shown."""
    if isinstance(value, dict):
        return {key: _hidden_secret(path, item) for key, item in value.items()}
    if isinstance(value, list):
        return [_hidden_secret(path, item) for item in value]
    folders = ("/",) if path == "license" else ("/license/", "/users/")
    is_name = isinstance(value, str) and len(value) <= 400 and re.fullmatch(r"[A-Za-z0-9/_+=.@-]+", value)
    is_shown = (is_name and any(folder in value for folder in folders)) or path.endswith(f".{value}")
    return value if is_shown or not isinstance(value, str) else "***"


def _veiled(value: Any) -> Any:
    """Return a value without its texts."""
    if isinstance(value, dict):
        return {key: _veiled(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_veiled(item) for item in value]
    return "***" if isinstance(value, str) else value


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


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
