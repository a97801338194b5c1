"""The graphs of a CARP bundle, with bound buffers: image encoders, condition, scales, decoder.

The decoder is bound to the latent of every scale, so that any scale can be the last.
"""

from __future__ import annotations

from carp_ros.inference.bundle import Bundle, Tensor
from carp_ros.inference.session import Buffer, Run, Runtime
from carp_ros.policies.carp_section import CarpSection
from carp_ros.policies.graph_wiring import GraphWiring, handed_on


class CarpPasses:
    """The loaded graphs, bound to their buffers.

    Args:
        bundle: The bundle.
        section: Its CARP section.
        runtime: Runs the graphs.

    Attributes:
        inputs: Buffers of the inputs from outside: images, state and task.
        actions: Buffer of the decoded actions, (1, H, A).
        encoders: By camera: computes the features of its image.
        condition: Computes the scales' common inputs from features, state and task.
        scales: Computes each scale, in order.
        decode: Computes the actions from the latent of each scale.

    Raises:
        ValueError: If graphs do not match each other or the manifest.
    """

    def __init__(self, bundle: Bundle, section: CarpSection, runtime: Runtime) -> None:
        wiring = GraphWiring(bundle, runtime)
        self.inputs, self.encoders = wiring.inputs, wiring.encoders
        self.condition, common = wiring.bind_from_outside(
            wiring.session("condition"), wiring.features
        )
        self.scales: list[Run] = []
        self._tokens: list[Buffer] = []
        self._log_likelihoods: list[Buffer] = []
        latents: list[Buffer] = []
        before = common
        for k in range(len(section.scales)):
            name = f"scale_{k}"
            run, given = wiring.bind_pass(name, wiring.session(name), {**common, **before})
            self.scales.append(run)
            self._tokens.append(given["tokens"])
            self._log_likelihoods.append(given["log_likelihood"])
            before = handed_on(given)
            latents.append(before["latent"])
        decoder = wiring.session("decoder")
        self.actions = wiring.actions("decoder", decoder)
        self.decode = [
            wiring.bind_decoder("decoder", decoder, {"latent": latent}, self.actions)
            for latent in latents
        ]

    def tokens(self, k: int) -> Tensor:
        """Return the tokens of scale `k`, flat; valid until it is run again."""
        return self._tokens[k].read().reshape(-1)

    def log_likelihood(self, k: int) -> float:
        """Return the log-likelihood of scale `k`, summed over its tokens."""
        return float(self._log_likelihoods[k].read().reshape(()))
