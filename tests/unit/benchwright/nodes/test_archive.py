"""What nodes fetch is the same where its content is the same."""

import io
import tarfile
from pathlib import Path

from benchwright.nodes.archive import compressed, packed
from benchwright.nodes.node_script import load_script


def test_the_same_files_give_the_same_bytes_whatever_their_order() -> None:
    one, other = {"b": b"2", "a/c": b"1"}, {"a/c": b"1", "b": b"2"}
    assert compressed(packed(one)) == compressed(packed(other)) != compressed(packed({**one, "b": b"3"}))
    with tarfile.open(fileobj=io.BytesIO(compressed(packed(one)))) as archive:
        assert [(member.name, member.mode, member.mtime) for member in archive] == [("a/c", 0o600, 0), ("b", 0o600, 0)]
        content = archive.extractfile("a/c")
        assert content
        assert content.read() == b"1"


def test_a_change_of_any_file_of_the_node_script_gives_it_another_hash(tmp_path: Path) -> None:
    (tmp_path / "main.sh").write_text("one")
    (tmp_path / "causes.txt").write_text("two")
    (tmp_path / "__pycache__").mkdir()  # of a person who ran a part of it
    first = load_script(tmp_path)
    with tarfile.open(fileobj=io.BytesIO(first.archive)) as archive:
        assert archive.getnames() == ["causes.txt", "main.sh"]
    (tmp_path / "causes.txt").write_text("three")
    assert load_script(tmp_path).sha256 != first.sha256
    (tmp_path / "causes.txt").write_text("two")
    assert load_script(tmp_path) == first
