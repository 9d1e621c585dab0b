"""Reading comprehension: a paragraph and questions about it, one a row or many."""

from __future__ import annotations

from typing import Any

from catalog.ingest.dialect import Convert, Row, dialect
from catalog.ingest.dialects.task import most, task
from catalog.ingest.records import WRONG_TYPE
from catalog.ingest.turns import Unusable, text_of


@dialect(
    "squad",
    kind="task",
    rank=28,
    roles={"context": "context text passage paragraph", "question": "question", "answers": "answers answer"},
    needs="context question answers",
    check=most("answers", lambda value: bool(answer_texts(value)) and not isinstance(value, str), "holds spans"),
)
def squad(fields: dict[str, str]) -> Convert:
    """SQuAD rows: a context, a question, answer spans."""
    told, asked, answered = fields["context"], fields["question"], fields["answers"]

    def convert(row: Row) -> Row:
        answers = answer_texts(row.get(answered))
        context, question = text_of(row, told), text_of(row, asked)
        return task(f"{context}\n\n{question}", answers[0] if answers else None, "squad")

    return convert


@dialect(
    "squad_nested",
    kind="task",
    rank=24,
    roles={"context": "context text passage paragraph", "qas": "qas questions"},
    needs="context qas",
    check=most(
        "qas", lambda value: isinstance(value, list) and value and isinstance(value[0], dict), "holds questions"
    ),
)
def squad_nested(fields: dict[str, str]) -> Convert:
    """SQuAD and XQuAD paragraphs with their questions: one sample, the questions numbered, kept whole in meta."""
    told, held = fields["context"], fields["qas"]

    def convert(row: Row) -> Row:
        pairs = row.get(held)
        if not isinstance(pairs, list) or not pairs or not all(isinstance(pair, dict) for pair in pairs):
            raise Unusable(WRONG_TYPE, f"{held} is not a list of questions")
        questions = [str(pair.get("question", "")) for pair in pairs]
        answers = [(answer_texts(pair.get("answers", pair.get("answer"))) or [""])[0] for pair in pairs]
        context = text_of(row, told)
        return task(f"{context}\n\n{_numbered(questions)}", _numbered(answers), "squad")

    return convert


def _numbered(lines: list[str]) -> str:
    return "\n".join(f"{at}. {line}" for at, line in enumerate(lines, 1))


def answer_texts(value: Any) -> list[str]:
    """Answer spans in the forms SQuAD has had: {"text": [...]}, [{"text": ...}], a list of strings, a string."""
    if isinstance(value, dict):
        value = value.get("text")
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return [item["text"] if isinstance(item, dict) else item for item in value if _is_span(item)]
    return []


def _is_span(item: Any) -> bool:
    return isinstance(item, str) or (isinstance(item, dict) and isinstance(item.get("text"), str))
