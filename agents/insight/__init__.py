"""What is odd about a dataset; see `profile`. A check is one function with a decorator, in any module of this package."""

from agents.insight.profile import OFF, checks, insight, listed, without_text

__all__ = ["OFF", "checks", "insight", "listed", "without_text"]
