"""The GPU, its driver, and whether a policy's engines are there and fit it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from carp_ros.checks.probe import CheckResult
from carp_ros.checks.system_files import THIS_MACHINE, SystemFiles, content_of
from carp_ros.errors import DeviceError
from carp_ros.inference.bundle import load_bundle
from carp_ros.inference.cuda import require_gpu
from carp_ros.inference.engine_file import EngineKey, engines_folder, read_engine
from carp_ros.reports.check import CheckCode
from carp_ros.rig import Rig

EngineKeys = Callable[[Mapping[str, Path]], Mapping[str, EngineKey]]
"""Returns the key of the engine that each graph needs on this machine, by the graph's name; none
if the runtime chosen here compiles no engines.

Raises a `DeviceError` if there is no runtime, or its GPU can't be used."""


@dataclass(frozen=True)
class GpuProbe:
    """Whether policies can use an NVIDIA GPU: which ones, and the version of their driver.

    Attributes:
        files: What the driver says of itself; in WSL and on a Jetson it does not.
        require: Raises a `DeviceError` if policies can use none, as their runtimes decide.
    """

    files: SystemFiles = THIS_MACHINE
    require: Callable[[], None] = require_gpu
    needed_for: str = "policies on a GPU"
    name: str = "GPU"
    code: CheckCode = CheckCode.NO_GPU

    def look(self) -> CheckResult:
        """Ask as the runtimes do, and read what the driver says."""
        expected = "an NVIDIA GPU with its driver"
        driver = self.files.text("/proc/driver/nvidia/version")
        version = re.search(r"\b(\d+\.\d+(\.\d+)?)\b", driver)
        models = [
            line.partition(":")[2].strip()
            for path in self.files.matching("/proc/driver/nvidia/gpus", "*/information")
            for line in content_of(path).splitlines()
            if line.startswith("Model:")
        ]
        told = f"driver {version[1] if version else 'of unknown version'}"
        try:
            self.require()
        except DeviceError as error:
            found = ", ".join([*models, told]) if driver else "none"
            remedy = f"{error}; in a container, start it with --gpus all"
            return CheckResult(found, remedy, self.code, expected)
        return CheckResult(", ".join([*(models or ["a GPU"]), told]), expected=expected)


def engine_keys(graphs: Mapping[str, Path]) -> Mapping[str, EngineKey]:
    """Return the keys of the engines that the runtime chosen on this machine would load, if any.

    Raises:
        DeviceError: If there is no runtime, or its GPU can't be used.
    """
    from carp_ros.inference.cuda import Cuda
    from carp_ros.inference.tensorrt_build import EngineBuilder, Library
    from carp_ros.runtimes import choose_runtime

    libraries: dict[str, Library] = {"rtx": "tensorrt_rtx", "tensorrt": "tensorrt"}
    name = choose_runtime().name
    if name not in libraries:
        return {}
    builder = EngineBuilder(Cuda().capability, library=libraries[name])
    return {graph: builder.key(path) for graph, path in graphs.items()}


@dataclass(frozen=True)
class EngineProbe:
    """Whether a policy fits the rig, and its engines this GPU.

    Attributes:
        bundle: The policy's folder.
        rig: The rig that it shall move.
        keys: The keys that its engines need to have.
        folder: Returns where they are kept.
    """

    bundle: Path
    rig: Rig
    keys: EngineKeys = engine_keys
    folder: Callable[[], Path] = engines_folder
    needed_for: str = "the policy"
    name: str = "engine"
    code: CheckCode = CheckCode.ENGINE_ABSENT

    def look(self) -> CheckResult:
        """Load the bundle, and read every engine."""
        try:
            bundle = load_bundle(self.bundle)
            bundle.require_rig(self.rig)
        except ValueError as error:
            remedy = "name another with --bundle, or train one on this rig's episodes"
            return CheckResult(str(error), remedy, CheckCode.BUNDLE_UNFIT)
        graphs = {name: bundle.graph(name) for name in bundle.manifest.graphs}
        expected = f"one for each graph of {bundle.name}"
        try:
            keys = self.keys(graphs)
        except DeviceError as error:
            found = f"{bundle.name} fits the rig, but no runtime is ready for it"
            return CheckResult(found, str(error), self.code, expected)
        if not keys:
            found = f"{bundle.name} fits the rig; the runtime here needs no engine"
            return CheckResult(found, expected=expected)
        folder = self.folder()
        absent = [name for name, key in keys.items() if not (folder / key.file_name).is_file()]
        if absent:
            capability = next(iter(keys.values())).capability
            return CheckResult(
                f"none in {folder} for {', '.join(absent)} of {bundle.name}",
                f"carp compile {self.bundle} --capabilities {capability}; otherwise the first"
                " start takes longer",
                self.code,
                expected,
            )
        for key in keys.values():
            try:
                read_engine(folder / key.file_name, key)
            except ValueError as error:
                return CheckResult(str(error), "delete it", CheckCode.ENGINE_UNFIT, expected)
        of = next(iter(keys.values()))
        return CheckResult(
            f"{bundle.name}: {len(keys)} for {of.capability}, {of.library}", expected=expected
        )
