"""Scorers from one forward pass of a causal language model."""
