"""The whole configuration of Posit's acceptance tests; tests/judges/test_vip.py has it read by their own loader."""

from benchwright.verification.acceptance import acceptance
from tests.unit.benchwright.verification.test_checks import a_plan

WRITTEN = """\
[general]
deployment_name = "wb workbench"

[connect]
enabled = false

[package_manager]
enabled = false

[workbench]
url = "https://workbench.example.com"
version = "2026.07.1"

[auth]
provider = "password"

[runtimes]
r_versions = ["4.5.1"]
python_versions = ["3.13.1"]
"""


def test_it_is_written_from_the_plan_and_the_address() -> None:
    written = acceptance(a_plan({}), "wb", "https://workbench.example.com")
    assert written.vip_toml == WRITTEN
    assert written.command == "vip verify --config vip.toml --categories workbench"
