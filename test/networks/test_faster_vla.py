"""Tests for networks/faster_vla.py: passes, draws, and that image and words decide."""

import pytest

torch = pytest.importorskip("torch", reason="networks need torch: pip install 'torch==2.13.0'")

from carp_ros.inference.words import PADDING  # noqa: E402
from carp_ros.networks.action_expert import ExpertConfig  # noqa: E402
from carp_ros.networks.faster_vla import FasterVla  # noqa: E402
from carp_ros.networks.tiny_backbone import TinyBackbone, TinyBackboneConfig  # noqa: E402

EXPERT = ExpertConfig(codes=40, tokens=12, block=4, width=24, hidden=32)
TINY = TinyBackboneConfig(2, (32, 32), 20, width=32, layers=2, hidden=48, channels=(16,) * 4)


def network_of(expert=EXPERT, **options):
    torch.manual_seed(0)
    return FasterVla(TinyBackbone(TINY), expert, **options).eval()


def observation(batch=2, length=6):
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(batch, 2, 3, 32, 32, generator=generator) * 2 - 1
    return images, torch.randint(1, 20, (batch, length), generator=generator)


def counted(network):
    """Count the expert's steps."""
    calls = []
    step = network.expert.step
    network.expert.step = lambda *given: calls.append(given[0]) or step(*given)
    return calls


@pytest.mark.parametrize(("block", "passes"), [(4, 3), (12, 1), (1, 12)])
def test_a_chunk_takes_as_many_passes_as_blocks(block, passes):
    network = network_of(ExpertConfig(codes=40, tokens=12, block=block, width=24, hidden=32))
    calls = counted(network)
    tokens = network.generate(network.context(*observation()))
    assert tokens.shape == (2, 12)
    assert calls == list(range(passes))


def test_fewer_blocks_are_the_beginning_of_all():
    network = network_of()
    context = network.context(*observation())
    assert torch.equal(network.generate(context, blocks=2), network.generate(context)[:, :8])


def test_padding_of_the_prompt_changes_no_token():
    network = network_of()
    images, text = observation()
    padded = torch.cat((text, torch.full((2, 5), PADDING)), dim=1)
    short, long = (network.context(images, given) for given in (text, padded))
    assert torch.equal(short.last, long.last)
    one, other = (network.expert.teach(torch.zeros(2, 12).long(), *c)[0] for c in (short, long))
    torch.testing.assert_close(other, one, atol=1e-5, rtol=1e-4)


def test_a_prompt_in_a_batch_gives_what_it_gives_alone():
    network = network_of()
    images, text = observation()
    text[0, 4:] = PADDING
    together = network.context(images, text)
    alone = network.context(images[:1], text[:1, :4])
    tokens = torch.zeros(2, 12).long()
    one = network.expert.teach(tokens[:1], *alone)[0]
    torch.testing.assert_close(
        network.expert.teach(tokens, *together)[0][:1], one, atol=1e-5, rtol=1e-4
    )


def test_draws_keep_to_the_likeliest_codes_and_repeat_with_their_seed():
    network = network_of()
    context = network.context(*observation())
    first = network.expert.step(0, torch.zeros(2, 4).long(), *context)[0]
    allowed = first.topk(5, dim=-1).indices
    for seed in range(20):
        drawn = [
            network.generate(
                context,
                blocks=1,
                temperature=5.0,
                likeliest=5,
                generator=torch.Generator().manual_seed(seed),
            )
            for _ in range(2)
        ]
        assert torch.equal(*drawn)
        assert (drawn[0][..., None] == allowed).any(dim=-1).all()


def test_at_temperature_zero_the_likeliest_code_is_taken():
    network = network_of()
    context = network.context(*observation())
    logits, _ = network.expert.step(0, torch.zeros(2, 4).long(), *context)
    assert torch.equal(network.generate(context, blocks=1), logits.argmax(dim=-1))


def test_only_codes_are_drawn_whatever_the_weights():
    network = network_of()
    with torch.no_grad():
        network.expert.table.weight[EXPERT.codes :] *= 100.0  # begin and end
    tokens = network.generate(network.context(*observation(16)), temperature=5.0)
    assert tokens.max() < EXPERT.codes


def test_the_end_counts_as_one_token():
    network = network_of()
    tokens = torch.randint(40, (2, 12), generator=torch.Generator().manual_seed(2))
    context = network.context(*observation())
    losses = network.losses(context, tokens)
    logits, end = network.expert.teach(tokens, *context)
    picked = logits.log_softmax(-1).gather(-1, tokens[..., None])[..., 0]
    ended = end.log_softmax(-1)[..., network.expert.end_id].mean(1)
    expected = -(picked.sum(1) + ended).mean() / 13
    torch.testing.assert_close(losses["loss"], expected)
    torch.testing.assert_close(losses["loss_of_block_1"], -picked[:, 4:8].mean())


def test_words_and_image_both_decide():
    """One of two spots is named: left or right; its row is in the image."""
    torch.manual_seed(0)
    network = FasterVla(TinyBackbone(TINY), EXPERT)
    generator = torch.Generator().manual_seed(3)

    def batch(count):
        rows = torch.randint(
            2, (count, 2), generator=generator
        )  # of the left and of the right spot
        named = torch.randint(2, (count,), generator=generator)
        images = torch.full((count, 2, 3, 32, 32), -1.0)
        for i in range(count):
            for side in range(2):
                y = 2 + 16 * int(rows[i, side])
                images[i, 0, side, y : y + 12, 2 + 16 * side : 14 + 16 * side] = 1.0
        goal = rows.gather(1, named[:, None])
        tokens = (goal * 20 + named[:, None] * 10).expand(-1, 12)
        return images, torch.stack((torch.full_like(named, 1), 2 + named), dim=1), tokens

    optimizer = torch.optim.Adam(network.parameters(), 2e-3)
    for _ in range(250):
        images, text, tokens = batch(32)
        optimizer.zero_grad()
        network.losses(network.context(images, text), tokens)["loss"].backward()
        optimizer.step()
    network.eval()
    images, text, tokens = batch(64)
    right = (network.generate(network.context(images, text)) == tokens).all(dim=1).float().mean()
    assert right > 0.9
    swapped = torch.stack((text[:, 0], 5 - text[:, 1]), dim=1)
    found = network.generate(network.context(images, swapped))
    other = (found % 20 // 10 != tokens % 20 // 10).all(dim=1).float().mean()
    assert other > 0.9  # the words decide which
    blank = network.generate(network.context(torch.zeros_like(images), text))
    assert (blank == tokens).all(dim=1).float().mean() < 0.7  # the image decides where
