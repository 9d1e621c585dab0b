"""Five real datasets of the demo cut into passages, so that a mix of a few hundred thousand bytes can be exact.

An article of 30 kB is a tenth of the smallest run; weights mean little in such pieces. Passages of one article may lie on
both sides of the validation split, for every mix alike.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from catalog import Catalog
from catalog.testing import write_jsonl
from flows import score

DATA = Path(__file__).resolve().parent / "data"
SOURCES = {
    "web": ("web_quality_dclm.jsonl", "MIT"),
    "encyclopedia": ("encyclopedia_wikitext2.jsonl", "CC-BY-SA-3.0"),
    "guides": ("multilingual_opensource_guide.jsonl", "CC-BY-4.0"),
    "math": ("math_gsm8k_train.jsonl", "MIT"),
    "sft": ("sft_dolly.jsonl", "CC-BY-SA-3.0"),
}
FIELDS = ("text", "question", "answer", "instruction", "context", "response")


def passages(text: str, least: int = 400, most: int = 1200) -> Iterator[str]:
    """Paragraphs joined up to `least` characters and cut at `most`."""
    held = ""
    for paragraph in text.split("\n"):
        held = f"{held}\n{paragraph}".strip()
        while len(held) > most:
            yield held[:most]
            held = held[most:]
        if len(held) >= least:
            yield held
            held = ""
    if held:
        yield held


def datasets(cat: Catalog) -> list[str]:
    """The names of the five datasets, ingested and measured where they are not."""
    names = []
    for source, (file, licence) in SOURCES.items():
        names.append(name := f"lab-{source}")
        if cat.find(name) is None:
            rows = [json.loads(line) for line in (DATA / file).read_text("utf-8").splitlines()]
            texts = ["\n".join(row[field] for field in FIELDS if row.get(field)) for row in rows]
            folder = cat.settings.home / "passages"
            folder.mkdir(parents=True, exist_ok=True)
            pieces = [{"text": piece, "source": source} for text in texts for piece in passages(text)]
            cat.ingest([write_jsonl(folder / f"{source}.jsonl", pieces)], name, licence=licence)
        score(cat, name, ["text_length"])
    return names


def spec(names: list[str], name: str, total: int) -> dict:
    """A spec without weights whose unit is the byte."""
    parts = [{"name": held.removeprefix("lab-"), "dataset": held} for held in names]
    return {"name": name, "unit": "tokens", "tokens": "bytes_utf8", "total": total, "seed": 5, "parts": parts}
