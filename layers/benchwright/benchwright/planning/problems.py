"""What is wrong with an input: problems, their texts, and the error that lists them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from benchwright.errors import InvalidInput
from benchwright.models import Wanted
from benchwright.rstudio_files import FILES
from benchwright.values import FORMS, SECRET_NAME

# How much of an input a refusal repeats: characters of a value and of a path, and problems.
LONGEST_SHOWN, LONGEST_PATH, MOST_PROBLEMS = 80, 120, 20
SECRETS_OF_SIGN_IN = ("auth.client_secret", "auth.metadata", "auth.sssd_conf", "auth.scim_token")
SECRET_FOLDERS = ("/auth/", "/files/", "/license/", "/users/")  # in the names of the secrets that an input names
ARN_OF_SECRET = r"arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:([A-Za-z0-9/_+=.@-]{1,407})"
# What to do about a value that should not be there, and where another one may be given as well.
BACK, OR_BACK = "Remove it; if it is recorded, give null", "or remove it; if it is recorded, give null"
type Problem = tuple[str, Any, str, str]  # path, value, what is wrong, what to give
# What is wrong, by pydantic's type of an error, in words for people who do not know pydantic.
IN_WORDS: Mapping[str, str] = {
    "missing": "it is missing",
    "dict_type": "it is not an object",
    "model_type": "it is not an object",
    "list_type": "it is not a list",
    "string_type": "it is not text",
    "string_unicode": "it is not text: it has half of a character",
    "bool_type": "it is neither true nor false",
    "int_type": "it is not a whole number",
    "int_from_float": "it is not a whole number",
    "float_type": "it is not a number",
    "finite_number": "it is not a finite number",
    "literal_error": "it is none of {expected}",
    "string_too_long": "it has more than {max_length:,} characters",
    "string_too_short": "it has fewer than {min_length:,} characters",
    "too_long": "it has more than {max_length:,} entries",
    "too_short": "it has fewer than {min_length:,} entries",
    "greater_than_equal": "it is below {ge}",
    "less_than_equal": "it is above {le}",
}


def refusal(problems: Iterable[Problem]) -> InvalidInput:
    """List every problem in a line of its own, as far as a person reads."""
    lines = list(dict.fromkeys(_line(*problem) for problem in problems))
    count = "1 problem" if len(lines) == 1 else f"{len(lines)} problems"
    more = [f"- and {len(lines) - MOST_PROBLEMS} more"] if len(lines) > MOST_PROBLEMS else []
    shown = [f"- {line}" for line in lines[:MOST_PROBLEMS]]
    return InvalidInput("\n".join([f"The input has {count}; nothing was changed.", *shown, *more]))


def _line(path: str, value: Any, wrong: str, give: str) -> str:
    name = _cut(json.dumps(path)[1:-1], LONGEST_PATH)  # a key may hold anything, also line breaks
    shown = _cut(json.dumps(_without_password(_hidden(path, value)), default=str), LONGEST_SHOWN)
    return f"{name}: {shown} is refused: {wrong}. {remedy(give)}."


def remedy(give: str) -> str:
    """Return a problem's last part as a sentence without its full stop."""
    return give if give.startswith(BACK) else f"Give {give}"


def of_recorded(give: str) -> str:
    """Return what to do where an earlier execution recorded the value: this input has nothing to remove."""
    return give.replace(OR_BACK, "or null, which takes it back").replace(BACK, "null, which takes it back")


def _hidden(path: str, value: Any) -> Any:
    """Return a value as it may be shown.

    Who writes a password or a licence where the name of its secret belongs, or below a key that they spelled wrong,
    must not find it in mails and logs. Below `users` and `license` a text is shown only if it is in a list of groups,
    looks like the name or the ARN of a secret, or is the key itself; elsewhere, where the input has texts.
    """
    if re.search(r"\.groups\.[0-9]+$", path) or (isinstance(value, list) and path.endswith(".groups")):
        return value
    if path.split(".", maxsplit=1)[0] in ("users", "license"):
        return _hidden_secret(path, value)
    if path == "auth" or (path.startswith("auth.") and isinstance(value, dict)):
        return without_texts(value)  # where a text belongs, or with a secret in it
    if path.split(".", maxsplit=1)[0] == "files":
        return _hidden_in_file(path, value)
    if path in SECRETS_OF_SIGN_IN:
        return value if isinstance(value, str) and is_name_of_secret(value) else without_texts(value)
    # What is missing in an object is reported with the object.
    key = path if path in Wanted.model_fields else path.rpartition(".")[0]
    part = part_of(Wanted.model_fields[key].annotation) if key in Wanted.model_fields else None
    texts = part.model_fields if part else {}
    match value:
        case dict():
            return {
                key: item if key in texts and isinstance(item, str) else without_texts(item)
                for key, item in value.items()
            }
        case list():
            return [item if isinstance(item, str) else without_texts(item) for item in value]
    return value


def _hidden_in_file(path: str, value: Any) -> Any:
    """Return a value below `files` as it may be shown: only keys of files that are known to hold no secret."""
    inner = path.removeprefix("files.")
    if inner.endswith(".secret"):
        return value if isinstance(value, str) and is_name_of_secret(value) else without_texts(value)
    is_open = any(
        inner.startswith((f"{name}.keys.", f"{name}.sections.")) for name, file in FILES.items() if not file.secret
    )
    return value if is_open and isinstance(value, str) else without_texts(value)


def _hidden_secret(path: str, value: Any) -> Any:
    """Return a value below `users` or `license` as it may be shown."""
    if isinstance(value, dict):
        return {key: _hidden_secret(path, item) for key, item in value.items()}
    if isinstance(value, list):
        return [_hidden_secret(path, item) for item in value]
    is_server = (
        path.split(".", maxsplit=1)[0] == "license"
        and isinstance(value, str)
        and re.fullmatch(r"[A-Za-z0-9.-]{1,253}:[0-9]{1,6}", value)
    )
    is_name = isinstance(value, str) and is_name_of_secret(value)
    is_shown = is_name or path.endswith(f".{value}") or is_server
    return value if is_shown or not isinstance(value, str) else "***"


def is_name_of_secret(text: str) -> bool:
    """Return whether a text looks like the name of a secret that an input names, or is the ARN of a secret."""
    is_name = re.fullmatch(SECRET_NAME, text) is not None and any(folder in text for folder in SECRET_FOLDERS)
    return is_name or re.fullmatch(ARN_OF_SECRET, text) is not None


def without_texts(value: Any) -> Any:
    """Return a value without its texts."""
    if isinstance(value, dict):
        return {key: without_texts(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_texts(item) for item in value]
    return "***" if isinstance(value, str) else value


def _without_password(value: Any) -> Any:
    """Return a value in which no address has a user and a password, as in https://bob:hunter2@idp.example.com."""
    if isinstance(value, dict):
        return {key: _without_password(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_password(item) for item in value]
    if not isinstance(value, str) or ":" not in value:
        return value
    scheme, _, rest = value.partition(":")
    shown, found, place = rest.rpartition("@")
    return f"{scheme}:{'//' * shown.startswith('//')}***@{place}" if found else value


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def part_of(annotation: Any) -> type[BaseModel] | None:
    """Return the model that an annotation holds, also within an optional, a union or a map."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for kind in get_args(annotation) if (found := part_of(kind))), None)


def explained(error: ValidationError) -> list[Problem]:
    problems: list[Problem] = []
    for detail in error.errors():
        parts = [str(part) for part in detail["loc"] if part != "[key]"]
        if parts[0] == "license":
            del parts[1:2]  # whether it was read as a name or as an object
        context = detail.get("ctx", {})
        message = IN_WORDS.get(detail["type"], "").format_map(context) or detail["msg"].removeprefix("Value error, ")
        if detail["type"] == "literal_error" and "," not in context["expected"]:
            message = f"it is neither {context['expected'].replace(' or ', ' nor ')}"
        if detail["type"] == "string_pattern_mismatch":
            message = f"not {FORMS[context['pattern']]}"
        problems.append((".".join(parts), detail["input"], message, _good_value(parts)))
    return problems


def _good_value(parts: list[str]) -> str:
    """Describe a good value of the innermost field on a path, with an example."""
    model: type[BaseModel] | None = Wanted
    good = "a value as in docs/input.md"
    for part in parts:
        if model and part in model.model_fields:
            field_info = model.model_fields[part]
            model = part_of(field_info.annotation)
            if model and not field_info.examples:
                whole = {name: inner.examples[0] for name, inner in model.model_fields.items() if inner.examples}
                good = f"an object such as {json.dumps(field_info.examples[0] if field_info.examples else whole)}"
            else:
                example = json.dumps(field_info.examples[0]) if field_info.examples else ""
                good = f"{field_info.description}; for example {example}"
    return good


def object_in(merged: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return the object at a key of an input that may be wrong; empty where something else stands there."""
    value = merged.get(key)
    return value if isinstance(value, dict) else {}


def objects_in(merged: Mapping[str, Any], key: str) -> dict[str, dict[str, Any]]:
    """Return the objects in a map of such an input, by name: those of `users` or `groups` that can be read."""
    return {name: part for name, part in object_in(merged, key).items() if isinstance(part, dict)}
