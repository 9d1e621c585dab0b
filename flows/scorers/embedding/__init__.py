"""Scorers from sentence vectors."""
