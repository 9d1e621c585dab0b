"""Scorers over word n-grams: importance weights, overlap with evals, a linear quality classifier."""
