"""The same rows in tiers or all mixed: does the order of the tiers pay? One command, ready for a GPU.

    python examples/tiered_training.py
    python examples/tiered_training.py --size 100m --tokens 2000000000 --device cuda

Three kinds of text stand for three tiers: web pages (L1), edited articles (L2), tasks with answers (L3). A lock of three
stages serves them from L1 to L3, each stage mostly of its tier; its reverse is the control; `mixed` serves the same
amounts of each in one stage. Every schedule is published once a seed, so that order differs with the seed as well as the
first weights. The learning rate falls over the last third, under whatever comes last.
"""

from __future__ import annotations

import argparse
import os
import time
from typing import Any

from passages import datasets, spec

from catalog import Catalog
from flows.proxy.contest import contest
from flows.proxy.design import split_spec
from flows.proxy.recipe import make_recipe

HELD_OUT = 0.1
TIERS = {
    "L1": {"web": 0.80, "encyclopedia": 0.05, "guides": 0.05, "math": 0.05, "sft": 0.05},
    "L2": {"web": 0.20, "encyclopedia": 0.35, "guides": 0.35, "math": 0.05, "sft": 0.05},
    "L3": {"web": 0.10, "encyclopedia": 0.05, "guides": 0.05, "math": 0.40, "sft": 0.40},
}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", default=os.environ.get("STRATA_HOME", "strata-home"))
    parser.add_argument("--size", default="64k")
    parser.add_argument("--tokens", type=int, default=393_216, help="training tokens (bytes) of a run")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--param", action="append", default=[], metavar="KEY=VALUE", help="more of the recipe")
    return parser.parse_args()


def main() -> None:
    options, began = arguments(), time.perf_counter()
    cat = Catalog.open(options.home)
    body = split_spec(cat, spec(datasets(cat), "tiers", options.tokens), HELD_OUT)
    seeds = range(1, options.seeds + 1)
    mixes = {label: [publish(cat, body, label, options.tokens, seed) for seed in seeds]
             for label in ("tiered", "mixed", "reversed")}  # fmt: skip
    validation = [{"name": p["name"], "dataset": p["dataset"], "where": p["where"]} for p in body["parts"]]
    more = dict(p.split("=", 1) for p in options.param)
    recipe = make_recipe(size=options.size, tokens=options.tokens, held_out=HELD_OUT, validation=validation, **more)
    for label, refs in mixes.items():
        print(f"{label:<9} {', '.join(refs)}")
    goals = ["loss/mean", *(f"loss/{part['name']}" for part in body["parts"])]
    for goal in goals:
        rows = contest(
            cat, mixes, recipe, seeds, subject="tiered", result=goal, workers=options.workers, device=options.device,
            say=lambda line: print("  ", line, flush=True),
        )  # fmt: skip
        for row in rows:
            print(line(row, goal))
    print(f"Done in {time.perf_counter() - began:.0f} s")


def publish(cat: Catalog, body: dict[str, Any], label: str, tokens: int, seed: int) -> str:
    """The lock of one schedule and seed; the amounts of every part are the same in all schedules."""
    total = int(tokens * (1.02 + 1.5 / (tokens / 600) ** 0.5))  # passages differ in length: a lock must not run out
    name = f"{body['name']}-{label}-{tokens}-s{seed}"
    if label == "mixed":
        shares = {p["name"]: sum(tier[p["name"]] for tier in TIERS.values()) / len(TIERS) for p in body["parts"]}
        parts = [{**part, "weight": round(shares[part["name"]], 6)} for part in body["parts"]]
        made = {**body, "name": name, "total": total, "seed": seed, "parts": parts}
    else:
        order = list(TIERS) if label == "tiered" else list(TIERS)[::-1]
        stages = [{"name": tier.lower(), "total": total // len(TIERS), "weights": TIERS[tier]} for tier in order]
        made = {**{k: v for k, v in body.items() if k != "total"}, "name": name, "seed": seed, "stages": stages}
    mix = cat.publish_mix(made)
    return f"{mix.name}@v{mix.version}"


def line(row: dict[str, Any], goal: str) -> str:
    """One comparison in words."""
    if "difference" not in row:
        return f"{goal:<18} {row['mix']} against {row['against']}: {row['verdict']}"
    word = {"better": "WINS against", "worse": "LOSES to", "tie": "TIES with", "unknown": "cannot be told from"}
    return (
        f"{goal:<18} {row['mix']} {word[row['verdict']]:<13} {row['against']:<9} {row['subject']:.4f} / {row['other']:.4f}  "
        f"difference {row['difference']:+.4f} [{row['low']:+.4f}, {row['high']:+.4f}]  smallest visible {row['detectable']:.4f}"
    )


if __name__ == "__main__":
    main()
