"""Datasets that other programs wrote in LeRobot's formats v2.1 and v3.0.

`info` reads what the dataset declares, `tasks` its instructions, `episodes` locates each episode,
`features` selects the columns that become state, action and cameras, `numbers`, `table_images` and
`videos` read them, and `reader` is the interface for training.
"""
