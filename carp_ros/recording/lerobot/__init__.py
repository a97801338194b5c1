"""Datasets that other programs wrote in LeRobot's formats v2.1 and v3.0.

`info` says what the dataset claims to hold, `episodes` where each episode lies, `features` which of
its columns become state, action and cameras, `numbers` and `images` read them, `reader` is what
training gets.
"""
