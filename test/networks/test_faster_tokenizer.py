"""Tests of FASTerVQ: networks/faster_tokenizer.py and what it is made of."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="networks need torch: pip install 'torch==2.13.0'")

from carp_ros.networks.faster_tokenizer import (  # noqa: E402
    FasterTokenizer,
    FasterTokenizerConfig,
)
from carp_ros.networks.patches import Patchifier  # noqa: E402
from carp_ros.networks.resampling import cosine_matrix  # noqa: E402
from carp_ros.networks.residual_quantizer import ResidualQuantizer  # noqa: E402

SMALL = {"width": 16, "heads": 2, "depth": 1, "codes": 32, "code_width": 8}


def tokenizer_of(**options):
    torch.manual_seed(0)
    return FasterTokenizer(FasterTokenizerConfig(**{**SMALL, **options})).eval()


def chunks(count, horizon=16, dimensions=7):
    return (
        torch.rand(count, horizon, dimensions, generator=torch.Generator().manual_seed(1)) * 2 - 1
    )


def cosine_transform(signal):
    """Return the orthonormal DCT-II along axis -2, by the FFT of the mirrored signal."""
    length = signal.shape[-2]
    mirrored = np.concatenate([signal, signal[..., ::-1, :]], axis=-2)
    phase = np.exp(-0.5j * np.pi * np.arange(length) / length)[:, None]
    result = (np.fft.fft(mirrored, axis=-2)[..., :length, :] * phase).real / np.sqrt(2 * length)
    result[..., 0, :] /= np.sqrt(2)
    return result


@pytest.mark.parametrize(
    "groups", [(3, 3, 1), (3, 6, 1), (4, 3, 1), (1,), (2, 5), (3, 3, 1, 3, 3, 1)]
)
@pytest.mark.parametrize("steps", [1, 4, 5])
def test_patches_hold_every_number_and_zeros(groups, steps):
    patchifier = Patchifier(groups, steps)
    actions = torch.randn(3, 4 * steps, sum(groups))
    patches = patchifier.patchify(actions)
    assert patches.shape == (3, 4, len(groups) * max(groups), steps)
    assert torch.equal(patchifier.unpatchify(patches), actions)
    assert (patches == 0.0).sum() == 12 * steps * (patches.shape[2] - sum(groups))


def test_padding_reaches_no_action():
    patchifier = Patchifier((3, 1), 2)
    patches = patchifier.patchify(torch.randn(2, 4, 4))
    other = patches.clone()
    other[:, :, [4, 5]] = 9.0  # behind the gripper
    assert torch.equal(patchifier.unpatchify(other), patchifier.unpatchify(patches))


def test_tokens_are_ordered_by_level_then_time_then_column():
    tokenizer = tokenizer_of(groups=(2, 1), levels=2, horizon=16, strides=(1, 2))
    codes = torch.arange(2 * 2 * 3).reshape(1, 2, 2, 3)  # level, time, column
    tokens = tokenizer.tokens_of(codes.permute(0, 2, 3, 1))
    assert tokens[0].tolist() == [
        i * 6 + t * 3 + a for i in range(2) for t in range(2) for a in range(3)
    ]
    assert torch.equal(tokenizer.codes_of(tokens), codes.permute(0, 2, 3, 1))
    assert torch.equal(tokenizer.codes_of(tokens[:, :6]), codes.permute(0, 2, 3, 1)[..., :1])


def test_each_level_takes_the_code_nearest_to_what_is_left():
    torch.manual_seed(0)
    quantizer = ResidualQuantizer(3, 16, 4)
    latent = torch.randn(20, 4)
    codes, residuals, quantized = quantizer.quantize(latent)
    books = quantizer.codebook.numpy().astype(np.float64)
    for n, vector in enumerate(latent.numpy().astype(np.float64)):
        rest, total = vector.copy(), np.zeros(4)
        for level in range(3):
            assert residuals[n, level].numpy() == pytest.approx(rest, abs=1e-6)
            pick = int(((books[level] - rest) ** 2).sum(axis=1).argmin())
            assert codes[n, level] == pick
            rest, total = rest - books[level, pick], total + books[level, pick]
        assert quantized[n].numpy() == pytest.approx(total, abs=1e-6)
    torch.testing.assert_close(quantizer.sum_of(codes), quantized)


def test_a_level_that_may_add_nothing_never_makes_it_worse():
    torch.manual_seed(0)
    quantizer = ResidualQuantizer(4, 16, 4)
    with torch.no_grad():
        quantizer.codebook[:, 0] = 0.0
    latent = torch.randn(50, 4)
    _, residuals, quantized = quantizer.quantize(latent)
    lengths = torch.cat((residuals, (latent - quantized)[:, None]), 1).norm(dim=-1)
    assert (lengths.diff(dim=1) <= 1e-6).all()


def test_quantizing_takes_single_precision_under_autocast():
    torch.manual_seed(0)
    quantizer = ResidualQuantizer(2, 64, 16)
    latent = torch.randn(200, 16)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = quantizer.quantize(latent).codes
    assert torch.equal(mixed, quantizer.quantize(latent).codes)


def test_a_chunk_has_the_same_tokens_alone_and_in_a_batch():
    tokenizer = tokenizer_of()
    together = tokenizer.tokenize(chunks(64))
    assert together.shape == (64, 21)
    assert torch.equal(torch.cat([tokenizer.tokenize(one[None]) for one in chunks(64)]), together)


@pytest.mark.parametrize("columns", ["conv", "number"])
@pytest.mark.parametrize(
    ("groups", "horizon", "steps", "strides", "tokens"),
    [
        ((3, 3, 1), 20, 5, (1, 2, 2), 21),
        ((3, 3, 1), 10, 5, (1, 1, 2), 21),
        ((4, 3, 1), 16, 4, (1, 2, 2), 24),
        ((3, 3, 1, 3, 3, 1), 32, 4, (1, 2, 2), 84),
        ((3, 6, 1), 16, 4, (2, 2), 30),
    ],
)
def test_presets_of_the_paper_have_its_numbers_of_tokens(
    columns, groups, horizon, steps, strides, tokens
):
    tokenizer = tokenizer_of(
        groups=groups, horizon=horizon, patch_steps=steps, strides=strides, columns=columns
    )
    actions = chunks(2, horizon, sum(groups))
    assert tokenizer.config.tokens == tokens
    assert tokenizer.tokenize(actions).shape == (2, tokens)
    assert tokenizer.decode(tokenizer.encode(actions)).shape == actions.shape


def test_the_papers_network_has_its_size():
    network = FasterTokenizer(FasterTokenizerConfig(horizon=20, patch_steps=5))
    trained = sum(p.numel() for p in network.parameters() if p.requires_grad)
    assert trained == pytest.approx(7.75e6, rel=0.01)


def test_the_cosine_transform_is_orthonormal():
    matrix = cosine_matrix(20).double()
    torch.testing.assert_close(matrix @ matrix.T, torch.eye(20).double(), atol=1e-6, rtol=0.0)
    signal = np.random.default_rng(0).normal(size=(20, 3))
    expected = cosine_transform(signal)
    assert (matrix.numpy() @ signal) == pytest.approx(expected, abs=1e-5)


def test_the_loss_is_what_the_paper_adds_up():
    tokenizer = tokenizer_of(commitment=0.25, frequency=0.5)
    actions = chunks(5)
    loss = tokenizer(actions)
    latent = tokenizer.encode(actions)
    quantized = tokenizer.latent_of(loss.tokens)
    error = (tokenizer.decode(quantized) - actions).detach().numpy()
    spectrum = cosine_transform(error)
    away = float((latent - quantized).detach().square().mean())
    assert float(loss.reconstruction_loss) == pytest.approx(np.abs(error).mean(), rel=1e-4)
    assert float(loss.quantization_loss) == pytest.approx(away, rel=1e-4)
    expected = np.abs(error).mean() + 0.5 * np.abs(spectrum).mean() + 0.25 * away
    assert float(loss.loss) == pytest.approx(expected, rel=1e-4)


def test_the_encoder_gets_the_decoders_gradient_and_codes_get_none():
    tokenizer = tokenizer_of(commitment=0.0)
    seen = {}
    decode = tokenizer.decode

    def keep(latent):
        latent.retain_grad()
        seen["decoded"] = latent
        return decode(latent)

    tokenizer.decode = keep
    encode = tokenizer.encode
    tokenizer.encode = lambda actions: seen.setdefault("latent", encode(actions))
    seen_by_encoder = tokenizer(chunks(3))
    seen["latent"].retain_grad()
    seen_by_encoder.loss.backward()
    assert torch.equal(seen["latent"].grad, seen["decoded"].grad)
    assert seen["latent"].grad.abs().sum() > 0.0
    assert tokenizer.quantizer.codebook.grad is None


def test_one_batch_moves_codes_by_their_averages():
    tokenizer = tokenizer_of(codebook_decay=0.9, restart_below=0.0).train()
    actions = chunks(4)
    tokenizer.begin(actions)
    before = tokenizer.quantizer.codebook.clone()
    latent = tokenizer.encode(actions)
    codes, residuals, _ = tokenizer.quantizer.quantize(latent)
    tokenizer(actions)
    for level in range(3):
        own, rest = codes[..., level].flatten(), residuals[..., level, :].flatten(0, 2)
        even = len(own) / 32
        for code in range(32):
            hits = rest[own == code]
            uses = 0.9 + 0.1 * len(hits) / even
            expected = (0.9 * before[level, code] + 0.1 * hits.sum(0) / even) / uses
            torch.testing.assert_close(
                tokenizer.quantizer.codebook[level, code], expected.detach(), atol=1e-5, rtol=1e-4
            )


def test_use_changes_no_code():
    tokenizer = tokenizer_of()
    before = {name: value.clone() for name, value in tokenizer.state_dict().items()}
    tokenizer(chunks(8))
    after = tokenizer.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_dead_codes_come_to_life_and_stay():
    tokenizer = tokenizer_of(codes=64, codebook_decay=0.9).train()
    with torch.no_grad():
        tokenizer.quantizer.codebook[:, 6:] = 100.0
        tokenizer.upkeep.begin(tokenizer.quantizer.codebook)
    actions = chunks(256)
    for _ in range(80):
        with torch.no_grad():
            tokenizer(actions)
    codes = tokenizer.quantizer.quantize(tokenizer.encode(actions)).codes
    for level in range(3):
        assert len(codes[..., level].unique()) > 0.9 * 64
    assert tokenizer.quantizer.codebook.abs().max() < 50.0


def test_codes_begin_where_latents_are():
    tokenizer = tokenizer_of(codes=16)
    actions = chunks(64)
    tokenizer.begin(actions)
    codes, _, quantized = tokenizer.quantizer.quantize(tokenizer.encode(actions))
    latent = tokenizer.encode(actions)
    spread = (latent - latent.mean(dim=(0, 1, 2))).square().mean()
    assert (latent - quantized).square().mean() < 0.2 * spread
    assert all(len(codes[..., level].unique()) > 12 for level in range(3))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"horizon": 18}, "horizon is 18; expected a multiple of 16"),
        ({"strides": (3,), "horizon": 12}, "a stride is 3; expected 1 or an even number"),
        ({"width": 20, "heads": 3}, "width is 20; expected a multiple of the 3 heads"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        FasterTokenizerConfig(**options)
