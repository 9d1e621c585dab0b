"""Reworded and translated eval items: recall at 1 % false positives of each measure of the leak check.

A case is three sets of texts: items, the same items reworded or translated (in the same order), and hard negatives. Where
a case names no negatives, every other item is left out of the eval and its rewording is a negative: same subject, same
hand, not in the eval. A measure's threshold is the lowest value that at most 1 % of the negatives reach. Two intervals of
95 %: Wilson's for the recall at that threshold, and a bootstrap over items and negatives that sets it anew each time.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

RATE = 0.01
MEASURES = ("eval_leak", "eval_leak_numbers", "eval_leak_longest", "eval_nearest")


def read(path: str, field: str, most: int) -> list[str]:
    """A field ("a" or "a.b") of JSON lines, gzipped or not; "Question:" and a trailing answer are no part of an item."""
    with gzip.open(path, "rt") if path.endswith(".gz") else Path(path).open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    found = []
    for row in rows[:most]:
        for part in field.split("."):
            row = row[part]
        text = row.removeprefix("Question: ").split("\nAnswer:")[0]
        found.append(text)
    return found


def run(case: str, most: int, embed: bool) -> None:
    """NAME;ITEMS:FIELD;REWORDED:FIELD[;NEGATIVES:FIELD]"""
    name, *files = case.split(";")
    sets = [read(*file.rsplit(":", 1), most) for file in files]  # type: ignore[arg-type]
    items, rows = sets[:2]
    if len(items) != len(rows):
        raise SystemExit(f"{name}: {len(items)} items, {len(rows)} rewordings: they must be the same in the same order")
    whole = [at for at in range(len(items)) if items[at].strip() and rows[at].strip()]
    held = whole if len(sets) > 2 else whole[::2]
    negatives = sets[2] if len(sets) > 2 else [rows[at] for at in whole[1::2]]
    show(name, [items[at] for at in held], [rows[at] for at in held], negatives, embed)


def show(name: str, items: list[str], rows: list[str], negatives: list[str], embed: bool) -> None:
    good, bad = (scores(items, texts, embed) for texts in (rows, negatives))
    for measure in good:
        threshold, recall, low, high = at_rate(good[measure], bad[measure])
        wilson = interval(recall * len(rows), len(rows))
        print(
            f"{name:28}{measure:19}{len(rows):6,} of {len(items):6,}{len(negatives):7,} negatives  at {threshold:7.3f}: "
            f"{recall:7.1%} [{wilson[0]:.1%}, {wilson[1]:.1%}]  bootstrap [{low:.1%}, {high:.1%}]",
            flush=True,
        )


def scores(items: list[str], texts: list[str], embed: bool) -> dict[str, np.ndarray]:
    from catalog.plugins import Context, EvalSet
    from flows.scorers.ngram.eval_overlap import Params, eval_overlap, fit

    batch = pa.record_batch({"sample_id": [f"{at:032x}" for at in range(len(items))], "text": items})

    def scan(wanted: Any = None) -> Iterator[pa.RecordBatch]:
        yield batch

    ctx = Context(params=Params(n=13, shortest=8, span=8, common=20), evals=(EvalSet("items@v1", scan),))
    ctx.state = fit(lambda: iter(()), ctx)
    parts = [
        eval_overlap(pa.record_batch({"text": pa.array(texts[at : at + 1024], pa.string())}), ctx)
        for at in range(0, len(texts), 1024)
    ]
    found = {
        name: np.concatenate([part[name].to_numpy(zero_copy_only=False) for part in parts]).astype(float)
        for name in MEASURES[:3]
    }
    if embed:
        mine, theirs = vectors(items), vectors(texts)
        found[MEASURES[3]] = np.array([float((mine @ row).max()) for row in theirs])
    return found


_VECTORS: dict[str, np.ndarray] = {}


def vectors(texts: list[str]) -> np.ndarray:
    from flows.models import embed_texts, load_encoder

    encoder = load_encoder("minilm-l6", "cpu", "float32")
    todo = [text for text in dict.fromkeys(texts) if text not in _VECTORS]
    for at in range(0, len(todo), 256):
        made = np.asarray(embed_texts(encoder, todo[at : at + 256])[0], np.float32)
        made /= np.maximum(np.linalg.norm(made, axis=1, keepdims=True), 1e-12)
        _VECTORS.update(zip(todo[at : at + 256], made, strict=True))
    return np.stack([_VECTORS[text] for text in texts])


def at_rate(good: np.ndarray, bad: np.ndarray) -> tuple[float, float, float, float]:
    """Threshold, recall, and the bootstrap interval of the recall."""
    rng = np.random.default_rng(0)
    threshold = limit(bad)
    drawn = []
    for _ in range(500):
        some, none = rng.choice(good, good.size), rng.choice(bad, bad.size)
        drawn.append((some >= limit(none)).mean())
    low, high = np.quantile(drawn, [0.025, 0.975])
    return threshold, float((good >= threshold).mean()), float(low), float(high)


def limit(bad: np.ndarray) -> float:
    """The lowest value that at most 1 % of the negatives reach; always above the lowest one, which says nothing."""
    allowed = int(RATE * bad.size)
    return float(np.nextafter(np.sort(bad)[::-1][allowed], np.inf))


def interval(hits: float, of: int, z: float = 1.96) -> tuple[float, float]:
    share = hits / of
    middle, half = share + z * z / (2 * of), z * (share * (1 - share) / of + z * z / (4 * of * of)) ** 0.5
    return max((middle - half) / (1 + z * z / of), 0), (middle + half) / (1 + z * z / of)


def parallel(path: str, most: int, embed: bool) -> None:
    """Parallel texts in several languages (fields lang, parallel_id, text): the eval is the English half."""
    with Path(path).open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    by_language: dict[str, dict[str, str]] = {}
    for row in rows:
        by_language.setdefault(row["lang"], {})[row["parallel_id"]] = row["text"]
    english = by_language.pop("en")
    names = sorted(english)[:most]
    for language, texts in sorted(by_language.items()):
        items, others = names[::2], names[1::2]
        show(
            f"{Path(path).stem[:20]} {language}", [english[name] for name in items],
            [texts[name] for name in items], [texts[name] for name in others], embed,
        )  # fmt: skip
