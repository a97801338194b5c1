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


@pytest.mark.parametrize("first", [math.nan, math.inf])
def test_no_number_in_the_first_epoch_ends_it_with_what_to_do(first):
    with pytest.raises(ValueError, match=r"in epoch 1; expected a number\. .*another folder"):
        take([first])


def test_a_gradient_that_is_no_number_in_most_steps_ends_it_in_the_third_such_epoch():
    watch = DivergenceWatch()
    assert watch.take(1, 6.0, skipped=1.0)
    assert watch.take(2, 5.0, skipped=0.4)
    for epoch in (3, 4):
        assert watch.take(epoch, 5.0, skipped=0.9)
    with pytest.raises(ValueError, match=r"learns nothing: .* not finite in 90% .* epoch 5"):
        watch.take(5, 5.0, skipped=0.9)


def finish(losses):
    watch = DivergenceWatch()
    for epoch, loss in enumerate(losses, 1):
        watch.take(epoch, loss)
    watch.finish()


def test_a_course_that_learnt_nothing_is_not_done():
    with pytest.raises(ValueError, match=r"learnt nothing: .* 2\.82 .* not below 2\.81"):
        finish([2.82, 2.83, 2.81, 2.86, 2.84])


@pytest.mark.parametrize("losses", [[2.82, 2.9, 2.7, 2.75, 2.8], [2.82, 2.83, 2.84], []])
def test_a_course_that_learnt_something_or_was_short_is_done(losses):
    finish(losses)
