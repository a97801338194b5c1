"""An arm's first motion, step by step: what each step does, asks for and measures; no ROS."""
