"""Runs cron's tasks, keeps how they went, and alarms when one stays away."""

__version__ = "0.1.0"
