"""The graphs of a FASTer bundle, with bound buffers: image encoders, context, blocks, decoders."""

from __future__ import annotations

from collections.abc import Sequence

from carp_ros.inference.bundle import Bundle, Tensor
from carp_ros.inference.session import Buffer, Run, Runtime, Session
from carp_ros.policies.faster_section import FasterSection
from carp_ros.policies.graphs import matching, require_image_size

_NEXT = "next_"


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
        self._runtime = runtime
        self.inputs: dict[str, Buffer] = {}
        self.encoders: dict[str, Run] = {}
        there: dict[str, Buffer] = {}
        for camera, size in bundle.manifest.cameras.items():
            session = runtime.session(bundle.graph(f"vision_{camera}"))
            require_image_size(session, camera, size)
            given = self._outputs(session)
            self.encoders[camera] = session.bind({**self._take(session, {}), **given})
            there |= given
        session = runtime.session(bundle.graph("context"))
        given = self._outputs(session)
        taken = self._take(session, there)
        self.context = session.bind({**{name: taken[name] for name in session.inputs}, **given})
        blocks = self._bind_blocks(bundle, section, given)
        begins = (0, *section.decodes_after[:-1])
        self.levels = [
            _in_turn(blocks[begin:end]) for begin, end in zip(begins, section.decodes_after)
        ]
        self.decode = self._bind_decoders(bundle, section)

    def tokens(self, block: int) -> Tensor:
        """Return the tokens of a block; valid until it is run again."""
        return self._tokens[block].read().reshape(-1)

    def log_likelihood(self, block: int) -> float:
        """Return the log-likelihood of a block, summed over its tokens."""
        return float(self._log_likelihoods[block].read().reshape(()))

    def _bind_blocks(
        self, bundle: Bundle, section: FasterSection, context: dict[str, Buffer]
    ) -> list[Run]:
        runs: list[Run] = []
        self._tokens: list[Buffer] = []
        self._log_likelihoods: list[Buffer] = []
        handed_on: dict[str, Buffer] = {}
        for block in range(section.blocks):
            name = f"block_{block}"
            session = self._runtime.session(bundle.graph(name))
            given = self._outputs(session)
            there = {**context, **handed_on}
            if block:
                there["before"] = self._tokens[-1]
            runs.append(session.bind(matching(name, session.inputs, there) | given))
            self._tokens.append(given["tokens"])
            self._log_likelihoods.append(given["log_likelihood"])
            handed_on = {
                key.removeprefix(_NEXT): buffer
                for key, buffer in given.items()
                if key.startswith(_NEXT)
            }
        return runs

    def _bind_decoders(self, bundle: Bundle, section: FasterSection) -> list[Run]:
        chosen = {f"tokens_{block}": buffer for block, buffer in enumerate(self._tokens)}
        there = {**chosen, **self.inputs}
        runs: list[Run] = []
        manifest = bundle.manifest
        expected = (1, manifest.horizon, len(manifest.action.names))
        self.actions: Buffer | None = None
        for done in section.decodes_after:
            name = f"decoder_{done}"
            session = self._runtime.session(bundle.graph(name))
            spec = session.outputs["actions"]
            if spec.shape != expected:
                raise ValueError(
                    f"{name} gives actions of shape {spec.shape}; the manifest says {expected}:"
                    " export again"
                )
            self.actions = self.actions or self._runtime.buffer(spec)
            taken = matching(name, session.inputs, there)
            runs.append(session.bind({**taken, "actions": self.actions}))
        return runs

    def _take(self, session: Session, features: dict[str, Buffer]) -> dict[str, Buffer]:
        """Return buffers for a graph's inputs: the features, and new ones for outside inputs."""
        outside = {
            name: self._runtime.buffer(spec)
            for name, spec in session.inputs.items()
            if name not in features
        }
        self.inputs |= outside
        return {**features, **outside}

    def _outputs(self, session: Session) -> dict[str, Buffer]:
        return {name: self._runtime.buffer(spec) for name, spec in session.outputs.items()}


def _in_turn(runs: Sequence[Run]) -> Run:
    """Return a function that runs some graphs, one after the other."""

    def run() -> None:
        for each in runs:
            each()

    return run
