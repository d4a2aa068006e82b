"""Reinforcement learning where everything is known exactly; importing this registers the grid world
with Gymnasium as `truing/GridWorld-v0`."""

import gymnasium

GRID_WORLD = "truing/GridWorld-v0"

if GRID_WORLD not in gymnasium.registry:
    gymnasium.register(
        GRID_WORLD,
        entry_point="truing.grid.gymnasium_env:GridWorldEnv",
        vector_entry_point="truing.grid.gymnasium_env:GridWorldVectorEnv",
    )
