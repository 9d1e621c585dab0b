"""Strata's compute: scorers, transforms, the planner and the runner, and the Prefect flows that place them.

from flows import plan, promote, score
score(cat, "web", ["langid", "gopher_quality"])
"""

from flows.planner import plan
from flows.promote import promote
from flows.runner import score

__all__ = ["plan", "promote", "score"]
