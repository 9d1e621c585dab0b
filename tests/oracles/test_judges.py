"""What a judge's answer may be, against the jsonschema package; averages and majorities against NumPy and Counter."""

import re

import numpy as np
import orjson
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from scipy.optimize import minimize

from catalog.plugins import Context
from flows.endpoints.ask import Reply
from flows.endpoints.wire import Answer
from flows.scorers.judge._rubric import shipped
from flows.scorers.judge.pairwise import PairParams, compare_all

ORACLES = {
    "judge_chat_tags": "the jsonschema package on valid and broken answers",
    "judge_code_quality": "the jsonschema package on valid and broken answers",
    "judge_dataman": "the jsonschema package on valid and broken answers",
    "judge_educational_value": "the jsonschema package on valid and broken answers",
    "judge_math_quality": "the jsonschema package on valid and broken answers",
    "judge_prrc": "the jsonschema package on valid and broken answers",
    "judge_response_quality": "the jsonschema package on valid and broken answers",
    "judge": "the jsonschema package on valid and broken answers",
    "pairs_writing_style": "the likelihood of its comparisons, maximised by SciPy",
    "pairs_required_expertise": "the likelihood of its comparisons, maximised by SciPy",
    "pairs_facts_and_trivia": "the likelihood of its comparisons, maximised by SciPy",
    "pairs_educational_value": "the likelihood of its comparisons, maximised by SciPy",
    "pairs_own": "the likelihood of its comparisons, maximised by SciPy",
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


def test_strengths_maximise_the_likelihood_of_the_comparisons():
    """Bradley-Terry with its prior, by SciPy over the log-likelihood, and not by Hunter's rounds."""
    texts = [f"text {number}" for number in range(25)]
    outcomes = []

    def scripted(questions):
        replies = []
        for asked in questions:
            a, b = (int(n) for n in re.findall(r"^text (\d+)$", asked.messages[0][1], re.M))
            first = bool(np.random.default_rng([a, b]).random() < 1 / (1 + np.exp((b - a) / 6)))
            outcomes.append((a, b, first))
            replies.append(Reply(asked, Answer('{"choice": "A"}' if first else '{"choice": "B"}', "stop", 1, 1)))
        return replies

    batch = pa.record_batch({"text": texts, "sample_id": [f"{n:032x}" for n in range(25)]})
    ctx = Context(params=PairParams(endpoint="e", rounds=4, prior=0.2), seed=3, ask=scripted)
    strength, won, _, _ = compare_all(lambda columns=None: iter([batch]), ctx, "Which?")
    winner = np.array([a if first else b for a, b, first in outcomes])
    loser = np.array([b if first else a for a, b, first in outcomes])

    def loss(s):  # each pair was asked in both orders, and counts once
        prior = 0.1 * (np.logaddexp(0, -s) + np.logaddexp(0, s)).sum()
        return 0.5 * np.logaddexp(0, s[loser] - s[winner]).sum() + prior

    found = minimize(loss, np.zeros(25), method="BFGS", options={"gtol": 1e-9}).x
    assert strength == pytest.approx(found - found.mean(), abs=1e-4)
    games = np.bincount(np.concatenate([winner, loser]))
    assert won == pytest.approx(np.bincount(winner, minlength=25) / games)
