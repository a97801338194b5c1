"""The import layers and the size limit that keep the parts apart. Docstrings, prints: ruff."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent
PACKAGE = REPOSITORY / "carp_ros"
SOURCES = sorted(PACKAGE.rglob("*.py"))

# A part imports parts of rows above its own, and none of its own row.
LAYERS = (
    ("console", "errors"),
    ("refusal", "types"),
    ("files", "geometry", "robots", "share", "strict"),
    ("chain", "processes", "reports", "rig_cameras", "rig_devices", "rig_file", "rig_pointers"),
    ("rig_sections",),
    ("calibrated",),
    ("rig",),
    ("inference",),
    ("calibration", "control", "hardware", "networks", "policies", "recording"),
    ("description", "servo", "sim", "training"),
    ("export",),
    ("runtimes",),
    ("commissioning", "evaluation"),
    ("system",),
    ("ros",),
    ("nodes",),
    ("clients",),
    ("benchmarks",),
    ("checks",),
    ("cli", "__init__"),  # __init__ names what the library offers
)
LAYER_OF = {part: number for number, row in enumerate(LAYERS) for part in row}

# Who may import what is heavy, or absent on some machine.
HOMES = {
    "rclpy": ("benchmarks", "clients", "nodes", "ros"),
    "torch": ("export", "networks", "training"),
    "tokenizers": ("inference", "networks"),
    "transformers": ("networks",),
    "mujoco": ("sim",),
    "onnxruntime": ("export", "inference"),
    "launch": (),
    "launch_ros": (),
}
LAUNCH_FILES_MAY_IMPORT = (
    r"os|pathlib|runpy|sys|time|launch|launch_ros"
    r"|carp_ros\.(system\.(bringup|identity|view)|processes\.(parent|restarts))"
)
MAX_LINES = 400


def imported_modules(source: Path) -> Iterator[str]:
    """Yield the dotted name of every module that a file imports, inside functions too."""
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{source} imports relatively"
            assert node.module is not None
            # `from carp_ros import rig` imports a part, too
            yield from (
                (f"{node.module}.{alias.name}" for alias in node.names)
                if node.module == "carp_ros"
                else (node.module,)
            )


def part_of(source: Path) -> str:
    """Return the folder or module of the package that a file belongs to."""
    return source.relative_to(PACKAGE).parts[0].removesuffix(".py")


def may_import(part: str, imported: str) -> bool:
    """Tell whether one part may import another."""
    return part == imported or LAYER_OF[imported] < LAYER_OF[part]


def homes_of(package: str) -> tuple[str, ...]:
    """Return the parts that may import a package that others may not; else all of them."""
    is_ros = package.endswith(("_msgs", "_interfaces", "_srvs"))
    return HOMES.get("rclpy" if is_ros else package, tuple(LAYER_OF))


def name_of(source: Path) -> str:
    return str(source.relative_to(REPOSITORY))


def test_a_part_imports_only_parts_of_lower_layers():
    offenders = [
        f"{name_of(source)} imports {module}"
        for source in SOURCES
        for module in imported_modules(source)
        if module.startswith("carp_ros.") and not may_import(part_of(source), module.split(".")[1])
    ]
    assert offenders == []


def test_heavy_packages_stay_at_home():
    offenders = [
        f"{name_of(source)} imports {module}"
        for source in SOURCES
        for module in imported_modules(source)
        if part_of(source) not in homes_of(module.split(".")[0])
    ]
    assert offenders == []


def test_a_node_is_made_of_the_shared_bases():
    """Which make its timers steady and hold its callback guard."""
    homes = ("guarded_node.py", "managed_node.py")
    offenders = [
        f"{name_of(source)}: class {node.name}({ast.unparse(base)})"
        for source in SOURCES
        if source.name not in homes
        for node in ast.walk(ast.parse(source.read_text()))
        if isinstance(node, ast.ClassDef)
        for base in node.bases
        if ast.unparse(base).rpartition(".")[2] in ("Node", "LifecycleNode")
    ]
    assert offenders == []


def test_nothing_is_timed_or_throttled_by_a_clock_that_may_be_set():
    unsteady = re.compile(r"time\.time\(|throttle_duration_sec|create_rate\(|\.sleep_for\(")
    offenders = [
        name_of(source)
        for source in SOURCES
        if part_of(source) in HOMES["rclpy"]
        if unsteady.search(source.read_text())
    ]
    assert offenders == []


def test_a_module_fits_the_size_limit():
    lines = {
        name_of(source): len(source.read_text(encoding="utf-8").splitlines()) for source in SOURCES
    }
    assert {name: n for name, n in lines.items() if n > MAX_LINES} == {}


def texts_of_the_locale(source: Path) -> Iterator[int]:
    """Yield the lines that read or write a file's text without saying that it is UTF-8."""
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call) or any(k.arg == "encoding" for k in node.keywords):
            continue
        called = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        builtin = node.func.id if isinstance(node.func, ast.Name) else ""
        written = [value.value for value in node.args if isinstance(value, ast.Constant)]
        is_text = not any(isinstance(mode, str) and "b" in mode[:3] for mode in written)
        if (
            (called == "read_text" and not node.args)
            or (called == "write_text" and len(node.args) == 1)
            or (builtin == "open" and is_text)
        ):
            yield node.lineno


def test_text_is_utf_8_whatever_the_locale_says():
    offenders = [
        f"{name_of(source)}:{line}" for source in SOURCES for line in texts_of_the_locale(source)
    ]
    assert offenders == [], 'say encoding="utf-8"'


def test_a_launch_file_imports_only_launch_and_the_shared_description():
    offenders = [
        f"{name_of(source)} imports {module}"
        for source in REPOSITORY.glob("launch/*.py")
        for module in imported_modules(source)
        if not re.match(rf"({LAUNCH_FILES_MAY_IMPORT})(\.|$)", module)
    ]
    assert offenders == []


def test_every_part_has_its_place_in_the_layers():
    assert {part_of(source) for source in SOURCES} - {"__init__"} <= LAYER_OF.keys()


def test_a_test_folder_mirrors_a_folder_of_the_package():
    for folder in (path for path in (REPOSITORY / "test").iterdir() if path.is_dir()):
        others = ("bench", "data", "launch", "__pycache__")
        assert (PACKAGE / folder.name).is_dir() or folder.name in others, folder
