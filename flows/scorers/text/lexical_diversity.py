"""Lexical diversity: type-token ratio, MTLD (McCarthy and Jarvis 2010), and hapax share.

MTLD is the mean length of runs of words whose type-token ratio stays above a threshold (0.72), read forwards and
backwards and averaged; what is left at the end counts as the part of a run that its ratio has come down. Unlike the
type-token ratio it hardly depends on the length of the text; below some fifty words it means little. Words are runs of
letters, marks and apostrophes in lower case, without digits and symbols; in languages written without spaces every
ideograph or kana is one.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field

from catalog import states
from catalog.plugins import Context, Out, scorer
from flows.scorers.text._chars import LETTER, Chars, chars_of, slices
from flows.scorers.text._words import split_words


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid")

    threshold: float = Field(0.72, gt=0, lt=1, description="type-token ratio at which a run of MTLD ends")


def factors(words: Iterable[int], threshold: float) -> float:
    """Number of runs, the last one in part."""
    types: set[int] = set()
    tokens, full, ratio = 0, 0.0, 1.0
    for word in words:
        tokens += 1
        types.add(word)
        ratio = len(types) / tokens
        if ratio <= threshold:
            full += 1
            tokens, ratio = 0, 1.0
            types.clear()
    return full + (1 - ratio) / (1 - threshold)


def mtld(words: list[int], threshold: float) -> float | None:
    """MTLD; a text that never repeats a word counts as one run."""
    if not words:
        return None
    both = (factors(words, threshold), factors(reversed(words), threshold))
    return sum(len(words) / (count or 1.0) for count in both) / 2


def measures(chars: Chars, threshold: float) -> list[tuple[float, float, float] | None]:
    """(TTR, MTLD, hapax share) of each row; None without words."""
    words = split_words(chars)
    letters = np.flatnonzero((words.bits & LETTER) > 0)
    row, ids = words.row[letters], words.ids[letters]
    cuts = np.searchsorted(row, np.arange(len(chars) + 1))
    found: list[tuple[float, float, float] | None] = []
    for first, last in pairwise(cuts.tolist()):
        part = ids[first:last]
        if not len(part):
            found.append(None)
            continue
        _, counts = np.unique(part, return_counts=True)
        value = mtld(part.tolist(), threshold)
        assert value is not None
        found.append((len(counts) / len(part), value, float(np.mean(counts == 1))))
    return found


@scorer(
    "lexical_diversity",
    version="2",
    reads=["text"],
    writes=[
        Out("type_token_ratio", pa.float32(), "different words per word", "higher", (0, 1)),
        Out("mtld", pa.float32(), "mean length of runs that keep the type-token ratio", "higher", (1, None)),
        Out("hapax_share", pa.float32(), "share of the different words that occur once", "higher", (0, 1)),
    ],
    cost="cpu",
    citation="McCarthy and Jarvis 2010, Behavior Research Methods 42(2)",
    params=Params,
)
def lexical_diversity(batch: pa.RecordBatch, ctx: Context) -> dict[str, pa.Array]:
    rows: list[tuple[float, float, float] | None] = []
    for texts in slices(batch["text"]):
        rows += measures(chars_of(pc.utf8_lower(texts)), ctx.params.threshold)
    state = [states.UNDEFINED if row is None else states.VALUE for row in rows]
    names = ("type_token_ratio", "mtld", "hapax_share")
    columns = {name: pa.array([row and row[i] for row in rows], pa.float32()) for i, name in enumerate(names)}
    return columns | {"_state": pa.array(state, pa.uint8())}
