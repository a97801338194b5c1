import pytest

torch = pytest.importorskip("torch", reason="networks need torch: pip install 'torch==2.13.0'")

from carp_ros.networks.carp_tokenizer import CarpTokenizer, TokenizerConfig  # noqa: E402

SIZES = {
    "as in the paper": TokenizerConfig(dimensions=3, codes=19),
    "long and Euclidean": TokenizerConfig(
        dimensions=2, horizon=32, scales=(1, 2, 4, 8), codes=13, code_width=6, channels=3,
        cosine=False,
    ),
    "one scale": TokenizerConfig(dimensions=2, horizon=8, scales=(2,), codes=5),
}  # fmt: skip
PAPER = SIZES["as in the paper"]
JOINT = TokenizerConfig(
    dimensions=3, scales=(1, 2, 4), codes=17, code_width=12, channels=5, joint=True
)


def make_tokenizer(config: TokenizerConfig, seed: int = 0) -> CarpTokenizer:
    """Return a tokenizer whose codes are as large as its latents, as after training."""
    torch.manual_seed(seed)
    tokenizer = CarpTokenizer(config).eval()
    with torch.no_grad():
        for name, weight in tokenizer.named_parameters():
            if weight.dim() > 1:
                weight.copy_(torch.randn_like(weight) * weight[0].numel() ** -0.5)
            elif "bias" in name:
                weight.copy_(0.1 * torch.randn_like(weight))
        tokenizer.quantizer.codebook.copy_(torch.randn_like(tokenizer.quantizer.codebook))
    return tokenizer


@pytest.fixture(params=[*SIZES.values(), JOINT], ids=[*SIZES, "joint"])
def tokenizer(request):
    return make_tokenizer(request.param)


each_dimension_apart = pytest.mark.parametrize(
    "tokenizer", SIZES.values(), ids=SIZES.keys(), indirect=True
)


def actions_for(config: TokenizerConfig, batch: int = 5) -> torch.Tensor:
    return torch.randn(batch, config.horizon, config.dimensions)


def of_dimension(tokenizer: CarpTokenizer, d: int) -> CarpTokenizer:
    """Return a tokenizer of one dimension, with that dimension's weights."""
    config = tokenizer.config
    alone = CarpTokenizer(
        TokenizerConfig(
            1, config.horizon, config.scales, config.codes, config.code_width, config.channels,
            config.multipliers, config.cosine,
        )
    )  # fmt: skip
    alone.load_state_dict(
        {name: w.chunk(config.dimensions)[d] for name, w in tokenizer.state_dict().items()}
    )
    return alone


@each_dimension_apart
def test_a_grouped_network_is_one_network_for_each_dimension(tokenizer):
    config = tokenizer.config
    actions = actions_for(config)
    together = tokenizer(actions)
    together.loss.backward()
    losses = []
    for d in range(config.dimensions):
        alone = of_dimension(tokenizer, d)
        loss = alone(actions[..., d : d + 1])
        loss.loss.backward()
        losses.append(loss.loss)
        torch.testing.assert_close(together.reconstruction[..., d], loss.reconstruction[..., 0])
        assert torch.equal(together.tokens[:, d :: config.dimensions], loss.tokens)
        for name, weight in alone.named_parameters():
            ours = tokenizer.get_parameter(name).grad.chunk(config.dimensions)[d]
            torch.testing.assert_close(ours, weight.grad, msg=lambda m, name=name: f"{name}: {m}")
    torch.testing.assert_close(together.loss, torch.stack(losses).sum())


@torch.inference_mode()
def test_tokens_stand_for_the_latents_that_were_quantized(tokenizer):
    config = tokenizer.config
    quantized = tokenizer.quantize(tokenizer.encode(actions_for(config)))
    assert quantized.tokens.shape == (5, config.tokens)
    torch.testing.assert_close(tokenizer.latents_from_tokens(quantized.tokens), quantized.latents)


@torch.inference_mode()
def test_scale_by_scale_is_all_scales_at_once(tokenizer):
    tokens = torch.randint(tokenizer.config.codes, (3, tokenizer.config.tokens))
    latents = tokenizer.latents_from_tokens(tokens)
    inputs = []
    latent = tokenizer.empty_latent(3)
    for k, part in enumerate(tokenizer.slices):
        if k > 0:
            inputs.append(tokenizer.next_input(k, latent))
        latent = tokenizer.add_scale(k, latent, tokens[:, part])
        torch.testing.assert_close(latent, latents[:, k])
    all_inputs = tokenizer.scale_inputs(latents)
    assert all_inputs.shape == (
        3, tokenizer.config.tokens - tokenizer.slices[0].stop, tokenizer.config.code_width,
    )  # fmt: skip
    if inputs:  # some processors sum a larger batch in another order
        torch.testing.assert_close(torch.cat(inputs, dim=1), all_inputs)


@each_dimension_apart
@torch.inference_mode()
def test_a_dimension_is_not_seen_by_another(tokenizer):
    actions = actions_for(tokenizer.config)
    changed = actions.clone()
    changed[..., 1] = torch.randn_like(changed[..., 1])
    before, after = tokenizer.encode(actions), tokenizer.encode(changed)
    torch.testing.assert_close(before[:, 0], after[:, 0], atol=0.0, rtol=0.0)
    assert not torch.allclose(before[:, 1], after[:, 1])
    before, after = tokenizer.decode(before), tokenizer.decode(after)
    torch.testing.assert_close(before[..., 0], after[..., 0], atol=0.0, rtol=0.0)
    assert not torch.allclose(before[..., 1], after[..., 1])


@torch.inference_mode()
def test_a_joint_tokenizer_says_all_dimensions_with_the_tokens_of_one():
    tokenizer = make_tokenizer(JOINT)
    actions = actions_for(JOINT)
    assert (JOINT.groups, JOINT.tokens) == (1, sum(JOINT.scales))
    latent = tokenizer.encode(actions)
    assert latent.shape == (5, 1, JOINT.code_width, JOINT.latent_length)
    changed = actions.clone()
    changed[..., 1] = torch.randn_like(changed[..., 1])
    assert not torch.allclose(tokenizer.encode(changed), latent)
    quantized = tokenizer.quantize(latent)
    assert quantized.tokens.shape == (5, JOINT.tokens)
    back = tokenizer.decode(tokenizer.latents_from_tokens(quantized.tokens)[:, -1])
    assert back.shape == actions.shape
    torch.testing.assert_close(back, tokenizer.decode(quantized.latents[:, -1]))


@torch.inference_mode()
def test_a_joint_tokenizers_loss_is_that_of_one_network():
    tokenizer = make_tokenizer(JOINT)
    actions = actions_for(JOINT)
    latent = tokenizer.encode(actions)
    latents = tokenizer.quantize(latent).latents
    mse = torch.nn.functional.mse_loss
    away = sum(1.25 * mse(each, latent) for each in latents.unbind(1)) / len(JOINT.scales)
    loss = tokenizer(actions)
    torch.testing.assert_close(loss.loss, mse(tokenizer.decode(latents[:, -1]), actions) + away)
    assert (len(loss.reconstruction_loss), len(loss.quantization_loss)) == (3, 1)


@torch.inference_mode()
def test_each_code_is_the_nearest_to_what_its_scale_saw():
    for cosine in (True, False):
        quantizer = make_tokenizer(TokenizerConfig(2, codes=9, cosine=cosine)).quantizer
        vectors = torch.randn(4, 3, 2, 8)
        tokens = quantizer.nearest(vectors).view(4, 3, 2)
        for d in range(2):
            codes = quantizer.codebook[d]
            if cosine:
                away = -torch.cosine_similarity(vectors[:, :, d, None], codes, dim=-1)
            else:
                away = (vectors[:, :, d, None] - codes).square().sum(dim=-1)
            assert torch.equal(tokens[..., d], away.argmin(dim=-1))


@torch.inference_mode()
def test_the_loss_is_the_papers():
    tokenizer = make_tokenizer(PAPER)
    actions = actions_for(PAPER)
    latent = tokenizer.encode(actions)
    latents = tokenizer.quantize(latent).latents
    reconstruction = tokenizer.decode(latents[:, -1])
    loss = 0.0
    for d in range(PAPER.dimensions):
        away = [
            torch.nn.functional.mse_loss(each[:, d], latent[:, d]) for each in latents.unbind(1)
        ]
        loss += torch.nn.functional.mse_loss(reconstruction[..., d], actions[..., d])
        loss += sum(1.25 * each for each in away) / len(away)
    torch.testing.assert_close(tokenizer(actions).loss, loss)


def test_gradients_go_where_the_paper_sends_them():
    tokenizer = make_tokenizer(PAPER)
    actions = actions_for(PAPER)
    tokenizer(actions).reconstruction_loss.sum().backward()
    # straight through to the encoder; codes learn by the quantization loss alone
    assert tokenizer.encoder.conv_in.weight.grad.abs().sum() > 0.0
    assert tokenizer.quantizer.codebook.grad is None
    tokenizer.zero_grad()
    tokenizer(actions).quantization_loss.sum().backward()
    assert tokenizer.quantizer.codebook.grad.abs().sum() > 0.0
    assert all(scale.phi.weight.grad.abs().sum() > 0.0 for scale in tokenizer.quantizer.scales)
    assert tokenizer.encoder.conv_in.weight.grad.abs().sum() > 0.0
    assert tokenizer.decoder.conv_out.weight.grad is None


@pytest.mark.parametrize(
    "config",
    [
        TokenizerConfig(dimensions=2, codes=32),
        TokenizerConfig(dimensions=2, codes=32, channels=8, code_width=16, joint=True),
    ],
    ids=["one of each dimension", "joint"],
)
def test_it_learns_to_reconstruct(config):
    torch.manual_seed(0)
    tokenizer = CarpTokenizer(config).train()
    optimizer = torch.optim.AdamW(tokenizer.parameters(), lr=3e-3)
    starts, slopes = torch.randn(2, 64, 1, 2)
    actions = 0.3 * starts + slopes * torch.linspace(0.0, 1.0, 16)[:, None]
    first = tokenizer(actions).reconstruction_loss
    for _ in range(80):
        optimizer.zero_grad()
        tokenizer(actions).loss.backward()
        optimizer.step()
    assert (tokenizer(actions).reconstruction_loss < 0.3 * first).all()


def test_initial_weights_are_those_of_one_dimension_alone():
    torch.manual_seed(0)
    tokenizer = CarpTokenizer(TokenizerConfig(dimensions=400))
    conv = tokenizer.encoder.block_3.conv_1.weight  # 4 to 8 channels, kernel 3
    assert conv.std().item() == pytest.approx(0.5 * (2.0 / (3 * (4 + 8))) ** 0.5, rel=0.05)
    phi = tokenizer.quantizer.scales[0].phi.weight  # 8 to 8 channels, published as 3 x 3
    assert phi.std().item() == pytest.approx(0.5 * (2.0 / (9 * (8 + 8))) ** 0.5, rel=0.05)
    assert tokenizer.quantizer.codebook.abs().max().item() == pytest.approx(0.0098, rel=0.01)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"horizon": 18}, "horizon is 18; expected a multiple of 4"),
        ({"scales": (1, 2, 3)}, r"scales are \(1, 2, 3\); expected the last to be 4"),
        ({"scales": (1, 5, 4)}, r"scales are \(1, 5, 4\); expected 1 to 4 each"),
        ({"multipliers": (2,)}, "expected 2, one a halving"),
    ],
)
def test_a_size_that_cannot_be_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        TokenizerConfig(**wrong)
