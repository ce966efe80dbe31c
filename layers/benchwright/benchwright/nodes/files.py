"""Files of /etc/rstudio that an input gives, beside or within those that Benchwright writes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from benchwright import rstudio_files
from benchwright.models import File
from benchwright.nodes import limits
from benchwright.nodes.entries import Entry, ini, lines, rstudio
from benchwright.rstudio_files import FILES, SERVICE_USER, Format

type Keys = Mapping[str, str]
type Files = Mapping[str, File]


PIP_CONF = "/etc/pip.conf"


def path_of(name: str) -> str:
    return f"/etc/rstudio/{name}"


def together(own: Keys, given: Keys) -> dict[str, str]:
    """Return what Benchwright writes by default, with the keys of an input in their place or after them.

    They are sorted, since a record does not keep their order, and another order would be another configuration.
    """
    return {**own, **dict(sorted(given.items()))}


def keys(name: str, own: Keys, files: Files) -> Entry:
    """Return a file without sections of which Benchwright writes some keys."""
    return rstudio(name, ini(together(own, files[name].keys if name in files else {})))


def sections(name: str, own: Mapping[str, Keys], files: Files) -> Entry:
    """Return a file with sections of which Benchwright writes some keys; its own sections come first."""
    given = files[name].sections if name in files else {}
    names = [*own, *sorted(given.keys() - own.keys(), key=rstudio_files.order)]
    return rstudio(name, _in_sections({each: together(own.get(each, {}), given.get(each, {})) for each in names}))


def others(files: Files, written: Collection[str]) -> Iterator[Entry]:
    """Return the files of an input that Benchwright writes nothing of. The content of a secret is empty here:
    infra/node/files.sh fetches it.
    """
    for name, file in sorted(files.items()):
        if not file.is_empty and path_of(name) not in written:
            known = FILES.get(name)
            if file.secret:
                yield rstudio(name, "", mode="0600", owner=known.owner if known else SERVICE_USER)
            else:
                yield rstudio(name, _content(name, file), *((known.mode, known.owner) if known else ()))


def effects(version: str) -> str:
    """Return what a change of each file needs, a line each: the effect, and the path."""
    known = {path_of(name): effect for name, effect in sorted(rstudio_files.effects(version).items())}
    others = dict.fromkeys((PIP_CONF, *limits.SHARES), rstudio_files.Effect.NONE)
    return lines(f"{effect} {path}" for path, effect in {**known, **others}.items())


def _content(name: str, file: File) -> str:
    if file.text:
        return file.text if file.text.endswith("\n") else f"{file.text}\n"
    if name in FILES and FILES[name].format is Format.SECTIONS:
        names = sorted(file.sections, key=rstudio_files.order)
        return _in_sections({each: dict(sorted(file.sections[each].items())) for each in names})
    return ini(together({}, file.keys))


def _in_sections(content: Mapping[str, Keys]) -> str:
    return "\n".join(f"[{name}]\n{ini(values)}" for name, values in content.items())
