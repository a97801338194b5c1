"""Running one compiled graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from carp_ros.errors import DeviceError
from carp_ros.inference.bundle import Tensor

CPU = ("CPUExecutionProvider",)


class Session(Protocol):
    """One graph, loaded."""

    def run(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the graph's outputs by name, for its inputs by name.

        Raises:
            DeviceError: If the runtime can't compute them.
        """
        ...


class OnnxSession:
    """A graph in ONNX Runtime.

    Args:
        path: Of the `.onnx` file.
        providers: Execution providers, the preferred first, each as ONNX Runtime names it.
        threads: How many compute one operator. The robot's cores have other work; and threads that
            wait for the next operator do so asleep, which costs microseconds and frees a core.

    Raises:
        ValueError: If the file is no graph that the runtime takes, or it lacks a provider.
        DeviceError: If ONNX Runtime is not installed.
    """

    def __init__(self, path: Path, providers: Sequence[str] = CPU, threads: int = 1) -> None:
        try:
            import onnxruntime  # only who runs graphs needs it
        except ImportError as error:
            raise DeviceError(
                f"ONNX Runtime, which runs {path.name}, is not installed: pip install onnxruntime"
                " (onnxruntime-gpu for CUDA)"
            ) from error
        known = onnxruntime.get_available_providers()
        missing = [provider for provider in providers if provider not in known]
        if missing:
            raise ValueError(
                f"this ONNX Runtime lacks {', '.join(missing)}; it has {', '.join(known)}: choose"
                " one of those, or install the onnxruntime that has it"
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3  # errors; its warnings are about its own optimiser
        try:
            self._session = onnxruntime.InferenceSession(path, options, providers=list(providers))
        # ONNX Runtime's own exceptions have no common base
        except Exception as error:
            raise ValueError(f"ONNX Runtime can't load {path}: {error}; export anew") from error
        self._path = path
        self._outputs = [output.name for output in self._session.get_outputs()]

    def run(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the graph's outputs by name, for its inputs by name.

        Raises:
            DeviceError: If the runtime can't compute them.
        """
        try:
            outputs = self._session.run(self._outputs, dict(inputs))
        except Exception as error:  # as above
            shapes = {name: array.shape for name, array in inputs.items()}
            raise DeviceError(f"{self._path.name} can't be run on {shapes}: {error}") from error
        return {name: np.asarray(output) for name, output in zip(self._outputs, outputs)}
