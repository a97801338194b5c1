"""Hollow objects to grasp: cup, bowl and pot, with walls that collide as rings of boxes.

Each is one free body whose origin is the centre of its underside. Collision geometry is in geom
group 3, invisible; the visual is a smooth surface of revolution, left out if nothing is rendered.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import mujoco
import numpy as np

from carp_ros.types import Array

COLLISION_GROUP = 3
VISUAL_GROUP = 2
FLOOR_M = 0.006
_LATHE_SEGMENTS = 40


@dataclass(frozen=True)
class Vessel:
    """A round vessel, in [m] and [kg].

    Attributes:
        name: Of its body and material; its joint is `<name>_free`.
        inner_radius_m: At the floor.
        taper_m: How much wider it is at the rim.
        wall_m: Thickness of the wall.
        height_m: From the underside to the rim.
        floor_kg, wall_kg: Masses; a heavier floor makes it more stable.
        staves: Number of boxes in the wall.
        handles: Polylines of handles, each a tuple of points; `handle_radius_m` is their radius.
    """

    name: str
    inner_radius_m: float
    taper_m: float
    wall_m: float
    height_m: float
    floor_kg: float
    wall_kg: float
    staves: int
    handles: tuple[tuple[tuple[float, float, float], ...], ...] = ()
    handle_radius_m: float = 0.004

    @property
    def rim_radius_m(self) -> float:
        """Radius of the middle of the wall at the rim."""
        return self.inner_radius_m + self.taper_m + self.wall_m / 2


CUP = Vessel(
    "cup",
    inner_radius_m=0.026,
    taper_m=0.0,
    wall_m=0.004,
    height_m=0.092,
    floor_kg=0.06,
    wall_kg=0.11,
    staves=14,
    handles=(((0.030, 0, 0.074), (0.054, 0, 0.066), (0.054, 0, 0.036), (0.030, 0, 0.026)),),
)
BOWL = Vessel(
    "bowl",
    inner_radius_m=0.038,
    taper_m=0.013,
    wall_m=0.004,
    height_m=0.050,
    floor_kg=0.05,
    wall_kg=0.06,
    staves=16,
)
POT = Vessel(
    "pot",
    inner_radius_m=0.090,
    taper_m=0.0,
    wall_m=0.006,
    height_m=0.076,
    floor_kg=0.6,
    wall_kg=0.8,
    staves=20,
    handles=tuple(
        (
            (-0.030, side * 0.094, 0.058),
            (-0.030, side * 0.120, 0.058),
            (0.030, side * 0.120, 0.058),
            (0.030, side * 0.094, 0.058),
        )
        for side in (-1, 1)
    ),
    handle_radius_m=0.006,
)


def add_vessel(spec: mujoco.MjSpec, vessel: Vessel, *, visuals: bool) -> None:
    """Add a free vessel at the origin; the material of the same name must already exist."""
    body = spec.worldbody.add_body(name=vessel.name)
    body.add_freejoint(name=f"{vessel.name}_free")
    radius = vessel.inner_radius_m + vessel.wall_m
    # condim 4: torsional friction, without which a grasped cup would turn between the pads.
    collides = {"material": vessel.name, "condim": 4, "friction": [1.0, 0.01, 0.001]}
    body.add_geom(
        type=mujoco.mjtGeom.mjGEOM_CYLINDER,
        size=[radius, FLOOR_M / 2, 0],
        pos=[0, 0, FLOOR_M / 2],
        mass=vessel.floor_kg,
        group=COLLISION_GROUP,
        **collides,
    )
    for position, quaternion, size in _staves(vessel):
        body.add_geom(
            type=mujoco.mjtGeom.mjGEOM_BOX,
            pos=position,
            quat=quaternion,
            size=size,
            mass=vessel.wall_kg / vessel.staves,
            group=COLLISION_GROUP,
            # Stiff contacts, as fingers must not penetrate the thin wall.
            solref=[0.004, 1],
            solimp=[0.95, 0.99, 0.001, 0.5, 2],
            **collides,
        )
    for points in vessel.handles:
        for start, end in itertools.pairwise(points):
            body.add_geom(
                type=mujoco.mjtGeom.mjGEOM_CAPSULE,
                fromto=[*start, *end],
                size=[vessel.handle_radius_m, 0, 0],
                mass=0.003,
                group=VISUAL_GROUP,
                **collides,
            )
    if visuals:
        _add_visual(spec, body, vessel)


def _staves(vessel: Vessel) -> list[tuple[list[float], list[float], list[float]]]:
    """Return position, wxyz quaternion and half sizes of each box of the wall."""
    height = vessel.height_m - FLOOR_M / 2
    tilt = math.atan2(vessel.taper_m, height)
    middle = vessel.inner_radius_m + (vessel.wall_m + vessel.taper_m) / 2
    # Wide enough for neighbours to meet on the outside of the rim, where the ring is widest.
    width = math.tan(math.pi / vessel.staves) * (vessel.rim_radius_m + vessel.wall_m / 2)
    size = [vessel.wall_m / 2, width, height / 2 / math.cos(tilt)]
    lean = np.array([math.cos(tilt / 2), 0.0, math.sin(tilt / 2), 0.0])
    staves = []
    for stave in range(vessel.staves):
        angle = 2 * math.pi * stave / vessel.staves
        turn = np.array([math.cos(angle / 2), 0.0, 0.0, math.sin(angle / 2)])
        quaternion = np.zeros(4)
        mujoco.mju_mulQuat(quaternion, turn, lean)
        position = [middle * math.cos(angle), middle * math.sin(angle), (height + FLOOR_M) / 2]
        staves.append((position, quaternion.tolist(), size))
    return staves


def _add_visual(spec: mujoco.MjSpec, body: mujoco.MjsBody, vessel: Vessel) -> None:
    inner, outer = vessel.inner_radius_m, vessel.inner_radius_m + vessel.wall_m
    profile = np.array(
        [
            [0.0, 0.0],
            [outer, 0.0],
            [outer + vessel.taper_m, vessel.height_m],
            [inner + vessel.taper_m, vessel.height_m],
            [inner, FLOOR_M],
            [0.0, FLOOR_M],
        ]
    )
    vertices, faces = lathe(profile, _LATHE_SEGMENTS)
    name = f"{vessel.name}_visual"
    spec.add_mesh(name=name, uservert=vertices.ravel(), userface=faces.ravel())
    body.add_geom(
        type=mujoco.mjtGeom.mjGEOM_MESH,
        meshname=name,
        material=vessel.name,
        group=VISUAL_GROUP,
        contype=0,
        conaffinity=0,
        mass=0,
    )


def lathe(
    profile: Array, segments: int
) -> tuple[Array, np.ndarray[tuple[int, int], np.dtype[np.int32]]]:
    """Return the surface of revolution of a profile about the z axis.

    Edges of the profile do not share vertices, so that they stay sharp with smooth shading.

    Args:
        profile: Points (radius, z) in [m], of shape (P, 2), in an order that has the outside of the
            solid on the right.
        segments: Steps around the axis.

    Returns:
        Vertices of shape (V, 3) and triangles of shape (F, 3), counter-clockwise from outside.
    """
    angles = 2 * math.pi * np.arange(segments) / segments
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)  # (segments, 2)
    vertices, faces = [], []
    here = np.arange(segments)
    after = (here + 1) % segments
    for start, end in itertools.pairwise(profile):
        first = segments * len(vertices)
        rings = [
            np.column_stack([radius * circle, np.full(segments, z)]) for radius, z in (start, end)
        ]
        vertices.extend(rings)
        low, high = first + here, first + segments + here
        low_after, high_after = first + after, first + segments + after
        if start[0] > 0.0:
            faces.append(np.column_stack([low, low_after, high_after]))
        if end[0] > 0.0:
            faces.append(np.column_stack([low, high_after, high]))
        # A ring of radius zero is a point: the triangle on its side would have no area.
    return np.concatenate(vertices), np.concatenate(faces).astype(np.int32)
