"""List prices."""

import pytest

from benchwright import prices
from tests.documentation import costs


@pytest.mark.parametrize(
    ("kind", "dollars"),
    [("m7i.large", 0.1008), ("m7i.xlarge", 0.2016), ("m7i.2xlarge", 0.4032), ("m7i-flex.large", 0.09576)],
)
def test_the_price_of_an_instance_grows_with_its_size(kind: str, dollars: float) -> None:
    assert prices.instance_hour(kind) == pytest.approx(dollars)


@pytest.mark.parametrize("kind", ["m9z.large", "m7i.medium", "m7i.metal-24xl", "m7i", ""])
def test_a_type_that_is_not_in_the_list_has_no_price(kind: str) -> None:
    assert prices.instance_hour(kind) is None


def test_a_cluster_is_made_of_what_the_templates_make() -> None:
    assert costs.quantities() == {name: getattr(prices, name) for name in costs.quantities()}


def test_nodes_of_an_unknown_type_leave_the_bill_open() -> None:
    assert prices.of_cluster(2, "m9z.large", 100, 0.5, has_address=False) is None


def test_an_address_adds_its_load_balancer() -> None:
    without = prices.of_cluster(2, "m7i.large", 100, 0.5, has_address=False) or []
    address = prices.of_cluster(2, "m7i.large", 100, 0.5, has_address=True) or []
    assert [line for line in address if line not in without] == [prices.line("load balancer", 0.0225, 730)]
