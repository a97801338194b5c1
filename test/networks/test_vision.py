import pytest

torch = pytest.importorskip("torch", reason="networks need torch: pip install 'carp_ros[train]'")

from carp_ros.networks.scaling import Scaling  # noqa: E402
from carp_ros.networks.vision import (  # noqa: E402
    ResNetEncoder,
    SmallEncoder,
    SpatialSoftmax,
    center_crop,
    random_crop,
)


def numbered(batch: int = 3) -> torch.Tensor:
    return torch.arange(batch * 10 * 12 * 3).reshape(batch, 10, 12, 3).remainder(256).byte()


def test_a_random_crop_at_the_middle_is_the_centre_crop():
    images = numbered()
    corners = torch.tensor([[2, 2]] * 3)
    torch.testing.assert_close(random_crop(images, corners, (8, 6)), center_crop(images, (8, 6)))


def test_each_image_has_a_crop_of_its_own():
    images = numbered()[:1].repeat(2, 1, 1, 1)
    crops = random_crop(images, torch.tensor([[0, 0], [4, 3]]), (8, 6))
    expected = images[1, 4:10, 3:11].permute(2, 0, 1).float() / 127.5 - 1.0
    torch.testing.assert_close(crops[1], expected)
    assert not torch.equal(crops[0], crops[1])


def test_crops_are_of_minus_one_to_one():
    black, white = torch.zeros(1, 10, 12, 3).byte(), torch.full((1, 10, 12, 3), 255).byte()
    assert center_crop(black, (8, 6)).unique().tolist() == [-1.0]
    assert center_crop(white, (8, 6)).unique().tolist() == [1.0]


def test_a_keypoint_is_where_its_map_is_high():
    pool = SpatialSoftmax(1, (5, 9), 1)
    torch.nn.init.constant_(pool.maps.weight, 100.0)
    features = torch.zeros(1, 1, 5, 9)
    features[0, 0, 1, 8] = 1.0
    torch.testing.assert_close(pool(features)[0, 0], torch.tensor([1.0, -0.5]))


@pytest.mark.parametrize("kind", [SmallEncoder, ResNetEncoder])
def test_an_encoder_gives_its_features_for_any_crop_size(kind):
    encoder = kind((48, 32), 20)
    assert encoder(torch.randn(2, 3, 32, 48)).shape == (2, 20)


def test_the_published_encoder_has_the_published_size():
    weights = sum(weight.numel() for weight in ResNetEncoder((76, 76), 64).parameters())
    assert 2 * weights == pytest.approx(22.39e6, rel=0.005)  # two cameras


def test_scaling_maps_the_range_and_comes_back():
    scaling = Scaling(3)
    kept = torch.tensor([False, True, False])
    scaling.fit(torch.tensor([2.0, -5.0, 1.0]), torch.tensor([4.0, 5.0, 1.0]), kept)
    numbers = torch.tensor([[2.0, 3.0, 1.0], [4.0, -3.0, 1.5]])
    torch.testing.assert_close(scaling(numbers), torch.tensor([[-1.0, 3.0, 0.0], [1.0, -3.0, 0.5]]))
    torch.testing.assert_close(scaling.inverse(scaling(numbers)), numbers)
