import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carp_ros.evaluation.interval import wilson


def test_it_agrees_with_published_figures():
    # Newcombe (1998), "Two-sided confidence intervals for the single proportion", table I
    for successes, trials, low, high in (
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ):
        np.testing.assert_allclose(wilson(successes, trials), (low, high), atol=5e-5)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_it_holds_the_rate_and_mirrors_with_failures(counts):
    successes, trials = counts
    low, high = wilson(successes, trials)
    assert 0.0 <= low <= successes / trials <= high <= 1.0
    assert low < high
    mirrored = wilson(trials - successes, trials)
    np.testing.assert_allclose(mirrored, (1 - high, 1 - low), atol=1e-12)


def test_it_covers_the_truth_in_about_95_of_100_experiments():
    rng = np.random.default_rng(0)
    for rate in (0.3, 0.6, 0.9):
        intervals = np.array([wilson(k, 50) for k in range(51)])
        low, high = intervals[rng.binomial(50, rate, 4000)].T
        assert 0.92 < np.mean((low <= rate) & (rate <= high)) < 0.98


@pytest.mark.parametrize("counts", [(0, 0), (3, 2), (-1, 2)])
def test_counts_that_cannot_be_are_refused(counts):
    with pytest.raises(ValueError, match="expected at least one trial"):
        wilson(*counts)
