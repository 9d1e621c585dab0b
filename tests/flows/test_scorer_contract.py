"""The law of a scorer, run over every registered plug-in: rows in are rows out, whatever the text and the batch size.

The registry decides what is checked, never a list. A fitted scorer learns from a small labelled set first; a global one
is one call over a scan, and one run of the real runner; a model is a tiny one that the `model` parameter accepts, else
the plug-in's own; columns of other scorers are made from their declarations, with nulls and NaN among them; an
endpoint is a scripted one.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from functools import cache

import numpy as np
import pyarrow as pa
import pytest

from catalog import states
from catalog.errors import BadInput, Missing, StrataError
from catalog.plugins import FAILED, Context, EvalSet, Scorer, plugins
from catalog.schema import KINDS, field_names, sample_schema
from catalog.testing import append_texts, attach_columns, errors_of, sentences, text_dataset, write_jsonl
from flows import score
from flows.endpoints.ask import Reply
from flows.endpoints.wire import Answer, Question
from flows.unit import checked

SCORERS = plugins("scorer")
WRITERS = {out.name: out for scorer in SCORERS.values() for out in scorer.writes}
STATES = (states.VALUE, states.UNDEFINED, states.OUT_OF_VALIDITY)
UNDEFINED = "undefined upstream"
"""In place of a text: the other scorer gave no value to this row."""
NAN = "not a number upstream"

TEXTS = [
    "The cat sat on the mat. The cat sat on the mat again, and again.",
    "",
    None,
    " ",
    "\n",
    "\r\n\r\n",
    "\u2028\u2029\x85\x0b\x0c",
    "👩‍👩‍👧‍👦 👍🏽 ❤️ 🇫🇷🇩🇪",
    "שלום עולם, مرحبا بالعالم\u200f",
    "English, then עברית and العربية, then русский and 日本語 in one line\u202e!",
    "我们去公园散步。日本語のテキスト、カタカナ。",
    "e\u0301\u0302\u0303\u0304 o\u0308\u200d\u200c\u200b",
    "\u0301\u0302",
    "nul\x00inside\x00",
    "\x00",
    "\ufeffbyte order mark \ufffd \U0010ffff \ue000",
    "สวัสดีชาวโลก ខ្ញុំ ကမ္ဘာ",
    "ALL CAPITALS HERE, AND NOTHING ELSE!",
    "a.person@no-such-firm.net (212) 555-0147 4111 1111 1111 1111 DE89370400440532013000",
    "- item one...\n• item two…\n# head\n{ x: 1 } lorem ipsum javascript",
    "spam " * 400,
    "1 2 3 4 5 6 7 8 9 10 3.14 10,000",
    "?!?! ... --- ***",
    "ﬁ ß İ ǅ ℌ ① Ⅷ ﷺ",
    "\t\tword\xa0\u3000\u1680",
    None,
    "Ein Satz auf Deutsch, damit auch die Sprache wechselt und die Wörter andere sind.",
    UNDEFINED,
    NAN,
]
SAME = ["One page, copied many times, word for word and letter for letter, to the very end."] * 6
LONG = ["before", "x" * 1_000_000, "aZ9." * 25_000, "after"]


def named(keep=lambda scorer: True) -> list:
    return [name for name, scorer in SCORERS.items() if keep(scorer)]


def _is_float(read: str) -> bool:
    kind = WRITERS[read].type if read in WRITERS else pa.null()
    return pa.types.is_floating(kind.value_type if pa.types.is_fixed_size_list(kind) else kind)


EVERY = pytest.mark.parametrize("name", named())
HERE = pytest.mark.parametrize("name", named(lambda scorer: scorer.cost != "api"))  # the others: test_judges.py
BY_ROW = pytest.mark.parametrize("name", named(lambda scorer: scorer.pattern != "global"))
FITTED = pytest.mark.parametrize("name", named(lambda scorer: scorer.pattern == "fit"))
GLOBAL = pytest.mark.parametrize("name", named(lambda scorer: scorer.pattern == "global"))
MAPPED = pytest.mark.parametrize("name", named(lambda scorer: scorer.pattern == "map"))


# -- inputs --------------------------------------------------------------------------------------------------------


def batch_of(scorer: Scorer, texts: list[str | None], start: int = 0) -> pa.RecordBatch:
    """The texts as rows of the scorer's first kind, beside values of the scorers it builds on."""
    schema = sample_schema((scorer.kinds or ("text",))[0])
    ids = [f"{start + i:032x}" for i in range(len(texts))]
    columns = {"sample_id": pa.array(ids, pa.string()), "content_id": pa.array(_contents(texts), pa.string())}
    for name in [*scorer.reads, *_named_columns(scorer).values()]:
        if name in schema.names:
            kind = schema.field(name).type
            columns[name] = pa.array([_field(name, kind, text, start + i) for i, text in enumerate(texts)], kind)
        elif name not in columns:
            columns[name] = pa.array([_upstream(name, text) for text in texts], WRITERS[name].type)
    return pa.record_batch(columns)


def _named_columns(scorer: Scorer) -> dict[str, str]:
    """A column of numbers for each parameter that names columns; `vectors`, `left` and `right` name vectors, `labels` words."""
    floats = (name for name, out in sorted(WRITERS.items()) if pa.types.is_floating(out.type) and not out.range[0])
    named = (*scorer.columns, *scorer.fit_columns)
    special = {"vectors": "embedding", "left": "embedding", "right": "embedding", "labels": "language"}
    return {name: special.get(name) or next(floats) for name in named}


def _columns_given(scorer: Scorer) -> dict[str, object]:
    fields = scorer.params.model_fields
    least = {name: max([1, *(getattr(limit, "min_length", 1) for limit in body.metadata)])
             for name, body in fields.items() if "list" in str(body.annotation)}  # fmt: skip
    given = {name: [column] * least[name] if name in least else column
             for name, column in _named_columns(scorer).items()}  # fmt: skip
    return given | ({"floor": -1.0} if "floor" in scorer.params.model_fields else {})


def _contents(texts: list[str | None]) -> list[str]:
    from catalog.digests import content_id

    return [content_id("text", {"text": text}) for text in texts]


def _field(name: str, kind: pa.DataType, text: str | None, row: int) -> object:
    if name == "meta":
        skills = ["sums", "proofs", "angles"][row % 2 : row % 3 + 1]
        vector = {} if text is None else {"vector": [len(text) % 7 / 7] * 384}
        made = {"generator": f"person:{len(text) % 3}", "parents": [f"{row - row % 2:032x}"]} if text else {}
        return json.dumps({"label": row % 2, "likes": 600 * (row % 2), "skills": skills} | vector | made)
    if text is None:
        return None
    if pa.types.is_string(kind):
        return text
    if pa.types.is_list(kind) and pa.types.is_struct(kind.value_type):
        return [{"role": "user", "content": text}, {"role": "assistant", "content": text}]
    return [text] if pa.types.is_list(kind) else None


def _upstream(name: str, text: str | None) -> object:
    """A value of another scorer's output for a text, inside the declared range; none where there is no text."""
    out = WRITERS[name]
    if text is None or text == UNDEFINED:
        return None
    if name == "language":
        return ("de", "zh", "ja", "unknown")[len(text) % 4]
    rng = np.random.default_rng([len(text), *text[:20].encode()[:20], *name.encode()])
    if pa.types.is_fixed_size_list(out.type):
        values = rng.standard_normal(out.type.list_size) / math.sqrt(out.type.list_size)
        return (values if text else values * 0).tolist() if text != NAN else [math.nan] * out.type.list_size
    low, high = out.range
    low = (-10.0 if high is None else high - 10.0) if low is None else low
    high = low + 100.0 if high is None else high
    if pa.types.is_floating(out.type):
        return math.nan if text == NAN else float(low if text == "" else rng.uniform(low, high))
    if pa.types.is_integer(out.type):
        return int(low if text == "" else rng.integers(int(low), int(high) + 1))
    return bool(rng.integers(2)) if pa.types.is_boolean(out.type) else text


def scan_of(scorer: Scorer, texts: list[str | None], rows: int = 1024):
    def scan(columns=None):
        for start in range(0, len(texts), rows):
            batch = batch_of(scorer, texts[start : start + rows], start)
            for name in [column for column in columns or [] if column not in batch.schema.names]:
                kind = sample_schema("text").field(name).type
                part = enumerate(texts[start : start + rows], start)
                batch = batch.append_column(name, pa.array([_field(name, kind, text, i) for i, text in part], kind))
            yield batch

    return scan


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory):
    """Saved models that a `model` parameter accepts; made when a scorer first asks."""
    folder = tmp_path_factory.mktemp("contract-models")

    @cache
    def made(kind: str) -> str:
        from flows.models.testing import tiny_classifier, tiny_encoder, tiny_language_model

        kinds = {"language": tiny_language_model, "encoder": tiny_encoder, "classifier": tiny_classifier}
        return kinds[kind](folder / kind)

    return made


def scripted(questions: Sequence[Question]) -> list[Reply]:
    """A model that answers whatever the schema allows, by the words of the question alone."""
    replies = []
    for asked in questions:
        rng = np.random.default_rng([len(asked.messages[0][1]), *asked.messages[0][1].encode()[-300:]])
        fields = asked.schema["properties"].items()
        answer = {name: rng.choice(held["enum"]).item() if "enum" in held else "so" for name, held in fields}
        replies.append(Reply(asked, Answer(json.dumps(answer), "stop", 1, 1)))
    return replies


MODELS: dict[str, tuple[dict, object]] = {}


def _with_model(scorer: Scorer, tiny_models) -> tuple[dict, object]:
    """Parameters and loaded model: the first tiny one that the scorer accepts, else its own."""
    if not scorer.load and "pooling" in scorer.params.model_fields:  # its fit may embed a target
        return {"model": tiny_models("encoder")}, None
    if scorer.name in MODELS or not scorer.load:
        return MODELS.get(scorer.name, ({}, None))
    kinds = (
        ("encoder",) if "pooling" in scorer.params.model_fields else ("language", "encoder", "classifier")
    )  # as wide as the column
    tries = [{"model": kind} for kind in kinds if "model" in scorer.params.model_fields]
    for params in [*tries, {}]:
        given = {"model": tiny_models(params["model"])} if params else {}
        ctx = Context(params=scorer.parse_params(given), dtype="float32")
        try:
            MODELS[scorer.name] = (given, scorer.load(ctx))
            break
        except Missing as error:
            pytest.skip(str(error))
        except (BadInput, KeyError, ValueError):
            if not params:
                raise
    return MODELS[scorer.name]


@pytest.fixture
def context(tiny_models):
    """context(scorer, seed, rows, target): a context as the runner makes it, fitted on real sentences if need be."""

    def make(scorer: Scorer, seed: int = 0, rows=None, target=None) -> Context:
        params, model = _with_model(scorer, tiny_models)
        params = {**params, **_columns_given(scorer)}
        if scorer.cost == "api":
            needed = {"endpoint": "scripted", "rubric": "chat_tags", "question": "Which?"}
            params |= {name: value for name, value in needed.items() if name in scorer.params.model_fields}
        ctx = Context(params=scorer.parse_params(params), seed=seed, dtype="float32", model=model, ask=scripted)
        if scorer.pattern != "fit":
            ctx.target = scan_of(scorer, sentences(60, seed=4, low=14) if target is None else target)
            return ctx
        rows = sentences(120, seed=3) if rows is None else rows
        wanted = sentences(60, seed=4, low=14) if target is None else target
        fitting = Context(params=ctx.params, seed=seed, target=scan_of(scorer, wanted), ask=scripted)
        fitting.evals = (EvalSet("some-eval@v1", scan_of(scorer, wanted)),)
        ctx.state = scorer.fit(scan_of(scorer, rows), fitting)
        return ctx

    return make


# -- running -------------------------------------------------------------------------------------------------------


class _Step:
    """What `checked` asks of a step."""

    def __init__(self, scorer: Scorer) -> None:
        self.plugin, self.outs = scorer, scorer.writes


def run(scorer: Scorer, texts: list[str | None], ctx: Context, size: int = 1024) -> dict[str, list]:
    """Values and states that the runner would store, for any pattern; `size`: rows a batch."""
    if scorer.pattern == "global":
        parts = [checked(_Step(scorer), scorer.function(scan_of(scorer, texts, size), ctx), len(texts))]
    else:
        whole = batch_of(scorer, texts)
        pieces = [whole.slice(start, size) for start in range(0, len(texts), size)] or [whole]
        parts = [checked(_Step(scorer), scorer.function(piece, ctx), piece.num_rows) for piece in pieces]
    for part in parts:
        assert part.keys() == {out.name for out in scorer.writes} | {"_state"}
        assert part["_state"].type == pa.uint8() and part["_state"].null_count == 0
    return {key: [value for part in parts for value in part[key].to_pylist()] for key in parts[0]}


def assert_alike(scorer: Scorer, ours: dict[str, list], theirs: dict[str, list]) -> None:
    assert ours.keys() == theirs.keys()
    for key in ours:
        for left, right in zip(ours[key], theirs[key], strict=True):
            if scorer.tolerance and left is not None and isinstance(left, float | list):
                assert left == pytest.approx(right, abs=scorer.tolerance), key
            else:
                assert left == right, key


def assert_defined(scorer: Scorer, result: dict[str, list]) -> None:
    """Every value lies in its declared range, and where a row has none its state says why."""
    assert set(result["_state"]) <= set(STATES)
    for row, reason in enumerate(result["_state"]):
        held = {out.name: result[out.name][row] for out in scorer.writes}
        for out in scorer.writes:
            low, high = out.range
            assert reason != states.VALUE or held[out.name] is not None or pa.types.is_string(out.type), (out.name, row)
            numbers = held[out.name] if isinstance(held[out.name], list) else [held[out.name]]
            for value in numbers:
                if isinstance(value, int | float):
                    slack = 1e-6 if isinstance(value, float) else 0
                    assert value == value and (low is None or value >= low - slack), (out.name, row, value)
                    assert high is None or value <= high + slack, (out.name, row, value)


def refused(error: StrataError) -> None:
    """The other legal answer: one line."""
    assert str(error).strip() and "\n" not in str(error)


# -- declarations --------------------------------------------------------------------------------------------------


def test_every_plug_in_imports():
    assert not FAILED


def test_output_names_are_unique_and_usable():
    names = Counter(out.name for scorer in SCORERS.values() for out in scorer.writes)
    fields = set().union(*(field_names(kind) for kind in KINDS))
    assert [name for name, count in names.items() if count > 1] == []
    assert [name for name in names if not name.isidentifier() or name in fields] == []


@pytest.mark.parametrize("name", list(SCORERS))
def test_declaration_is_complete(name):
    scorer = SCORERS[name]
    assert scorer.citation and scorer.version and scorer.summary and scorer.writes
    assert scorer.cost in ("cpu", "gpu", "api") and scorer.pattern in ("map", "fit", "global")
    assert scorer.batch_rows >= 1 and (scorer.pattern == "fit") == (scorer.fit is not None)
    for out in scorer.writes:
        low, high = out.range
        assert out.doc and out.better in ("higher", "lower", None)
        assert low is None or high is None or low < high
    fields = set().union(*(field_names(kind) for kind in scorer.kinds or KINDS))
    assert [read for read in scorer.reads if read not in WRITERS.keys() | fields] == []


@pytest.mark.parametrize("name", list(SCORERS))
def test_unknown_parameters_are_refused(name):
    scorer = SCORERS[name]
    with pytest.raises(BadInput, match="no_such_parameter"):
        scorer.parse_params({"no_such_parameter": 1})
    assert all(field.description for field in scorer.params.model_fields.values())


# -- behaviour -----------------------------------------------------------------------------------------------------


@EVERY
@pytest.mark.parametrize("texts", [TEXTS, [], [None], [""], ["?!"], [TEXTS[0]], SAME, [NAN, NAN]],
                         ids=["odd", "none", "null", "empty", "no letters", "one", "same", "nan"])  # fmt: skip
def test_every_input_gives_defined_values_in_the_declared_range(name, texts, context):
    scorer = SCORERS[name]
    result = run(scorer, texts, context(scorer))
    assert all(len(column) == len(texts) for column in result.values())
    assert_defined(scorer, result)
    if texts is TEXTS:
        assert states.VALUE in result["_state"]


@BY_ROW
def test_no_text_has_no_value(name, context):
    scorer = SCORERS[name]
    result = run(scorer, [None, TEXTS[0], None], context(scorer))
    for row in (0, 2):
        assert all(result[out.name][row] is None for out in scorer.writes)
        assert result["_state"][row] != states.VALUE


@pytest.mark.parametrize("name", named(lambda scorer: any(_is_float(read) for read in scorer.reads)))
def test_what_is_made_of_a_not_a_number_has_no_value(name, context):
    scorer = SCORERS[name]
    result = run(scorer, [TEXTS[0], NAN, TEXTS[0]], context(scorer))
    assert [result[scorer.writes[0].name][row] is None for row in range(3)] == [False, True, False]
    assert result["_state"][1] == states.UNDEFINED


@EVERY
def test_batch_size_changes_nothing(name, context):
    scorer = SCORERS[name]
    ctx = context(scorer)
    whole = run(scorer, TEXTS, ctx)
    for size in (1, 3):
        assert_alike(scorer, run(scorer, TEXTS, ctx, size), whole)


@BY_ROW
def test_order_changes_nothing(name, context):
    scorer = SCORERS[name]
    ctx = context(scorer)
    back = {key: column[::-1] for key, column in run(scorer, TEXTS[::-1], ctx).items()}
    assert_alike(scorer, back, run(scorer, TEXTS, ctx))


@EVERY
def test_the_same_seed_gives_the_same_numbers(name, context):
    scorer = SCORERS[name]
    assert_alike(scorer, *(run(scorer, TEXTS, context(scorer, seed=7)) for _ in range(2)))


def _long_row(scorer: Scorer, texts: list[str | None], ctx: Context) -> None:
    result, alone = run(scorer, texts, ctx), run(scorer, [texts[0], texts[-1]], ctx)
    assert_defined(scorer, result)
    if scorer.pattern != "global":  # there a row's value may name its place
        assert_alike(scorer, {key: [column[0], column[-1]] for key, column in result.items()}, alone)


@EVERY
def test_a_megabyte_without_a_space_is_one_more_row(name, context):
    _long_row(SCORERS[name], LONG, context(SCORERS[name]))


@pytest.mark.slow
@EVERY
def test_ten_megabytes_are_one_more_row(name, context):
    words = "Many words, one after another, and none of them new. " * 200_000
    _long_row(SCORERS[name], ["before", words[:10_000_000], "y" * 10_000_000, "after"], context(SCORERS[name]))


# -- learning ------------------------------------------------------------------------------------------------------

POOR = {
    "no rows": [],
    "one row": [TEXTS[0]],
    "one row of nothing": [None],
    "empty texts": ["", "", ""],
    "no letters": ["?!", "...", "--"],
    "copies": SAME,
    "odd": TEXTS,
    "nan": [NAN, NAN, NAN],
    "long": LONG[:2],
}


@FITTED
@pytest.mark.parametrize("poor", list(POOR))
@pytest.mark.parametrize("where", ["rows", "target"])
def test_a_fit_on_poor_rows_is_defined_or_refused_in_one_line(name, poor, where, context):
    scorer = SCORERS[name]
    try:
        ctx = context(scorer, **{where: POOR[poor]})
    except StrataError as error:
        refused(error)
        return
    assert_defined(scorer, run(scorer, TEXTS, ctx))


@FITTED
def test_a_fitted_state_can_be_stored_and_does_not_depend_on_batches(name, context):
    from flows.job import pack_state, unpack_state

    scorer = SCORERS[name]
    texts = [*sentences(90, seed=3), *TEXTS]
    ctx = context(scorer, rows=texts)
    held = run(scorer, TEXTS, ctx)
    ctx.state = unpack_state(pack_state(ctx.state))
    assert_alike(scorer, run(scorer, TEXTS, ctx), held)
    small = Context(params=ctx.params, target=scan_of(scorer, sentences(60, seed=4, low=14), 7), ask=scripted)
    small.evals = (EvalSet("some-eval@v1", scan_of(scorer, sentences(60, seed=4, low=14), 7)),)
    ctx.state = scorer.fit(scan_of(scorer, texts, 5), small)
    assert_alike(scorer, run(scorer, TEXTS, ctx), held)


# -- through the runner --------------------------------------------------------------------------------------------


def _dataset(cat, folder, scorer: Scorer, texts: list[str]) -> str:
    """A dataset of the scorer's first kind."""
    kind = (scorer.kinds or ("text",))[0]
    if kind == "text":
        append_texts(cat, "rows", texts)
        return "rows"
    turns = [{"messages": _field("messages", pa.list_(pa.struct([])), text, i)} for i, text in enumerate(texts)]
    cat.ingest([write_jsonl(folder / "rows.jsonl", turns)], "rows", kind=kind)
    return "rows"


def _options(cat, folder, scorer: Scorer, tiny_models) -> dict:
    options: dict = {"dtype": "float32", "params": {}}
    makers = {out.name: other for other in SCORERS.values() for out in other.writes}
    for one in [scorer, *(makers[read] for read in scorer.reads if read in makers)]:
        options["params"] |= _with_model(one, tiny_models)[0]
    if scorer.fit_on == "target":
        skills = ["sums", "proofs", "angles"]
        labelled = [
            {"text": text, "label": i % 2, "skills": skills[i % 2 :]} for i, text in enumerate(sentences(60, seed=4))
        ]
        options["target"] = text_dataset(cat, folder, "target", labelled)
    if scorer.pattern == "fit" and scorer.fit_on == "evals":
        text_dataset(cat, folder, "some-eval", sentences(30, seed=5, low=14), role="eval")
    return options


def _attach(cat, ref: str, names: list[str], rows: int) -> None:
    flat = pa.array(np.random.default_rng(1).normal(size=rows * 4).astype(np.float32))
    vectors = pa.FixedSizeListArray.from_arrays(flat, 4)
    special = {"labels": [("a", "b", "b")[row % 3] for row in range(rows)], "left": vectors, "right": vectors}
    attach_columns(cat, ref.split("@")[0], {name: special.get(name, np.arange(rows) * 0.5) for name in names})


@HERE
def test_the_runner_keeps_rows_and_order_and_a_rerun_computes_nothing(name, cat, tmp_path, tiny_models):
    scorer = SCORERS[name]
    texts = [*sentences(60 if scorer.fit_columns else 20), *SAME, "?!", TEXTS[8]]
    ref = _dataset(cat, tmp_path, scorer, texts)
    options = _options(cat, tmp_path, scorer, tiny_models)
    if named := [column for column in (*scorer.columns, *scorer.fit_columns) if column != "vectors"]:
        _attach(cat, ref, named, len(texts))
        if "target" in options and "labels" in named:
            _attach(cat, options["target"], ["labels"], 60)
        given = {key: [key] * len(value) if isinstance(value, list) else key if key in named else value
                 for key, value in _columns_given(scorer).items() if key != "vectors"}  # fmt: skip
        options["params"] = {**(options.get("params") or {}), **given}
    before = [batch.to_pydict() for batch in cat.scan(ref, ["sample_id", "text"])]
    report = score(cat, ref, [name], **options)
    assert [batch.to_pydict() for batch in cat.scan(ref, ["sample_id", "text"])] == before
    mine = [column for column in cat.columns(ref) if column.scorer == name]
    assert {column.output for column in mine} == {out.name for out in scorer.writes}
    assert all(column.covered == len(texts) == sum(column.states.values()) for column in mine)
    assert set(report.columns) >= {column.alias for column in mine}
    again = score(cat, ref, [name], **options)
    assert again.run_id is None and again.counts["computed"] == 0 and errors_of(cat) == []


@GLOBAL
@pytest.mark.parametrize("texts", [[TEXTS[0]], [""], SAME], ids=["one", "empty", "same"])
def test_a_population_of_one_or_of_copies_has_defined_values(name, texts, cat, tmp_path, tiny_models):
    scorer = SCORERS[name]
    ref = _dataset(cat, tmp_path, scorer, texts)
    try:
        report = score(cat, ref, [name], **_options(cat, tmp_path, scorer, tiny_models))
    except StrataError as error:
        refused(error)
        return
    assert all(body["covered"] == len(texts) for body in report.columns.values()) and errors_of(cat) == []


@EVERY
def test_a_dataset_without_rows_is_refused_in_one_line(name, cat):
    kind = (SCORERS[name].kinds or ("text",))[0]
    cat.create_dataset("bare", kind=kind, tier="L0")
    with pytest.raises(StrataError) as caught:
        score(cat, "bare", [name])
    refused(caught.value)
