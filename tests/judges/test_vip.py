"""Posit's own acceptance tests read the configuration that the output of an execution holds."""

import json
import os
import subprocess
from typing import Any

import pytest

from benchwright.models import merge_patch
from benchwright.verification.acceptance import acceptance
from rehearsal.application import ROOT
from tests.documentation.input_reference import OIDC, SAML, SSSD
from tests.unit.benchwright.verification.test_checks import a_plan

pytestmark = pytest.mark.judge

URL = "https://workbench.example.com"
READ = """
import dataclasses, json, sys
from vip.config import load_config
print(json.dumps(dataclasses.asdict(load_config(sys.argv[1])), default=str))
"""
# Whatever its example has that this cluster has not would be tested, too.
OFF = ("email_enabled", "monitoring_enabled", "chronicle_enabled", "security_policy_checks_enabled", "insecure")


def read(folder: Any, text: str, **environment: str) -> Any:
    path = folder / "vip.toml"
    path.write_text(text)
    done = subprocess.run(
        [ROOT / ".venv-vip/bin/python", "-W", "error", "-c", READ, path],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={"PATH": os.defpath, **environment},
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("raw", "provider", "ending"),
    [
        ({}, "password", ""),
        (SSSD, "password", ""),
        (OIDC, "oidc", " --interactive-auth"),
        (SAML, "saml", " --interactive-auth"),
        ({"image": {"ami": "ami-0123456789abcdef0"}}, "password", ""),
    ],
)
def test_its_loader_reads_what_is_to_be_tested(tmp_path: Any, raw: Any, provider: str, ending: str) -> None:
    plan = a_plan(merge_patch({"users": {"ann": {}}}, raw))
    written = acceptance(plan, "benchwright", URL)
    found = read(tmp_path, written.vip_toml, VIP_TEST_USERNAME="ann", VIP_TEST_PASSWORD="of ann")
    assert found["deployment_name"] == "benchwright workbench"
    assert {name: found["workbench"][name] for name in ("enabled", "url", "version", "api_key")} == {
        "enabled": True,
        "url": URL,
        "version": "2026.07.1",
        "api_key": "",
    }
    assert [found[name]["enabled"] for name in ("connect", "package_manager")] == [False, False]
    # No secret is in the file: it reads the environment.
    assert found["auth"] == {"provider": provider, "username": "ann", "password": "of ann", "idp": ""}
    own_image = plan.wanted.image.ami is not None
    assert found["runtimes"]["r_versions"] == ([] if own_image else plan.wanted.r_versions)
    assert found["runtimes"]["python_versions"] == ([] if own_image else plan.wanted.python_versions)
    assert [name for name in OFF if found[name]] == []
    assert written.command == f"vip verify --config vip.toml --categories workbench{ending}"
