import pytest

torch = pytest.importorskip("torch", reason="networks need torch: pip install 'torch==2.13.0'")

from carp_ros.networks.carp_tokenizer import CarpTokenizer, TokenizerConfig  # noqa: E402

# one scale, whose vectors are the latent's own columns
SIZE = {"dimensions": 2, "horizon": 8, "scales": (2,), "codes": 4, "code_width": 3}


def make_tokenizer(**options) -> CarpTokenizer:
    torch.manual_seed(0)
    tokenizer = CarpTokenizer(TokenizerConfig(**SIZE, **options, cosine=False)).train()
    with torch.no_grad():
        tokenizer.quantizer.codebook.copy_(torch.randn_like(tokenizer.quantizer.codebook))
    return tokenizer


def keep_up(tokenizer: CarpTokenizer, latent: torch.Tensor, times: int) -> torch.Tensor:
    """Quantize a latent often, as training does; return the tokens of the last time."""
    for _ in range(times):
        quantized = tokenizer.quantize(latent)
        quantizer = tokenizer.quantizer
        tokenizer.upkeep(quantizer.codebook, *quantizer.assigned(latent, quantized))
    return quantized.tokens


def test_a_code_becomes_the_mean_of_what_it_stands_for():
    tokenizer = make_tokenizer(codebook_decay=0.9)
    latent = torch.randn(50, 2, 3, 2)
    tokens = keep_up(tokenizer, latent, 300).view(50, 2, 2)
    for d in range(2):
        for token in tokens[..., d].unique():
            own = latent[:, d].transpose(1, 2)[tokens[..., d] == token]
            torch.testing.assert_close(tokenizer.quantizer.codebook[d, token], own.mean(dim=0))


def test_an_averaged_codebook_gets_no_gradient_and_phi_does():
    tokenizer = make_tokenizer(codebook_decay=0.9)
    tokenizer(torch.randn(4, 8, 2)).loss.backward()
    assert not tokenizer.quantizer.codebook.requires_grad
    assert tokenizer.quantizer.scales[0].phi.weight.grad is not None


def test_a_dead_code_moves_to_where_vectors_are():
    tokenizer = make_tokenizer(restart_below=0.1)
    with torch.no_grad():
        tokenizer.quantizer.codebook[:, 1:] = 100.0
    latent = torch.randn(50, 2, 3, 2)
    tokens = keep_up(tokenizer, latent, 400).view(100, 2)
    assert all(len(tokens[:, d].unique()) == 4 for d in range(2))
    assert tokenizer.quantizer.codebook.abs().max() < 10.0


def test_the_papers_recipe_leaves_dead_codes_and_keeps_no_statistics():
    tokenizer = make_tokenizer()
    assert tokenizer.upkeep is None
    assert not [name for name in tokenizer.state_dict() if "upkeep" in name]


def test_training_keeps_the_codebook_up_and_use_does_not():
    tokenizer = make_tokenizer(codebook_decay=0.5)
    before = tokenizer.quantizer.codebook.clone()
    tokenizer.eval()(torch.randn(4, 8, 2))
    assert torch.equal(tokenizer.quantizer.codebook, before)
    tokenizer.train()(torch.randn(4, 8, 2))
    assert not torch.equal(tokenizer.quantizer.codebook, before)


def test_a_decay_of_one_is_refused():
    with pytest.raises(ValueError, match=r"decay is 1.0; expected at least 0 and less than 1"):
        make_tokenizer(codebook_decay=1.0)
