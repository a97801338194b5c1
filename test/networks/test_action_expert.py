"""Tests for networks/action_expert.py and networks/tiny_backbone.py: what predicts what."""

import pytest

torch = pytest.importorskip("torch", reason="networks need torch: pip install 'torch==2.13.0'")

from carp_ros.networks.action_expert import ActionExpert, ExpertConfig, block_mask  # noqa: E402
from carp_ros.networks.backbone import BackboneShape  # noqa: E402
from carp_ros.networks.tiny_backbone import TinyBackbone, TinyBackboneConfig  # noqa: E402

SHAPE = BackboneShape(3, 24, 4, 2, 8, 10_000.0, 8**-0.5)
CONFIG = ExpertConfig(codes=11, tokens=12, block=4, width=16, hidden=32)
S = 7


@pytest.fixture(autouse=True)
def exact():
    """Double precision, in which both ways to compute the same agree to the last digits."""
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(torch.float32)


def expert_of(config=CONFIG, shape=SHAPE):
    expert = ActionExpert(shape, config).eval()
    with torch.no_grad():
        for weight in expert.parameters():
            weight.mul_(8.0)  # far from the initial ones, with which all logits are alike
    return expert


def context_of(batch=2, shape=SHAPE):
    def one():
        return torch.randn(batch, shape.kv_heads, S, shape.head_width)

    is_real = torch.ones(batch, S, dtype=torch.bool)
    is_real[0, 5:] = False
    return [(one(), one()) for _ in range(shape.layers)], is_real, torch.full((batch,), S - 1)


def by_steps(expert, tokens, context, is_real, first):
    """Return the logits of all blocks, each computed after the blocks before it."""
    size, parts = expert.config.block, []
    for block in range(expert.config.blocks):
        before = tokens[:, (block - 1) * size : block * size] if block else tokens[:, :size]
        logits, context = expert.step(block, before, context, is_real, first)
        parts.append(logits)
    return torch.cat(parts, dim=1)


def test_a_block_attends_to_itself_and_all_before_it_and_to_no_padding():
    mask = block_mask(torch.tensor([[True, True, False]]), blocks=3, size=2)
    assert mask.int().tolist() == [
        [
            [1, 1, 0, 1, 1, 0, 0, 0, 0],
            [1, 1, 0, 1, 1, 0, 0, 0, 0],
            [1, 1, 0, 1, 1, 1, 1, 0, 0],
            [1, 1, 0, 1, 1, 1, 1, 0, 0],
            [1, 1, 0, 1, 1, 1, 1, 1, 1],
            [1, 1, 0, 1, 1, 1, 1, 1, 1],
        ]
    ]


@pytest.mark.parametrize("levels", [1, 3])
@pytest.mark.parametrize("softcap", [None, 5.0])
def test_block_by_block_gives_what_all_blocks_at_once_do(levels, softcap):
    shape = BackboneShape(3, 24, 4, 2, 8, 10_000.0, 8**-0.5, softcap)
    config = ExpertConfig(codes=11, tokens=12, block=4, width=16, hidden=32, levels=levels)
    expert, context = expert_of(config, shape), context_of(shape=shape)
    tokens = torch.randint(11, (2, 12))
    at_once, end = expert.teach(tokens, *context)
    assert at_once.shape == (2, 12, 11)
    assert end.shape == (2, 4, 11 * levels + 2)
    stepped = by_steps(expert, tokens, *context)
    torch.testing.assert_close(stepped, at_once, atol=1e-10, rtol=0.0)


@pytest.mark.parametrize("block", [0, 1, 2])
def test_no_block_sees_what_it_predicts(block):
    expert, context = expert_of(), context_of()
    tokens = torch.randint(11, (2, 12))
    other = tokens.clone()
    other[:, 4 * block : 4 * block + 4] = (other[:, 4 * block : 4 * block + 4] + 1) % 11
    before, _ = expert.teach(tokens, *context)
    after, _ = expert.teach(other, *context)
    known = 4 * block + 4
    assert torch.equal(after[:, :known], before[:, :known])
    assert (after[:, known:] != before[:, known:]).all(dim=-1).all() or known == 12


def test_every_block_depends_on_the_context_and_none_on_its_padding():
    expert, (context, is_real, first) = expert_of(), context_of()
    tokens = torch.randint(11, (2, 12))
    before, _ = expert.teach(tokens, context, is_real, first)
    padded = [(k.clone(), v.clone()) for k, v in context]
    for k, v in padded:
        k[0, :, 5:], v[0, :, 5:] = 9.0, -9.0
    assert torch.equal(expert.teach(tokens, padded, is_real, first)[0], before)
    shifted = [(k, v + 0.1) for k, v in context]
    after, _ = expert.teach(tokens, shifted, is_real, first)
    assert (after != before).all()


def test_the_context_is_the_same_after_a_chunk_and_serves_the_next():
    expert, (context, is_real, first) = expert_of(), context_of()
    copies = [(k.clone(), v.clone()) for k, v in context]
    tokens = torch.randint(11, (2, 12))
    once = by_steps(expert, tokens, context, is_real, first)
    assert all(
        torch.equal(k, k2) and torch.equal(v, v2) for (k, v), (k2, v2) in zip(context, copies)
    )
    assert torch.equal(by_steps(expert, tokens, context, is_real, first), once)


def test_copies_of_the_begin_token_are_told_apart_by_their_positions():
    expert, context = expert_of(), context_of()
    logits, _ = expert.teach(torch.zeros(2, 12, dtype=torch.int64), *context)
    first_block = logits[0, :4]
    assert all((first_block[i] != first_block[j]).all() for i in range(4) for j in range(i))


def test_positions_are_spaced_by_two_in_use_and_by_one_to_three_in_training():
    expert = expert_of()
    assert expert._offsets(2, 4).tolist() == [[2, 4, 6, 8]] * 2
    steps = torch.diff(expert.train()._offsets(200, 16), dim=1)
    assert set(steps.unique().tolist()) == {1, 2, 3}


def test_in_use_nothing_is_left_to_chance():
    expert, context = expert_of(), context_of()
    tokens = torch.randint(11, (2, 12))
    assert torch.equal(expert.teach(tokens, *context)[0], expert.teach(tokens, *context)[0])


def test_one_chunk_is_learned_by_heart_block_by_block():
    torch.set_default_dtype(torch.float32)
    expert = ActionExpert(SHAPE, CONFIG)
    context = context_of(1)
    tokens = torch.randint(11, (1, 12))
    optimizer = torch.optim.Adam(expert.parameters(), 3e-3)
    for _ in range(150):
        optimizer.zero_grad()
        logits, _ = expert.teach(tokens, *context)
        torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens.flatten()).backward()
        optimizer.step()
    expert.eval()
    (known, is_real, first), block = context, tokens[:, :4]
    found = []
    for number in range(3):
        logits, known = expert.step(number, block, known, is_real, first)
        block = logits.argmax(dim=-1)
        found.append(block)
    assert torch.equal(torch.cat(found, dim=1), tokens)


def test_a_block_that_does_not_divide_the_chunk_is_refused():
    with pytest.raises(ValueError, match="block is 5; expected a divisor of the 12 tokens"):
        ExpertConfig(codes=11, tokens=12, block=5, width=16, hidden=32)


TINY = TinyBackboneConfig(2, (32, 48), 20, width=32, layers=2, hidden=48, channels=(16,) * 4)


def test_a_context_of_images_and_text_is_what_an_expert_takes():
    backbone = TinyBackbone(TINY).eval()
    images, text = torch.randn(3, 2, 3, 48, 32), torch.randint(20, (3, 5))
    words, is_word = backbone.embed_text(text), torch.ones(3, 5, dtype=torch.bool)
    found = backbone.look(backbone.embed_images(images), words, is_word)
    assert found.shape == (3, 2 * (8 + 8), 32)
    embeddings = torch.cat((found, words), dim=1)
    is_real = torch.ones(3, 37, dtype=torch.bool)
    positions = torch.arange(37).expand(3, -1)
    context = backbone.prefill(embeddings, is_real, positions)
    assert [k.shape for k, _ in context] == [(3, 2, 37, 8)] * 2
    expert = ActionExpert(backbone.shape, CONFIG).eval()
    logits, _ = expert.teach(torch.randint(11, (3, 12)), context, is_real, positions[:, -1])
    assert logits.shape == (3, 12, 11)


@torch.no_grad()
def test_what_is_found_depends_on_the_camera_and_on_the_words():
    backbone = TinyBackbone(TINY).eval()
    images, text = torch.randn(1, 2, 3, 48, 32), torch.randint(1, 20, (1, 5))
    each = [backbone.embed_image(images[:, camera], camera) for camera in range(2)]
    torch.testing.assert_close(backbone.embed_images(images), torch.cat(each, dim=1))
    is_word = torch.ones(1, 5, dtype=torch.bool)
    found, other = (
        backbone.look(torch.cat(each, dim=1), backbone.embed_text(words), is_word)
        for words in (text, text.flip(1))
    )
    torch.testing.assert_close(found[:, :8], other[:, :8], msg="what is in every image")
    assert not torch.allclose(found[:, 8:16], other[:, 8:16])


def test_a_padded_prompt_gives_the_same_context_as_one_without_padding():
    backbone = TinyBackbone(TINY).eval()
    embeddings = torch.randn(1, 9, 32)
    alone = backbone.prefill(embeddings, torch.ones(1, 9, dtype=torch.bool), torch.arange(9)[None])
    padded = torch.cat((embeddings, torch.randn(1, 4, 32)), dim=1)
    is_real = torch.arange(13)[None] < 9
    context = backbone.prefill(padded, is_real, torch.arange(13)[None])
    for (k, v), (k2, v2) in zip(alone, context):
        torch.testing.assert_close(k2[:, :, :9], k, atol=1e-10, rtol=0.0)
        torch.testing.assert_close(v2[:, :, :9], v, atol=1e-10, rtol=0.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_px": (44, 32)}, r"image_px is \(44, 32\); expected multiples of 8"),
        ({"width": 36}, "expected an even width of each head"),
        ({"heads": 3, "width": 36}, "expected an even width of each head"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        TinyBackboneConfig(**{"cameras": 2, "image_px": (32, 48), "vocabulary": 20, **options})
