"""Run a simulated UR5e controller: `python -m carp_ros.sim.ur --rig config/ur5e_sim.yaml`."""

from __future__ import annotations

from carp_ros.rig import Rig
from carp_ros.sim.plant import CYCLE_S, Plant
from carp_ros.sim.serving import Arguments, arguments_parser, serve
from carp_ros.sim.ur.controller import Controller
from carp_ros.sim.ur.server import Server


def main() -> None:
    """Serve until SIGTERM or SIGINT; print READY to standard output when listening."""
    parser = arguments_parser(__doc__ or "")
    parser.add_argument("--unlock-delay", type=float, default=5.0, help="of protective stops [s]")
    serve(parser.parse_args(), _server, CYCLE_S)


def _server(rig: Rig, plant: Plant, arguments: Arguments) -> Server:
    controller = Controller(rig.robot, plant, unlock_delay_s=arguments.unlock_delay)
    return Server(controller, arguments.host or rig.arm.host, arguments.fault_port)


if __name__ == "__main__":
    main()
