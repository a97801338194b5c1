import math

import pytest

from carp_ros.training.divergence import DivergenceWatch


def take(losses):
    watch = DivergenceWatch()
    return [watch.take(epoch, loss) for epoch, loss in enumerate(losses, 1)]


def test_a_loss_that_falls_and_wavers_is_well():
    assert all(take([6.2, 5.0, 4.8, 4.9, 4.7, 5.2, 4.6]))


def test_a_loss_that_rises_and_stays_up_ends_the_training_with_what_to_do():
    with pytest.raises(
        ValueError, match=r"6\.1 in epoch 6, and was 4\.8 in epoch 3; .*lower --lea"
    ):
        take([6.2, 5.0, 4.8, 6.0, 6.2, 6.1])


def test_weights_of_a_rise_that_passes_are_not_kept():
    assert take([6.2, 5.0, 4.8, 6.0, 6.1, 4.9]) == [True, True, True, False, False, True]


def test_who_begins_where_another_training_ended_may_waver():
    assert all(take([4.65, 4.60, 4.70, 4.75]))


def test_no_number_ends_it_at_once():
    with pytest.raises(ValueError, match="loss is nan in epoch 2"):
        take([6.2, math.nan])
