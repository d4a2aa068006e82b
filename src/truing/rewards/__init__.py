"""Rewards: functions from finished answers to scores."""
