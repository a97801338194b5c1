"""The graphs of a CARP bundle, bound to one another: cameras, condition, scales, decoder.

What a graph gives as `next_<name>` the pass after it takes as `<name>`, in the same memory. The
decoder is bound to the latent of every scale, so that any of them can be the last.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from carp_ros.inference.bundle import Bundle, Tensor, image_name
from carp_ros.inference.policy_spec import CameraInput
from carp_ros.inference.session import Buffer, Run, Runtime, Session, TensorSpec, write_inputs
from carp_ros.policies.carp_section import CarpSection

_NEXT = "next_"


class CarpPasses:
    """The graphs, loaded and bound.

    Args:
        bundle: Has the graphs.
        section: Says which.
        runtime: Computes them.

    Attributes:
        see: By camera: computes the features of its image.
        condition: Computes what all scales need from features, state and task.
        scales: Each computes its scale; in order.
        decode: Each computes the actions from the latent of its scale.

    Raises:
        ValueError: If graphs do not fit together, or to the manifest.
    """

    def __init__(self, bundle: Bundle, section: CarpSection, runtime: Runtime) -> None:
        self._runtime = runtime
        self._inputs: dict[str, Buffer] = {}
        self.see: dict[str, Run] = {}
        features: dict[str, Buffer] = {}
        for camera in bundle.manifest.cameras:
            session = runtime.session(bundle.graph(f"vision_{camera}"))
            _require_size(session, camera, bundle.manifest.cameras[camera])
            image, seen = self._take(session, {}), self._outputs(session)
            self.see[camera] = session.bind({**image, **seen})
            features |= seen
        session = runtime.session(bundle.graph("condition"))
        given = self._outputs(session)
        self.condition = session.bind({**self._take(session, features), **given})
        self.scales: list[Run] = []
        self._tokens: list[Buffer] = []
        self._log_likelihoods: list[Buffer] = []
        latents: list[Buffer] = []
        before = given
        for k in range(len(section.scales)):
            session = runtime.session(bundle.graph(f"scale_{k}"))
            before = self._bind_scale(f"scale_{k}", session, {**given, **before})
            latents.append(before["latent"])
        decoder = runtime.session(bundle.graph("decoder"))
        manifest = bundle.manifest
        expected = (1, manifest.horizon, len(manifest.action.names))
        if decoder.outputs["actions"].shape != expected:
            raise ValueError(
                f"decoder gives actions of shape {decoder.outputs['actions'].shape}; the manifest"
                f" says {expected}: export anew"
            )
        self._actions = runtime.buffer(decoder.outputs["actions"])
        self.decode = [
            decoder.bind(
                _fitting("decoder", decoder.inputs, {"latent": latent, **self._inputs})
                | {"actions": self._actions}
            )
            for latent in latents
        ]

    def write(self, inputs: Mapping[str, Tensor]) -> None:
        """Set inputs; the others stay what they were.

        Raises:
            DeviceError: If there is none of that name, or it has another shape or type.
        """
        write_inputs(self._inputs, inputs)

    @property
    def actions(self) -> Tensor:
        """What was decoded, (1, H, A); valid until the next time."""
        return self._actions.read()

    def tokens(self, k: int) -> Tensor:
        """Return the tokens of scale `k`, flat; valid until it runs again."""
        return self._tokens[k].read().reshape(-1)

    def log_likelihood(self, k: int) -> float:
        """Return the sum over the tokens of scale `k`."""
        return float(self._log_likelihoods[k].read().reshape(()))

    def _take(self, session: Session, features: Mapping[str, Buffer]) -> dict[str, Buffer]:
        """Return buffers for a graph's inputs: features, and what is written from outside."""
        outside = {
            name: self._runtime.buffer(spec)
            for name, spec in session.inputs.items()
            if name not in features
        }
        self._inputs |= outside
        return {**features, **outside}

    def _outputs(self, session: Session) -> dict[str, Buffer]:
        return {name: self._runtime.buffer(spec) for name, spec in session.outputs.items()}

    def _bind_scale(
        self, name: str, session: Session, before: Mapping[str, Buffer]
    ) -> dict[str, Buffer]:
        """Bind a pass to what was there before; return what it leaves for the next one."""
        given = self._outputs(session)
        self.scales.append(session.bind(_fitting(name, session.inputs, before) | given))
        self._tokens.append(given["tokens"])
        self._log_likelihoods.append(given["log_likelihood"])
        return {
            key.removeprefix(_NEXT): buffer
            for key, buffer in given.items()
            if key.startswith(_NEXT)
        }


def _require_size(session: Session, camera: str, size: CameraInput) -> None:
    """Refuse a graph that takes other images than those that the manifest has made."""
    name = image_name(camera)
    wanted = TensorSpec((1, size.height_px, size.width_px, 3), np.dtype(np.uint8))
    if session.inputs.get(name) != wanted:
        raise ValueError(
            f"vision_{camera} takes {name} as {session.inputs.get(name)}; the manifest says"
            f" {wanted}: export anew"
        )


def _fitting(
    graph: str, wanted: Mapping[str, TensorSpec], there: Mapping[str, Buffer]
) -> dict[str, Buffer]:
    """Return the buffers that a graph's inputs name.

    Raises:
        ValueError: If there is none of this name, or it holds something else.
    """
    for name, spec in wanted.items():
        if name not in there:
            raise ValueError(f"{graph} takes {name}, which no graph before gives; export anew")
        if there[name].spec != spec:
            raise ValueError(
                f"{graph} takes {name} as {spec}, and is given {there[name].spec}; export anew"
            )
    return {name: there[name] for name in wanted}
