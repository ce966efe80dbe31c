"""Text as an accident, an attacker or another alphabet writes it: strategies for every place that takes text, and how
Workbench reads it back.
"""

from __future__ import annotations

import string
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

PRINTABLE = string.digits + string.ascii_letters + string.punctuation + " "
SPECIMENS = {
    "shell": [
        "; reboot",
        "$(id)",
        "`id`",
        "${IFS}",
        "a && b",
        "| tee x",
        "> x",
        "\\",
        "!!",
        "~",
        "*",
        "-rf",
        "--help",
        "&",
    ],
    "quotes": ["'", '"', "'''", "\\'", "' OR 1=1 --", "$'\\n'", "'; DROP TABLE node; --"],
    "lines": ["\n", "\r", "\r\n", "a\nb", "\v", "\f", "\x1c", "\x85", "\u2028", "\u2029"],
    "controls": ["\0", "\x01", "\x1b[31m", "\x7f", "\x9b", "\t", "\b"],
    "templates": [
        "%s",
        "%(x)s",
        "%%",
        "{0}",
        "{}",
        "{{ Mode }}",
        "{{",
        "{{resolve:ssm:x}}",
        "${AWS::Region}",
        "$$",
        "{%",
    ],
    "files": [
        "#",
        "# x",
        "[x]",
        "a=b",
        "=",
        ";x",
        ": x",
        "- x",
        "&a *a",
        "!!python/none",
        "@PRIVATE_ADDRESS@",
        "null",
        ",",
    ],
    "paths": ["../../etc/passwd", "/", "..", ".", "//", "%2e%2e%2f", "file:///etc/shadow", "s3://b/k", "/efs/home/ann"],
    "alphabets": [
        "é",
        "e\u0301",
        "密码",
        "пароль",
        "\u0661",
        "\uff11",
        "²",
        "\U0001d7d9",
        "\u212a",
        "\u0131",
        "🔑",
        "\uffff",
    ],
    "invisible": ["\u200b", "\ufeff", "\u202e", "\u2066", "\xad", "\xa0", "\u3000", " ", "  "],
    "surrogates": ["\ud800", "\udfff", "\ud83d"],
}
specimens = st.sampled_from([text for texts in SPECIMENS.values() for text in texts])
anything = st.text(st.characters(exclude_categories=()), max_size=30)
longs = st.builds(
    lambda text, length: text * length, specimens | st.just("a"), st.sampled_from([33, 257, 1_001, 70_000])
)
texts = specimens | anything | st.builds("".join, st.lists(specimens | anything, max_size=3)) | longs
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda children: st.lists(children, max_size=3) | st.dictionaries(texts, children, max_size=3),
    max_leaves=8,
)


def near(*valid: str) -> st.SearchStrategy[str]:
    """A valid text, or one with something hostile before, in, or after it, or something hostile altogether."""

    def inserted(text: str, place: float, part: str) -> str:
        offset = round(place * len(text))
        return f"{text[:offset]}{part}{text[offset:]}"

    fractions = st.sampled_from([0.0, 0.5, 1.0])
    return st.builds(inserted, st.sampled_from(valid), fractions, specimens | st.just("")) | texts


def examples(number: int) -> settings:
    """So many examples."""
    return settings(max_examples=number)


def drawn(number: int, strategy: st.SearchStrategy[Any] = texts) -> list[Any]:
    """So many texts, or what another strategy gives, for what is tried on all of them at once."""
    found: list[Any] = []

    @examples(number)
    @given(strategy)
    def collect(value: Any) -> None:
        found.append(value)

    collect()
    return found


def as_boost_reads(text: str) -> dict[str, str]:
    """The pairs of an INI file by the rules of Boost.Program_options, which reads Workbench's."""
    pairs = {}
    for line in text.encode().split(b"\n"):
        name, found, value = line.split(b"#")[0].strip(b" \t\r\n").partition(b"=")
        if found:
            pairs[name.strip(b" \t\r\n").decode()] = value.strip(b" \t\r\n").decode()
    return pairs
