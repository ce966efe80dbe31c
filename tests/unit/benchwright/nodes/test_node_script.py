"""The node script as it is published: a change of it has another name."""

import io
import tarfile
from pathlib import Path

from benchwright.nodes.node_script import load_script


def test_a_change_of_any_file_gives_it_another_hash(tmp_path: Path) -> None:
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
