"""Data-parallel training with `torchrun`: this process's rank, and sums over all ranks."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist


@contextmanager
def ranks() -> Iterator[None]:
    """Join `torchrun`'s process group while the block runs; without `torchrun`, do nothing."""
    together = int(os.environ.get("WORLD_SIZE", "1")) > 1
    if together:
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield
    finally:
        if together:
            dist.destroy_process_group()


def rank() -> int:
    """Return this process's number; only rank 0 writes files and prints."""
    return dist.get_rank() if dist.is_initialized() else 0


def world() -> int:
    """Return how many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


@contextmanager
def rank_0_first() -> Iterator[None]:
    """Let rank 0 run the block first and the others after it, so that they find what it wrote."""
    if rank() > 0:
        dist.barrier()
    yield
    if world() > 1 and rank() == 0:
        dist.barrier()


def share_of(count: int) -> slice:
    """Return this process's slice of a global batch of `count` examples."""
    return slice(rank() * count // world(), (rank() + 1) * count // world())


def average_gradients(weights: Iterable[torch.nn.Parameter], share: float) -> None:
    """Replace each gradient by its mean over all examples of the global batch.

    Args:
        weights: The weights being trained.
        share: This process's share of the examples.
    """
    if world() == 1:
        return
    gradients = [weight.grad for weight in weights if weight.grad is not None]
    flat = torch.cat([gradient.reshape(-1) for gradient in gradients]) * share
    dist.all_reduce(flat)
    for gradient, mean in zip(gradients, flat.split([g.numel() for g in gradients])):
        gradient.copy_(mean.view_as(gradient))


def mean_over_ranks(value: torch.Tensor, share: float) -> torch.Tensor:
    """Return the mean of a metric over all examples of the global batch."""
    if world() > 1:
        value = value * share
        dist.all_reduce(value)
    return value
