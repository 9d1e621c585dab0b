"""The runs behind the data mixing laws (github.com/yegcjs/mixinglaws) as small tables, for test_mixers_on_other_tables.py.

git clone https://github.com/yegcjs/mixinglaws && python tests/oracles/make_mixing_laws_runs.py mixinglaws

Measurements alone: of the models of 70M parameters in each of two experiments the shares and the validation losses, both as
the authors' files have them, at the last step that all of the runs reached. Shares stand in the names of the checkpoints.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path

LAST_RUN = 900  # runs with higher numbers are the authors' checks of a prediction, which they leave out too


def runs_of(path: Path) -> dict[tuple[float, ...], dict[str, dict[int, float]]]:
    """Shares -> validation set -> step -> loss."""
    found: dict[tuple[float, ...], dict[str, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    for line in path.read_text().splitlines():
        model, data, loss = line.split()
        *_, run, step = model.strip("/").split("/")
        number, *shares = run.split("-")
        if int(number.split("_")[-1]) <= LAST_RUN and step.isdigit():
            name = data.split("/")[-1].split(".")[-2]
            found[tuple(map(float, shares))][name][int(step)] = float(loss)
    return found


def table(path: Path) -> dict[str, object]:
    runs = runs_of(path)
    sets = sorted(set.intersection(*({name for name in held} for held in runs.values())))
    steps = set.intersection(*(set(held[name]) for held in runs.values() for name in sets))
    step, order = max(steps), sorted(runs)
    results = {name: [round(runs[shares][name][step], 5) for shares in order] for name in sets}
    return {"step": step, "weights": order, "results": results}


def main() -> None:
    folder = Path(sys.argv[1]) / "data"
    held = {name: table(folder / name / "70M.txt") for name in ("5Mix", "RedPajama")}
    path = Path(__file__).parent / "data" / "mixing_laws_runs.json"
    path.write_text(json.dumps(held) + "\n")


if __name__ == "__main__":
    main()
