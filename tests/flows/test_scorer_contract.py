"""The law of a scorer, run over every registered plug-in: rows in are rows out, whatever the text and the batch size.

Declarations are checked for all scorers; behaviour for those that map sample fields on a CPU. The others are skipped
with the reason: a fitted or global scorer needs rows to learn from, a gpu or api scorer a model or an endpoint.
"""

from __future__ import annotations

from collections import Counter

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from catalog import states
from catalog.errors import BadInput, Missing
from catalog.plugins import FAILED, Context, Scorer, plugins
from catalog.schema import KINDS, field_names, sample_schema

SCORERS = plugins("scorer")
STATES = (states.VALUE, states.UNDEFINED, states.OUT_OF_VALIDITY)

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
    "ﬁ ß İ ǅ ℌ ① Ⅷ ﷺ",
    "\t\tword\xa0\u3000\u1680",
    None,
    "Ein Satz auf Deutsch, damit auch die Sprache wechselt und die Wörter andere sind.",
]


def _names(*, behaviour: bool) -> list:
    return [pytest.param(name, marks=_marks(scorer) if behaviour else ()) for name, scorer in SCORERS.items()]


def _marks(scorer: Scorer) -> tuple:
    """Why a scorer's behaviour cannot be checked from sample fields alone."""
    fields = {name for kind in scorer.kinds or KINDS for name in field_names(kind)}
    foreign = [name for name in scorer.reads if name not in fields]
    reason = None
    if scorer.pattern != "map":
        reason = f"a {scorer.pattern} scorer needs rows to learn from"
    elif scorer.cost != "cpu":
        reason = f"cost class {scorer.cost}: needs a model or an endpoint"
    elif foreign:
        reason = f"reads columns of other scorers: {', '.join(foreign)}"
    return (pytest.mark.skip(reason=reason),) if reason else ()


def _context(scorer: Scorer, seed: int = 0) -> Context:
    ctx = Context(params=scorer.parse_params({}), seed=seed)
    if scorer.load:
        try:
            ctx.model = scorer.load(ctx)
        except Missing as error:
            pytest.skip(str(error))
    return ctx


def _batch(scorer: Scorer, texts: list[str | None]) -> pa.RecordBatch:
    """The texts as rows of the scorer's first kind; in messages and other fields they are the content."""
    schema = sample_schema((scorer.kinds or ("text",))[0])
    columns = {
        "sample_id": [f"{i:032x}" for i in range(len(texts))],
        "content_id": [f"{i:032x}" for i in range(len(texts))],
    }
    for name in scorer.reads:
        if name not in columns:
            columns[name] = [_value(schema.field(name).type, text) for text in texts]
    return pa.record_batch({name: pa.array(values, schema.field(name).type) for name, values in columns.items()})


def _value(kind: pa.DataType, text: str | None) -> object:
    if text is None:
        return None
    if pa.types.is_string(kind):
        return text
    if pa.types.is_list(kind) and pa.types.is_struct(kind.value_type):
        return [{"role": "user", "content": text}, {"role": "assistant", "content": text}]
    return [text] if pa.types.is_list(kind) else None


def _run(scorer: Scorer, batch: pa.RecordBatch, ctx: Context) -> dict[str, pa.Array]:
    """Values with the state the runner would store."""
    result = dict(scorer.function(batch, ctx))
    if "_state" not in result:
        empty = pa.array([True] * batch.num_rows, pa.bool_())
        for out in scorer.writes:
            empty = pc.and_(empty, pc.is_null(result[out.name]))
        result["_state"] = pc.if_else(empty, states.UNDEFINED, states.VALUE).cast(pa.uint8())
    return result


def _in_slices(scorer: Scorer, batch: pa.RecordBatch, ctx: Context, size: int) -> dict[str, pa.Array]:
    parts = [_run(scorer, batch.slice(start, size), ctx) for start in range(0, batch.num_rows, size)]
    return {key: pa.concat_arrays([part[key] for part in parts]) for key in parts[0]}


def _assert_alike(scorer: Scorer, ours: dict[str, pa.Array], theirs: dict[str, pa.Array]) -> None:
    assert ours.keys() == theirs.keys()
    for key in ours:
        left, right = ours[key].to_pylist(), theirs[key].to_pylist()
        if scorer.tolerance and isinstance(next((v for v in left if v is not None), None), float):
            assert left == pytest.approx(right, abs=scorer.tolerance), key
        else:
            assert left == right, key


# -- declarations, for all -----------------------------------------------------------------------------------------


def test_every_plug_in_imports():
    assert not FAILED


def test_output_names_are_unique_and_usable():
    names = Counter(out.name for scorer in SCORERS.values() for out in scorer.writes)
    fields = set().union(*(field_names(kind) for kind in KINDS))
    assert [name for name, count in names.items() if count > 1] == []
    assert [name for name in names if not name.isidentifier() or name in fields] == []


@pytest.mark.parametrize("name", _names(behaviour=False))
def test_declaration_is_complete(name):
    scorer = SCORERS[name]
    assert scorer.citation and scorer.version and scorer.summary and scorer.writes
    assert scorer.cost in ("cpu", "gpu", "api") and scorer.pattern in ("map", "fit", "global")
    assert scorer.batch_rows >= 1 and (scorer.pattern == "fit") == (scorer.fit is not None)
    for out in scorer.writes:
        low, high = out.range
        assert out.doc and out.better in ("higher", "lower", None)
        assert low is None or high is None or low < high
    outputs = {out.name for other in SCORERS.values() for out in other.writes}
    fields = set().union(*(field_names(kind) for kind in scorer.kinds or KINDS))
    assert [read for read in scorer.reads if read not in outputs | fields] == []


@pytest.mark.parametrize("name", _names(behaviour=False))
def test_unknown_parameters_are_refused(name):
    scorer = SCORERS[name]
    with pytest.raises(BadInput, match="no_such_parameter"):
        scorer.parse_params({"no_such_parameter": 1})
    assert all(field.description for field in scorer.params.model_fields.values())


# -- behaviour -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", _names(behaviour=True))
def test_rows_in_are_rows_out_of_the_declared_types(name):
    scorer = SCORERS[name]
    ctx = _context(scorer)
    for texts in (TEXTS, [], [None]):
        result = _run(scorer, _batch(scorer, texts), ctx)
        assert result.keys() == {out.name for out in scorer.writes} | {"_state"}
        for out in scorer.writes:
            assert result[out.name].type == out.type and len(result[out.name]) == len(texts), out.name
        assert result["_state"].type == pa.uint8() and result["_state"].null_count == 0


@pytest.mark.parametrize("name", _names(behaviour=True))
def test_values_lie_in_the_declared_range_and_a_null_has_a_reason(name):
    scorer = SCORERS[name]
    result = _run(scorer, _batch(scorer, TEXTS), _context(scorer))
    state = result["_state"].to_pylist()
    assert set(state) <= set(STATES)
    assert states.VALUE in state
    for out in scorer.writes:
        for value, reason in zip(result[out.name].to_pylist(), state, strict=True):
            assert value is not None or reason != states.VALUE, out.name
            if isinstance(value, int | float):
                low, high = out.range
                assert value == value and (low is None or value >= low) and (high is None or value <= high), out.name


@pytest.mark.parametrize("name", _names(behaviour=True))
def test_no_text_has_no_value(name):
    scorer = SCORERS[name]
    result = _run(scorer, _batch(scorer, [None, TEXTS[0], None]), _context(scorer))
    for row in (0, 2):
        assert all(result[out.name][row].as_py() is None for out in scorer.writes)
        assert result["_state"][row].as_py() != states.VALUE


@pytest.mark.parametrize("name", _names(behaviour=True))
def test_batch_size_and_order_change_nothing(name):
    scorer = SCORERS[name]
    ctx = _context(scorer)
    batch = _batch(scorer, TEXTS)
    whole = _run(scorer, batch, ctx)
    for size in (1, 3):
        _assert_alike(scorer, _in_slices(scorer, batch, ctx, size), whole)
    back = pa.array(range(len(TEXTS) - 1, -1, -1))
    turned = {key: column.take(back) for key, column in _run(scorer, batch.take(back), ctx).items()}
    _assert_alike(scorer, turned, whole)


@pytest.mark.parametrize("name", _names(behaviour=True))
def test_the_same_seed_gives_the_same_numbers(name):
    scorer = SCORERS[name]
    batch = _batch(scorer, TEXTS)
    first, second = (_run(scorer, batch, _context(scorer, seed=7)) for _ in range(2))
    _assert_alike(scorer, first, second)


@pytest.mark.parametrize("name", _names(behaviour=True))
def test_a_megabyte_without_a_space_is_one_more_row(name):
    scorer = SCORERS[name]
    ctx = _context(scorer)
    result = _run(scorer, _batch(scorer, ["before", "x" * 1_000_000, "aZ9." * 25_000, "after"]), ctx)
    alone = _run(scorer, _batch(scorer, ["before", "after"]), ctx)
    for key, column in alone.items():
        assert result[key].take(pa.array([0, 3])).to_pylist() == column.to_pylist(), key
