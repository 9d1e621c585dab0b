"""Edits of text that a promotion recipe may name."""
