"""FASTer's graphs: image encoders, context, one pass for each block, decoders.

The context's keys and values have their place once and for all; each block's pass reads them, adds
its own, and hands those on to the next. A bundle is for one robot, so there is no batch dimension
after the image encoders.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from carp_ros.export.committed import nothing_committed
from carp_ros.export.policy_graph import PolicyGraph, computed
from carp_ros.inference.bundle import image_name
from carp_ros.inference.published_words import PublishedWords
from carp_ros.inference.words import PADDING, Words
from carp_ros.networks.action_expert import SPACING
from carp_ros.networks.attention import JointLayer
from carp_ros.networks.backbone import BackboneShape
from carp_ros.networks.carp_policy import ImageEncoderConfig
from carp_ros.networks.faster_policy import FasterPolicyNetwork
from carp_ros.networks.tiny_backbone import TinyBackbone
from carp_ros.networks.vision import center_crop

_HIDDEN = -1e9  # logit of a token that nothing attends to


class FasterExport:
    """The kind `faster`; see `family.ExportFamily`."""

    quantized = ("vision_", "context", "block_")
    takes_instruction = True

    @torch.no_grad()
    def graphs(
        self,
        network: FasterPolicyNetwork,
        encoder: ImageEncoderConfig,
        example: Mapping[str, Tensor],
    ) -> Iterator[PolicyGraph]:
        """Yield the graphs in the order in which they run."""
        inputs: dict[str, Tensor] = {}
        for number, camera in enumerate(network.cameras):
            image = image_name(camera)
            module = _VisionGraph(network, number, encoder.crop_px)
            graph = computed(
                f"vision_{camera}", module, {image: example[image]}, [f"features_{camera}"]
            )
            yield graph
            inputs |= graph.outputs
        inputs |= _asked(network, example)
        module = ContextGraph(network)
        context = computed("context", module, inputs, module.outputs)
        yield context
        own: dict[str, Tensor] = {}
        chosen: dict[str, Tensor] = {}
        decodes = "shares" if network.sharpness else "tokens"
        decoded: dict[str, Tensor] = {}
        config = network.vla.expert.config
        for block in range(config.blocks):
            module = BlockGraph(network, block)
            before = {"before": chosen[f"tokens_{block - 1}"]} if block else {}
            graph = computed(
                f"block_{block}", module, {**before, **context.outputs, **own}, module.outputs
            )
            yield graph
            chosen[f"tokens_{block}"] = graph.outputs["tokens"]
            decoded[f"{decodes}_{block}"] = graph.outputs[decodes]
            own = {name.removeprefix("next_"): graph.outputs[name] for name in module.handed_on}
        for done in blocks_that_decode(network):
            names = [f"{decodes}_{block}" for block in range(done)]
            inputs = {name: decoded[name] for name in names} | {"state": example["state"]}
            yield computed(f"decoder_{done}", _DecoderGraph(network), inputs, ["actions"])

    def vocabulary(self, network: FasterPolicyNetwork) -> str | None:
        """Return a published model's tokenizer; the tiny one's words stand in the section."""
        words = network.prompts.words
        return words.to_json() if isinstance(words, PublishedWords) else None

    def section(self, network: FasterPolicyNetwork) -> dict[str, Any]:
        """Return the section `faster` of the manifest."""
        scaling, words = network.state_scaling, network.prompts.words
        return {
            "words": list(words.words) if isinstance(words, Words) else [],
            "begin": list(words.begin),
            "prompt_tokens": network.prompts.length,
            "state_scale": scaling.scale.tolist(),
            "state_offset": scaling.offset.tolist(),
            "blocks": network.vla.expert.config.blocks,
            "decodes_after": blocks_that_decode(network),
            "committed_steps": network.commitment.steps if network.commitment else 0,
        }


def blocks_that_decode(network: FasterPolicyNetwork) -> list[int]:
    """Return after how many blocks there is a complete trajectory: after each whole level."""
    config, levels = network.vla.expert.config, network.tokenizer.chunk_tokens.levels
    done = ((level + 1) * config.tokens / levels / config.block for level in range(levels))
    return [int(blocks) for blocks in done if blocks == int(blocks)]


def _asked(network: FasterPolicyNetwork, example: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the prompt and the state of an example, and that nothing is committed."""
    prompts, state = network.prompts, example["state"]
    task = int(example["task"][0]) if "task" in example else 0
    instruction = prompts.instruction(network.instructions[task])[None]
    asked = {"text": network.text(instruction, state), "state": state}
    if network.commitment is None:
        return asked
    steps, size = network.commitment.steps, network.action_size
    return {**asked, **nothing_committed(state, steps, size)}


class _VisionGraph(nn.Module):
    """Encodes the image of one camera, uint8 (1, H, W, 3), to what is seen in it, (R, d)."""

    def __init__(self, network: FasterPolicyNetwork, camera: int, crop_px: tuple[int, int]) -> None:
        super().__init__()
        backbone = network.vla.backbone
        assert isinstance(backbone, nn.Module)
        self.backbone, self.camera, self.crop_px = backbone, camera, crop_px

    def forward(self, image: Tensor) -> Tensor:
        """Return `features`."""
        return self.backbone.embed_image(center_crop(image, self.crop_px), self.camera)[0]


class ContextGraph(nn.Module):
    """Computes what every block attends to.

    Attributes:
        outputs: Names of the outputs: `shown`, which is 0 for tokens to attend to and very negative
            for padding, (S,); `last`, the position of the last token, (1,); perhaps `hint`, see
            `sketch.Sketch`; and each layer's keys, (kv_heads, w, S), and values,
            (kv_heads, S, w).
    """

    def __init__(self, network: FasterPolicyNetwork) -> None:
        super().__init__()
        self.network, self.backbone = network, network.vla.backbone
        layers = self.backbone.shape.layers
        self.layers: nn.ModuleList | None = None  # for one observation; a published one keeps its
        if isinstance(self.backbone, TinyBackbone):
            self.layers = nn.ModuleList(
                _LayerPass(layer, self.backbone.shape) for layer in self.backbone.layers
            )
        names = (f"{what}_{i}" for i in range(layers) for what in ("keys", "values"))
        hint = ["hint"] if network.sketch is not None else []
        self.outputs = ["shown", "last", *hint, *names]

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Return `outputs`.

        Args:
            inputs: Features (R, d) of each camera; text (1, L); state (1, S); and, if the network
                takes them, committed actions (1, P, A) and their count (1,).
        """
        cameras = len(self.network.cameras)
        seen, (text, state, *committed) = inputs[:cameras], inputs[cameras:]
        words, is_word = self.backbone.embed_text(text), text != PADDING
        found = self.backbone.look(torch.cat(seen)[None], words, is_word)[0]
        parts, real = [found], [torch.ones(len(found), dtype=torch.bool)]
        if committed:
            more = self.network.committed(state, (committed[0], committed[1]))
            assert more is not None
            parts.append(more.tokens[0])
            real.append(more.is_real[0])
        x, is_real = torch.cat((*parts, words[0])), torch.cat((*real, is_word[0]))
        positions = (is_real.long().cumsum(0) - 1).clamp(min=0)
        if not committed:  # else a constant that `state` does not reach
            x = x + 0.0 * state.sum()
        shown = torch.where(is_real, 0.0, _HIDDEN)
        known = list(self._known(x, is_real, positions, shown))
        return shown, positions[-1:], *self._hint(known, state), *known

    def _hint(self, known: list[Tensor], state: Tensor) -> Iterator[Tensor]:
        """Yield the hint of a sketch, (B, width), if the network makes one."""
        sketch = self.network.sketch
        if sketch is not None:
            pairs = [
                (keys[None].transpose(2, 3), values[None])
                for keys, values in zip(known[::2], known[1::2])
            ]
            yield sketch.hint(sketch(pairs, self.network.state_scaling(state)))[0]

    def _known(
        self, x: Tensor, is_real: Tensor, positions: Tensor, shown: Tensor
    ) -> Iterator[Tensor]:
        """Yield keys and values, layer by layer."""
        if self.layers is None:
            known = self.backbone.prefill(x[None], is_real[None], positions[None])
            for keys, values in known:
                yield from (keys[0].transpose(1, 2), values[0])
            return
        waves = _waves(positions, self.backbone.shape)
        for number, layer in enumerate(self.layers):
            is_last = number == len(self.layers) - 1
            x, own = layer(x, waves, shown, None, keys_only=is_last)
            yield from own


class BlockGraph(nn.Module):
    """Predicts the likeliest tokens of one block.

    Args:
        network: Trained.
        block: Its number, from 0.

    Attributes:
        outputs: Names of the outputs, including `handed_on`, and `shares` of the codes for a policy
            whose plans are means over them.
        handed_on: Names of the keys and values of this and earlier blocks, layer by layer.
    """

    weights: Tensor

    def __init__(self, network: FasterPolicyNetwork, block: int) -> None:
        super().__init__()
        expert = network.vla.expert
        config = expert.config
        self.expert, self.block = expert, block
        self.has_hint = network.sketch is not None
        self.layers = nn.ModuleList(_LayerPass(layer, expert.shape) for layer in expert.layers)
        is_last = block == config.blocks - 1
        kept = 0 if is_last else len(self.layers)
        self.handed_on = [
            f"next_own_{what}_{i}" for i in range(kept) for what in ("keys", "values")
        ]
        self.sharpness = network.sharpness
        shares = ["shares"] if self.sharpness else []
        self.outputs = ["tokens", "log_likelihood", *shares, *self.handed_on]
        first = block * config.levels // config.blocks * config.codes
        self.register_buffer("weights", expert.table.weight[first : first + config.codes].detach())
        earlier = (block - 1) * config.levels // config.blocks * config.codes
        self._first_id = earlier

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Return `outputs`.

        Args:
            inputs: The tokens of the block before, (B,), except for the first; the outputs of
                `ContextGraph`; and what the block before handed on.
        """
        config = self.expert.config
        ids = torch.full((config.block,), self.expert.begin_id)
        if self.block:
            ids, inputs = inputs[0] + self._first_id, inputs[1:]
        shown, last, *rest = inputs
        hint = rest.pop(0) if self.has_hint else None
        count = 2 * len(self.layers)
        context, own = rest[:count], rest[count:]
        first = 1 + self.block * config.block
        offsets = SPACING * torch.arange(first, first + config.block)
        waves = _waves(last + offsets, self.expert.shape)
        bias = torch.cat((shown, torch.zeros(first + config.block - 1)))
        x, handed_on = self.expert.table(ids), []
        if hint is not None:
            x = x + hint
        for number, layer in enumerate(self.layers):
            pair = slice(2 * number, 2 * number + 2)
            x, kept = layer(x, waves, bias, (*context[pair], *own[pair]))
            handed_on += kept
        logits = self.expert.norm(x) @ self.weights.T
        tokens = logits.argmax(dim=-1)
        log_likelihood = logits.log_softmax(dim=-1).amax(dim=-1).sum(dim=0, keepdim=True)
        shares = ((self.sharpness * logits).softmax(dim=-1),) if self.sharpness else ()
        return tokens, log_likelihood, *shares, *(handed_on if self.handed_on else ())


class _LayerPass(nn.Module):
    """A layer over tokens (n, width) of one observation."""

    def __init__(self, layer: nn.Module, shape: BackboneShape) -> None:
        super().__init__()
        assert isinstance(layer, JointLayer)
        self.layer, self.shape = layer, shape

    def forward(
        self,
        x: Tensor,
        waves: tuple[Tensor, Tensor],
        bias: Tensor,
        known: tuple[Tensor, ...] | None,
        keys_only: bool = False,
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Return the tokens after this layer, and keys and values to hand on.

        Args:
            x: Of shape (n, width).
            waves: Of the positions, see `_waves`.
            bias: Of the logits of all keys, (S,).
            known: Keys (kv_heads, w, s) and values (kv_heads, s, w) of the context, and perhaps of
                earlier blocks; None for the context itself.
            keys_only: Leave the tokens as they are.
        """
        layer, shape = self.layer, self.shape
        width = shape.head_width
        y = layer.norm_1(x)
        k = _turned(layer.to_k(y).t().reshape(shape.kv_heads, width, -1), waves)
        v = layer.to_v(y).reshape(len(x), shape.kv_heads, width).transpose(0, 1)
        if keys_only:
            return x, (k, v)
        q = _turned(layer.to_q(y).t().reshape(shape.heads, width, -1), waves) * shape.scale
        own = (k, v)
        if known is not None:
            context_k, context_v, *earlier = known
            if earlier:
                own = (torch.cat((earlier[0], k), dim=2), torch.cat((earlier[1], v), dim=1))
            k, v = torch.cat((context_k, own[0]), dim=2), torch.cat((context_v, own[1]), dim=1)
        # heads that share keys side by side: (kv_heads, heads a key n, w)
        q = q.transpose(1, 2).reshape(shape.kv_heads, -1, width)
        logits = q @ k
        if shape.softcap is not None:
            logits = shape.softcap * torch.tanh(logits / shape.softcap)
        mixed = (logits + bias).softmax(dim=-1) @ v
        mixed = mixed.reshape(shape.heads, len(x), width).transpose(0, 1).reshape(len(x), -1)
        x = x + layer.to_out(mixed)
        y = layer.norm_2(x)
        return x + layer.to_width(F.silu(layer.to_gate(y)) * layer.to_hidden(y)), own


def _waves(positions: Tensor, shape: BackboneShape) -> tuple[Tensor, Tensor]:
    """Return cosine and sine of the angles at positions (n,), each (w / 2, n); see `rotary`."""
    half = shape.head_width // 2
    steps = torch.arange(half, dtype=torch.float32)
    angles = shape.rope_base ** (-steps / half)[:, None] * positions.float()
    return angles.cos(), angles.sin()


def _turned(vectors: Tensor, waves: tuple[Tensor, Tensor]) -> Tensor:
    """Return queries or keys (heads, w, n) turned by their positions."""
    first, second = vectors.chunk(2, dim=1)
    cosine, sine = waves
    return torch.cat((first * cosine - second * sine, second * cosine + first * sine), dim=1)


class _DecoderGraph(nn.Module):
    """Decodes tokens (B,), or shares of their codes (B, K), of the first blocks to actions."""

    def __init__(self, network: FasterPolicyNetwork) -> None:
        super().__init__()
        tokenizer = network.tokenizer
        self.tokenizer = tokenizer
        self.decode = tokenizer.decode_shares if network.sharpness else tokenizer.decode

    def forward(self, *inputs: Tensor) -> Tensor:
        """Return `actions` (1, H, A) in SI units, of the blocks and the state (1, S)."""
        *blocks, state = inputs
        # adding zero keeps `state` as an input even where actions are absolute
        return self.decode(torch.cat(blocks)[None], state) + 0.0 * state.sum()
