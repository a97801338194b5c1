import pytest

torch = pytest.importorskip("torch", reason="networks need torch: pip install 'carp_ros[train]'")

from carp_ros.networks.carp_tokenizer import CarpTokenizer, TokenizerConfig  # noqa: E402
from carp_ros.networks.carp_transformer import CarpTransformer, TransformerConfig  # noqa: E402

SCALES = (1, 2, 4)
SIZE = TransformerConfig(features=5, groups=3, scales=SCALES, codes=32, width=16, depth=3, heads=2)


@pytest.fixture
def tokenizer() -> CarpTokenizer:
    torch.manual_seed(0)
    tokenizer = CarpTokenizer(TokenizerConfig(dimensions=3, scales=SCALES, codes=32)).eval()
    torch.nn.init.normal_(tokenizer.quantizer.codebook)
    return tokenizer


def lively(config: TransformerConfig = SIZE) -> CarpTransformer:
    """Return a transformer whose weights are far from their small initial ones."""
    torch.manual_seed(1)
    transformer = CarpTransformer(config).eval()
    with torch.no_grad():
        for weight in transformer.parameters():
            weight.add_(0.2 * torch.randn_like(weight))
    return transformer


@torch.no_grad()
def test_passes_over_the_cache_give_the_logits_of_training(tokenizer):
    transformer = lively()
    condition = transformer.condition(torch.randn(4, 5))
    made = transformer.generate(tokenizer, condition)
    inputs = tokenizer.scale_inputs(tokenizer.latents_from_tokens(made.tokens))
    torch.testing.assert_close(transformer(condition, inputs), made.logits, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_no_scale_sees_a_finer_one_and_each_sees_all_of_itself(tokenizer):
    transformer = lively()
    condition = transformer.condition(torch.randn(1, 5))
    inputs = torch.randn(1, 3 * 6, 8)
    logits = transformer(condition, inputs)
    for k, part in enumerate(transformer.slices[1:], 1):
        changed = inputs.clone()
        changed[:, part.start - 3] += 1.0  # one token of scale k
        moved = (transformer(condition, changed) - logits).abs().amax(-1)[0] > 1e-6
        assert not moved[: part.start].any(), f"scale {k} is seen before it"
        assert moved[part].all(), f"scale {k} does not see all of itself"


@torch.no_grad()
def test_generation_may_stop_after_a_scale_with_the_tokens_it_would_have_had(tokenizer):
    transformer = lively()
    condition = transformer.condition(torch.randn(2, 5))
    whole = transformer.generate(tokenizer, condition)
    coarse = transformer.generate(tokenizer, condition, last_scale=1)
    assert coarse.tokens.shape == (2, 9)
    torch.testing.assert_close(coarse.tokens, whole.tokens[:, :9])
    expected = tokenizer.latents_from_tokens(whole.tokens)[:, 1]
    torch.testing.assert_close(coarse.latent, expected)


@torch.no_grad()
def test_the_sharper_the_mean_of_the_codes_the_nearer_it_is_to_the_likeliest(tokenizer):
    transformer = lively()
    condition = transformer.condition(torch.randn(2, 5))
    likeliest = transformer.generate(tokenizer, condition).latent
    means = [
        transformer.generate(tokenizer, condition, sharpness=sharpness).latent
        for sharpness in (1.0, 30.0, 1e6)
    ]
    off = [float((mean - likeliest).abs().max()) for mean in means]
    assert off[0] > off[1] > off[2]
    assert off[2] < 1e-5


@torch.no_grad()
def test_the_likeliest_tokens_are_taken_and_their_likelihood_is_that_of_the_logits(tokenizer):
    transformer = lively()
    made = transformer.generate(tokenizer, transformer.condition(torch.randn(2, 5)))
    torch.testing.assert_close(made.tokens, made.logits.argmax(-1))
    expected = made.logits.log_softmax(-1).amax(-1).sum(-1)
    torch.testing.assert_close(made.log_likelihood, expected)


@torch.no_grad()
def test_drawn_tokens_are_among_the_likeliest_and_depend_on_the_generator(tokenizer):
    transformer = lively()
    condition = transformer.condition(torch.randn(8, 5))

    def draw(seed: int):
        generator = torch.Generator().manual_seed(seed)
        return transformer.generate(
            tokenizer, condition, top_k=3, temperature=2.0, generator=generator
        )

    drawn = draw(0)
    likeliest = drawn.logits.topk(3, dim=-1).indices
    assert (likeliest == drawn.tokens[..., None]).any(-1).all()
    assert torch.equal(drawn.tokens, draw(0).tokens)
    assert not torch.equal(drawn.tokens, draw(1).tokens)


def test_a_task_is_asked_for_where_there_are_several_and_only_there():
    several = CarpTransformer(TransformerConfig(5, 3, SCALES, 32, width=16, heads=2, tasks=2))
    with pytest.raises(ValueError, match="expected one of 2"):
        several.condition(torch.zeros(1, 5))
    with pytest.raises(ValueError, match="expected none"):
        CarpTransformer(SIZE).condition(torch.zeros(1, 5), torch.zeros(1, dtype=torch.int64))
    tasks = torch.tensor([0, 1])
    first, second = several.condition(torch.zeros(2, 5), tasks)
    assert not torch.equal(first, second)


def test_paths_are_left_out_in_training_alone():
    config = TransformerConfig(5, 3, SCALES, 32, width=16, depth=3, heads=2, drop_path=0.5)
    transformer = lively(config)
    condition, inputs = torch.randn(1, 16), torch.randn(1, 18, 8)
    with torch.no_grad():
        assert torch.equal(transformer(condition, inputs), transformer(condition, inputs))
        transformer.train()
        results = [transformer(condition, inputs) for _ in range(8)]
    assert any(not torch.equal(results[0], result) for result in results[1:])
