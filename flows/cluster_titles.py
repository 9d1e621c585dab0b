"""Readable titles of clusters: the words that tell each cluster from the others, by class-based TF-IDF.

Grootendorst 2022, "BERTopic", arXiv:2203.05794: all texts of a cluster are one document; the weight of word t in cluster
c is tf(t, c) * log(1 + A / f(t)), with tf the count of t in c over the words of c, f(t) the count of t in all clusters
and A the mean number of words a cluster. Words are runs of letters and digits, case folded. Words that are common in
nearly every cluster are left out beforehand, in place of a list of stop words, which every language would need.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from typing import Any

import numpy as np
import pyarrow as pa

from catalog.catalog import Catalog
from catalog.digests import id_words
from catalog.errors import BadInput, NotFound

_WORD = re.compile(r"[^\W_]{2,}")
_KEPT = 50_000
"""Different words of a cluster that are held while counting; the rarest are let go beyond twice as many."""


def cluster_titles(
    cat: Catalog, ref: str, *, column: str = "cluster", words: int = 6, texts: int | None = None
) -> list[dict[str, Any]]:
    """[{"cluster", "rows", "share", "title", "words": {word: weight}}], largest first, from a column of cluster numbers.

    texts: read about that many texts for the titles, drawn by their ids; all if not given. Rows are always all counted.
    """
    drawn = _drawn(cat, ref, texts)
    counts: dict[int, Counter] = defaultdict(Counter)
    holders: dict[int, Counter] = defaultdict(Counter)
    read: Counter = Counter()
    rows: Counter = Counter()
    try:
        for batch in cat.scan(ref, [column, "sample_id", "text"]):
            own = batch[column]
            if not pa.types.is_integer(own.type):
                raise BadInput(f"column {column} of {ref} holds {own.type}, not cluster numbers; name another column")
            rows.update({item["values"]: item["counts"] for item in own.drop_null().value_counts().to_pylist()})
            batch = batch.filter(pa.array(id_words(batch["sample_id"])[:, 1] <= drawn))
            for cluster, text in zip(batch[column].to_pylist(), batch["text"].to_pylist()):
                if cluster is None or not text:
                    continue
                held = counts[cluster]
                found = _WORD.findall(text.casefold())
                held.update(found)
                holders[cluster].update(set(found))
                read[cluster] += 1
                if len(holders[cluster]) > 2 * _KEPT:
                    holders[cluster] = Counter(dict(holders[cluster].most_common(_KEPT)))
                if len(held) > 2 * _KEPT:
                    counts[cluster] = Counter(dict(held.most_common(_KEPT)))
    except NotFound as error:
        if error.facts.get("name") != column:
            raise
        raise BadInput(f"{ref} has no column {column}; compute it: strata score {ref} kmeans") from None
    everywhere = common_words(holders, read)
    for held in counts.values():
        for word in everywhere & held.keys():
            del held[word]
    weights = class_tf_idf(counts)
    total = rows.total()
    return [
        {"cluster": cluster, "rows": held, "share": held / total, "title": ", ".join(best), "words": best}
        for cluster, held in sorted(rows.items(), key=lambda item: (-item[1], item[0]))
        for best in [dict(sorted(weights.get(cluster, {}).items(), key=lambda item: (-item[1], item[0]))[:words])]
    ]


def _drawn(cat: Catalog, ref: str, texts: int | None) -> np.uint64:
    """The highest word of an id, which is a hash, that is in the sample."""
    version = cat.resolve(ref).version
    every = max(1, -(-(version.rows if version else 0) // texts)) if texts else 1
    return np.uint64((1 << 64) // every - 1)


def common_words(holders: dict[int, Counter], read: Counter) -> set[str]:
    """Words that a tenth of the texts of nearly every cluster hold: a fifth of the clusters may lack them."""
    lacking = int(0.2 * (len(holders) - 1))
    if len(holders) < 2:
        return set()
    clusters: Counter = Counter()
    for cluster, held in holders.items():
        clusters.update(word for word, texts in held.items() if texts >= 0.1 * read[cluster])
    return {word for word, count in clusters.items() if count >= len(holders) - lacking}


def class_tf_idf(counts: dict[int, Counter]) -> dict[int, dict[str, float]]:
    """Weight of every word in every cluster, from the word counts of the clusters."""
    everywhere: Counter = Counter()
    for held in counts.values():
        everywhere.update(held)
    mean = everywhere.total() / max(len(counts), 1)
    totals = {cluster: held.total() for cluster, held in counts.items()}
    return {
        cluster: {word: n / totals[cluster] * math.log(1 + mean / everywhere[word]) for word, n in held.items()}
        for cluster, held in counts.items()
    }
