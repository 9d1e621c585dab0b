"""A home with one large dataset to drive the page with: real paragraphs recombined, columns as many flows leave them.

Rows go through `strata ingest`; scores, labels and vectors are generated and published as columns, so that building takes
minutes. The places on the map are computed by map_pca, the index of words is Lance's own.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
from _documents import documents

from catalog import Catalog, grades
from catalog.testing import attach_columns
from flows import score

SCORES = 20
WIDTH = 64
LANGUAGES = ("en", "de", "fr", "es", "zh", "ru", "ar", "hi")
RUBRIC = {"name": "clarity", "about": "How clear is the text?",
          "scales": {"clarity": {"low": 1, "high": 5, "anchors": {"1": "cannot be followed", "5": "clear at once"}}}}  # fmt: skip


def big_home(folder: Path, rows: int, files: Sequence[str] = ()) -> Catalog:
    """The home in `folder`, built when it is not there yet."""
    built = folder / "built"
    cat = Catalog.open(folder / "home")
    if built.exists() and built.read_text() == str(rows):
        return cat
    began = time.perf_counter()
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / "web.jsonl"
    random = np.random.default_rng(0)
    with source.open("wb") as out:
        texts = documents(min(rows, 50_000), files)
        for at in range(rows):
            row = {"text": f"{texts[at % len(texts)][:1500]} ({at})", "url": f"https://site{at % 997}.example/{at}",
                   "source": f"crawl-{at % 12}", "licence": ("CC-BY-4.0", "MIT", "CC0-1.0")[at % 3]}  # fmt: skip
            out.write(orjson.dumps(row) + b"\n")
    cat.ingest([source], "web", owner="bench", note="recombined paragraphs")
    source.unlink()
    labels = pa.array([LANGUAGES[at] for at in random.integers(0, len(LANGUAGES), rows)])
    columns = {f"score_{at}": random.beta(1 + at % 5, 2, rows).astype(np.float32) for at in range(SCORES)}
    attach_columns(cat, "web", columns, scorer="scores")
    attach_columns(cat, "web", {"language": labels}, scorer="labels")
    centres = random.normal(size=(20, WIDTH))
    cluster = random.integers(0, 20, rows)
    vectors = (centres[cluster] + 0.4 * random.normal(size=(rows, WIDTH))).astype(np.float32)
    attach_columns(cat, "web", {"cluster": cluster.astype(np.int32)}, scorer="clusters")
    held = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), WIDTH)
    attach_columns(cat, "web", {"own_vectors": held}, scorer="vectors")
    score(cat, "web", ["map_pca"], params={"vectors": "own_vectors"})
    for column in ("text", "score_0", "sample_id"):
        cat.index("web", column)
    cat.ingest([_few(folder, texts)], "small", licence="MIT")
    cat.publish_mix(
        {
            "name": "blend",
            "parts": [{"dataset": "web", "weight": 0.9}, {"dataset": "small", "weight": 0.1, "max_epochs": 100}],
            "total": rows // 10,
        }
    )
    grades.create(cat, "clarity", "web", RUBRIC, order="random", graders=2)
    built.write_text(str(rows))
    print(f"built a home of {rows:,} rows in {time.perf_counter() - began:.0f} s")
    return cat


def _few(folder: Path, texts: Sequence[str]) -> Path:
    path = folder / "small.jsonl"
    path.write_bytes(b"".join(orjson.dumps({"text": text}) + b"\n" for text in texts[:2000]))
    return path
