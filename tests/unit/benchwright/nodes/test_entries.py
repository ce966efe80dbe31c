"""The forms in which a node's files are written."""

from benchwright.nodes.entries import Entry, ini, lines, rstudio
from tests.unit.benchwright.hostile import as_boost_reads


def test_a_file_of_workbench_belongs_to_root_unless_its_server_reads_a_secret_in_it() -> None:
    assert rstudio("file-locks", "x\n") == Entry("/etc/rstudio/file-locks", "0644", "root", "root", "x\n")
    secret = rstudio("scim-token", "", mode="0600", owner="rstudio-server")
    assert (secret.mode, secret.owner, secret.group) == ("0600", "rstudio-server", "rstudio-server")


def test_keys_and_values_are_read_as_they_were_given() -> None:
    values = {"auth-openid": "1", "auth-openid-scopes": "openid email", "empty": "", "equal": "a=b"}
    assert as_boost_reads(ini(values)) == values


def test_every_line_ends() -> None:
    assert (lines(["a", "b"]), lines([])) == ("a\nb\n", "")
