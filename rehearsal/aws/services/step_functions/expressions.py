"""JSONata expressions as Step Functions evaluates them: moto has no evaluation of its own."""

import copy
import functools
import hashlib
import json
import re
import uuid
from typing import Any

import jsonata

OPENING = re.compile(r"(\$\w+\()?\(")
ASSIGNED = re.compile(r"\$(\w+):=")


def evaluate(expression: str) -> Any:
    """The value of a JSONata expression; an undefined one is None, which moto turns into QueryEvaluationError."""
    values, own = split_expression(expression)
    parsed = copy.copy(_parsed(own))
    parsed.environment = parsed.create_frame(jsonata.Jsonata.static_frame)
    jsonata.Jsonata.CURRENT.jsonata = parsed  # which some functions of JSONata ask; a new one would note itself, too
    for name, value in values.items():
        parsed.assign(name, value)
    if "$uuid" in own:
        parsed.register_lambda("uuid", lambda: str(uuid.uuid4()))
    if "$hash" in own:
        parsed.register_lambda("hash", _hash)
    return json.loads(json.dumps(parsed.evaluate(None), default=float))


@functools.lru_cache(maxsize=1_000)
def _parsed(expression: str) -> jsonata.Jsonata:
    """An expression that is parsed already: that takes longer than to evaluate it, which changes nothing of it."""
    return jsonata.Jsonata(expression)


def split_expression(expression: str) -> tuple[dict[str, Any], str]:
    """The values of the variables, and the expression without them.

    moto writes `($states:={…};$plan:={…};EXPRESSION)`, at times within a function, and jsonata takes long to read JSON.
    """
    opening = OPENING.match(expression)
    position = start = opening.end() if opening else 0
    values = {}
    while named := ASSIGNED.match(expression, position):
        try:
            value, end = JSON.raw_decode(expression, named.end())
        except json.JSONDecodeError:
            break
        if expression[end : end + 1] != ";":
            break
        values[named[1]], position = _with_nulls(value), end + 1
    return values, expression[:start] + expression[position:]


def _number(text: str) -> float:
    """A number as JavaScript has it: exact to 53 bits, and whole where it has no fraction."""
    value = float(text)
    return int(value) if value.is_integer() else value


JSON = json.JSONDecoder(parse_int=_number, parse_float=_number)


def _with_nulls(value: Any) -> Any:
    """A value as jsonata has it where it stands in an expression: its None is what is undefined."""
    if isinstance(value, dict):
        return {key: _with_nulls(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_with_nulls(member) for member in value]
    return jsonata.utils.Utils.NULL_VALUE if value is None else value


def _hash(value: str, algorithm: str) -> str:
    names = {"MD5": "md5", "SHA-1": "sha1", "SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512"}
    if algorithm not in names:
        raise ValueError(f"$hash: algorithm is {algorithm}; it must be one of {', '.join(names)}")
    return hashlib.new(names[algorithm], value.encode()).hexdigest()
