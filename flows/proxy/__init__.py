"""The proxy laboratory: small models trained on what a lock serves, so that mixes can be compared before the large run.

from flows.proxy import Recipe, run_trial

trial = run_trial(cat, "pretrain@v1", Recipe(size="1m", tokens=2_000_000, seed=1))
trial.results["loss/web"]
"""

from flows.proxy.recipe import SIZES, Recipe
from flows.proxy.runs import run_trial, run_trials

__all__ = ["SIZES", "Recipe", "run_trial", "run_trials"]
