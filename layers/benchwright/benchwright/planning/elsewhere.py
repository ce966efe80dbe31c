"""Who makes accounts and groups elsewhere, so that a name which the input lacks may be there all the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchwright.planning import server_options
from benchwright.planning.problems import object_in


def makers_of_accounts(merged: Mapping[str, Any]) -> str:
    """Say who else may have made an account or a group; empty for no one. merged: an input that may be wrong."""
    auth = object_in(merged, "auth")
    makers = makers_of_groups(object_in(merged, "image").get("ami"), server_options.given(merged), auth)
    return makers or ("the identity provider" if auth.get("provisioning") == "jit" else "")


def makers_of_groups(ami: Any, config: Mapping[str, tuple[str, Any]], auth: Mapping[str, Any]) -> str:
    """Say who else may have made a group: the image, an identity provider (user provisioning of Workbench) or a
    directory; empty for no one.
    """
    provisions = config.get("user-provisioning-enabled", ("", None))[1] == "1"
    makers = {
        f"the AMI {ami}": ami,
        "the identity provider": has_groups_of_provider(auth) or provisions,
        "the directory": auth.get("method") == "sssd",
    }
    return " or ".join(maker for maker, made in makers.items() if made)


def has_groups_of_provider(auth: Mapping[str, Any]) -> bool:
    """Return whether groups come from the identity provider: at each sign-in, or pushed by it."""
    return names_groups_at_sign_in(auth) or auth.get("provisioning") == "scim"


def names_groups_at_sign_in(auth: Mapping[str, Any]) -> bool:
    """Return whether people have the groups that the identity provider names at each sign-in."""
    return auth.get("provisioning") == "jit" and bool(auth.get("groups_claim") or auth.get("groups_attribute"))
