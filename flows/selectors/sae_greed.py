"""Rows that switch on features which no chosen row has: greedy coverage of lists of feature numbers.

SAE-GreedSelect of Yang et al. 2025, "Diversity-driven Data Selection for Language Model Tuning through Sparse
Autoencoder", arXiv:2502.14050: always the row with the most uncovered features. Greedy coverage reaches at least
1 - 1/e of the best (Nemhauser, Wolsey and Fisher 1978). Any column of lists of whole numbers will do; negative ones fill a list up. Where all features
are covered and the budget is not spent, covering starts anew among the rows that are left.
"""

from __future__ import annotations

import heapq

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from catalog.errors import BadInput
from catalog.selectors import Budget, Choice, Chosen, selector


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid")

    features: str = Field("sae_features", description="column of lists of feature numbers")


@selector("sae_greed", version="1", reads=["{features}"], params=Params, citation="arXiv:2502.14050",
          most_rows=5_000_000)  # fmt: skip
def sae_greed(rows: pa.Table, budget: Budget, choice: Choice) -> Chosen:
    """The row that adds most features, again and again; equal ones by sample id.

    The report says how many features there are, how many the selection covers, and in how many rounds.
    """
    sets = feature_sets(rows, choice.params.features)
    place = np.argsort(np.argsort(choice.ids, kind="stable"), kind="stable")  # equal gains fall to the first id
    every: set[int] = set().union(*sets) if sets else set()
    covered: set[int] = set()
    seen: set[int] = set()
    waiting = [(-len(held), int(place[row]), row) for row, held in enumerate(sets)]
    heapq.heapify(waiting)
    order: list[int] = []
    rounds, spent = 1, 0
    while waiting:
        gain, name, row = heapq.heappop(waiting)
        real = -len(sets[row] - covered)
        if real > gain:  # its features were taken since: it waits on
            heapq.heappush(waiting, (real, name, row))
            continue
        if real == 0 and covered:
            covered, rounds = set(), rounds + 1
            waiting = [(-len(sets[i]), int(place[i]), i) for _, _, i in [(gain, name, row), *waiting]]
            heapq.heapify(waiting)
            if waiting[0][0] == 0:
                covered = set()
                order += [i for _, _, i in sorted(waiting)]
                break
            continue
        spent += int(budget.costs[row])
        if spent > budget.amount:
            break
        order.append(row)
        covered |= sets[row]
        seen |= sets[row]
    return Chosen(np.array(order, np.int64), report={"features": len(every), "covered": len(seen), "rounds": rounds})


def feature_sets(rows: pa.Table, name: str) -> list[set[int]]:
    kind = rows[name].type
    lists = pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind)
    if not (lists and pa.types.is_integer(kind.value_type)):
        raise BadInput(
            f"sae_greed: column {name!r} holds {kind}, not lists of feature numbers; score sae_features first"
        )
    return [{number for number in held or () if number is not None and number >= 0} for held in rows[name].to_pylist()]
