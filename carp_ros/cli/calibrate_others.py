"""`carp calibrate board`, `tool` and `latency`."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date

from carp_ros.calibrated.board import Board
from carp_ros.calibrated.result_file import Latency, Provenance, ToolTip
from carp_ros.calibrated.rig_calibration import ACTION, GRIPPER, TOOL
from carp_ros.calibration.latency import measure_latency
from carp_ros.calibration.readings import load_poses, load_signal
from carp_ros.calibration.tool import NamedPose, calibrate_tool
from carp_ros.cli import calibrate_live
from carp_ros.cli.calibrate import BoardCommand, LatencyCommand, ToolCommand
from carp_ros.cli.calibrate_result import keep_result, result_folder
from carp_ros.cli.main import EXIT_INTERRUPTED
from carp_ros.files.plain_yaml import yaml_from_mapping
from carp_ros.files.whole_file import whole_file
from carp_ros.refusal import named
from carp_ros.rig import load_nominal_rig
from carp_ros.system.bringup import rig_path


def run_board(command: BoardCommand) -> int:
    """Draw a board and write its layout; return 0."""
    from carp_ros.calibration.pictures import write_board  # matplotlib takes a second

    board = Board(
        command.columns, command.rows, command.square_m, command.marker_m, command.dictionary
    )
    for contradiction in board.contradictions():
        raise ValueError(contradiction)
    write_board(command.out, board, command.page)
    layout = command.out.with_suffix(".yaml")
    with whole_file(layout) as draft:
        draft.write_text(yaml_from_mapping(asdict(board)), encoding="utf-8")
    print(
        f"board         {command.out} ({command.page}; print at 100 %)\n"
        f"layout        {layout} (correct square_m and marker_m if the print measures otherwise)"
    )
    return 0


def run_tool(command: ToolCommand) -> int:
    """Find the tool centre point, print and write the result; return 0."""
    rig = load_nominal_rig(rig_path(command.rig))
    if command.live and not calibrate_live.run_touches(rig, command.poses):
        return EXIT_INTERRUPTED
    poses = [NamedPose(name, pose) for name, pose in load_poses(command.poses).items()]
    fit = calibrate_tool(poses)
    x, y, z = fit.tip_m.tolist()
    used = len(poses) - len(fit.outliers)
    result = ToolTip(
        kind="tool",
        position_m=(x, y, z),
        position_std_mm=1e3 * fit.position_std_m,
        provenance=Provenance(
            rig=rig.name,
            date=date.today().isoformat(),
            method="pivoting about a fixed point",
            source=named(command.poses),
            readings=used,
            outliers=fit.outliers,
            residual_mm=fit.residual_mm,
        ),
    )
    path = keep_result(result_folder(command.folder, rig), TOOL, result, rig)
    for name in fit.outliers:
        error_mm = fit.pose_errors_mm[name]
        print(f"left out: {name} disagrees with the others: {error_mm:.1f} mm")
    print(
        f"position      {x:.4f}, {y:.4f}, {z:.4f} m from the flange"
        f" (standard error {1e3 * fit.position_std_m:.2f} mm)\n"
        f"residual      {fit.residual_mm:.2f} mm RMS over {used} poses\n"
        f"in the rig    tool.position_m: [{x:.4f}, {y:.4f}, {z:.4f}]\n"
        f"result        {path}"
    )
    return 0


def run_latency(command: LatencyCommand) -> int:
    """Measure a latency, print and write the result; return 0."""
    rig = load_nominal_rig(rig_path(command.rig))
    devices = (*rig.cameras, ACTION, GRIPPER)
    if command.device not in devices:
        raise ValueError(f"--device is {command.device!r}; expected one of {', '.join(devices)}")
    if command.live:
        calibrate_live.record_latency(rig, command)
    second = load_signal(command.second)
    fit = measure_latency(load_signal(command.first), second, command.longest_s)
    result = Latency(
        kind="latency",
        device=command.device,
        latency_s=fit.latency_s,
        std_s=fit.std_s,
        correlation=fit.correlation,
        provenance=Provenance(
            rig=rig.name,
            date=date.today().isoformat(),
            method="delay of greatest correlation",
            source=f"{named(command.first)}, {named(command.second)}",
            readings=len(second.times_ns),
        ),
    )
    name = f"{command.device}_latency"
    path = keep_result(result_folder(command.folder, rig), name, result, rig)
    print(
        f"latency       {1e3 * fit.latency_s:.1f} ms (standard error {1e3 * fit.std_s:.2f} ms),"
        f" correlation {fit.correlation:.4f}\n"
        f"result        {path}"
    )
    return 0
