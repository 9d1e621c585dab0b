"""A language model words what was found already: each answer is checked, one that fails is kept raw, counted and asked again.

A question that is asked again says what was wrong, so it is another question and no stored answer comes back. All of it
stays within the budget; what has no usable answer in the end stays as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agents.asking import Asker, Query

TRIES = 3
RAW = 2_000
"""Characters of a refused answer that are kept."""


def worded_answers(
    asker: Asker, queries: Sequence[Query], read: Callable[[int, str], Any], tries: int = TRIES
) -> tuple[list[Any], list[dict[str, Any]]]:
    """A value a query, None where there is none; and the answers that were refused, {"question", "raw", "why"}.

    read(number of the query, text) gives the value of an answer, or raises ValueError with what is wrong.
    """
    values: list[Any] = [None] * len(queries)
    refused: list[dict[str, Any]] = []
    todo = list(range(len(queries)))
    asked = list(queries)
    for _ in range(tries):
        again = []
        for at, text in zip(todo, asker.ask([asked[at] for at in todo]), strict=True):
            if text is None:
                continue  # the budget is over or the endpoint does not answer, and a note says so
            try:
                values[at] = read(at, text)
            except ValueError as error:
                refused.append({"question": at, "raw": text[:RAW], "why": str(error)})
                asked[at] = queries[at]._replace(
                    text=f"{queries[at].text}\n\nYour answer number {len(refused)} could not be used: {error}. Answer again."
                )
                again.append(at)
        todo = again
        if not todo or asker.over:
            break
    return values, refused
