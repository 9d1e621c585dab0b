"""Scorers that make one column of several."""
