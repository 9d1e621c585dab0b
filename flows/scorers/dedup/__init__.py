"""Scorers that group equal and nearly equal rows."""
