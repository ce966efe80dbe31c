"""What an execution may be given: the JSON Schema of the input, and the tables of it, from the product's own models.

An input is a merge patch, so in the schema no key is required, and every recorded key may be null. What a schema cannot
say (a secret's name begins with the application's, two users share no id) the first state of an execution says.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any, NamedTuple

from benchwright.errors import InvalidInput
from benchwright.models import (
    DEFAULT_CLUSTER,
    RESERVED_PERCENT,
    Access,
    Auth,
    Once,
    Plan,
    Repos,
    SessionLimits,
    Wanted,
    merge_patch,
)
from benchwright.planning.problems import SECRETS_OF_SIGN_IN
from benchwright.planning.read_input import read_input
from benchwright.planning.sign_in import METHODS, NEEDED
from benchwright.planning.unproven import WHOLE
from benchwright.rstudio_files import REFUSED
from benchwright.settings import Settings
from benchwright.values import DIGITS, LONGEST_NAME, OWNED_KEYS, RESERVED_NAMES, TAKEN_TAG
from tests.documentation.pages import code, table
from tests.templates.templates import APPLICATION

type Schema = dict[str, Any]


class Effect(NamedTuple):
    """What changing a key does to a cluster that runs: in a few words, and in sentences."""

    brief: str
    full: str


NEW_IMAGE = "A new image is built, about 20 minutes, while the nodes serve. "
REPLACED = (
    "Nodes are replaced a tenth at a time, up to ten of them one by one: new ones join before as many leave, so never "
    "fewer than `nodes.count` serve. RStudio sessions on a leaving node are suspended and reopen on another one; other "
    "sessions on it end."
)
IN_PLACE = "No node is replaced or restarted."
RESTART = (
    "Every node restarts its Workbench server, one node first, then the others at the same time. Sessions go on; pages "
    "reconnect after some seconds. No node is replaced."
)

OF_LIMITS = (
    "The first limit, and the last one that is taken away, switch control groups: the job launcher of every node "
    "restarts, which suspends RStudio sessions and ends others. Every other change is read while Workbench runs, and "
    "holds for sessions that start from then on. [What limits are](files.md#limit-what-a-session-takes)."
)
OF_FILE = "As for `files`. A file is given in one of these forms; null for the one before, if it had another."

# A test: every key of the input has an entry.
EFFECTS: Mapping[str, Effect] = {
    "cluster": Effect(
        "another cluster",
        "Another name is another cluster beside the first: database, files, keys and nodes of its own.",
    ),
    "workbench.version": Effect(
        "all nodes offline for the change",
        f"{NEW_IMAGE}Then all nodes are taken offline before the first new one starts, since nodes of different "
        "versions must not meet in one cluster. RStudio sessions are suspended and reopen afterwards; other sessions "
        "end. [How long it takes](operations.md#another-version-of-workbench).",
    ),
    "r_versions": Effect("a new image, nodes replaced, a tenth at a time", NEW_IMAGE + REPLACED),
    "python_versions": Effect("a new image, nodes replaced, a tenth at a time", NEW_IMAGE + REPLACED),
    "image.ami": Effect(
        "nodes replaced, a tenth at a time",
        f"Nothing is built. {REPLACED} The AMI must hold `workbench.version`; else the first node refuses it.",
    ),
    **{
        f"image.{name}": Effect("a new image, nodes replaced, a tenth at a time", NEW_IMAGE + REPLACED)
        for name in ("jupyter", "packages", "pro_drivers", "tinytex", "nvidia")
    },
    "image.rebuild": Effect(
        "a new image, nodes replaced, a tenth at a time",
        f"The newest Ubuntu 24.04 becomes the parent. {NEW_IMAGE}If another cluster with the same versions was rebuilt "
        f"on it since this one, that image is used. {REPLACED}",
    ),
    "nodes.count": Effect(
        "nodes come or go, the others stay",
        "Nodes are added or removed; the others are not touched. Auto Scaling chooses which nodes leave; RStudio "
        "sessions on them are suspended and reopen elsewhere, other sessions on them end. More than two nodes need an "
        "Advanced licence of Workbench.",
    ),
    "nodes.instance_type": Effect("nodes replaced, a tenth at a time", f"Nothing is built. {REPLACED}"),
    "nodes.root_volume_size": Effect("nodes replaced, a tenth at a time", f"Nothing is built. {REPLACED}"),
    "nodes.replace_at_once": Effect(
        "in place",
        f"Only the next replacement differs. {IN_PLACE} For so many nodes more, the quota of vCPUs, the subnets and "
        "the leases of a licence server need room. Less than a tenth is refused: a deployment would not end in time.",
    ),
    "database.min_capacity": Effect("in place", f"Aurora takes the new bound while it runs. {IN_PLACE}"),
    "database.max_capacity": Effect(
        "in place",
        f"Aurora takes the new bound while it runs. {IN_PLACE} PostgreSQL's `max_connections`, which follows from this "
        "bound, changes when a database instance next restarts.",
    ),
    "database.engine_version": Effect(
        "database restarts",
        "Aurora upgrades both instances, and connections break for up to a minute: Workbench connects again. A version "
        "below the one that runs has no effect, since Aurora does not go back.",
    ),
    "license": Effect(
        "Workbench restarts, sessions go on",
        f"{RESTART} A new version of the same secret does the same at the next deployment. More than two nodes need "
        "the tier Advanced.",
    ),
    "access.hostname": Effect(
        "Workbench restarts, sessions go on",
        f"The first time, a load balancer is made beside the image, and nodes are registered with it. {RESTART} "
        'Another name gets another certificate; the load balancer stays. `"access": null` takes the address away '
        "again, and people use the tunnel.",
    ),
    "access.hosted_zone_id": Effect(
        "in place",
        "The records of the host name, and the one by which ACM validates the certificate, are written into this "
        f"hosted zone. {IN_PLACE} The record for ACM stays in the zone before, too. "
        "If you created a CNAME record of the host name in it, delete that record first: Route 53 refuses an A record "
        "beside it.",
    ),
    "access.certificate_arn": Effect(
        "in place", f"The listener gets the certificate; connections that are open keep the one before. {IN_PLACE}"
    ),
    "access.scheme": Effect(
        "take the address away first",
        'A load balancer keeps its scheme, so a change is refused. Deploy with `"access": null`, and then with the '
        "address again: nodes and data stay.",
    ),
    "access.allowed_cidrs": Effect("in place", f"The security group of the load balancer changes. {IN_PLACE}"),
    "access.web_acl_arn": Effect("in place", f"The load balancer is associated with the web ACL. {IN_PLACE}"),
    "auth.method": Effect(
        "Workbench restarts, sessions go on",
        f"{RESTART} People sign in by the new method alone; who is signed in stays so until the session of the browser "
        "ends. Homes and accounts of `users` stay; accounts that Workbench has made can no longer sign in once it does "
        'not make accounts any more, and their homes are kept. `"auth": null` gives people back the passwords of '
        "`users`.",
    ),
    **{
        f"auth.{name}": Effect("Workbench restarts, sessions go on", RESTART)
        for name in Auth.model_fields
        if name != "method"
    },
    **{
        path: Effect(
            "Workbench restarts, sessions go on",
            f"{RESTART} A new version of the same secret does the same at the next deployment.",
        )
        for path in SECRETS_OF_SIGN_IN
    },
    "auth.probe_account": Effect("in place", f"Verifications look up another account. {IN_PLACE}"),
    "users": Effect(
        "in place",
        "Accounts are made or locked on every node (with an identity provider or sssd: removed); the home of who is "
        f"removed stays. {IN_PLACE}",
    ),
    "users.NAME.uid": Effect(
        "never changes",
        "After a verified deployment with the user, another id is refused for ever. Before, you can change it: where a "
        "failed deployment has made the account or the home already, the node says what to do.",
    ),
    "users.NAME.gid": Effect("never changes", "As for `uid`."),
    "users.NAME.password": Effect(
        "in place",
        "The password is set on every node. A new version of the secret is the new password at the next deployment.",
    ),
    "users.NAME.groups": Effect(
        "in place",
        "The user becomes a member on every node, or is one no longer. Sessions that run keep the groups with which "
        "they began.",
    ),
    "groups": Effect(
        "in place",
        "Groups are made on every node, or lose their members; files of a group that was removed keep its number, "
        f"which no other group gets. {IN_PLACE}",
    ),
    "groups.NAME.gid": Effect(
        "never changes",
        "After a verified deployment with the group, another id is refused for ever. Before, you can change it: where "
        "a failed deployment has made the group already, the node says what to do.",
    ),
    "groups.NAME.members": Effect(
        "in place",
        "As for `users.NAME.groups`; a list is given as a whole. A user who was removed from `users` is in no group, "
        "and need not be removed here.",
    ),
    **{
        f"limits.{path}": Effect("in place, but for the first limit", OF_LIMITS)
        for path in (*(f"default.{name}" for name in SessionLimits.model_fields), "groups", "users")
    },
    **{
        f"limits.{kind}.NAME.{name}": Effect(
            "in place, but for the first limit",
            f"As for `limits.{kind}`. What is left out is that of {others}.",
        )
        for kind, others in (
            ("groups", "`limits.default`"),
            ("users", "the user's groups in `limits.groups`, then of `limits.default`, each key by itself"),
        )
        for name in SessionLimits.model_fields
    },
    "limits.reserved_memory_mb": Effect("in place", f"Each node changes the share while it runs. {IN_PLACE}"),
    **{
        f"repos.{name}": Effect("in place", f"New sessions have the address. {IN_PLACE}") for name in Repos.model_fields
    },
    "audit.r_console": Effect(
        "Workbench restarts, sessions go on",
        f"{RESTART} Records are in the shared storage, in a folder of each node that only Workbench and root can read, "
        'and stay when a node goes. [Where they are](operations.md#audit-logs). `{"audit": {}}` records sign-ins and '
        'sessions of R alone, `{"audit": null}` nothing. It needs a licence of the tier '
        "Enhanced or Advanced.",
    ),
    "audit.months": Effect("Workbench restarts, sessions go on", RESTART),
    "metrics.allowed_cidr": Effect(
        "in place, but for the first range",
        "Another range changes the security group of the nodes, and restarts nothing. To begin with metrics, and to "
        f"end them, {RESTART[0].lower()}{RESTART[1:]} It needs a licence of the tier Enhanced or Advanced. [How "
        "Prometheus reads them](operations.md#metrics).",
    ),
    "acceptance.account": Effect(
        "Workbench restarts, sessions go on",
        f"Workbench's API is switched on for tokens of accounts. The first time, and when it is taken away, "
        f"{RESTART[0].lower()}{RESTART[1:]} "
        "Another account changes no file. It needs a licence of the tier Enhanced or Advanced. "
        "[What a verification does with it](operations.md#see-how-sessions-spread).",
    ),
    "config": Effect("Workbench restarts, sessions go on", RESTART),
    "files": Effect(
        "as the file needs it",
        "[What a change of each file does](files.md#the-files). Most restart the Workbench server, some nothing, and "
        "two of the launcher's suspend or end sessions. A file that is taken away is again what the image has.",
    ),
    "files.NAME.keys": Effect("as the file needs it", OF_FILE),
    "files.NAME.sections": Effect("as the file needs it", OF_FILE),
    "files.NAME.text": Effect("as the file needs it", OF_FILE),
    "files.NAME.secret": Effect(
        "as the file needs it", f"{OF_FILE} A new version of the same secret does the same at the next deployment."
    ),
    "tags": Effect(
        "in place",
        f"Stacks and what they made are tagged. {IN_PLACE} Instances that run keep the tags that they were launched "
        "with.",
    ),
    "only_if_deployed": Effect("none", "It decides whether anything is done at all; schedules give it."),
    "dry_run": Effect(
        "none",
        "The execution takes no lock, records nothing and changes nothing; its output says what the same input without "
        "this key would do: by step, nodes, sessions, time and monthly bill. What a deployment would refuse ends it "
        "with the same error.",
    ),
}
HOST = "workbench.example.com"
REACHED: Mapping[str, Any] = {"access": {"hostname": HOST}, "users": {"ann": {}}}
OIDC: Mapping[str, Any] = {
    **REACHED,
    "auth": {
        "method": "oidc",
        "issuer": "https://idp.example.com",
        "client_id": "workbench",
        "client_secret": "benchwright/auth/oidc",
    },
}
SAML: Mapping[str, Any] = {
    **REACHED,
    "auth": {"method": "saml", "metadata_url": "https://idp.example.com/metadata.xml"},
}
SSSD: Mapping[str, Any] = {
    "auth": {"method": "sssd", "sssd_conf": "benchwright/auth/sssd", "probe_account": "svc-probe"}
}
JIT: Mapping[str, Any] = {"auth": {"provisioning": "jit"}}
# What the example of a key names beside it.
BESIDE: Mapping[str, Any] = {
    **{f"access.{name}": {"access": {"hostname": HOST}} for name in Access.model_fields},
    "access.scheme": {"access": {"hostname": HOST, "allowed_cidrs": ["203.0.113.0/24"]}},
    **{f"auth.{name}": OIDC for name in ("method", *METHODS) if "oidc" in METHODS.get(name, ("oidc",))},
    **{f"auth.{name}": SAML for name, methods in METHODS.items() if methods == ("saml",)},
    **{f"auth.{name}": SSSD for name, methods in METHODS.items() if methods == ("sssd",)},
    "auth.metadata": {**REACHED, "auth": {"method": "saml"}},
    "auth.groups_claim": merge_patch(OIDC, JIT),
    "auth.groups_attribute": merge_patch(SAML, JIT),
    "auth.scim_token": merge_patch(OIDC, {"auth": {"provisioning": "scim"}}),
    "auth.required_group": {"groups": {"workbench-users": {"members": ["ann"]}}, "users": {"ann": {}}},
    "auth.admin_group": {"groups": {"workbench-admins": {"members": ["ann"]}}, "users": {"ann": {}}},
    "users.NAME.groups": {"groups": {"analysts": {}}},
    "groups": {"users": {"ann": {}}},
    "acceptance.account": {"users": {"probe": {}}},
    "groups.NAME.members": {"users": {"ann": {}}},
    "files.NAME.sections": {"groups": {"analysts": {}}},
    **{
        path: {"groups": {"analysts": {}}}
        for path in ("limits.groups", *(f"limits.groups.NAME.{name}" for name in SessionLimits.model_fields))
    },
    **{
        path: {"users": {"ann": {}}}
        for path in ("limits.users", *(f"limits.users.NAME.{name}" for name in SessionLimits.model_fields))
    },
}
NEVER_NULL = (
    "cluster",
    "acceptance.account",
    "access.hostname",
    "metrics.allowed_cidr",
    "only_if_deployed",
    "dry_run",
    "image.rebuild",
)
# Keys without which their method, or provisioning, is refused: null can only take them back together with it.
NEEDED_BY: Mapping[str, str] = {
    **{f"auth.{key}": f"`method` is `{method}`" for method, keys in NEEDED.items() for key in keys},
    "auth.metadata_url": "`method` is `saml`, unless `metadata` is given",
    "auth.metadata": "`method` is `saml`, unless `metadata_url` is given",
    "auth.scim_token": "`provisioning` is `scim`",
    "auth.method": "keys of another method than `pam` are given",
}
ACTS_ONCE = {"only_if_deployed": "only_if_deployed", "dry_run": "dry_run", "image.rebuild": "rebuild"}


def schema() -> Schema:
    """The JSON Schema (draft 2020-12) of the input of `deploy`."""
    recorded = Wanted.model_json_schema()
    # A licence is exchanged as a whole.
    parts = {name: part if name == "LicenseServer" else _patched(part) for name, part in recorded["$defs"].items()}
    parts["Access"]["properties"]["hostname"]["type"] = "string"  # an address without a name is none
    parts["Metrics"]["properties"]["allowed_cidr"]["type"] = "string"
    parts["Acceptance"]["properties"]["account"]["type"] = "string"
    once = Once.model_json_schema()["properties"]
    parts["Image"]["properties"]["rebuild"] = once["rebuild"] | {"examples": [True]}
    properties: Schema = {
        "Comment": {
            "description": "free text; the console of Step Functions fills it in, and Benchwright ignores it",
            "title": "Comment",
        },
        "cluster": Plan.model_json_schema()["properties"]["cluster"] | {"default": DEFAULT_CLUSTER},
        **_patched(recorded)["properties"],
        "only_if_deployed": once["only_if_deployed"] | {"examples": [True]},
        "dry_run": once["dry_run"] | {"examples": [True]},
    }
    taken = {"not": {"anyOf": [{"enum": sorted(RESERVED_NAMES)}, {"pattern": DIGITS}]}}
    properties["users"]["propertyNames"] |= taken
    properties["groups"]["propertyNames"] |= taken
    properties["tags"]["propertyNames"] |= {"not": {"pattern": f"{TAKEN_TAG}|^ | $"}}
    for name, key in (("File", "sections"), ("Limits", "groups"), ("Limits", "users")):
        parts[name]["properties"][key]["propertyNames"]["maxLength"] = LONGEST_NAME
    # Only null, which takes back what an earlier release accepted.
    properties["config"]["properties"] = {key: {"type": "null"} for key in sorted(OWNED_KEYS)}
    properties["files"]["properties"] = {name: {"type": "null"} for name in sorted(REFUSED)}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Input of a Benchwright deployment",
        "description": "What to change: a JSON merge patch on what was recorded. null returns a key to its default.",
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "$defs": parts,
    }


def schema_text() -> str:
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def refusal() -> str:
    """What the first state says of an input with two mistakes."""
    wrong = {"node": {"count": 3}, "nodes": {"count": "three"}}
    try:
        read_input(wrong, {}, defaults(), "benchwright").whole()
    except InvalidInput as error:
        return f"```text\n{json.dumps(wrong)}\n\n{error}\n```"
    raise AssertionError(f"{wrong} is accepted")


def defaults() -> dict[str, Any]:
    """What holds in a stack that was deployed with all defaults, in the shape of an input."""
    named = {
        name: str(APPLICATION["Parameters"][parameter]["Default"]) for name, parameter in _default_settings().items()
    }
    return Settings.model_validate({"application": "benchwright", **named}).defaults


def parameter_table() -> str:
    """The parameters of the stack, in the order in which `sam deploy --guided` asks for them."""
    rows = [
        [f"`{name}`", escaped(item["Description"]), f"`{item['Default']}`" if item["Default"] != "" else "empty"]
        for name, item in APPLICATION["Parameters"].items()
    ]
    return table(["parameter", "what it is", "default"], rows)


# The file of an example, by the form in which it is given.
FILE_OF = {
    "files.NAME.keys": "rsession.conf",
    "files.NAME.sections": "launcher.local.profiles.conf",
    "files.NAME.text": "launcher-env",
    "files.NAME.secret": "databricks.conf",
}


class Key(NamedTuple):
    """A leaf of the input, by its path."""

    path: str
    schema: Schema

    @property
    def description(self) -> str:
        return str(self.schema["description"])

    @property
    def example(self) -> str:
        """An input that gives this key a value, and nothing more than what that value names."""
        value = self.schema["examples"][0]
        for name in reversed(self.names):
            value = {name: value}
        return json.dumps(merge_patch(value, BESIDE.get(self.path, {})))

    @property
    def names(self) -> list[str]:
        """The path in the example."""
        entries = {"users": "ann", "groups": "analysts", "files": FILE_OF.get(self.path, "")}
        names = self.path.split(".")
        return [entries[names[n - 1]] if name == "NAME" else name for n, name in enumerate(names)]


def keys() -> list[Key]:
    """Every key, in the order of the models."""
    whole = schema()
    found = list(_leaves(whole, whole, ""))
    return [key for key in found if key.path != "Comment"]


def brief_table() -> str:
    """The table of README.md."""
    rows = [
        [f"`{key.path}`", escaped(key.description), default_of(key), EFFECTS[key.path].brief]
        for key in keys()
        if ".NAME." not in key.path
    ]
    return table(["key", "what it is", "default", "on a running cluster"], rows)


def reference() -> str:
    """The sections of docs/input.md, one for each key."""
    parts = []
    for key in keys():
        rows = [
            ["type", kind_of(key.schema)],
            *([["limits", limits]] if (limits := limits_of(key.schema)) else []),
            ["default", default_of(key)],
            ["null", null_of(key.path)],
            ["on a running cluster", EFFECTS[key.path].full],
            ["example", f"`{key.example}`"],
        ]
        parts += [f"### `{key.path}`", "", _sentence(escaped(key.description)), "", table(["", ""], rows), ""]
    return "\n".join(parts)


def null_of(path: str) -> str:
    """What null does to a key."""
    whole = path.partition(".")[0]
    if path in NEVER_NULL and whole in WHOLE:
        return f'refused; `{{"{whole}": null}}` takes it away'
    if path in NEVER_NULL:
        return "refused"
    return f"refused while {NEEDED_BY[path]}" if path in NEEDED_BY else "back to the default"


def default_of(key: Key) -> str:
    """What holds where neither the input nor the record says anything."""
    if parameter := parameters().get(key.path):
        value = APPLICATION["Parameters"][parameter]["Default"]
        return f"{code(str(value)) if value != '' else 'empty'} (parameter `{parameter}`)"
    default = key.schema.get("default")
    if default in (None, {}, []):
        return {
            "users.NAME.uid": "allocated from 20000",
            "users.NAME.gid": "the uid",
            "groups.NAME.gid": "allocated from 20000",
            "image.ami": "an image is built",
            "access.certificate_arn": "a certificate is requested",
            "limits.reserved_memory_mb": f"{RESERVED_PERCENT} percent of a node's memory",
        }.get(key.path, "none")
    return f"`{json.dumps(default).strip('"')}`"


def parameters() -> dict[str, str]:
    """The stack's parameter behind each key: what Settings makes of the variables that template.yaml fills with it."""
    named: dict[str, Any] = _default_settings()
    flat: dict[str, str] = {}
    for key, value in Settings.model_construct(None, **named).defaults.items():
        flat |= (
            {f"{key}.{inner}": name for inner, name in value.items()} if isinstance(value, dict) else {key: value[0]}
        )
    return flat


def _default_settings() -> dict[str, str]:
    """The parameter that fills each variable of the functions whose name begins with DEFAULT_."""
    variables = APPLICATION["Globals"]["Function"]["Environment"]["Variables"]
    return {name.lower(): _parameter(value) for name, value in variables.items() if name.startswith("DEFAULT_")}


def kind_of(part: Schema) -> str:
    """The JSON type of a key."""
    if len(_choices(part)) > 1:
        return "text or object"
    part = _not_null(part)
    if part["type"] == "array":
        return f"list of {_not_null(part['items'])['type']}s"
    kind = str(part["type"])
    return {"string": "text", "boolean": "`true` or `false`"}.get(kind, kind)


def limits_of(part: Schema) -> str:
    """The limits of a key, in words."""
    part = _not_null(part)
    texts = []
    if "minimum" in part:
        texts.append(f"{part['minimum']} to {part['maximum']}")
        owned = [(each["minimum"], each["maximum"]) for each in part.get("not", {}).get("anyOf", [])]
        texts += [f"not {first} to {last}" if first < last else f"not {first}" for first, last in owned]
    if "multipleOf" in part:
        texts.append(f"in steps of {part['multipleOf']}")
    if "maxItems" in part:
        texts.append(f"{part.get('minItems', 0)} to {part['maxItems']} items, each once")
    if "maxProperties" in part:
        texts.append(f"at most {part['maxProperties']}")
    for what, where in (("", part), ("each ", part.get("items", {})), ("names ", part.get("propertyNames", {}))):
        texts += _of_text(where, what)
    if isinstance(value := part.get("additionalProperties"), dict):
        texts += _of_text(_not_null(value), "values ")
    return ", ".join(texts)


def _of_text(part: Schema, what: str) -> Iterator[str]:
    """The limits of a text. what: stands before the pattern."""
    if "pattern" in part:
        longest = f" of at most {part['maxLength']:,} characters" if "maxLength" in part else ""
        yield f"{what}{code(part['pattern'])}{longest}"


def _patched(part: Schema) -> Schema:
    """A part of the input as a patch of it: nothing is required, null is a value, keys of maps are checked."""
    patched = deepcopy(part)
    patched.pop("required", None)
    patched["properties"] = {name: _nullable(_map(value)) for name, value in patched["properties"].items()}
    for value in patched["properties"].values():
        if "$ref" in str(value.get("anyOf")) and value.get("default"):
            del value["default"]
    return patched


def _map(value: Schema) -> Schema:
    """A map by pattern, as pydantic writes it, accepts every other key: here the pattern is a rule for the names."""
    patterns = value.pop("patternProperties", None)
    if patterns:
        ((pattern, item),) = patterns.items()
        value |= {"propertyNames": {"pattern": pattern}, "additionalProperties": _nullable(_map(item))}
    return value


def _nullable(value: Schema) -> Schema:
    """Accept null, too."""
    if "anyOf" in value:  # of an optional field: it has null already
        return value | {"anyOf": _flat_choices(value["anyOf"])}
    about = {name: value.pop(name) for name in ("title", "description", "default", "examples") if name in value}
    if set(value) == {"$ref"}:
        return about | {"anyOf": [value, {"type": "null"}]}
    choices = {"enum": [*value["enum"], None]} if "enum" in value else {}
    return about | value | choices | {"type": [value["type"], "null"]}


def _flat_choices(choices: list[Schema]) -> list[Schema]:
    """Choices without choices in them, as pydantic writes a union that is optional."""
    return [inner for choice in choices for inner in choice.get("oneOf", [choice])]


def _choices(part: Schema) -> list[Schema]:
    """What a value can be, beside null."""
    return [choice for choice in part.get("anyOf", []) if choice != {"type": "null"}]


def _not_null(part: Schema) -> Schema:
    """The schema of a value that is there."""
    if "anyOf" in part:
        part = part | part["anyOf"][0]
    if isinstance(part.get("type"), list):
        part = part | {"type": part["type"][0]}
    return part


def _leaves(part: Schema, whole: Schema, prefix: str) -> Iterator[Key]:
    for name, value in part["properties"].items():
        path = f"{prefix}{name}"
        inner = _referred(value, whole)
        if inner and len(_choices(value)) == 1:
            yield from _leaves(inner, whole, f"{path}.")
            continue
        yield Key(path, value)
        item = _referred(value.get("additionalProperties"), whole)
        if item:
            yield from _leaves(item, whole, f"{path}.NAME.")


def _referred(value: Any, whole: Schema) -> Schema | None:
    if isinstance(value, dict):
        for choice in value.get("anyOf", []):
            if "$ref" in choice:
                found: Schema = whole["$defs"][choice["$ref"].rpartition("/")[2]]
                return found
    return None


def _parameter(value: Any) -> str:
    """The parameter in `!Ref X` or `!Join [",", !Ref X]`."""
    return str(value["Ref"] if "Ref" in value else value["Fn::Join"][1]["Ref"])


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def escaped(text: str) -> str:
    """Markdown would take <application> for a tag."""
    return text.replace("<", "&lt;").replace(">", "&gt;")
