"""The text decides where in an image is looked."""

import pytest

torch = pytest.importorskip("torch", reason="networks need torch: pip install 'carp_ros[train]'")

from carp_ros.networks.looking import Looking  # noqa: E402

WIDTH, LOOKS, CAMERAS, SIZE = 16, 2, 2, (3, 5)
RED, BLUE, CUP, ON, FIELD = range(5)


def made(seed=0):
    torch.manual_seed(seed)
    looking = Looking(WIDTH, LOOKS, CAMERAS, SIZE)
    return looking, torch.randn(3, CAMERAS, 15, WIDTH), torch.randn(3, 6, WIDTH)


def all_real(text):
    return torch.ones(text.shape[:2], dtype=torch.bool)


@torch.no_grad()
def test_a_look_sees_some_of_each_cell_and_nothing_else():
    looking, cells, text = made()
    shown = looking.attention(cells, text, all_real(text))
    assert shown.shape == (3, CAMERAS, LOOKS, 15)
    torch.testing.assert_close(shown.sum(-1), torch.ones(3, CAMERAS, LOOKS))
    assert looking(cells, text, all_real(text)).shape == (3, CAMERAS, LOOKS, WIDTH)


@torch.no_grad()
def test_where_it_looks_is_told_in_rows_and_columns():
    looking, cells, text = made()
    looking.to_token.weight.zero_()
    looking.to_token.bias.zero_()
    looking.to_token.weight[:2, -2:] = torch.eye(2)
    looking.to_query.weight.zero_()
    looking.to_query.bias[:] = 30.0
    cells[...] = 0.0
    cells[:, :, 4 + 5 * 2] = 1.0  # last column, last row
    x, y = looking(cells, text, all_real(text))[..., :2].unbind(-1)
    torch.testing.assert_close((x, y), (torch.ones_like(x), torch.ones_like(y)))


@torch.no_grad()
@pytest.mark.parametrize("places", [slice(6, None), slice(2, 4)])
def test_padding_says_nothing(places):
    looking, cells, text = made()
    padded = torch.cat((text, text.new_zeros(3, 4, WIDTH)), dim=1)
    is_real = all_real(padded)
    is_real[:, places] = False
    expected = looking(cells, padded, is_real)
    padded[:, places] = 9.0
    torch.testing.assert_close(looking(cells, padded, is_real), expected)


@torch.no_grad()
def test_a_longer_prompt_of_the_same_words_says_the_same():
    looking, cells, text = made()
    padded = torch.cat((text, torch.randn(3, 4, WIDTH)), dim=1)
    is_real = torch.arange(10).expand(3, -1) < 6
    expected = looking(cells, text, all_real(text))
    torch.testing.assert_close(looking(cells, padded, is_real), expected)


@torch.no_grad()
def test_an_observation_is_looked_at_as_if_alone():
    looking, cells, text = made()
    alone = looking(cells[1:2], text[1:2], all_real(text[1:2]))
    torch.testing.assert_close(looking(cells, text, all_real(text))[1:2], alone)


def test_which_word_stands_beside_which_decides():
    """Learns to find "red" or "blue" cups, where the sentence has both words."""
    torch.manual_seed(0)
    looking = Looking(WIDTH, 1, 1, (1, 8))
    words, colours = torch.nn.Embedding(5, WIDTH), torch.randn(2, WIDTH)
    optimizer = torch.optim.Adam([*looking.parameters(), *words.parameters()], 3e-3)
    rng = torch.Generator().manual_seed(1)

    def batch():
        wanted = torch.randint(2, (64,), generator=rng)
        text = torch.tensor([[RED, CUP, ON, BLUE, FIELD], [BLUE, CUP, ON, RED, FIELD]])[wanted]
        places = torch.rand(64, 8, generator=rng).argsort(dim=1)[:, :2]  # of red and blue
        cells = 0.1 * torch.randn(64, 1, 8, WIDTH, generator=rng)
        each = torch.arange(64)
        for colour in range(2):
            cells[each, 0, places[:, colour]] += colours[colour]
        return cells, text, places[each, wanted]

    for _ in range(400):
        cells, text, place = batch()
        shown = looking.attention(cells, words(text), all_real(text))[:, 0, 0]
        loss = -shown[torch.arange(64), place].log().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    cells, text, place = batch()
    with torch.no_grad():
        shown = looking.attention(cells, words(text), all_real(text))[:, 0, 0]
    assert (shown.argmax(dim=1) == place).float().mean() > 0.95
