"""Who makes accounts and groups elsewhere."""

from typing import Any

import pytest

from benchwright.planning.elsewhere import has_groups_of_provider, makers_of_accounts, names_groups_at_sign_in

JIT = {"method": "oidc", "provisioning": "jit"}
PROVISIONING = {"user-provisioning-enabled": "1"}


@pytest.mark.parametrize(
    ("merged", "makers"),
    [
        ({}, ""),
        ({"auth": {"method": "pam"}, "users": {"ann": {}}}, ""),
        ({"image": {"ami": "ami-1"}}, "the AMI ami-1"),
        ({"config": PROVISIONING}, "the identity provider"),
        ({"auth": JIT}, "the identity provider"),
        ({"auth": {"method": "sssd"}}, "the directory"),
        ({"auth": {"method": "sssd"}, "image": {"ami": "ami-1"}}, "the AMI ami-1 or the directory"),
        ({"auth": "nonsense", "image": 7}, ""),
    ],
)
def test_who_else_makes_accounts(merged: dict[str, Any], makers: str) -> None:
    assert makers_of_accounts(merged) == makers


@pytest.mark.parametrize(
    ("auth", "at_sign_in", "at_all"),
    [
        (JIT, False, False),
        (JIT | {"groups_claim": "groups"}, True, True),
        (JIT | {"groups_attribute": "groups"}, True, True),
        ({"provisioning": "none", "groups_claim": "groups"}, False, False),
        ({"provisioning": "scim"}, False, True),
    ],
)
def test_when_groups_come_from_the_identity_provider(auth: dict[str, str], at_sign_in: bool, at_all: bool) -> None:
    assert (names_groups_at_sign_in(auth), has_groups_of_provider(auth)) == (at_sign_in, at_all)
