"""Run a simulated FR3 controller: `python -m carp_ros.sim.franka --rig config/fr3_sim.yaml`."""

from __future__ import annotations

from carp_ros.rig import Rig
from carp_ros.sim.franka.controller import CYCLE_S, LOST_COMMANDS, FrankaController
from carp_ros.sim.franka.model import urdf_of
from carp_ros.sim.franka.server import FciServer
from carp_ros.sim.plant import Plant
from carp_ros.sim.serving import Arguments, arguments_parser, serve


def main() -> None:
    """Serve until SIGTERM or SIGINT; print READY to standard output when listening."""
    parser = arguments_parser(__doc__ or "")
    parser.add_argument(
        "--lost-commands",
        type=int,
        default=LOST_COMMANDS,
        help="missing commands in a row that stop a motion",
    )
    serve(parser.parse_args(), _server, CYCLE_S)


def _server(rig: Rig, plant: Plant, arguments: Arguments) -> FciServer:
    controller = FrankaController(
        rig.robot, plant, urdf_of(rig.robot), lost_commands=arguments.lost_commands
    )
    return FciServer(controller, arguments.host or rig.arm.host, arguments.fault_port)


if __name__ == "__main__":
    main()
