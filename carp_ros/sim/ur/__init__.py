"""A UR5e controller without the robot: what its network ports say, in front of a simulated arm.

Every protocol part takes bytes and time and gives bytes (`rtde`, `dashboard`, `robotiq`,
`fault_port`); `controller` joins them to the arm and the fingers in cycles of 2 ms; `server` alone
owns sockets and a clock. `python -m carp_ros.sim.ur` starts it. It must be a process of its own:
the constructors of ur-rtde hold the interpreter lock while they wait for the controller's answers.
"""
