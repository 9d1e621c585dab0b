"""Scorers that read text alone: counts, rules of the pre-training papers, language, personal data."""
