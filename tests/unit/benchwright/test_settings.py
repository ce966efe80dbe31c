"""What functions read from their environment, with the names that are made of it."""

import pytest

from benchwright.settings import settings


@pytest.mark.usefixtures("environment")
def test_the_parameters_of_the_stack_have_the_shape_of_an_input() -> None:
    assert settings().defaults == {
        "workbench": {"version": "2026.07.1+147.pro6"},
        "r_versions": ["4.5.1"],
        "python_versions": ["3.13.1"],
        "nodes": {"count": 2, "instance_type": "m6i.xlarge"},
        "database": {"min_capacity": 0.5, "max_capacity": 8},
    }


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize(
    ("given", "versions"),
    [("", []), ("4.5.1", ["4.5.1"]), ("4.5.1, 4.4.3", ["4.5.1", "4.4.3"]), (" 4.5.1 ,", ["4.5.1"])],
)
def test_a_list_of_a_parameter_is_separated_by_commas(
    monkeypatch: pytest.MonkeyPatch, given: str, versions: list[str]
) -> None:
    monkeypatch.setenv("DEFAULT_R_VERSIONS", given)
    assert settings().defaults["r_versions"] == versions


@pytest.mark.usefixtures("environment")
def test_an_engine_version_is_a_default_where_the_stack_gives_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEFAULT_DATABASE_ENGINE_VERSION", "17.7")
    assert settings().defaults["database"]["engine_version"] == "17.7"


@pytest.mark.usefixtures("environment")
def test_what_belongs_to_a_cluster_is_named_after_application_and_cluster() -> None:
    found = settings()
    assert found.stack_name("blue", "nodes") == "wb-blue-nodes"
    assert found.group_name("blue") == "wb-blue-nodes-group"
    assert found.session_document == "wb-workbench"
    assert found.tags("blue") == {"benchwright:application": "wb", "benchwright:cluster": "blue"}
