import pytest

torch = pytest.importorskip("torch", reason="networks need torch: pip install 'torch==2.13.0'")

from torch.nn import functional as F  # noqa: E402

from carp_ros.networks.resampling import (  # noqa: E402
    bicubic_matrix,
    pooling_matrix,
    smooth_bicubic_matrix,
)

SIZES = [(points, length) for length in (1, 3, 4, 8) for points in range(1, length + 1)]


@pytest.mark.parametrize(("points", "length"), SIZES)
def test_pooling_is_adaptive_average_pooling(points, length):
    x = torch.randn(2, 3, length)
    torch.testing.assert_close(
        x @ pooling_matrix(length, points).T, F.adaptive_avg_pool1d(x, points)
    )


@pytest.mark.parametrize(("points", "length"), SIZES)
def test_spreading_is_bicubic_interpolation(points, length):
    x = torch.randn(2, 3, points)
    expected = F.interpolate(x[..., None], size=(length, 1), mode="bicubic")[..., 0]
    torch.testing.assert_close(x @ bicubic_matrix(points, length).T, expected)


@pytest.mark.parametrize(("points", "length"), SIZES)
def test_a_constant_stays_what_it_is(points, length):
    ones = torch.ones(length)
    torch.testing.assert_close(bicubic_matrix(points, length).sum(dim=1), ones)
    torch.testing.assert_close(pooling_matrix(length, points).sum(dim=1), ones[:points])


@pytest.mark.parametrize(("size", "side"), [((48, 64), 16), ((20, 30), 36), ((216, 288), 512)])
def test_an_image_is_resampled_by_two_matrices_as_by_the_library(size, side):
    image = torch.rand(2, 3, *size)
    rows, columns = (smooth_bicubic_matrix(px, side) for px in size)
    wanted = F.interpolate(image, (side, side), mode="bicubic", antialias=True)
    torch.testing.assert_close(rows @ image @ columns.T, wanted, atol=1e-5, rtol=1e-5)
