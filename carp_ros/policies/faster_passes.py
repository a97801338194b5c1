"""The graphs of a FASTer bundle, with bound buffers: image encoders, context, blocks, decoders."""

from __future__ import annotations

from collections.abc import Sequence

from carp_ros.inference.bundle import Bundle, Tensor
from carp_ros.inference.session import Buffer, Run, Runtime
from carp_ros.policies.faster_section import FasterSection
from carp_ros.policies.graph_wiring import GraphWiring, handed_on

_DECODED = ("tokens", "shares")


class FasterPasses:
    """The loaded graphs, bound to their buffers.

    Args:
        bundle: The bundle.
        section: Its FASTer section.
        runtime: Runs the graphs.

    Attributes:
        inputs: Buffers of the inputs from outside.
        actions: Buffer of the decoded actions, (1, H, A).
        encoders: By camera: computes the features of its image.
        context: Computes what all blocks attend to.
        levels: Computes the blocks up to each complete trajectory, from the one before.
        decode: Computes the actions of each complete trajectory.

    Raises:
        ValueError: If graphs do not match each other or the manifest.
    """

    def __init__(self, bundle: Bundle, section: FasterSection, runtime: Runtime) -> None:
        wiring = GraphWiring(bundle, runtime)
        self.inputs, self.encoders = wiring.inputs, wiring.encoders
        self.context, context = wiring.bind_from_outside(wiring.session("context"), wiring.features)
        blocks: list[Run] = []
        self._tokens: list[Buffer] = []
        self._log_likelihoods: list[Buffer] = []
        before: dict[str, Buffer] = {}
        chosen: dict[str, Buffer] = {}
        for block in range(section.blocks):
            name = f"block_{block}"
            run, given = wiring.bind_pass(name, wiring.session(name), {**context, **before})
            blocks.append(run)
            self._tokens.append(given["tokens"])
            self._log_likelihoods.append(given["log_likelihood"])
            chosen |= {f"{key}_{block}": given[key] for key in _DECODED if key in given}
            before = {**handed_on(given), "before": given["tokens"]}
        begins = (0, *section.decodes_after[:-1])
        self.levels = [
            _in_turn(blocks[begin:end]) for begin, end in zip(begins, section.decodes_after)
        ]
        names = [f"decoder_{done}" for done in section.decodes_after]
        decoders = {name: wiring.session(name) for name in names}
        buffers = [wiring.actions(name, decoder) for name, decoder in decoders.items()]
        self.actions = buffers[-1]
        self.decode = [
            wiring.bind_decoder(name, decoder, chosen, self.actions)
            for name, decoder in decoders.items()
        ]

    def tokens(self, block: int) -> Tensor:
        """Return the tokens of a block; valid until it is run again."""
        return self._tokens[block].read().reshape(-1)

    def log_likelihood(self, block: int) -> float:
        """Return the log-likelihood of a block, summed over its tokens."""
        return float(self._log_likelihoods[block].read().reshape(()))


def _in_turn(runs: Sequence[Run]) -> Run:
    """Return a function that runs some graphs, one after the other."""

    def run() -> None:
        for each in runs:
            each()

    return run
