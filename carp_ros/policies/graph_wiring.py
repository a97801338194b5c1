"""Loads a bundle's graphs and binds each to the buffers that it reads and writes.

An output `next_<name>` of a pass is the input `<name>` of the one after it, in the same buffer.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from carp_ros.inference.bundle import Bundle, image_name
from carp_ros.inference.policy_spec import CameraInput
from carp_ros.inference.session import Buffer, Run, Runtime, Session, TensorSpec

_NEXT = "next_"


class GraphWiring:
    """The buffers between a bundle's graphs, and those from outside.

    Args:
        bundle: The bundle.
        runtime: Runs the graphs.

    Attributes:
        inputs: Buffers of the inputs from outside: images, state and what else a policy takes.
        encoders: By camera: computes the features of its image.
        features: Buffers of those.

    Raises:
        ValueError: If an encoder does not match the manifest.
    """

    def __init__(self, bundle: Bundle, runtime: Runtime) -> None:
        self._bundle, self._runtime = bundle, runtime
        self.inputs: dict[str, Buffer] = {}
        self.encoders: dict[str, Run] = {}
        self.features: dict[str, Buffer] = {}
        for camera, size in bundle.manifest.cameras.items():
            session = self.session(f"vision_{camera}")
            _require_image_size(session, camera, size)
            self.encoders[camera], given = self.bind_from_outside(session, {})
            self.features |= given

    def session(self, name: str) -> Session:
        """Load a graph."""
        return self._runtime.session(self._bundle.graph(name))

    def bind_from_outside(
        self, session: Session, there: Mapping[str, Buffer]
    ) -> tuple[Run, dict[str, Buffer]]:
        """Bind a graph whose inputs, other than those that are there, come from outside.

        Returns:
            What runs it, and the buffers of its outputs.
        """
        outside = {
            name: self._runtime.buffer(spec)
            for name, spec in session.inputs.items()
            if name not in there
        }
        self.inputs |= outside
        given = self._outputs(session)
        taken = {name: buffer for name, buffer in there.items() if name in session.inputs}
        return session.bind({**taken, **outside, **given}), given

    def bind_pass(
        self, name: str, session: Session, there: Mapping[str, Buffer]
    ) -> tuple[Run, dict[str, Buffer]]:
        """Bind a graph to buffers that are there; return as `bind_from_outside` does.

        Raises:
            ValueError: If a buffer is missing or has another shape or type.
        """
        given = self._outputs(session)
        return session.bind(_matching(name, session.inputs, there) | given), given

    def bind_decoder(
        self, name: str, session: Session, there: Mapping[str, Buffer], actions: Buffer
    ) -> Run:
        """Bind a graph whose only output is the actions.

        Raises:
            ValueError: If a buffer is missing or has another shape or type.
        """
        taken = _matching(name, session.inputs, {**there, **self.inputs})
        return session.bind({**taken, "actions": actions})

    def actions(self, name: str, session: Session) -> Buffer:
        """Return a buffer for the actions of a graph, (1, H, A).

        Raises:
            ValueError: If their shape is not what the manifest says.
        """
        spec = session.outputs["actions"]
        self.require_actions(name, spec)
        return self._runtime.buffer(spec)

    def require_actions(self, name: str, spec: TensorSpec) -> None:
        """Raise ValueError unless a graph's actions have the shape that the manifest says."""
        manifest = self._bundle.manifest
        expected = (1, manifest.horizon, len(manifest.action.names))
        if spec.shape != expected:
            raise ValueError(
                f"{name} gives actions of shape {spec.shape}; the manifest says {expected}: export"
                " again"
            )

    def _outputs(self, session: Session) -> dict[str, Buffer]:
        return {name: self._runtime.buffer(spec) for name, spec in session.outputs.items()}


def handed_on(given: Mapping[str, Buffer]) -> dict[str, Buffer]:
    """Return those of a pass's outputs that the next one takes, by the names of its inputs."""
    return {
        name.removeprefix(_NEXT): buffer for name, buffer in given.items() if name.startswith(_NEXT)
    }


def _require_image_size(session: Session, camera: str, size: CameraInput) -> None:
    """Raise unless a graph takes images of the size that the manifest states."""
    name = image_name(camera)
    wanted = TensorSpec((1, size.height_px, size.width_px, 3), np.dtype(np.uint8))
    if session.inputs.get(name) != wanted:
        raise ValueError(
            f"vision_{camera} takes {name} as {session.inputs.get(name)}; the manifest says"
            f" {wanted}: export again"
        )


def _matching(
    graph: str, wanted: Mapping[str, TensorSpec], there: Mapping[str, Buffer]
) -> dict[str, Buffer]:
    """Select the buffers that match a graph's inputs."""
    for name, spec in wanted.items():
        if name not in there:
            raise ValueError(f"{graph} takes {name}, which no graph before gives; export again")
        if there[name].spec != spec:
            raise ValueError(
                f"{graph} takes {name} as {spec}, and is given {there[name].spec}; export again"
            )
    return {name: there[name] for name in wanted}
