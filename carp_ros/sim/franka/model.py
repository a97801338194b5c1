"""The URDF that the controller hands to its clients, which compute the arm's dynamics from it.

It is made from our description of the robot. Its links are almost without mass, as the emulated arm
has no Coriolis forces for a client to compensate. The limits near the joints' stops, which
libfranka requires, are those of franka_description (fr3, joint_limits.yaml).
"""

from __future__ import annotations

from carp_ros.robots import Origin, Robot

_INERTIAL = (
    '<inertial><mass value="1e-6"/>'
    '<inertia ixx="1e-9" ixy="0" ixz="0" iyy="1e-9" iyz="0" izz="1e-9"/></inertial>'
)

_EFFORT_NM = (87.0, 87.0, 87.0, 87.0, 12.0, 12.0, 12.0)
_DECELERATION_RAD_S2 = (6.0, 2.585, 3.5, 4.0, 17.0, 5.5, 17.0)
_SPEED_OFFSET_RAD_S = (0.652, 0.25, 0.2005, 0.3542, 0.5738, 0.4885, 0.4592)


def urdf_of(robot: Robot) -> str:
    """Return the URDF of an FR3, with links named `link0` to the flange as libfranka expects."""
    count = len(robot.joint_names)
    parts = ['<robot name="fr3">', '<link name="base"/>']
    parts += [f'<link name="link{i}">{_INERTIAL}</link>' for i in range(count + 2)]
    parts.append(_joint("base_joint", "fixed", "base", "link0", Origin((0, 0, 0), (0, 0, 0))))
    for i, origin in enumerate(robot.origins):
        limit = (
            f'<limit effort="{_EFFORT_NM[i]}" lower="{robot.lower_rad[i]}"'
            f' upper="{robot.upper_rad[i]}" velocity="{robot.max_speed_rad_s[i]}"/>'
            f'<position_based_velocity_limits deceleration_limit="{_DECELERATION_RAD_S2[i]}"'
            f' velocity_offset="{_SPEED_OFFSET_RAD_S[i]}"/>'
        )
        name = f"joint{i + 1}"
        parts.append(_joint(name, "revolute", f"link{i}", f"link{i + 1}", origin, limit))
    parts.append(_joint("flange", "fixed", f"link{count}", f"link{count + 1}", robot.flange))
    return "".join([*parts, "</robot>"])


def _joint(name: str, kind: str, parent: str, child: str, origin: Origin, limit: str = "") -> str:
    xyz, rpy = (" ".join(map(str, numbers)) for numbers in (origin.xyz, origin.rpy))
    axis = '<axis xyz="0 0 1"/>' if kind == "revolute" else ""
    return (
        f'<joint name="{name}" type="{kind}"><parent link="{parent}"/><child link="{child}"/>'
        f'<origin xyz="{xyz}" rpy="{rpy}"/>{axis}{limit}</joint>'
    )
