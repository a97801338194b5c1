"""An emulated UR5e controller: its network protocols, in front of a simulated arm.

Every protocol module takes bytes and time and returns bytes (`rtde`, `dashboard`, `robotiq`,
`fault_port`); `controller` connects them to arm and gripper in cycles of 2 ms; only `server` has
sockets and a clock. Start it with `python -m carp_ros.sim.ur`. It must be a process of its own: the
constructors of ur-rtde hold the GIL while they wait for the controller's answers.
"""
