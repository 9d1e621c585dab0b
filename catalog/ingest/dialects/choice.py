"""Multiple choice: the choices as a list, as columns, or as right and wrong answers."""

from __future__ import annotations

from typing import Any

import orjson

from catalog.ingest.dialect import Convert, Row, dialect
from catalog.ingest.dialects.task import QUESTION, most, task
from catalog.ingest.records import EMPTY, MISSING_FIELD, WRONG_TYPE
from catalog.ingest.turns import Unusable, scalar, text_of


@dialect(
    "multiple_choice",
    kind="task",
    rank=25,
    roles={
        "question": QUESTION,
        "choices": "choices options endings mc1_targets answer_choices candidates",
        "answer": "answer answer_key answerkey label correct_answer gold target answer_index correct",
    },
    needs="question choices",
    check=most("choices", lambda value: len(choice_list(value)[0]) > 1, "is a list of choices"),
)
def multiple_choice(fields: dict[str, str]) -> Convert:
    """A question, a list of choices, and the right one as index, letter or text (MMLU, ARC, HellaSwag, TruthfulQA)."""
    asked, offered, right = fields["question"], fields["choices"], fields.get("answer")

    def convert(row: Row) -> Row:
        choices, labels, key = choice_list(row.get(offered))
        if len(choices) < 2:
            raise Unusable(EMPTY if offered in row else MISSING_FIELD, f"{offered} has fewer than two choices")
        question = text_of(row, asked)
        del row[offered]
        given = row.pop(right, None) if right else None
        at = key if given is None else _index(given, choices, labels, right or "")
        return task(question, None if at is None else _letter(at), "choice", choices)

    return convert


@dialect(
    "lettered_choice",
    kind="task",
    rank=26,
    roles={
        "question": QUESTION,
        "answer": "answer target label correct_answer",
        "A": "a",
        "B": "b",
        "C": "c",
        "D": "d",
    },
    needs="question answer A B",
    strict=True,
)
def lettered_choice(fields: dict[str, str]) -> Convert:
    """Choices in columns A, B, C, D (MMLU as CSV)."""
    asked, right = fields["question"], fields["answer"]
    columns = [fields[letter] for letter in "ABCD" if letter in fields]

    def convert(row: Row) -> Row:
        choices = [scalar(row[name], name) for name in columns if row.get(name) is not None]
        if len(choices) < 2:
            raise Unusable(MISSING_FIELD, f"fewer than two of {', '.join(columns)}")
        question, given = text_of(row, asked), row.pop(right, None)
        for name in columns:
            row.pop(name, None)
        at = None if given is None else _index(given, choices, [], right)
        return task(question, None if at is None else _letter(at), "choice", choices)

    return convert


@dialect(
    "truthfulqa",
    kind="task",
    rank=27,
    roles={"question": "question", "best": "best_answer", "wrong": "incorrect_answers"},
    needs="question best wrong",
    strict=True,
)
def truthfulqa(fields: dict[str, str]) -> Convert:
    """TruthfulQA (arXiv:2109.07958): the best answer and the wrong ones as choices, the best first as in its MC1 form."""
    asked, best, wrong = fields["question"], fields["best"], fields["wrong"]

    def convert(row: Row) -> Row:
        others = row.get(wrong)
        if isinstance(others, str):
            others = [part.strip() for part in others.split(";") if part.strip()]
        if not isinstance(others, list) or not others:
            raise Unusable(MISSING_FIELD, f"no {wrong}")
        question, right = text_of(row, asked), text_of(row, best)
        del row[wrong]
        return task(question, "A", "choice", [right, *(scalar(item, wrong) for item in others)])

    return convert


def choice_list(value: Any) -> tuple[list[str], list[str], int | None]:
    """(choices, their labels, index of the right one where the value itself says so)."""
    if isinstance(value, str):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            return [], [], None
    if isinstance(value, dict) and isinstance(value.get("text"), list):  # ARC
        return [str(item) for item in value["text"]], [str(item) for item in value.get("label") or []], None
    if isinstance(value, dict) and isinstance(value.get("choices"), list):  # TruthfulQA mc1_targets
        labels = value.get("labels") or []
        return [str(item) for item in value["choices"]], [], labels.index(1) if 1 in labels else None
    if isinstance(value, dict) and value and all(isinstance(item, str) for item in value.values()):  # {"A": ...}
        return list(value.values()), [str(name) for name in value], None
    if isinstance(value, list) and all(isinstance(item, str | int | float) for item in value):
        return [str(item) for item in value], [], None
    return [], [], None


def _index(given: Any, choices: list[str], labels: list[str], field: str) -> int:
    """The index of the right choice from an index, a letter, a label or the text of the choice."""
    word = str(given).strip()
    if word in labels:
        return labels.index(word)
    if word in choices and not (word.isdigit() and isinstance(given, int)):
        return choices.index(word)
    if word.isdigit():
        at = int(word)
    else:
        letter = word.strip("().: ").upper()
        at = ord(letter) - 65 if len(letter) == 1 and letter.isalpha() else -1
    if not 0 <= at < len(choices):
        raise Unusable(WRONG_TYPE, f"{field} {word[:40]!r} names none of the {len(choices)} choices")
    return at


def _letter(at: int) -> str:
    return chr(65 + at) if at < 26 else str(at + 1)
