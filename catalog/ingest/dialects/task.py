"""Tasks with an answer that can be checked: maths, short answers, code with tests; and prompts for rollouts.

What a verifier needs beyond the answer (the worked solution, the tests) stays in `meta` under its own name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from catalog.ingest.dialect import Convert, Row, dialect
from catalog.ingest.dialects.chat import PROMPT, SYSTEM, turns_of
from catalog.ingest.records import EMPTY, MISSING_FIELD
from catalog.ingest.turns import Unusable, has_text, lettered, message, render, scalar, text_of

QUESTION = "question problem prompt query input instruction stem ctx"
FINAL = re.compile(r"####\s*(.+?)\s*$", re.MULTILINE)
"""GSM8K (Cobbe et al., arXiv:2110.14168): the answer stands behind the last "####", thousands with commas."""


def most(field: str, test: Any, what: str) -> Any:
    def check(rows: Sequence[Row], fields: Mapping[str, str]) -> str | None:
        held = sum(bool(test(row.get(fields[field]))) for row in rows)
        return None if held * 2 >= len(rows) else f"{fields[field]} {what} in {held} of {len(rows)} rows"

    return check


def task(question: str, answer: str | None, verifier: str | None, choices: list[str] | None = None) -> Row:
    """The columns of a task with one question."""
    turns = [message("user", question)]
    text = render(turns) + (f"\n{lettered(choices)}" if choices else "")
    return {"text": text, "messages": turns, "answer": answer, "choices": choices, "verifier": verifier}


@dialect(
    "gsm8k",
    kind="task",
    rank=30,
    roles={"question": QUESTION, "answer": "answer solution response output"},
    needs="question answer",
    check=most("answer", lambda value: isinstance(value, str) and FINAL.search(value), "has a '####' answer"),
)
def gsm8k(fields: dict[str, str]) -> Convert:
    """A question whose worked answer ends in "#### number"."""
    asked, answered = fields["question"], fields["answer"]

    def convert(row: Row) -> Row:
        solution = row.get(answered)
        found = FINAL.findall(solution) if isinstance(solution, str) else []
        if not found:
            raise Unusable(MISSING_FIELD, f"{answered} has no '####' answer")
        return task(text_of(row, asked), found[-1].replace(",", ""), "gsm8k")

    return convert


@dialect(
    "boxed",
    kind="task",
    rank=31,
    roles={"question": QUESTION, "answer": "solution answer response output"},
    needs="question answer",
    check=most("answer", lambda value: isinstance(value, str) and boxed_answer(value), "has a \\boxed answer"),
)
def boxed(fields: dict[str, str]) -> Convert:
    r"""A problem whose solution holds its answer in \boxed{...} (Hendrycks et al., arXiv:2103.03874)."""
    asked, answered = fields["question"], fields["answer"]

    def convert(row: Row) -> Row:
        solution = row.get(answered)
        found = boxed_answer(solution) if isinstance(solution, str) else None
        if found is None:
            raise Unusable(MISSING_FIELD, f"{answered} has no \\boxed answer")
        return task(text_of(row, asked), found, "boxed")

    return convert


def boxed_answer(solution: str) -> str | None:
    r"""What stands in the last \boxed{...}, braces balanced."""
    start = max(solution.rfind("\\boxed{"), solution.rfind("\\fbox{"))
    if start < 0:
        return None
    begin = at = solution.index("{", start) + 1
    depth = 1
    while at < len(solution) and depth:
        depth += {"{": 1, "}": -1}.get(solution[at], 0)
        at += 1
    return solution[begin : at - 1] if not depth else None


@dialect(
    "humaneval",
    kind="task",
    rank=22,
    roles={"question": "prompt", "solution": "canonical_solution", "test": "test tests", "entry_point": "entry_point"},
    needs="question test entry_point",
    strict=True,
)
def humaneval(fields: dict[str, str]) -> Convert:
    """HumanEval (arXiv:2107.03374): a signature to complete, a reference solution, a test that calls the entry point."""
    return _code(fields, "humaneval")


@dialect(
    "mbpp",
    kind="task",
    rank=23,
    roles={"question": "text prompt", "solution": "code", "test": "test_list"},
    needs="question solution test",
    strict=True,
)
def mbpp(fields: dict[str, str]) -> Convert:
    """MBPP (arXiv:2108.07732): a description, a reference program and asserts."""
    return _code(fields, "mbpp")


def _code(fields: dict[str, str], verifier: str) -> Convert:
    asked, solution, tests = fields["question"], fields.get("solution"), fields["test"]

    def convert(row: Row) -> Row:
        if not row.get(tests):
            raise Unusable(MISSING_FIELD, f"no {tests}")
        question = text_of(row, asked)
        code = row.pop(solution, None) if solution else None
        return task(question, code if isinstance(code, str) else None, verifier)

    return convert


@dialect(
    "question_answer",
    kind="task",
    rank=50,
    roles={"question": QUESTION, "answer": "answer final_answer ground_truth target solution output response"},
    needs="question answer",
    forced=True,
)
def question_answer(fields: dict[str, str]) -> Convert:
    """A question and a short answer to be matched exactly, when the kind task is asked for."""
    asked, answered = fields["question"], fields["answer"]

    def convert(row: Row) -> Row:
        if row.get(answered) is None:
            raise Unusable(EMPTY if answered in row else MISSING_FIELD, f"no {answered}")
        question = text_of(row, asked)
        return task(question, scalar(row.pop(answered), answered), "exact")

    return convert


@dialect(
    "prompts",
    kind="task",
    rank=70,
    roles={"prompt": f"{PROMPT} messages", "answer": "ground_truth final_answer", "system": SYSTEM},
    needs="prompt",
    check=most("prompt", lambda value: has_text(value) or (isinstance(value, list) and value), "is text or turns"),
)
def prompts(fields: dict[str, str]) -> Convert:
    """Prompts without a response, for rollouts; an answer is taken where there is one."""
    asked, answered = fields["prompt"], fields.get("answer")

    def convert(row: Row) -> Row:
        value = row.get(asked)
        turns = turns_of(value, asked, "user") if value is not None else [message("user", text_of(row, asked))]
        row.pop(asked, None)
        answer = row.pop(answered, None) if answered else None
        known = None if answer is None else scalar(answer, answered or "")
        return {"text": render(turns), "messages": turns, "answer": known, "verifier": "exact" if known else None}

    return convert
