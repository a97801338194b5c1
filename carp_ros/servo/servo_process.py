"""The servo as a separate process: connects `ServoLoop` to the robot and the mailboxes.

Imports no ROS. `control_node` starts, watches, kills and restarts it, because the robot's client
library may hang or crash the whole interpreter when its connection drops.
"""

from __future__ import annotations

import argparse
import math
import signal
import sys
from pathlib import Path

import numpy as np

from carp_ros.control.command import (
    LATENESS_DTYPE,
    NOTE_DTYPE,
    Command,
    ServoLink,
    chunk_from_record,
)
from carp_ros.control.guard import Guard
from carp_ros.control.kinematics import Kinematics
from carp_ros.control.realtime import Metronome, request_realtime, starting_pollers
from carp_ros.control.servo import Servo
from carp_ros.errors import CarpError, ChunkError, DeviceError, MessageError
from carp_ros.hardware.arm import Arm
from carp_ros.processes.cores import settle_threads
from carp_ros.processes.mailbox import remove_leftovers
from carp_ros.processes.parent import end_with_parent
from carp_ros.reports.control import Fault
from carp_ros.rig import Rig, load_rig
from carp_ros.rig_devices import Fr3ArmConfig
from carp_ros.servo.devices import make_arm, make_kinematics
from carp_ros.servo.hand_guiding import Hand
from carp_ros.servo.servo_loop import ServoLoop, Tick
from carp_ros.types import ArmState, Chunk

EXIT_DEVICE = 3
_LATENESS_EVERY = 50  # ticks between two latency reports
_GIVE_UP_S = 2.0  # without a heartbeat for this long, the process exits once the arm stands still
_HUNG_MARGIN_S = 10  # a process silent this much longer than a recovery takes kills itself
_ORPHANED_S = 6  # time to stop the arm and exit once the control node is gone


class ServoProcess:
    """Runs a `ServoLoop` on one arm until told to exit or until the control node is gone."""

    def __init__(self, rig: Rig, link: ServoLink, arm: Arm) -> None:
        self._rig = rig
        self._link = link
        self._arm = arm
        self._hung_s = math.ceil(rig.arm.recovery_s) + _HUNG_MARGIN_S
        self._chunks_seen = link.chunk.count
        self._command: Command | None = None
        self._commands_seen = 0

    def run(self) -> None:
        """Connect, then tick until told to exit.

        Raises:
            DeviceError: If the arm or a required real-time priority is unavailable, or the link to
                the arm breaks.
        """
        rig = self._rig
        config = rig.servo
        grant = request_realtime(config.priority, config.cpu, required=config.require_realtime)
        if grant.advice:
            _leave_note(self._link, grant.advice)
        kinematics = make_kinematics(rig)
        signal.alarm(self._hung_s)
        with starting_pollers():
            self._arm.connect()
        if self._sleeps_beside_controller():
            settle_threads()
        # from here on the robot's watchdog expects targets: lose no time
        arm = self._arm.read()
        loop = self._make_loop(kinematics, arm)
        metronome = Metronome(1.0 / config.rate_hz)
        lateness = np.zeros((), LATENESS_DTYPE)
        for tick_number, now_ns in enumerate(metronome):
            arm = self._arm.read()
            command = self._newest_command()
            if command is not None and self._is_over(command, now_ns, loop):
                return
            if command is not None and loop.reset_due(command):
                self._reset(loop, command, arm, now_ns, grant.priority)
                continue
            tick = loop.tick(now_ns, arm, command, self._new_chunk())
            if tick.target is not None:
                try:
                    self._arm.servo(tick.target.joints)
                except DeviceError as error:
                    loop.guard.latch(Fault.REFUSED, str(error), command)
            elif tick.hand is not Hand.NONE:
                self._guide(loop, tick, command, arm, now_ns, grant.priority)
            state = loop.state(now_ns, arm, tick, grant.priority)
            self._link.state.write(state.to_record())
            if tick_number % _LATENESS_EVERY == 0:
                signal.alarm(self._hung_s)  # works even if the client library hangs with the GIL
                lateness["counts"] = metronome.lateness.counts
                lateness["worst_ns"] = metronome.lateness.worst_ns
                lateness["skipped"] = metronome.skipped
                self._link.lateness.write(lateness)

    def _make_loop(self, kinematics: Kinematics, arm: ArmState) -> ServoLoop:
        rig = self._rig
        period_s = 1.0 / rig.servo.rate_hz
        # a replacement process keeps the last commanded gripper closure
        command = self._newest_command()
        gripper = command.gripper if command else 0.0
        servo = Servo(
            kinematics,
            rig.limits,
            period_s,
            rig.servo.blend_s,
            arm.joints,
            gripper,
            np.array(rig.home_joints_rad),
            rig.latency.lead,
        )
        guard = Guard(
            rig.limits,
            rig.arm.state_timeout_s,
            rig.servo.heartbeat_timeout_s,
            simulated=rig.cell is not None,
        )
        return ServoLoop(kinematics, servo, guard, np.array(rig.home_joints_rad))

    def _newest_command(self) -> Command | None:
        if self._link.command.count != self._commands_seen:
            self._commands_seen = self._link.command.count
            record = self._link.command.read()
            try:
                self._command = None if record is None else Command.from_record(record)
            except MessageError as error:
                # keep the previous command: its heartbeat ages, and the guard then stops the arm
                _leave_note(self._link, str(error))
        return self._command

    def _new_chunk(self) -> Chunk | None:
        if self._link.chunk.count == self._chunks_seen:
            return None
        self._chunks_seen = self._link.chunk.count
        record = self._link.chunk.read()
        try:
            return None if record is None else chunk_from_record(record)
        except ChunkError:
            return None  # the control node only writes valid chunks

    def _reset(
        self, loop: ServoLoop, command: Command, arm: ArmState, now_ns: int, priority: int
    ) -> None:
        """Let the arm recover, which takes seconds, then clear the fault if it did."""
        tick = loop.tick(now_ns, arm, None, None)
        self._link.state.write(loop.state(now_ns, arm, tick, priority, busy=True).to_record())
        problem = ""
        try:
            if not (arm.ready and arm.safety.may_move):
                self._arm.recover()
        except DeviceError as error:
            problem = str(error)
        loop.try_reset(command, self._arm.read(), problem)

    def _guide(
        self,
        loop: ServoLoop,
        tick: Tick,
        command: Command | None,
        arm: ArmState,
        now_ns: int,
        priority: int,
    ) -> None:
        """Let the arm be guided by hand, or hold it again; either may take tenths of a second."""
        try:
            if tick.hand is Hand.KEEP:
                self._arm.keep_guiding()
                return
            self._link.state.write(loop.state(now_ns, arm, tick, priority, busy=True).to_record())
            if tick.hand is Hand.FREE:
                self._arm.start_guiding()
            else:
                self._arm.end_guiding()
        except DeviceError as error:
            loop.guard.latch(Fault.REFUSED, str(error), command)

    def _sleeps_beside_controller(self) -> bool:
        """Whether to share a core with an emulated controller.

        ur-rtde waits for its robot without sleeping: there it would keep it from answering.
        """
        rig = self._rig
        simulated = rig.cell is not None and rig.servo.cpu < 0
        return simulated and isinstance(rig.arm, Fr3ArmConfig)

    def _is_over(self, command: Command, now_ns: int, loop: ServoLoop) -> bool:
        """Whether to exit: on command or without heartbeats, but never while the arm moves."""
        alone = (now_ns - command.heartbeat_ns) * 1e-9 > _GIVE_UP_S
        if not (command.exit or alone):
            return False
        loop.guard.latch(Fault.CONTROL_SILENT, "the servo process ends", command)
        return not loop.moving


def _leave_note(link: ServoLink, text: str) -> None:
    """Tell the control node about a problem."""
    note = np.zeros((), NOTE_DTYPE)
    note["text"] = text.encode()[:320]
    link.note.write(note)


def main() -> None:
    """Run the servo process; `control_node` supplies the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rig", type=Path, required=True, help="the rig's YAML file")
    parser.add_argument("--rig-sha256", default="", help="SHA-256 that the rig file must have")
    parser.add_argument("--link", required=True, help="name of the control node's mailboxes")
    arguments = parser.parse_args()
    # Ctrl-C reaches the whole process group; here the control node decides when to exit
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # the loop exits by itself when the control node is gone; the alarm covers a blocked robot call
    signal.signal(signal.SIGHUP, lambda *_: signal.alarm(_ORPHANED_S))
    end_with_parent(signal.SIGHUP)
    link = ServoLink(arguments.link, create=False)
    arm: Arm | None = None
    try:
        rig = load_rig(arguments.rig, arguments.rig_sha256)
        arm = make_arm(rig)
        ServoProcess(rig, link, arm).run()
    except (CarpError, ValueError) as error:
        _leave_note(link, str(error))  # the control node reports it, once
        sys.exit(EXIT_DEVICE)
    finally:
        if arm is not None:
            arm.close()
        remove_leftovers()  # the mailboxes, if the control node died before it could


if __name__ == "__main__":
    main()
