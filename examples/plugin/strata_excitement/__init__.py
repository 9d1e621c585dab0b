"""Scorers of ours; each module below this package holds one."""
