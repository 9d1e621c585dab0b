"""How much of a source file speaks to people: StarCoder's comment-to-code ratio.

Li et al. 2023, arXiv:2305.06161, section 3 (released filters: bigcode-project/bigcode-dataset): files of Python, Java and
JavaScript with a ratio below 0.01 or above 0.8 are dropped. In Python the ratio is the characters of docstrings (of
modules, classes and functions, cleaned) and of comments without their marks, over those of the file; a file that does
not parse has no docstrings, one that cannot be split into tokens no comments. In any other language it is the characters
of what Pygments' lexer calls a single-line or multi-line comment, marks included (in CSS it calls none so).

The programming language is a field of the row's meta (`field`), else `language`. Where Pygments has no lexer of that name
the row is out of validity, as is one longer than `max_chars`.
"""

from __future__ import annotations

import ast
import io
import json
import tokenize
import warnings
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from catalog import states
from catalog.plugins import Context, Out, scorer

SPEAKING = (ast.Module, ast.ClassDef, ast.FunctionDef)


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid")

    field: str = Field("lang", description="field of the row's meta that names its programming language")
    language: str = Field("python", description="programming language of rows without the field, as Pygments calls it")
    max_chars: int = Field(1_000_000, ge=100, description="longer files are not read")


def python_comments(source: str) -> int:
    """Characters of docstrings and comments, as the released code joins and strips them."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, SPEAKING)]
            docs = [doc for node in nodes if (doc := ast.get_docstring(node))]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        docs = []
    try:
        found = [one.string for one in tokenize.generate_tokens(io.StringIO(source).readline)
                 if one.type == tokenize.COMMENT]  # fmt: skip
    except (tokenize.TokenError, SyntaxError, ValueError):
        found = []
    return len("\n".join([*docs, "".join(found).replace("#", "")]).strip())


@lru_cache(maxsize=256)
def lexer_of(language: str) -> Any:
    """Pygments' lexer, or None."""
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    try:
        return get_lexer_by_name(language.lower())
    except ClassNotFound:
        return None


def lexed_comments(source: str, language: str) -> int:
    """Characters of comments by the language's lexer."""
    from pygments.token import Comment

    kinds = (Comment.Multiline, Comment.Single)
    return sum(len(text) for kind, text in lexer_of(language).get_tokens(source) if kind in kinds)


def comment_share(source: str, language: str) -> float:
    """Comments over code of one file."""
    python = language.lower() == "python"
    return (python_comments(source) if python else lexed_comments(source, language)) / len(source)


@scorer(
    "code_comments",
    version="1",
    reads=["text", "meta"],
    writes=[
        Out("code_comment_share", pa.float32(), "characters of comments per character of the file", None, (0, None))
    ],
    cost="cpu",
    citation="Li et al. 2023, arXiv:2305.06161, section 3",
    params=Params,
    stage="filter",
    beyond_content=True,
    batch_rows=256,
    requires=("pygments",),
    libraries=("pygments",),
)
def code_comments(batch: pa.RecordBatch, ctx: Context) -> dict[str, pa.Array]:
    params, values, state = ctx.params, [], []
    for text, meta in zip(batch["text"].to_pylist(), batch["meta"].to_pylist(), strict=True):
        named = (json.loads(meta) if meta else {}).get(params.field)
        language = named if isinstance(named, str) and named else params.language
        if not text:
            value, code = None, states.UNDEFINED
        elif len(text) > params.max_chars or lexer_of(language) is None:
            value, code = None, states.OUT_OF_VALIDITY
        else:
            value, code = comment_share(text, language), states.VALUE
        values.append(value)
        state.append(code)
    return {"code_comment_share": pa.array(values, pa.float32()), "_state": pa.array(np.array(state, np.uint8))}
