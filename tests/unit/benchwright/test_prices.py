"""List prices."""

import pytest

from benchwright import prices


@pytest.mark.parametrize(
    ("kind", "dollars"),
    [("m7i.large", 0.1008), ("m7i.xlarge", 0.2016), ("m7i.2xlarge", 0.4032), ("m7i-flex.large", 0.09576)],
)
def test_the_price_of_an_instance_grows_with_its_size(kind: str, dollars: float) -> None:
    assert prices.instance_hour(kind) == pytest.approx(dollars)


@pytest.mark.parametrize("kind", ["m9z.large", "m7i.medium", "m7i.metal-24xl", "m7i", ""])
def test_a_type_that_is_not_in_the_list_has_no_price(kind: str) -> None:
    assert prices.instance_hour(kind) is None
