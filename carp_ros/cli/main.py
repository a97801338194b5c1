"""`carp <verb> [options]`: finds the verb, and imports only what that verb needs."""

from __future__ import annotations

import importlib
import os
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

EXIT_USAGE = 2
EXIT_INTERRUPTED = 128 + signal.SIGINT


def main() -> None:
    """Run the command line and exit."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    try:
        code = run(sys.argv[1:])
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = EXIT_INTERRUPTED
    except BrokenPipeError:  # the reader of our output left, as `carp check | head` does
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
    import tyro

    from carp_ros.cli.options import refusal_of
    from carp_ros.errors import CarpError
    from carp_ros.refusal import in_words

    module = importlib.import_module(f"carp_ros.cli.{verb.replace('-', '_')}")
    kind = getattr(module, f"{verb.title().replace('-', '')}Command")
    command = tyro.cli(kind, prog=f"carp {verb}", args=options)
    refusal = refusal_of(command)
    if refusal:
        print(f"carp {verb}: {refusal}", file=sys.stderr)
        return EXIT_USAGE
    try:
        return module.main(command)
    except (CarpError, ValueError) as error:
        if os.environ.get("CARP_TRACEBACK"):
            raise
        print(f"carp {verb}: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        raise
    except OSError as error:  # a path too long, a folder without permission, a full disk
        if os.environ.get("CARP_TRACEBACK"):
            raise
        where = f"{error.filename}: " if error.filename else ""
        print(f"carp {verb}: {where}{in_words(error)}", file=sys.stderr)
        return 1


def _leave(number: int, frame: FrameType | None) -> None:
    """Unwind as on Ctrl-C, so that what was started is stopped."""
    sys.exit(128 + number)


if __name__ == "__main__":
    main()
