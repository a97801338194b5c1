"""A servo process without an arm: ticks, and leaves when it is told to."""

import argparse
import dataclasses
import time

from test_servo_keeper import STATE  # a script: its own folder is where it looks

from carp_ros.control.command import Command, ServoLink


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rig")
    parser.add_argument("--link")
    parser.add_argument("--rig-sha256")
    link = ServoLink(parser.parse_args().link, create=False)
    begin_s, ticks = time.monotonic(), 0
    while time.monotonic() - begin_s < 60.0:
        record = link.command.read()
        command = None if record is None else Command.from_record(record)
        if command is not None and command.exit:
            return
        ticks += 1
        resets = command.resets if command else 0
        state = dataclasses.replace(
            STATE, now_ns=time.monotonic_ns(), ticks=ticks, resets_done=resets
        )
        link.state.write(state.to_record())
        time.sleep(0.01)


if __name__ == "__main__":
    main()
