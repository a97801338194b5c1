"""Tests for networks/fast_tokenizer.py and networks/byte_pairs.py."""

import dataclasses
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="networks need torch: pip install 'torch==2.13.0'")
pytest.importorskip("tokenizers", reason="FAST needs it: pip install 'carp_ros[train]'")

from carp_ros.networks.byte_pairs import BytePairs, learn_byte_pairs  # noqa: E402
from carp_ros.networks.fast_tokenizer import FastConfig, FastTokenizer  # noqa: E402
from carp_ros.networks.resampling import cosine_matrix  # noqa: E402
from carp_ros.networks.spelled_numbers import Spelling, numbers_of  # noqa: E402
from carp_ros.networks.weights import network_with  # noqa: E402

H, D = 16, 3
CONFIG = FastConfig(D, H, vocabulary=256, tool=False)
STATES = torch.zeros(400, 1)


def smooth(count: int, seed: int) -> torch.Tensor:
    """Actions (count, H, D): straight lines with a slow wave."""
    generator = torch.Generator().manual_seed(seed)
    ends = torch.randn(2, count, 1, D, generator=generator)
    s = torch.linspace(0.0, 1.0, H)[None, :, None]
    wave = 0.2 * torch.randn(count, 1, D, generator=generator) * (math.tau * s).sin()
    return ends[0] + s * (ends[1] - ends[0]) + wave


def fitted(**changes) -> FastTokenizer:
    tokenizer = FastTokenizer(dataclasses.replace(CONFIG, **changes)).eval()
    tokenizer.fit(smooth(400, 0), STATES)
    return tokenizer


@pytest.fixture(scope="module")
def tokenizer():
    return fitted()


@pytest.mark.parametrize("length", [2, 16, 20])
def test_the_cosine_transform_is_orthonormal(length):
    matrix = cosine_matrix(length)
    torch.testing.assert_close(matrix @ matrix.T, torch.eye(length), atol=1e-6, rtol=0.0)
    assert (matrix[0] == matrix[0, 0]).all()  # the mean is the first coefficient


@pytest.mark.parametrize("scale", [2.0, 10.0, 100.0])
def test_what_comes_back_is_as_exact_as_the_scale(scale):
    tokenizer = fitted(scale=scale, vocabulary=1024)
    normalised = tokenizer.normalised(smooth(50, 1), STATES[:50])
    back = tokenizer.decode_normalised(tokenizer.tokens_of(normalised))
    # half a unit of rounding in each of H coefficients; clamping takes nothing away
    assert (back - normalised).norm(dim=1).max() <= 0.5 / scale * math.sqrt(H) + 1e-5
    errors = tokenizer.errors(normalised)
    assert errors["error"] == pytest.approx(float((back - normalised).abs().mean()))


def test_actions_come_back_in_their_units(tokenizer):
    actions = smooth(50, 1)
    back = tokenizer.decode(tokenizer.tokenize(actions, STATES[:50]), STATES[:50])
    low, high = actions.quantile(0.03), actions.quantile(0.97)
    inner = (actions > low) & (actions < high)
    assert (back - actions).abs()[inner].max() < 0.5


def test_low_frequencies_come_first(tokenizer):
    constant = torch.zeros(1, H, D) + torch.tensor([0.2, -0.4, 0.6])
    quick = constant + 0.5 * torch.tensor([1.0, -1.0]).repeat(H // 2)[None, :, None]
    slow, fast = (tokenizer.tokens_of(chunk) for chunk in (constant, quick))
    whole = tokenizer._whole(constant)[0]
    assert (whole[:D] == (cosine_matrix(H)[0].sum() * 10 * constant[0, 0]).round().numpy()).all()
    assert not whole[D:].any()
    assert tokenizer.lengths(slow) < tokenizer.lengths(fast)
    # what is cut off is of the quick changes
    shortened = tokenizer.decode_normalised(fitted(most_tokens=6).tokens_of(quick))
    assert (shortened.mean(dim=1) - constant[:, 0]).abs().max() < 0.1


def test_chunks_have_as_many_tokens_as_they_need_and_then_padding(tokenizer):
    still = torch.zeros(1, H, D)
    normalised = torch.cat((still, torch.rand(1, H, D) * 2.0 - 1.0))
    tokens = tokenizer.tokens_of(normalised)
    assert tokens.shape == (2, tokenizer.config.tokens)
    short, long = tokenizer.lengths(tokens).tolist()
    assert short < 8 < long
    assert (tokens[0, short:] == tokenizer.config.padding).all()
    assert tokens[0, :short].max() < tokenizer.config.padding


def test_longer_chunks_are_cut_at_the_most_tokens():
    whole, cut = fitted(), fitted(most_tokens=5)
    normalised = torch.rand(20, H, D) * 2.0 - 1.0
    tokens = cut.tokens_of(normalised)
    assert tokens.shape == (20, 5)
    assert torch.equal(tokens, whole.tokens_of(normalised)[:, :5])
    errors = [
        float((t.decode_normalised(t.tokens_of(normalised)) - normalised).abs().mean())
        for t in (whole, cut)
    ]
    assert errors[0] < errors[1]
    assert cut.use_of(tokens)["tokens_most"] == 5.0


def test_padding_stands_for_nothing(tokenizer):
    tokens = tokenizer.tokens_of(smooth(20, 2).clamp(-1.0, 1.0))
    most = int(tokenizer.lengths(tokens).max())
    padded = torch.nn.functional.pad(tokens, (0, 9), value=tokenizer.config.padding)
    want = tokenizer.decode_normalised(tokens[:, :most])
    assert torch.equal(tokenizer.decode_normalised(padded), want)


def test_missing_tokens_are_coefficients_of_zero(tokenizer):
    none = torch.zeros(2, 0, dtype=torch.int64)
    assert torch.equal(tokenizer.decode_normalised(none), torch.zeros(2, H, D))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(-(2**62), 2**62) | st.integers(-1, 300), max_size=60))
def test_any_sequence_decodes_to_finite_actions(tokenizer, said):
    actions = tokenizer.decode(torch.tensor([said], dtype=torch.int64), STATES[:1])
    assert actions.shape == (1, H, D)
    assert actions.isfinite().all()
    assert tokenizer.decode_normalised(torch.tensor([said])).abs().max() <= 1.0


def test_numbers_of_several_bytes_come_back_and_halves_of_them_are_zero():
    tokenizer = fitted(scale=500.0, vocabulary=1024)
    normalised = torch.rand(20, H, D) * 2.0 - 1.0
    tokens = tokenizer.tokens_of(normalised)
    assert (tokenizer.decode_normalised(tokens) - normalised).abs().max() < 0.005
    for length in range(12):
        assert tokenizer.decode_normalised(tokens[:, :length]).isfinite().all()


def test_bytes_that_are_no_character_are_coefficients_of_zero():
    tokenizer = FastTokenizer(FastConfig(D, H, scale=500.0, tool=False))
    rest_of_a_character = tokenizer.config.alphabet.index(0x80)
    tokens = torch.full((1, 5), rest_of_a_character)
    assert not tokenizer.decode_normalised(tokens).any()


def test_frequent_chunks_take_fewer_tokens_after_fitting(tokenizer):
    normalised = tokenizer.normalised(smooth(100, 3), STATES[:100])
    unfitted = FastTokenizer(CONFIG)
    before, after = (
        float(t.lengths(t.tokens_of(normalised)).float().mean()) for t in (unfitted, tokenizer)
    )
    assert before == H * D
    assert after < 0.5 * before


def test_saved_and_loaded_it_gives_the_same_tokens(tokenizer):
    other = network_with(lambda: FastTokenizer(tokenizer.config), tokenizer.state_dict(), "it")
    actions = smooth(50, 4)
    tokens = tokenizer.tokenize(actions, STATES[:50])
    assert torch.equal(other.tokenize(actions, STATES[:50]), tokens)
    assert torch.equal(other.decode(tokens, STATES[:50]), tokenizer.decode(tokens, STATES[:50]))


def test_fitted_twice_it_is_the_same(tokenizer):
    assert fitted().config == tokenizer.config


def test_a_vocabulary_without_room_for_single_bytes_is_refused():
    with pytest.raises(ValueError, match="vocabulary is 16; expected 81 or more"):
        FastConfig(D, H, vocabulary=16)


@pytest.mark.parametrize(
    ("merges", "told"),
    [
        ("0,81", "pair 0 of the merges is '0,81'; expected two numbers below 81"),
        ("0,1 5", "pair 1 of the merges is '5'"),
        (" ".join(["0,0", *(f"{n},{n}" for n in range(81, 100))]), "a token of 256 bytes"),
    ],
)
def test_damaged_merges_are_refused(merges, told):
    with pytest.raises(ValueError, match=told):
        FastTokenizer(dataclasses.replace(CONFIG, merges=merges))


def test_merges_that_make_more_tokens_than_the_vocabulary_are_refused():
    config = FastConfig(D, H, vocabulary=81, tool=False, merges="0,1")
    with pytest.raises(ValueError, match="82 tokens; expected 81 at most"):
        FastTokenizer(config)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=30), min_size=1, max_size=20))
def test_byte_pairs_give_back_the_bytes(contents):
    alphabet = sorted(set(b"".join(contents)))
    merges = learn_byte_pairs(contents * 2, alphabet, len(alphabet) + 20)
    pairs = BytePairs(alphabet, merges, 1000)
    assert len(pairs) <= len(alphabet) + 20
    for content in contents:
        tokens = torch.tensor([pairs.encode(content)])
        text, length = Spelling(pairs.words).text(tokens, len(content) + 3)
        assert bytes(text[0, : int(length)].tolist()) == content
        assert not text[0, int(length) :].any()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(-20_000, 20_000), max_size=40), st.integers(1, 60))
def test_numbers_are_read_as_they_were_spelled(numbers, count):
    content = "".join(chr(-2 * n - 1 if n < 0 else 2 * n) for n in numbers).encode()
    text = torch.tensor([[*content, 0, 0, 0]])
    found = numbers_of(text, torch.tensor([len(content)]), count, 20_000)
    assert found[0].tolist() == [*numbers, *[0] * count][:count]
    less = numbers_of(text, torch.tensor([len(content)]), count, 100)
    assert less[0].tolist() == [n if abs(n) <= 100 else 0 for n in [*numbers, *[0] * count][:count]]


@pytest.mark.parametrize(
    ("content", "numbers"),
    [
        (b"\x80\x02", [0, 1]),  # the rest of a character, whose beginning is missing
        (b"\xc8\x02", [0, 1]),  # a beginning without its rest
        (b"\xe1\x80\x02", [0, 1]),
        (b"\xc4\x80\x80\x02", [128, 0, 1]),
    ],
)
def test_parts_of_a_character_are_a_zero_in_its_place(content, numbers):
    text = torch.tensor([[*content, 0, 0]])
    found = numbers_of(text, torch.tensor([len(content)]), 4, 20_000)
    assert found[0].tolist() == [*numbers, 0, 0, 0, 0][:4]


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=30))
def test_any_bytes_are_read_as_the_standard_says_where_they_are_characters(content):
    text = torch.tensor([[*content, 0, 0, 0]])
    found = numbers_of(text, torch.tensor([len(content)]), 40, 2**20)
    assert found.abs().max() <= 2**20
    try:
        characters = [ord(character) for character in content.decode()]
    except UnicodeDecodeError:
        return
    wanted = [-(c + 1) // 2 if c % 2 else c // 2 for c in characters if c < 0x10000]
    if len(wanted) == len(characters):
        assert found[0, : len(wanted)].tolist() == wanted
