import numpy as np
import pytest

from carp_ros.calibration.outliers import fit_agreeing
from carp_ros.errors import CalibrationError

NAMES = [f"r{number}" for number in range(9)]


def fit_mean(values):
    """Return a fit of a number to readings of it."""

    def fit(used):
        mean = float(values[used].mean())
        return mean, np.abs(values - mean)

    return fit


def run(values, start=None, least=4):
    values = np.array(values, dtype=float)
    start = np.ones(len(values), dtype=bool) if start is None else start
    return fit_agreeing(fit_mean(values), start, NAMES, harmless=0.01, least=least)


def test_what_disagrees_is_left_out_and_the_rest_is_fitted_without_it():
    mean, errors, used = run([1.0, 1.1, 0.9, 1.05, 0.95, 1.0, 40.0, 1.0, -30.0])

    assert np.flatnonzero(~used).tolist() == [6, 8]
    assert mean == pytest.approx(1.0, abs=0.01)
    assert errors[6] == pytest.approx(39.0, abs=0.01)


def test_what_was_left_out_at_the_start_is_taken_back_if_it_agrees():
    start = np.ones(9, dtype=bool)
    start[[0, 6]] = False
    _, _, used = run([1.0, 1.1, 0.9, 1.05, 0.95, 1.0, 40.0, 1.0, 1.02], start)

    assert np.flatnonzero(~used).tolist() == [6]


def test_errors_that_are_harmless_never_disagree():
    _, _, used = run([1.0] * 8 + [1.009])
    assert used.all()


def test_readings_of_which_too_few_agree_are_refused_by_name():
    with pytest.raises(CalibrationError, match=r"only 4 of 9 agree.*at least 5.*r\d, r\d"):
        run([1.0, 1.1, 0.9, 1.0, 10.0, 20.0, 40.0, 80.0, 160.0], np.arange(9) < 4)
