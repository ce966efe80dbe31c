"""What a value may be: each form is reported in words."""

from typing import Any

from benchwright.models import Wanted
from benchwright.values import FORMS
from tests.unit.benchwright.planning.test_problems import problems


def patterns(schema: Any) -> set[str]:
    """Every pattern in a JSON Schema, of keys and of values."""
    if isinstance(schema, list):
        return {found for item in schema for found in patterns(item)}
    if not isinstance(schema, dict):
        return set()
    own = {schema["pattern"]} if isinstance(schema.get("pattern"), str) else set()
    parts = [value for name, value in schema.items() if name != "not"]
    return own | set(schema.get("patternProperties", {})) | patterns(parts)


def test_every_form_is_reported_in_words() -> None:
    """One value against each, and what is wrong with it."""
    wrong = {
        "workbench": {"version": "latest"},
        "r_versions": ["4"],
        "python_versions": ["2.7.18"],
        "image": {"ami": "ami-xyz"},
        "nodes": {"instance_type": "large"},
        "database": {"engine_version": "16.9"},
        "license": "benchwright/license/a b",
        "access": {
            "hostname": "wb",
            "hosted_zone_id": "/hostedzone/Z1",
            "certificate_arn": "arn:aws:iam::123456789012:server-certificate/wb",
            "allowed_cidrs": ["10.0.0.0"],
            "web_acl_arn": "arn:aws:wafv2:us-east-1:123456789012:global/webacl/wb/1",
        },
        "users": {".ann": {}},
        "config": {"-x": "a\tb"},
        "tags": {"k" * 129: "v\t"},
    }
    auth = {
        "issuer": "http://idp.example.com",
        "metadata_url": "idp.example.com/metadata.xml",
        "client_id": "a b",
        "required_group": "a,b",
    }
    files: dict[str, Any] = {".x": {}, "x": {"keys": {".x": "1"}, "sections": {"[": {}}, "text": "\0"}}
    files["y"] = {"secret": "benchwright/files/ "}
    baked = {
        "image": {"packages": ["Java"], "pro_drivers": "newest", "tinytex": "2026.03", "nvidia": "v580"},
        "repos": {"cran": "https://me:secret@cran.example.com"},
    }
    more = [*problems({"files": files}), *problems({"license": {"server": "here"}}), *problems({"auth": auth})]
    more += [*problems(baked), *problems({"limits": {"users": {"@ann": {}}}})]
    reported = "\n".join([*problems(wrong), *more])
    assert set(FORMS) == patterns(Wanted.model_json_schema())
    assert [words for words in FORMS.values() if f" is refused: not {words}. Give " not in reported] == []
