"""From what an input wants, what was recorded and what was looked up to a plan: decisions, no conversation with AWS."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

from benchwright import licensing
from benchwright.models import (
    Account,
    FileSecret,
    ImagePlan,
    License,
    LicenseServer,
    NodeGroup,
    Plan,
    SignIn,
    Wanted,
    merge_patch,
)
from benchwright.planning import generation, unproven
from benchwright.planning.engine import Engines, choose, other_version
from benchwright.planning.groups import members_of
from benchwright.planning.ids import allocate_ids
from benchwright.planning.problems import refusal
from benchwright.planning.read_input import Request
from benchwright.record import Known, Record, stored_length
from benchwright.secrets import Secret

# Bytes of JSON. A plan is a state's result and, beside the report on up to 50 nodes, part of an execution's output:
# these may have 262,144, and more ends an execution so that no state can catch it (Step Functions developer guide,
# "States.DataLimitExceeded"). With input and accounts, compressed, it is one item of DynamoDB, which may have 409,600.
LONGEST_PLAN, LONGEST_RECORD = 160_000, 390_000
Source = Literal["input", "recorded", "parameter", "default"]


class LookupResult(NamedTuple):
    """What the plan needs to know from outside: secrets by name, and the parent image behind its public parameter."""

    secrets: Mapping[str, Secret]
    parent_image: str
    engines: Engines = Engines()


def sources_of(patch: Mapping[str, Any], known: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Source]:
    """Return for each effective value where it came from, by dotted path."""
    flat_patch, flat_known, flat_defaults = flat(patch), flat(known), flat(defaults)
    sources: dict[str, Source] = {}
    given = {path for path, value in (flat_known | flat_patch).items() if value is not None}
    # A default that is an empty object, such as that of `users`, is in force only where nothing is given below it.
    defaults_in_force = [
        path for path in flat(_model_defaults()) if not any(each.startswith(f"{path}.") for each in given)
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
    request: Request,
    wanted: Wanted,
    known: Known,
    looked: LookupResult,
    *,
    defaults: Mapping[str, Any],
    execution: str,
    others: Iterable[Record] = (),
) -> tuple[Plan, Known]:
    """Decide what this execution must make true, and what to record of it.

    others: the records of the other clusters, for an execution that begins a generation of the image.

    Raises InvalidInput where ids contradict each other, and where it would be too long for a state or the record.
    """
    image = ImagePlan(ami=wanted.image.ami, parent_image=known.parent_image, generation=known.generation)
    if generation.begins(known, execution, rebuild=request.once.rebuild):
        image = generation.begin(wanted, known, looked.parent_image, others, rebuild=request.once.rebuild)
    # A version that an input gave is not one that was looked up: who takes it back gets another.
    looked_up = "" if known.input.get("database", {}).get("engine_version") else known.engine_version
    ids, gids = allocate_ids(wanted, known)
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
    members = members_of(wanted)
    groups = {name: group.model_copy(update={"gid": gids[name]}) for name, group in wanted.groups.items()}
    license_ = _license(wanted, secrets)
    _refuse_nodes(wanted, license_, known)
    plan = Plan(
        cluster=request.cluster,
        wanted=wanted.model_copy(update={"users": users, "groups": groups}),  # the plan shows effective values
        image=image,
        license=license_,
        sign_in=_sign_in(wanted, secrets),
        file_secrets={
            name: FileSecret(arn=secrets[file.secret].arn, version=secrets[file.secret].version)
            for name, file in sorted(wanted.files.items())
            if file.secret
        },
        accounts=accounts,
        engine_version=choose(wanted.database.engine_version, looked_up, looked.engines),
        removes_access=known.has_access and wanted.access is None,
        locked_accounts={name: ids[name] for name in sorted(set(ids) - set(wanted.users))},
        groups=[NodeGroup(name=name, gid=gids[name], members=members[name]) for name in sorted(wanted.groups)],
        emptied_groups={name: gids[name] for name in sorted(set(gids) - set(wanted.groups))},
        sources=sources_of(request.patch, known.input, defaults),
    )
    rebuilt_by = execution if request.once.rebuild else known.rebuilt_by
    record = known.model_copy(
        update={
            "input": merge_patch(known.input, request.patch),
            "accounts": ids,
            "groups": gids,
            "parent_image": image.parent_image,
            "engine_version": plan.engine_version,
            "other_engine_version": other_version(plan.engine_version, looked.engines),
            "has_access": known.has_access or wanted.access is not None,
            "generation": image.generation,
            "rebuilt_by": rebuilt_by,
            "origins": unproven.origins(known, request.patch, execution),
        }
    )
    _check_length(plan, record)
    return plan, record


def _license(wanted: Wanted, secrets: Mapping[str, Secret]) -> License | None:
    match wanted.license:
        case None:
            return None
        case LicenseServer(server=server):
            return License(server=server)
        case name:
            return License(secret_arn=secrets[name].arn, secret_version=secrets[name].version)


def _sign_in(wanted: Wanted, secrets: Mapping[str, Secret]) -> SignIn:
    auth = wanted.auth
    nothing = Secret("", "")
    name = auth.client_secret or auth.metadata or auth.sssd_conf
    secret = secrets[name] if name else nothing
    token = secrets[auth.scim_token] if auth.scim_token else nothing
    return SignIn(
        secret_arn=secret.arn, secret_version=secret.version, token_arn=token.arn, token_version=token.version
    )


def _refuse_nodes(wanted: Wanted, license_: License | None, known: Known) -> None:
    """Refuse more nodes than a licence file allows whose tier an earlier execution has read on a node.

    What a licence server leases can change at any time: the first node reads it again.
    """
    is_of_file = license_ and license_.secret_arn and licensing.identity(license_) == known.license_read
    tier = known.license_tier if is_of_file else None
    if refused := licensing.refusal(tier, wanted.nodes.count):
        raise refusal([("nodes.count", wanted.nodes.count, *refused)])


def shown(plan: Plan) -> dict[str, Any]:
    """Return a plan as an execution shows it: without accounts, and without users and groups where these are too long.

    `omitted` then says how many they are. The bundle in the bucket has them all.
    """
    whole = plan.model_dump(mode="json", exclude={"accounts", "groups"})
    whole |= {name: list(whole[name]) for name in ("locked_accounts", "emptied_groups")}
    if len(json.dumps(whole)) <= LONGEST_PLAN:
        return whole
    people = ("users", "groups")
    omitted = {name: len(whole["wanted"][name]) for name in people}
    omitted |= {name: len(whole[name]) for name in ("locked_accounts", "emptied_groups")}
    sources = {path: source for path, source in whole["sources"].items() if path.split(".")[0] not in people}
    wanted = whole["wanted"] | {name: {} for name in people}
    return whole | {
        "wanted": wanted,
        "sources": sources,
        "locked_accounts": [],
        "emptied_groups": [],
        "omitted": omitted,
    }


def _check_length(plan: Plan, record: Known) -> None:
    for length, most, where in (
        (len(json.dumps(shown(plan))), LONGEST_PLAN, "a state of Step Functions"),
        (stored_length(plan, record), LONGEST_RECORD, "the cluster's item in DynamoDB"),
    ):
        if length > most:
            wrong = f"it would have more than the {most:,} bytes that Benchwright puts into {where}"
            raise refusal([("the plan", length, wrong, "fewer users, files, config keys or tags, or shorter values")])


def _model_defaults() -> dict[str, Any]:
    return {
        name: info.get_default(call_default_factory=True)
        for name, info in Wanted.model_fields.items()
        if not info.is_required() and name != "image"
    } | {"image": {"ami": None}}


def flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Spread nested objects to dotted paths; lists and empty objects are values."""
    spread: dict[str, Any] = {}
    for key, item in value.items():
        if isinstance(item, dict) and item:
            spread |= flat(item, f"{prefix}{key}.")
        else:
            spread[f"{prefix}{key}"] = item
    return spread
