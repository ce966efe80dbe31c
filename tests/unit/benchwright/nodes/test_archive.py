"""What nodes fetch is the same where its content is the same."""

import io
import tarfile

from benchwright.nodes.archive import compressed, packed


def test_the_same_files_give_the_same_bytes_whatever_their_order() -> None:
    one, other = {"b": b"2", "a/c": b"1"}, {"a/c": b"1", "b": b"2"}
    assert compressed(packed(one)) == compressed(packed(other)) != compressed(packed({**one, "b": b"3"}))
    with tarfile.open(fileobj=io.BytesIO(compressed(packed(one)))) as archive:
        assert [(member.name, member.mode, member.mtime) for member in archive] == [("a/c", 0o600, 0), ("b", 0o600, 0)]
        content = archive.extractfile("a/c")
        assert content
        assert content.read() == b"1"
