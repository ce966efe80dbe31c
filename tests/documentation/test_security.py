"""Every permission has a reason, and every reason a permission; and the policy for people gives the way in alone."""

import json
import re

from benchwright.settings import Settings
from tests.documentation.generated import DOCS
from tests.documentation.permissions import REASONS, grants, resource_statements, roles
from tests.templates.templates import TEMPLATES, resources


def test_every_permission_has_a_reason() -> None:
    assert [grant for grant in grants() if not grant.why] == []


def test_no_reason_is_left_of_a_permission_that_has_gone() -> None:
    given = {
        (policy, statement, action)
        for policy, statements in REASONS.items()
        if policy != "resources"
        for statement, actions in statements.items()
        for action in actions
    }
    granted = {(grant.policy, grant.statement, grant.action) for grant in grants()}
    assert given == {item for item in granted if not item[0].startswith("CloudFormation")}


def test_every_statement_of_a_resource_has_a_reason_and_no_other_has() -> None:
    given = {(where, statement) for where, reasons in REASONS["resources"].items() for statement in reasons}
    assert given == {(where, statement["Sid"]) for where, statement in resource_statements()}


def test_every_action_of_every_policy_stands_in_the_tables() -> None:
    written = roles()
    sections = {part.split("\n", 1)[0]: part for part in written.split("### ")[1:]}
    wanted = {role for template in TEMPLATES.values() for role in resources(template, "AWS::IAM::Role")}
    assert wanted <= set(sections)
    missing = [
        grant
        for grant in grants()
        if f"`{grant.action}`" not in sections[_section(grant.policy)]
        or grant.why not in sections[_section(grant.policy)]
    ]
    assert missing == []


def test_the_policy_for_people_gives_the_way_in_and_nothing_else() -> None:
    """One Session document, the application's own: with Amazon's they would reach every port of a node as root, and
    without the check of the document a shell.
    """
    policies = re.findall(r"```jsonc\n(.*?)```", (DOCS / "security.md").read_text(), re.DOTALL)
    [policy] = [policy for policy in policies if "ssm:StartSession" in policy]
    own = Settings(application="benchwright").session_document
    assert json.loads(policy)["Statement"] == [
        {
            "Effect": "Allow",
            "Action": "ssm:StartSession",
            "Resource": "arn:aws:ec2:*:*:instance/*",
            "Condition": {
                "StringEquals": {"ssm:resourceTag/benchwright:cluster": "workbench"},
                "BoolIfExists": {"ssm:SessionDocumentAccessCheck": "true"},
            },
        },
        {"Effect": "Allow", "Action": "ssm:StartSession", "Resource": f"arn:aws:ssm:*:123456789012:document/{own}"},
        {"Effect": "Allow", "Action": "ec2:DescribeInstances", "Resource": "*"},
        {
            "Effect": "Allow",
            "Action": ["ssm:TerminateSession", "ssmmessages:OpenDataChannel"],
            "Resource": "arn:aws:ssm:*:*:session/${aws:userid}-*",
        },
    ]


def _section(policy: str) -> str:
    if policy.startswith("CloudFormation"):
        return "CloudFormationRole"
    return {"NodePolicy": "NodeRole"}.get(policy, policy)
