"""What a judge's answer may be, against the jsonschema package; averages and majorities against NumPy and Counter."""

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from flows.scorers.judge._rubric import shipped

ORACLES = {
    **{f"judge_{name}": "the jsonschema package on valid and broken answers" for name in shipped()},
    "judge": "the jsonschema package on valid and broken answers",
}

values = st.one_of(st.none(), st.booleans(), st.integers(-2, 8), st.floats(0, 5), st.text(max_size=3))


@pytest.mark.parametrize("name", sorted(shipped()))
@given(st.data())
@settings(max_examples=60, deadline=None)
def test_an_answer_is_read_where_the_schema_holds_and_only_there(name, data):
    rubric = shipped()[name]
    schema = rubric.schema_of()
    Draft202012Validator.check_schema(schema)
    good = {key: data.draw(st.sampled_from(held["enum"])) if "enum" in held else "because"
            for key, held in schema["properties"].items()}  # fmt: skip
    key = data.draw(st.sampled_from(sorted(good)))
    answer = {**good, key: data.draw(values)} if data.draw(st.booleans()) else good
    if data.draw(st.booleans()):
        answer.pop(data.draw(st.sampled_from(sorted(answer))))
    # Ours takes 3.0 for no 3, and does not need the reason.
    needed = {field: held for field, held in schema["properties"].items() if field != "reason"}
    strict = {"type": "object", "properties": needed, "required": list(needed)}
    holds = Draft202012Validator(strict).is_valid(answer) and not any(isinstance(answer.get(f), float) for f in needed)
    assert (rubric.read(orjson.dumps(answer).decode()) is not None) == holds
