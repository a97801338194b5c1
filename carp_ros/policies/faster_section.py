"""The FASTer section of a bundle's manifest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from carp_ros.inference.bundle import MANIFEST, Bundle
from carp_ros.inference.layout import Line
from carp_ros.inference.policy_spec import MOST_STEPS
from carp_ros.inference.prompt import Vocabulary
from carp_ros.inference.published_words import load_published_words
from carp_ros.inference.words import Words
from carp_ros.strict import Between, Sized, read_strictly

_Number = Annotated[float, Between(-1e6, 1e6)]


@dataclass(frozen=True)
class FasterSection:
    """The section `faster` of `policy.yaml`.

    Attributes:
        words: The vocabulary; empty if it is a published model's, in a file of its own.
        begin: Ids of that vocabulary that a prompt begins with.
        prompt_tokens: Length of the prompt.
        state_scale, state_offset: Of the state's numbers, for the prompt.
        blocks: Passes that make a chunk.
        decodes_after: After how many blocks there is a complete trajectory, in order.
        committed_steps: Most steps of the last plan that the policy can be told; 0: it takes none.
    """

    words: Annotated[tuple[Line, ...], Sized(0, 100_000)]
    prompt_tokens: Annotated[int, Between(1, 4096)]
    state_scale: Annotated[tuple[_Number, ...], Sized(1, 1000)]
    state_offset: Annotated[tuple[_Number, ...], Sized(1, 1000)]
    blocks: Annotated[int, Between(1, 90)]
    decodes_after: Annotated[tuple[int, ...], Between(1, 90), Sized(1, 90)]
    committed_steps: Annotated[int, Between(0, MOST_STEPS)] = 0
    begin: Annotated[tuple[int, ...], Between(1, 10_000_000), Sized(0, 16)] = ()


def faster_section(bundle: Bundle) -> FasterSection:
    """Parse a bundle's section and check that its graphs and its state match it.

    Raises:
        ValueError: If a key is invalid, or the graphs do not match.
    """
    where = f"{bundle.folder / MANIFEST}: faster"
    section = read_strictly(FasterSection, bundle.section, where)
    after = section.decodes_after
    if list(after) != sorted(set(after)) or after[-1] != section.blocks:
        raise ValueError(
            f"{where}: decodes_after is {list(after)}; expected rising numbers up to the"
            f" {section.blocks} blocks: export again"
        )
    numbers = len(bundle.manifest.state)
    sizes = {len(section.state_scale), len(section.state_offset)}
    if sizes != {numbers}:
        raise ValueError(
            f"{where}: state_scale and state_offset have {len(section.state_scale)} and"
            f" {len(section.state_offset)} numbers; expected {numbers}, as the state has: export"
            " again"
        )
    if bool(section.words) == (bundle.manifest.vocabulary is not None):
        raise ValueError(
            f"{where}: words has {len(section.words)} entries, and vocabulary is"
            f" {bundle.manifest.vocabulary}; expected one of the two: export again"
        )
    encoders = (f"vision_{camera}" for camera in bundle.manifest.cameras)
    blocks = (f"block_{block}" for block in range(section.blocks))
    decoders = (f"decoder_{done}" for done in after)
    bundle.require_graphs((*encoders, "context", *blocks, *decoders))
    return section


def vocabulary_of(bundle: Bundle, section: FasterSection) -> Vocabulary:
    """Return what a bundle's policy reads text with.

    Raises:
        ValueError: If a published model's vocabulary can't be read.
    """
    file = bundle.manifest.vocabulary
    if file is None:
        return Words(section.words)
    return load_published_words(bundle.folder / file.file, section.begin)
