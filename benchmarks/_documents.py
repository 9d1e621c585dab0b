"""Distinct documents recombined from real paragraphs, with a stated share of near copies and a long tail.

Paragraphs come from JSON-lines files with a `text` field, or from the language reference that ships with Python.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path


def paragraphs(files: Sequence[str]) -> list[str]:
    """Distinct paragraphs of 15 to 200 words, sorted."""
    if files:
        lines = (line for name in files for line in Path(name).read_text("utf-8").splitlines() if line.strip())
        texts = [json.loads(line).get("text") or "" for line in lines]
        parts = (part for text in texts for part in text.split("\n"))
    else:
        from pydoc_data.topics import topics

        parts = (part for topic in sorted(topics) for part in topics[topic].split("\n\n"))
    return sorted({" ".join(part.split()) for part in parts if 15 <= len(part.split()) <= 200})


def documents(rows: int, files: Sequence[str] = (), copies: float = 0.2, seed: int = 0) -> list[str]:
    """`rows` texts of 1 to 4 paragraphs; a share `copies` repeats the text before it with 0.5 to 8 % of words changed.

    One text in 50,000 has 1 MB.
    """
    rng, held, made = random.Random(seed), paragraphs(files), []
    while len(made) < rows:
        if made and rng.random() < copies and len(made[-1]) < 100_000:
            words, rate = made[-1].split(" "), rng.uniform(0.005, 0.08)
            made.append(" ".join(rng.choice(words) if rng.random() < rate else word for word in words))
        elif len(made) % 50_000 == 49_999:
            made.append("\n".join(rng.choices(held, k=1_000_000 // (sum(map(len, held)) // len(held)))))
        else:
            made.append("\n".join(rng.choices(held, k=rng.randint(1, 4))))
    return made
