"""The files of /etc/rstudio: what an input says of them that cannot be, and what a node may refuse later."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from benchwright import rstudio_files
from benchwright.models import RSERVER_CONF, File, Wanted
from benchwright.planning import server_options
from benchwright.planning.problems import BACK, OR_BACK, Problem, object_in, objects_in
from benchwright.planning.similar_names import meant
from benchwright.rstudio_files import FILES, REFUSED, WRITTEN, Format, Unknown

WAYS = {"keys": dict, "sections": dict, "text": str, "secret": str}
TAKES: Mapping[Format, tuple[str, ...]] = {
    Format.KEYS: ("keys", "text"),
    Format.SECTIONS: ("sections", "text"),
    Format.RECORDS: ("text",),
    Format.JSON: ("text",),
    Format.TEXT: ("text",),
}
FIELD = re.compile(r"[A-Za-z][A-Za-z0-9_-]*:")
# Of a file as text: blanks before a line of a record continue the one before it.
LINE = re.compile(r"[^=\s\[\]#;][^=\[\]#]*=.*")


def contradictions(merged: Mapping[str, Any]) -> list[Problem]:
    """Find what no single field shows, in an input that may be wrong in other ways too."""
    problems: list[Problem] = []
    for name, file in sorted(objects_in(merged, "files").items()):
        if name in REFUSED:
            why, instead = REFUSED[name]
            problems.append((f"files.{name}", file, f"an input has no {name}: {why}", instead))
            continue
        problems += [*_of_form(name, file), *_of_owner(name, file), *_of_text(name, file)]
    config, keys = object_in(merged, "config"), object_in(objects_in(merged, "files").get(RSERVER_CONF, {}), "keys")
    problems += [
        (f"config.{key}", config[key], f"files.{RSERVER_CONF}.keys has this key, too", BACK)
        for key in sorted(config.keys() & keys.keys())
    ]
    return problems


def warn(wanted: Wanted) -> list[str]:
    """Return a warning about each file or key that is not published."""
    version, texts = wanted.workbench.version, []
    texts += server_options.warn(wanted.config, version)
    texts += _of_values(RSERVER_CONF, [("", key, value) for key, value in wanted.config.items()], "config")
    for name, file in sorted(wanted.files.items()):
        known = FILES.get(name)
        texts += _of_values(name, _keys_of(known.format, file) if known else (), f"files.{name}")
        if file.is_empty or (known and known.keys is None and name != RSERVER_CONF):
            continue
        if known is None:
            texts.append(
                f"files.{name}{meant(name, {*FILES, *REFUSED})}: not among the files of /etc/rstudio that Posit "
                "publishes, so it is written as it is, and each change of it restarts the Workbench server. Compare "
                "the name with Posit's documentation."
            )
        elif name == RSERVER_CONF:
            texts += server_options.warn(file.keys, version, f"files.{name}.keys")
        elif unknown := rstudio_files.unknown_keys(known, (each[:2] for each in _keys_of(known.format, file))):
            most, published = server_options.MOST_SHOWN, {key for keys in (known.keys or {}).values() for key in keys}
            shown = [f"{key}{meant(key.rpartition(' ')[2], published)}" for key in unknown[:most]]
            more = f" and {len(unknown) - most} more" if len(unknown) > most else ""
            texts.append(
                f"files.{name}: {', '.join(shown)}{more}: not among the published keys. With a key that Workbench "
                f"{version} does not know, {known.unknown}. Compare with Posit's documentation of {name}; null takes a "
                "key back."
            )
    return texts


def takes(name: str) -> tuple[str, ...]:
    """Return the forms in which an input may give a file."""
    known = FILES.get(name)
    if known is None:
        return ("text", "secret")
    if known.secret:
        return ("secret",)  # others must be readable by sessions, so a secret would not be one
    return TAKES[known.format][:1] if name in WRITTEN else TAKES[known.format]


def _of_form(name: str, file: Mapping[str, Any]) -> Iterator[Problem]:
    """Find a file in a form that it does not have, or in two."""
    given = [way for way, kind in WAYS.items() if file.get(way) and isinstance(file[way], kind)]
    path, known, forms = f"files.{name}", FILES.get(name), takes(name)
    why = f"its format is not known{meant(name, {*FILES, *REFUSED})}"
    if known:
        why = f"the file is {known.format}"
    if known and known.secret:
        why = "the file holds a secret, which an input must not"
    elif name in WRITTEN:
        why = "Benchwright writes keys of this file, too"
    yield from (
        (f"{path}.{way}", file[way], why, f"the file as {' or '.join(forms)}, and null for this")
        for way in given
        if way not in forms
    )
    if len(given) > 1 and set(given) <= set(forms):
        yield path, file, f"it is given as {' and '.join(given)}", "one of them, and null for the other"


def _of_owner(name: str, file: Mapping[str, Any]) -> Iterator[Problem]:
    """Find keys that Benchwright writes, and those whose default the nodes rely on."""
    known = FILES.get(name)
    for section, owned in (known.owned if known else {}).items():
        path = f"files.{name}.sections.{section}" if section else f"files.{name}.keys"
        given = object_in(object_in(file, "sections"), section) if section else object_in(file, "keys")
        for key in sorted(owned.keys() & given.keys()):
            yield (
                f"{path}.{key}",
                given[key],
                f"Benchwright sets this key: {owned[key]}",
                BACK,
            )
    sections = object_in(file, "sections")
    if known and known.keys is not None and "" not in known.keys:
        for section in sorted(sections.keys() - known.keys.keys()):
            wrong = f"{name} has the sections {' and '.join(known.keys)}"
            yield f"files.{name}.sections.{section}", sections[section], wrong, f"one of these, {OR_BACK}"


def _of_text(name: str, file: Mapping[str, Any]) -> Iterator[Problem]:
    """Find text that is not of the format of its file."""
    text, known = file.get("text"), FILES.get(name)
    if not isinstance(text, str) or known is None:
        return
    path, lines = f"files.{name}.text", list(enumerate(text.split("\n"), start=1))
    if known.format is Format.JSON:
        try:
            whole = json.loads(text)
        except (ValueError, RecursionError) as error:
            yield path, text, f"it is not JSON ({str(error)[:100]})", "a JSON object as text"
        else:
            if not isinstance(whole, dict):
                yield path, text, "it is JSON, but not an object", "a JSON object as text"
        return
    is_line = {Format.KEYS: _is_key, Format.SECTIONS: _is_key_or_section, Format.RECORDS: _is_field}.get(known.format)
    wrong = [number for number, line in lines if is_line and line.strip() and not is_line(line)]
    if wrong:
        shown = ", ".join(map(str, wrong[: server_options.MOST_SHOWN]))
        yield path, text, f"line {shown}: the file is {known.format}, and comments begin with #", "such lines"


def _is_key(line: str) -> bool:
    return line.lstrip().startswith(("#", ";")) or LINE.fullmatch(line.strip()) is not None


def _is_key_or_section(line: str) -> bool:
    return _is_key(line) or re.fullmatch(r"\[[^\[\]]+\]", line.strip()) is not None


def _is_field(line: str) -> bool:
    return line.startswith((" ", "\t", "#")) or FIELD.match(line) is not None


def _of_values(name: str, given: Iterable[tuple[str, str, str]], path: str) -> Iterator[str]:
    """Warn about each value that is nothing of what its key is published to take."""
    effect = FILES[name].unknown if name in FILES else Unknown.UNKNOWN
    then = "Workbench takes its default in its place" if effect is Unknown.UNKNOWN else f"with it, {effect}"
    for section, key, value in given:
        if takes := rstudio_files.wrong_value(name, key, value):
            where = f"[{section}] {key}" if section else key
            shown = json.dumps(value[: server_options.LONGEST_SHOWN])
            yield f"{path}: {where} is {shown}, and takes {takes.words}: {then}."


def _keys_of(form: Format, file: File) -> Iterator[tuple[str, str, str]]:
    """Return each key of a file with its section and value, also where it is given as text."""
    yield from (("", key, value) for key, value in file.keys.items())
    yield from ((section, key, value) for section, keys in file.sections.items() for key, value in keys.items())
    section = ""
    for line in (file.text or "").split("\n"):
        if form is Format.RECORDS and (field := FIELD.match(line)):
            yield "", field[0][:-1], line[field.end() :].strip()
        elif form is Format.SECTIONS and line.strip().startswith("["):
            section = line.strip()[1:-1]
        elif form in (Format.KEYS, Format.SECTIONS) and LINE.fullmatch(line.strip()):
            key, _, value = line.partition("=")
            yield section, key.strip(), value.strip()
