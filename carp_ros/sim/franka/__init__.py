"""An emulated Franka FR3 controller with a Franka Hand.

It speaks the Franka Control Interface of system 5.9 and later (server version 10) and of the hand
(version 3), as clients built on libfranka 0.18 to 0.21 do. The arm itself is simple: joint torques
move a diagonal inertia, without gravity, friction or Coriolis forces.
"""
