"""Find a mixture by small runs, then ask whether it was worth it: one command, minutes on two cores.

    python examples/regmix.py                  # 64 proxy runs, 4 held-out mixes, 5 choices x 3 seeds
    python examples/regmix.py --size 10m --tokens 3000000 --device cuda

Real text of five kinds -> a Dirichlet design -> proxy runs -> RegMix (Liu et al. 2024, arXiv:2407.01492) -> predicted
against measured loss on mixes that no regression saw -> its choice against uniform, token-proportional, the best of the
trials and mixing laws, on seeds that no choice saw. A tie or a loss is printed as one.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
from passages import datasets, spec

from catalog import Catalog
from catalog.meta.models import Trial
from catalog.statistics import spearman
from flows.mixing import Weighed, weigh
from flows.proxy.contest import contest
from flows.proxy.design import make_design, read_design, recipe_of, run_design

STRENGTHS = (1.0, 20.0)
"""Less concentrated than the paper's 0.1 to 5: sixty-four runs cannot be spent on single parts."""
LEAST = 0.03
"""A smaller share of a small run would be less than a handful of passages, and is left out."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", default=os.environ.get("STRATA_HOME", "strata-home"))
    parser.add_argument("--size", default="64k", help="model: 256k, 1m, 10m, 100m ...")
    parser.add_argument("--tokens", type=int, default=196_608, help="training tokens (bytes) of a run")
    parser.add_argument(
        "--runs", type=int, default=64, help="mixes to learn from, 16 and more; trees see little in fewer than 64"
    )
    parser.add_argument("--held", type=int, default=4, help="mixes to test the prediction on")
    parser.add_argument("--seeds", type=int, default=3, help="seeds of the comparison")
    parser.add_argument("--goal", default="loss/mean", help="loss/mean, or loss/PART")
    parser.add_argument("--model", default="lightgbm", choices=["linear", "lightgbm"], help="RegMix's regression")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--param", action="append", default=[], metavar="KEY=VALUE", help="more of the recipe")
    return parser.parse_args()


def main() -> None:
    options, began = arguments(), time.perf_counter()
    cat = Catalog.open(options.home)
    names = datasets(cat)
    name = f"lab-{options.size}-{options.tokens}"
    body = spec(names, name, int(options.tokens * 1.2))
    recipe = {"size": options.size, "tokens": options.tokens, **dict(p.split("=", 1) for p in options.param)}
    running = {"workers": options.workers, "device": options.device, "say": lambda line: print("  ", line, flush=True)}

    print(f"1. {options.runs} proxy runs of {options.size} parameters on {options.tokens:,} bytes each")
    folder = Path(options.home) / "designs"
    learn = make_design(cat, body, folder / name, runs=options.runs, seed=0, strengths=STRENGTHS, least=LEAST)
    trials = run_design(cat, learn, **recipe, **running)

    print(f"\n2. Weights by RegMix ({options.model}) and by mixing laws, for {options.goal}")
    design = read_design(learn)
    # the runs of the design alone: those of the comparison below must not be learned from when this is run again
    base, known = design["spec"], f"catalog:{name}-r[0-9]*-s0"
    parts = {f"loss/{part}": 1 / len(design["parts"]) for part in design["parts"]}
    losses = {"losses": parts} if options.goal == "loss/mean" else {}
    found = {
        "regmix": weigh(cat, base, "regmix", trials=known, goal=options.goal, params={"model": options.model}),
        "mixing-laws": weigh(cat, base, "mixing_laws", trials=known, goal=options.goal, params=losses),
    }
    choices = choose(cat, base, found, trials, options.goal)
    for label, (ref, weights) in choices.items():
        print(f"   {label:<14}", "  ".join(f"{part} {share:.3f}" for part, share in weights.items()), f"  ({ref})")

    print(f"\n3. Predicted against measured on {options.held} mixes that the regression did not see")
    test = make_design(cat, {**body, "name": f"{name}-test"}, folder / f"{name}-test", runs=options.held, seed=999,
                       strengths=STRENGTHS, least=LEAST)  # fmt: skip
    foretold(found["regmix"], run_design(cat, test, **recipe, **running), design["parts"], options.goal)

    print(f"\n4. RegMix's choice against the others, {options.seeds} new seeds each, paired by seed")
    rows = contest(
        cat, {label: ref for label, (ref, _) in choices.items()}, recipe_of(design, **recipe),
        range(1, options.seeds + 1), subject="regmix", result=options.goal, **running,
    )  # fmt: skip
    report(rows, options.goal)
    answer, mean = found["regmix"].answer, rows[0].get("subject", float("nan"))
    print(
        f"   predicted for RegMix's weights {answer.predicted:.4f} [{answer.low:.4f}, {answer.high:.4f}], measured {mean:.4f}"
    )
    print(f"\nDone in {time.perf_counter() - began:.0f} s; every run is a trial: strata trial list")


def choose(
    cat: Catalog, base: dict[str, Any], found: dict[str, Weighed], trials: list[Trial], goal: str
) -> dict[str, tuple[str, dict[str, float]]]:
    """Publish one mix for each way to choose; label -> its reference and the weights that its lock serves."""
    from catalog.mixes import load_lock
    from catalog.trials import served_weights

    natural = {row["part"]: row["proportional"] for row in found["regmix"].rows}
    specs = {label: made.spec for label, made in found.items()}
    specs["uniform"] = {**base, "parts": [{**part, "weight": 1} for part in base["parts"]]}
    specs["proportional"] = {**base, "parts": [{**p, "weight": round(natural[p["name"]], 6)} for p in base["parts"]]}
    refs = {}
    for label, body in specs.items():
        body = {**body, "parts": [part for part in body["parts"] if part["weight"] >= LEAST / 2]}
        made = cat.publish_mix({**body, "name": f"{base['name']}-{label}"})
        refs[label] = f"{made.name}@v{made.version}"
    done = [trial for trial in trials if trial.status == "done"]
    refs["best-of-trials"] = min(done, key=lambda trial: trial.results[goal]).mix
    return {label: (ref, served_weights(load_lock(cat, ref))) for label, ref in refs.items()}


def foretold(found: Weighed, tested: list[Trial], parts: list[str], goal: str) -> None:
    """A line for each held-out mix, and how well the order and the interval held."""
    done = [trial for trial in tested if trial.status == "done"]
    answer = found.answer
    assert answer.predict and answer.predicted is not None and answer.high is not None
    half = answer.high - answer.predicted
    said = answer.predict(np.array([[trial.weights.get(part, 0.0) for part in parts] for trial in done]))
    seen = np.array([trial.results[goal] for trial in done])
    for trial, guess, loss in zip(done, said, seen, strict=True):
        inside = "inside" if abs(guess - loss) <= half else "OUTSIDE"
        print(
            f"   {trial.mix:<34} predicted {guess:.4f} [{guess - half:.4f}, {guess + half:.4f}]  measured {loss:.4f}  {inside}"
        )
    held = int((np.abs(said - seen) <= half).sum())
    rank = spearman(said, seen)
    print(f"   {held} of {len(done)} inside the interval ({found.answer.report['interval']}); "
          f"Spearman {'undefined' if rank is None else f'{rank:.2f}'}; "
          f"mean absolute error {np.abs(said - seen).mean():.4f}; out of fold {found.answer.report['spearman_out_of_fold']}")  # fmt: skip


def report(rows: list[dict[str, Any]], goal: str) -> None:
    """One line a comparison; the words are the verdict's."""
    for row in rows:
        if "difference" not in row:
            print(f"   {row['mix']} against {row['against']:<15} {row['verdict']}")
            continue
        word = {"better": "WINS against", "worse": "LOSES to", "tie": "TIES with", "unknown": "cannot be told from"}
        print(f"   {row['mix']} {word[row['verdict']]:<13} {row['against']:<15} {goal} {row['subject']:.4f} / {row['other']:.4f}  "
              f"difference {row['difference']:+.4f} [{row['low']:+.4f}, {row['high']:+.4f}]  "
              f"smallest visible {row['detectable']:.4f}")  # fmt: skip


if __name__ == "__main__":
    main()
