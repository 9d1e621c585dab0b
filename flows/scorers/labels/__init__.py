"""Scorers of labels: which ones are likely wrong."""
