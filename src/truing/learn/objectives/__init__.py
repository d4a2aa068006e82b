"""Objectives: trajectories in, a loss and its figures out; one file each."""
