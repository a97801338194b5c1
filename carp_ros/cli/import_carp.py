"""`carp import-carp`: verifies against the published CARP and imports its checkpoints."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path


@dataclass(frozen=True)
class ImportCarpCommand:
    """Load checkpoints of the published CARP implementation.

    With --verify, replay every parity set in a folder: inputs, weights and outputs of the published
    implementation. Tokens must be equal and all other numbers within 0.0001, else the exit code is
    1. With --tokenizer and --policy, write both as one checkpoint in our format.

    Attributes:
        verify: Folder of parity sets: <set>.json, _tokenizer.safetensors, _ar.safetensors, _io.npz.
        tokenizer: Tokenizer weights under the published names, .safetensors or .pt.
        policy: Policy weights under the published names, .safetensors or .pt; from a training
            checkpoint, the averaged weights are used.
        sizes: JSON with num_actions, patch_nums and, if codes are chosen by distance, using_znorm.
        out: Folder for our checkpoint.
    """

    verify: Path | None = None
    tokenizer: Path | None = None
    policy: Path | None = None
    sizes: Path | None = None
    out: Path | None = None


def main(command: ImportCarpCommand) -> int:
    """Verify, import, or both; return 0 if every number agrees."""
    if find_spec("torch") is None:
        raise ValueError("import-carp needs torch; pip install 'carp_ros[train]'")
    parts = (command.tokenizer, command.policy, command.sizes, command.out)
    if command.verify is None and None in parts:
        raise ValueError(
            "expected --verify FOLDER, or --tokenizer, --policy, --sizes and --out together;"
            " `carp import-carp --help` explains them"
        )
    agreed = _verify(command.verify) if command.verify else True
    if None not in parts:
        _import(*(part for part in parts if part is not None))
    return 0 if agreed else 1


def _verify(folder: Path) -> bool:
    """Print each set's deviations; return whether all agree."""
    from carp_ros.export.parity import parity_sets, replay

    agreed = True
    for name in parity_sets(folder):
        print(name, flush=True)
        try:
            deviations = replay(folder, name)
        except ValueError as error:
            print(f"  REFUSED: {error}")
            agreed = False
            continue
        for deviation in deviations:
            print(f"  {deviation}")
            agreed &= deviation.agrees
    print("every set agrees" if agreed else "NOT every set agrees")
    return agreed


def _import(tokenizer: Path, policy: Path, sizes: Path, out: Path) -> None:
    from carp_ros.export.published_checkpoint import import_checkpoint

    import_checkpoint(tokenizer, policy, sizes, out)
    print(f"checkpoint: {out}")
