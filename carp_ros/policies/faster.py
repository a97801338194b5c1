"""The FASTer policy: reads images, state and instruction once, then predicts tokens block by block.

Source: "FASTer: Toward Efficient Autoregressive Vision Language Action Modeling via Neural Action
Tokenization" (arXiv:2512.04952). The networks are compiled graphs; this module is the loop around
them. Each level of the tokenizer yields a complete trajectory, so that decoding can stop early to
keep a deadline. What of the last plan an arm goes on with meanwhile is an input of the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from carp_ros.inference.bundle import Bundle, Tensor, image_name
from carp_ros.inference.observation import Image
from carp_ros.inference.policy_spec import PolicySpec
from carp_ros.inference.preprocess import policy_inputs
from carp_ros.inference.prompt import Vocabulary, WordPrompts
from carp_ros.inference.session import Runtime, write_inputs
from carp_ros.policies.anytime import Anytime
from carp_ros.policies.commitment import Commitment
from carp_ros.policies.encoded_images import EncodedImages
from carp_ros.policies.faster_passes import FasterPasses
from carp_ros.policies.faster_section import FasterSection, faster_section, vocabulary_of
from carp_ros.policies.graphs import graph_errors, require_one_observation, require_options
from carp_ros.policies.plan import PlanReader
from carp_ros.policies.policy import VISION, Prediction, beyond_training
from carp_ros.rig import Rig
from carp_ros.types import Array, Chunk, Observation


class FasterPolicy:
    """Runs a FASTer bundle; see `policy.Policy`.

    Args:
        spec: Of the bundle.
        section: Its FASTer section.
        words: What it reads text with.
        passes: Its graphs.
        now_ns: The clock of deadlines.
        options: See `load_faster`.
        rig: For the forward kinematics of joint actions.

    Raises:
        ValueError: If an option is out of its range.
    """

    def __init__(
        self,
        spec: PolicySpec,
        section: FasterSection,
        words: Vocabulary,
        passes: FasterPasses,
        now_ns: Callable[[], int],
        options: Mapping[str, Any],
        rig: Rig | None = None,
    ) -> None:
        self.spec = spec
        self._passes, self._now_ns = passes, now_ns
        levels, most = len(section.decodes_after), section.committed_steps
        self._after = section.decodes_after
        self._last = _option(options, "last_level", levels - 1, levels - 1)
        self._prompts = WordPrompts(words, section.prompt_tokens, len(spec.state))
        self._scale, self._offset = np.array(section.state_scale), np.array(section.state_offset)
        self._commitment = Commitment(
            spec.step_s, most, len(spec.action), options.get("committed_steps")
        )
        self._anytime = Anytime(now_ns, levels)
        self._plans = PlanReader(spec.action, spec.step_s, rig)
        self._instruction = self._prompts.instruction("")
        self._images = EncodedImages(spec.cameras, passes.inputs, passes.encoders)

    def reset(self, task: str, instruction: str = "") -> None:
        """Start an episode; the instruction is followed, or else the task; see `Policy.reset`.

        Raises:
            ValueError: If it is so long that its end would not be read.
        """
        if instruction not in self.spec.tasks:  # those of the training were cut there, too
            self._prompts.require_whole(instruction)
        self._instruction = self._prompts.instruction(instruction or task)
        self._images.forget()
        self._commitment.forget()

    def encode_image(self, camera: str, stamp_ns: int, image: Image) -> None:
        """Encode an image in advance; see `Policy.encode_image`."""
        self._images.encode(camera, stamp_ns, image)

    def infer(
        self, observations: Sequence[Observation], deadline_ns: int | None = None
    ) -> Prediction:
        """Return the plan for an observation; with a deadline, perhaps without the finest levels.

        The coarsest level is always decoded; see `Policy.infer`.
        """
        begin_ns, observation = self._now_ns(), observations[-1]
        cameras = self.spec.cameras
        to_encode = self._images.missing(observation.image_stamps_ns)
        inputs = policy_inputs(observations, self.spec, 0, to_encode)
        state = inputs["state"][0].astype(np.float64)
        going_on = self._commitment.inputs(observation.stamp_ns, state)
        asked = self._asked(inputs, self._instruction) | going_on
        prepared_ns = self._now_ns()
        self._see(inputs)
        seen_ns = self._now_ns()
        self._read(asked)
        read_ns = self._now_ns()
        done = self._anytime.run(self._passes.levels, self._passes.decode, self._last, deadline_ns)
        actions = self._actions()
        times_ns = (begin_ns, prepared_ns, seen_ns, read_ns, self._now_ns())
        seconds = [1e-9 * (after - before) for before, after in pairwise(times_ns)]
        self._commitment.offer(actions, observation.stamp_ns)
        blocks = self._after[done - 1]
        tokens = sum(len(self._passes.tokens(block)) for block in range(blocks))
        likelihood = sum(self._passes.log_likelihood(block) for block in range(blocks))
        return Prediction(
            observation.stamp_ns,
            actions,
            self._plans.chunk(actions, observation.stamp_ns),
            dict(zip(("preprocess", VISION, "context", "decode"), seconds)),
            {
                "confidence": likelihood / tokens,
                "levels_done": done,
                "committed_steps": int(going_on["committed_count"][0]) if going_on else 0,
            },
            done < len(self._after),
            beyond_training(state, self.spec.state),
            len(cameras) - len(to_encode),
        )

    def followed(self, stamp_ns: int, late_ns: int) -> None:
        """Remember what the arm goes on with."""
        self._commitment.followed(stamp_ns, late_ns)

    def executed(self, chunk: Chunk) -> None:
        """Do nothing: plans depend on observations and on the last plan."""

    def replay(self, inputs: Mapping[str, Tensor]) -> Array:
        """Return the actions for inputs of the graphs; see `Policy.replay`."""
        task = int(inputs["task"][0]) if "task" in inputs else 0
        asked = self._asked(inputs, self._prompts.instruction(self.spec.tasks[task]))
        asked |= self._commitment.no_inputs(inputs["state"][0].astype(np.float64))
        self._see(inputs)
        self._read(asked)
        self._anytime.run(self._passes.levels, self._passes.decode, len(self._after) - 1, None)
        return self._actions()

    def _asked(self, inputs: Mapping[str, Tensor], instruction: Tensor) -> dict[str, Tensor]:
        """Return state and prompt as the context's inputs."""
        state = inputs["state"]
        text = self._prompts.prompts(instruction[None], state * self._scale + self._offset)
        return {"text": text, **({"state": state} if "state" in self._passes.inputs else {})}

    def _see(self, inputs: Mapping[str, Tensor]) -> None:
        """Encode the images among the inputs."""
        names = map(image_name, self.spec.cameras)
        images = {name: inputs[name] for name in names if name in inputs}
        write_inputs(self._passes.inputs, images)
        self._images.run(images)

    def _read(self, asked: Mapping[str, Tensor]) -> None:
        write_inputs(self._passes.inputs, asked)
        self._passes.context()

    def _actions(self) -> Array:
        assert self._passes.actions is not None
        return self._passes.actions.read()[0].astype(np.float64)


def _option(options: Mapping[str, Any], name: str, default: int, most: int) -> int:
    """Return an option.

    Raises:
        ValueError: If it is out of range.
    """
    value = options.get(name, default)
    if not isinstance(value, int) or not 0 <= value <= most:
        raise ValueError(f"{name} is {value!r}; expected 0 to {most}")
    return value


def load_faster(
    bundle: Bundle,
    runtime: Runtime,
    now_ns: Callable[[], int],
    options: Mapping[str, Any],
    rig: Rig | None,
) -> FasterPolicy:
    """Load the policy of a FASTer bundle.

    Args:
        bundle: The bundle.
        runtime: Runs its graphs.
        now_ns: The clock of deadlines.
        options: `last_level`: always stop after this level, counted from 0; `committed_steps`: how
            many steps of the last plan each plan goes on with.
        rig: For the forward kinematics of joint actions.

    Raises:
        ValueError: If it is not a valid FASTer bundle, or an option is unknown.
        DeviceError: If the runtime is not available.
    """
    section = faster_section(bundle)
    require_one_observation(bundle, "a FASTer plan is made of one observation")
    require_options(options, ("committed_steps", "last_level"), bundle.manifest.kind)
    with graph_errors(bundle):
        passes = FasterPasses(bundle, section, runtime)
        words = vocabulary_of(bundle, section)
        return FasterPolicy(bundle.spec, section, words, passes, now_ns, options, rig)
