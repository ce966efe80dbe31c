"""The cluster whose life these tests follow, one file after the other: it is deployed from nothing once."""

from collections.abc import Iterator

import pytest

from tests.deployment.account import Account, new_account
from tests.deployment.cluster.misbehaviour import COUNT
from tests.deployment.conftest import new_folder


@pytest.fixture(scope="package")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    with new_account(tmp_path_factory.mktemp("account"), 300, new_folder()) as made:
        yield made


@pytest.fixture(scope="module")
def four_nodes(account: Account) -> None:
    account.deploy({"nodes": {"count": COUNT}})
