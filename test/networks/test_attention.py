"""Attention on a CPU is as exact as its numbers, whatever training rounds to."""

import pytest

torch = pytest.importorskip("torch", reason="networks need torch: pip install 'carp_ros[train]'")

from carp_ros.networks.attention import attended, fast_attention  # noqa: E402


def numbers(dtype, heads=4, kv_heads=2):
    torch.manual_seed(0)
    q, k, v = (torch.randn(3, count, 5, 8) for count in (heads, kv_heads, kv_heads))
    mask = torch.rand(3, 1, 5, 5) > 0.4
    mask[..., 0] = True
    return [part.to(dtype).requires_grad_() for part in (q, k, v)], mask


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_it_is_softmax_of_products_and_of_the_values_type(dtype):
    (q, k, v), mask = numbers(dtype)
    mixed = fast_attention(q, k, v, mask, 0.3)
    assert mixed.dtype == dtype
    q, k, v = (part.double().repeat_interleave(4 // part.shape[1], dim=1) for part in (q, k, v))
    logits = (0.3 * q @ k.transpose(2, 3)).masked_fill(~mask, float("-inf"))
    expected = logits.softmax(dim=-1) @ v
    rounding = {torch.bfloat16: 1e-2, torch.float32: 1e-5, torch.float64: 1e-12}[dtype]
    torch.testing.assert_close(mixed.double(), expected, atol=rounding, rtol=rounding)


@pytest.mark.parametrize("softcap", [None, 2.0])
def test_it_is_not_rounded_where_training_rounds(softcap):
    """Operations that autocast rounds would make half precision of single."""
    (q, k, v), mask = numbers(torch.float32)
    exact = attended(q, k, v, mask, 0.3, softcap)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = attended(q, k, v, mask, 0.3, softcap)
    atol = 1e-6 if softcap is None else 0.05
    torch.testing.assert_close(mixed.float(), exact, atol=atol, rtol=0.0)
    mixed.float().sum().backward()
    assert all(part.grad is not None and part.grad.isfinite().all() for part in (q, k, v))
