"""Near-duplicates by MinHash and locality-sensitive hashing.

Broder, "On the resemblance and containment of documents", 1997; banding as in Leskovec, Rajaraman and Ullman, "Mining
of Massive Datasets", ch. 3. A text is the set of its word 5-grams. The share of equal places in two signatures
estimates the Jaccard similarity s of the sets. Two rows become candidates with probability 1-(1-s^r)^b; the default
14 bands of 8 rows are those of FineWeb (arXiv:2406.17557). A candidate pair is accepted when its estimated similarity
reaches `threshold`; clusters are the connected components of accepted pairs, so the order of rows decides nothing.

Memory: some 60 bytes a row. Signatures (4 * num_perm bytes a row) lie in a temporary file.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil
from tempfile import TemporaryFile
from typing import IO

import numpy as np
import pyarrow as pa
from pydantic import Field

from catalog.errors import BadInput
from catalog.plugins import Context, Out, Scan, scorer
from flows.scorers.dedup._clusters import ABSENT, columns
from flows.scorers.dedup._keeper import READS, Criterion, Keeper, KeeperParams, best_of
from flows.scorers.dedup._lsh import best_bands, components, permutations, signatures
from flows.scorers.ngram._hashing import mix, ngram_hashes, word_hashes


class Params(KeeperParams):
    keeper: list[Criterion] = Field(
        ["longest"], description="what decides which row of a cluster stays, first to last; then scan order"
    )
    ngram: int = Field(5, ge=1, le=50, description="words a shingle; a shorter text is one shingle of all its words")
    num_perm: int = Field(112, ge=1, le=1024, description="hash functions of a signature")
    bands: int = Field(14, ge=0, description="bands of num_perm / bands rows; 0: the best division for the threshold")
    threshold: float = Field(0.75, ge=0, le=1, description="least estimated Jaccard similarity; 0: every candidate")


@scorer(
    "minhash",
    version="2",
    pattern="global",
    most_rows=10_000_000,
    reads=READS,
    params=Params,
    cost="cpu",
    stage="L1",
    citation="Broder 1997; bands of FineWeb, arXiv:2406.17557",
    requires=("scipy",),
    writes=[
        Out("minhash_cluster", pa.int64(), "smallest scan-order index of the near-duplicate cluster", measure=True),
        Out("minhash_cluster_size", pa.int32(), "rows in the cluster", range=(1, None), measure=True),
        Out("minhash_keep", pa.bool_(), "true for the row that the keeper policy prefers", measure=True),
    ],
)
def minhash(scan: Scan, ctx: Context) -> dict[str, pa.Array]:
    """Cluster rows whose texts share most of their word n-grams; `keeper` decides which represents a cluster.

    Words are case-folded and freed of punctuation. A text with fewer words than `ngram` is a single shingle, so it
    clusters only with texts of the same words. A text without any word, or null, is undefined. The seed picks the
    hash functions.
    """
    params = ctx.params
    bands = params.bands or best_bands(params.num_perm, params.threshold)
    if params.num_perm % bands:
        raise BadInput(f"minhash: num_perm {params.num_perm} is not a multiple of bands {bands}; give a divisor, or 0")
    need = ceil(params.threshold * params.num_perm - 1e-9)
    with TemporaryFile() as file:
        rows, rank, total = _write_signatures(scan, ctx, file)
        signature = _mapped(file, rows.size, params.num_perm)
        clusters = components(signature, bands, need)
        del signature
    labels = np.full(total, ABSENT, np.int64)
    labels[rows] = rows[clusters]
    keep = np.zeros(total, bool)
    keep[rows] = best_of(clusters, rank[rows])
    return columns("minhash", labels, keep)


def _write_signatures(scan: Scan, ctx: Context, file: IO[bytes]) -> tuple[np.ndarray, np.ndarray, int]:
    """Append the signature of every row that has a word; those rows, the keeper's rank of all rows, all rows seen."""
    family, keeper = permutations(ctx.params.num_perm, ctx.seed), Keeper(ctx.params)
    rows, total = [np.empty(0, np.int64)], 0
    for part in _slices(scan):
        keeper.add(part)
        shingles, counts = shingle(part["text"].to_pylist(), ctx.params.ngram)
        held = np.flatnonzero(counts)
        file.write(signatures(shingles, counts[held], *family).tobytes())
        rows.append(held + total)
        total += part.num_rows
        ctx.tick(part.num_rows)
    file.flush()
    return np.concatenate(rows), keeper.rank(total), total


def _slices(scan: Scan) -> Iterator[pa.RecordBatch]:
    """Slices of some 500 rows, so that scratch memory does not depend on the scan's batches."""
    for batch in scan():
        for start in range(0, batch.num_rows, 512):
            yield batch.slice(start, 512)


def shingle(texts: list[str | None], ngram: int) -> tuple[np.ndarray, np.ndarray]:
    """32-bit hashes of every text's word n-grams, end to end, and how many each text has (0: no words)."""
    words, offsets = word_hashes(texts)
    lengths = np.diff(offsets)
    hashes, first = ngram_hashes(words, offsets, ngram)
    short = np.flatnonzero((lengths > 0) & (lengths < ngram))
    for size in range(1, ngram):
        wanted = short[lengths[short] == size]
        if wanted.size:
            grams, starts = ngram_hashes(words, offsets, size)
            whole = np.searchsorted(starts, offsets[wanted])
            hashes, first = np.append(hashes, mix(grams[whole])), np.append(first, offsets[wanted])
    order = np.argsort(first, kind="stable") if short.size else slice(None)
    counts = np.where(lengths >= ngram, lengths - ngram + 1, lengths > 0)
    return (hashes[order] >> np.uint64(32)).astype(np.uint32), counts


def _mapped(file: IO[bytes], rows: int, num_perm: int) -> np.ndarray:
    if not rows:
        return np.empty((0, num_perm), np.uint32)
    return np.memmap(file, np.uint32, mode="r", shape=(rows, num_perm))
