"""From an execution's input to what it wants: every problem at once, and what only AWS knows to exist."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError

from benchwright.errors import InvalidInput
from benchwright.models import (
    DEFAULT_CLUSTER,
    MOST_TURNS,
    OLDEST_PYTHON_OF_JUPYTER,
    Access,
    Image,
    Once,
    Wanted,
    least_at_once,
    merge_patch,
)
from benchwright.planning import administration, files, groups, limits, secret_names, server_options, sign_in
from benchwright.planning.problems import (
    BACK,
    OR_BACK,
    Problem,
    explained,
    object_in,
    objects_in,
    of_recorded,
    part_of,
    refusal,
    without_texts,
)
from benchwright.planning.similar_names import meant
from benchwright.rstudio_files import FILES
from benchwright.values import (
    APPLICATION_NAME,
    APPLICATION_NAME_IN_WORDS,
    CLUSTER_NAME,
    CLUSTER_NAME_IN_WORDS,
    LONGEST_APPLICATION,
    LONGEST_CLUSTER,
    OWNED_KEYS,
    PRIVATE_RANGES,
    RESERVED_NAMES,
    WRITTEN_KEYS,
    SecretName,
)

# Levels of an input: users, a name, its keys, and room for what is wrong. Python's own readers end at about 1,000.
DEEPEST = 8
OF_DEPLOY = ("dry_run", "only_if_deployed")  # keys of a deployment that act once, and are no part of another key
OF_VERIFY = ("every_cluster", "sessions")  # keys of a verification alone
MOST_SESSIONS = 50  # of a verification
SECURE_COOKIES = "auth-cookies-force-secure"  # of rserver.conf; nodes/bundle.py writes it
KINDS = {str: "a text", list: "a list", bool: "true or false", int: "a number", float: "a number", type(None): "null"}


class Request(NamedTuple):
    """An execution's input, taken apart: which cluster, what acts once, and the patch on the recorded input."""

    cluster: str
    once: Once
    patch: dict[str, Any]


class VerifyRequest(NamedTuple):
    """What a verification is about: one cluster, or every one that is recorded. sessions: how many it opens."""

    cluster: str
    every_cluster: bool = False
    sessions: int = 0


class Named(NamedTuple):
    """What an input names and only AWS knows to exist: secrets by the path of the key that names them, an AMI, and an
    address.

    Each is right in itself, whatever else is wrong with the input.
    """

    secrets: Mapping[str, str]
    ami: str | None
    access: Access | None = None


class Reading(NamedTuple):
    """An input as far as it can be read.

    wanted: None where a problem keeps it from being read as a whole. recorded: the input of earlier executions.
    """

    request: Request
    wanted: Wanted | None
    named: Named
    problems: tuple[Problem, ...]
    recorded: Mapping[str, Any] = {}

    def whole(self, more: Iterable[Problem] = ()) -> tuple[Request, Wanted]:
        """Return the request and every effective value; raises InvalidInput that lists all problems, and `more`."""
        problems = [self._with_source(problem) for problem in (*self.problems, *more)]
        if problems or self.wanted is None:
            raise refusal(problems)
        return self.request, self.wanted

    def _with_source(self, problem: Problem) -> Problem:
        """Say of a refused value that this input does not hold it, where it is a recorded one."""
        path, value, wrong, give = problem
        if _mentions(self.request.patch, path) or not _mentions(self.recorded, path):
            return problem
        return path, value, f"{wrong} (an earlier execution recorded it)", of_recorded(give)


def read_input(
    raw: Any,
    known: Mapping[str, Any],
    defaults: Mapping[str, Any],
    application: str,
    *,
    earlier_users: Collection[str] = (),
    earlier_groups: Collection[str] = (),
) -> Reading:
    """Read an input and find every problem that it has in itself; raises InvalidInput where it is no object at all.

    known: the recorded input of the cluster; defaults: the stack's parameters in the shape of an input; earlier_users
    and earlier_groups: the names that earlier inputs had, also of those who were removed since.
    """
    request, problems = _split_input(raw)
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
    of_secrets = list(secret_names.contradictions(merged, application))
    try:
        wanted = Wanted.model_validate(merged)
    except ValidationError as error:
        seen = {path for path, *_ in (*problems, *of_secrets)}
        problems += [problem for problem in explained(error) if problem[0] not in seen]
    problems += [*_contradictions(merged), *of_secrets]
    of_sign_in = sign_in.contradictions(merged)
    misplaced = {path for path, *_ in of_sign_in}  # where a key must not be, it does not matter whom it names
    of_groups = groups.contradictions(merged, earlier_users, earlier_groups)
    problems += [*(problem for problem in of_groups if problem[0] not in misplaced), *of_sign_in]
    problems += files.contradictions(merged)
    problems += administration.contradictions(merged)
    problems += limits.contradictions(merged, earlier_users, earlier_groups)
    problems += _without_effect(request, merged)
    return Reading(request, wanted, _named(merged, application), tuple(problems), known)


def warn(wanted: Wanted) -> list[str]:
    """Return what an input has that a node may refuse, or that keeps people out."""
    return [*groups.warn(wanted), *sign_in.warn(wanted), *files.warn(wanted), *limits.warn(wanted)]


def cluster_of(raw: Any) -> str:
    """Return the name of the cluster that an input is about, as far as it can be read; the default one otherwise."""
    return _split_input(raw)[0].cluster


def read_verify_input(raw: Any) -> VerifyRequest:
    """Return what a verification is about; raises InvalidInput for anything else in its input."""
    keys = dict(raw) if isinstance(raw, dict) else raw
    others = [key for key in keys if key not in ("cluster", "Comment", *OF_VERIFY)] if isinstance(keys, dict) else []
    values = {key: keys.pop(key) for key in (*others, *OF_VERIFY) if isinstance(keys, dict) and key in keys}
    every_cluster, sessions = values.get("every_cluster", False), values.get("sessions", 0)
    request, problems = _split_input(keys)
    for key in others:
        is_known = key in Wanted.model_fields or key in OF_DEPLOY
        wrong = "a verification changes nothing" if is_known else f"an unknown key{meant(key, ('cluster', *OF_VERIFY))}"
        shown = "..." if _is_deeper(values[key], DEEPEST) else without_texts(values[key])
        problems.append((key, shown, wrong, "cluster, every_cluster or sessions alone"))
    if not isinstance(every_cluster, bool):
        problems.append(("every_cluster", every_cluster, "it is neither true nor false", "true or false"))
    elif every_cluster and "cluster" in keys:
        problems.append(("every_cluster", True, "it is given together with cluster", "one of the two"))
    if type(sessions) is not int or not 0 <= sessions <= MOST_SESSIONS:
        problems.append(("sessions", sessions, "it is not a number of sessions", f"a number from 0 to {MOST_SESSIONS}"))
    elif sessions and every_cluster is True:
        problems.append(("sessions", sessions, "it is given together with every_cluster", "one of the two"))
    if problems:
        raise refusal(problems)
    return VerifyRequest(request.cluster, every_cluster, sessions)


def _split_input(raw: Any) -> tuple[Request, list[Problem]]:
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
    only_if_deployed, dry_run, rebuild = patch.pop("only_if_deployed", False), patch.pop("dry_run", False), False
    if isinstance(image := patch.get("image"), dict):
        patch["image"] = image = dict(image)
        rebuild = image.pop("rebuild", False)
        if rebuild is True and image.get("ami"):
            problems.append(("image.rebuild", rebuild, "it is given together with image.ami", "one of the two"))
        if not image:
            patch.pop("image")
    flags = (("only_if_deployed", only_if_deployed), ("dry_run", dry_run), ("image.rebuild", rebuild))
    for path, value in flags:
        if not isinstance(value, bool):
            problems.append((path, value, "it is neither true nor false", "true or false"))
    problems += _unknown_keys(patch, Wanted, "")
    once = Once(rebuild=rebuild is True, only_if_deployed=only_if_deployed is True, dry_run=dry_run is True)
    return Request(cluster, once, patch), problems


def _mentions(value: Any, path: str) -> bool:
    """Return whether an input gives the value at a dotted path, a part or what holds it; names have dots, too."""
    if not isinstance(value, dict) or not path:
        return True
    return any(
        path == key or (path.startswith(f"{key}.") and _mentions(item, path.removeprefix(f"{key}.")))
        for key, item in value.items()
    )


def _is_name(name: Any, pattern: str, longest: int) -> bool:
    return isinstance(name, str) and len(name) <= longest and re.fullmatch(pattern, name) is not None


def _is_deeper(value: Any, levels: int) -> bool:
    """Return whether a value has more levels, without a call for each of them."""
    layer = [value]
    for _ in range(levels):
        parts = (item.values() if isinstance(item, dict) else item for item in layer if isinstance(item, dict | list))
        layer = [item for part in parts for item in part]
    return bool(layer)


def _named(merged: Mapping[str, Any], application: str) -> Named:
    """Find what is named and right in itself."""
    image = {"ami": object_in(merged, "image").get("ami")}
    access = object_in(merged, "access")
    return Named(
        secrets={
            path: name
            for path, name in secret_names.keys(merged).items()
            if _is_valid(_secret_name().validate_python, name)
            and name.startswith(secret_names.prefix_of(path, application))
        },
        ami=image["ami"] if _is_valid(Image.model_validate, image) else None,
        access=Access.model_validate(access) if _is_valid(Access.model_validate, access) else None,
    )


@cache
def _secret_name() -> TypeAdapter[Any]:
    return TypeAdapter(SecretName)


def _is_valid(validate: Callable[[Any], Any], value: Any) -> bool:
    try:
        validate(value)
    except ValidationError:
        return False
    return True


def _too_slow(nodes: Mapping[str, Any]) -> Iterator[Problem]:
    """Find a number of nodes that are replaced at the same time with which a deployment would not end in time."""
    at_once, count = nodes.get("replace_at_once"), nodes.get("count")
    if type(at_once) is not int or type(count) is not int or not 0 < at_once < least_at_once(count):
        return
    wrong = f"a deployment has time to replace {MOST_TURNS * at_once} nodes so, and nodes.count is {count}"
    yield "nodes.replace_at_once", at_once, wrong, f"at least {least_at_once(count)}, {OR_BACK}"


def _contradictions(merged: Mapping[str, Any]) -> list[Problem]:
    """Find what no single field shows.

    Works on an input that may be wrong in other ways too, so that everything is reported at once.
    """
    problems: list[Problem] = [*_too_slow(object_in(merged, "nodes"))]
    users = objects_in(merged, "users")
    problems += [
        (f"users.{name}", users[name], "it is an account of the system, or a group of it", "another name")
        for name in sorted(RESERVED_NAMES & set(users))
    ]
    for kind in ("uid", "gid"):
        owners: dict[int, str] = {}
        for name, user in sorted(users.items()):
            implied = kind == "gid" and user.get("gid") is None
            number = user.get("uid" if implied else kind)
            if not isinstance(number, int) or (first := owners.setdefault(number, name)) == name:
                continue
            if not (implied and users[first].get("uid") == number):  # then the uid was reported already
                problems.append((f"users.{name}.{kind}", number, f"users.{first} has it", "each user its own"))
    config = server_options.given(merged)
    problems += [
        (
            *config[key],
            "Benchwright writes this key itself"
            if key in WRITTEN_KEYS
            else "nodes rely on Workbench's default for this key",
            BACK,
        )
        for key in sorted(OWNED_KEYS & set(config))
    ]
    of_sessions = (FILES["rsession.conf"].keys or {})[""]
    problems += [
        (
            *config[key],
            "it is a key of rsession.conf, not of rserver.conf",
            'it in files["rsession.conf"].keys, and null here',
        )
        for key in sorted(config.keys() & (of_sessions - server_options.PUBLISHED))
    ]
    problems += _without_kernel(merged)
    cran = object_in(merged, "repos").get("cran")
    if cran and object_in(objects_in(merged, "files"), "repos.conf"):
        instead = '"files": {"repos.conf": null}, or null here'
        problems.append(("repos.cran", cran, "files.repos.conf is given, and holds all of that file", instead))
    access = object_in(merged, "access")
    if access and SECURE_COOKIES in config:
        wrong = "Benchwright writes this key itself for a cluster with an address"
        problems.append((*config[SECURE_COOKIES], wrong, BACK))
    if access.get("scheme") == "internet-facing" and "allowed_cidrs" not in access:
        wrong = f"people come from the internet, and only {', '.join(PRIVATE_RANGES)} are let in"
        problems.append(("access.allowed_cidrs", None, wrong, "the public ranges that people come from, or 0.0.0.0/0"))
    return problems


def _without_kernel(merged: Mapping[str, Any]) -> list[Problem]:
    """Find versions of Python that are too old for the kernel of Jupyter that the image has."""
    versions, image = merged.get("python_versions"), object_in(merged, "image")
    if not isinstance(versions, list) or image.get("ami") or image.get("jupyter") is False:
        return []
    oldest = ".".join(map(str, OLDEST_PYTHON_OF_JUPYTER))
    return [
        (
            "python_versions",
            version,
            f"JupyterLab has kernels for Python {oldest} and newer",
            'newer versions alone, or "image": {"jupyter": false}',
        )
        for version in versions
        if isinstance(version, str)
        and re.fullmatch(r"[0-9]+\.[0-9]+\.[0-9]+", version)
        and tuple(map(int, version.split(".")[:2])) < OLDEST_PYTHON_OF_JUPYTER
    ]


def _without_effect(request: Request, merged: Mapping[str, Any]) -> list[Problem]:
    """Find what would be recorded and change nothing, since the cluster uses an AMI of someone's own."""
    ami = object_in(merged, "image").get("ami")
    if not ami or request.once.only_if_deployed:
        return []
    asked = [(key, request.patch[key]) for key in ("r_versions", "python_versions") if request.patch.get(key)]
    asked += [
        (f"image.{key}", value)
        for key in ("packages", "pro_drivers", "tinytex", "nvidia")
        if (value := object_in(request.patch, "image").get(key))
    ]
    if request.once.rebuild and not object_in(request.patch, "image").get("ami"):
        asked.append(("image.rebuild", True))
    remedy = 'it with "image": {"ami": null}, or leave it out'
    return [(key, value, f"the cluster uses the AMI {ami}, and nothing is built", remedy) for key, value in asked]


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
            known = sorted({*model.model_fields, *({"cluster", *OF_DEPLOY} if not prefix else set())})
            wrong, give = f"an unknown key{meant(key, known)}", f"one of {', '.join(known)}"
            if not prefix and key in OF_VERIFY:
                wrong, give = "it is a key of the input of `verify`, not of `deploy`", "it to `verify`"
            problems.append((path, without_texts(value), wrong, give))
        elif isinstance(value, dict) and (part := part_of(annotation := model.model_fields[key].annotation)):
            for name, item in value.items() if get_origin(annotation) is dict else [("", value)]:
                if isinstance(item, dict):
                    problems += _unknown_keys(item, part, f"{path}.{name}." if name else f"{path}.")
    return problems
