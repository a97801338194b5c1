import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from carp_ros.recording.statistics import (
    QUANTILES,
    ImageStatistics,
    column_statistics,
    merged_statistics,
)

seeds = st.integers(0, 2**32 - 1)


@given(seeds, st.integers(1, 5))
def test_of_images_they_are_those_of_all_pixels_by_channel(seed, count):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, 6, 8, 3), dtype=np.uint8)
    counted = ImageStatistics()
    for image in images:
        counted.add(image)
    found = counted.statistics()
    pixels = images.reshape(-1, 3) / 255
    for name in ("min", "max", "mean", "std"):
        assert found[name].shape == (3, 1, 1)
        expected = getattr(pixels, name)(axis=0)
        np.testing.assert_allclose(found[name].ravel(), expected, atol=1e-9)
    for name, share in QUANTILES.items():
        expected = np.quantile(pixels, share, axis=0, method="inverted_cdf")
        np.testing.assert_allclose(found[name].ravel(), expected, atol=1e-9)
    assert found["count"].tolist() == [count]


@given(seeds, st.lists(st.integers(1, 20), min_size=1, max_size=5))
def test_of_several_episodes_they_are_those_of_all_frames(seed, lengths):
    rng = np.random.default_rng(seed)
    parts = [rng.normal(rng.normal(), 1.0, (length, 3)) for length in lengths]
    merged = merged_statistics([{"action": column_statistics(part)} for part in parts])["action"]
    whole = column_statistics(np.concatenate(parts))
    for name in ("min", "max", "mean", "std", "count"):
        np.testing.assert_allclose(merged[name], whole[name], atol=1e-9)


def test_quantiles_of_several_episodes_are_weighted_by_their_frames():
    short, long = column_statistics(np.zeros((10, 1))), column_statistics(np.ones((30, 1)))
    merged = merged_statistics([{"x": short}, {"x": long}])["x"]
    assert {float(merged[name][0]) for name in QUANTILES} == {0.75}
