"""Feeds that look by themselves: listings of stores, and published manifests."""
