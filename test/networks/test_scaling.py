"""Tests for networks/scaling.py: which ranges numbers are scaled from."""

import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'carp_ros[train]'")

from carp_ros.networks.scaling import LEAST_SHARE, widened  # noqa: E402

LOW = torch.tensor([0.0, 2.0, 1.0, -5.0])
HIGH = torch.tensor([0.5, 2.002, 1.0, 5.0])


def test_a_number_that_hardly_varied_beside_others_of_its_kind_is_not_blown_up():
    low, high = widened(LOW, HIGH, torch.tensor([True, True, True, False]))
    span = high - low
    assert span[1] == pytest.approx(LEAST_SHARE * 0.5, rel=1e-4)
    assert (low + high)[1] / 2 == pytest.approx(2.001)
    assert span[[0, 2, 3]].tolist() == [0.5, 0.0, 10.0]


def test_numbers_of_other_kinds_stay_as_they_are():
    low, high = widened(LOW, HIGH, torch.zeros(4, dtype=torch.bool))
    assert torch.equal(low, LOW)
    assert torch.equal(high, HIGH)
