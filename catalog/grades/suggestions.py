"""What a model said of a sample, beside what a person says: columns of the dataset that a campaign names.

reveal "after": a grader sees it once their own grade is stored, so that it cannot lead them. "before": beside the question,
for campaigns in which people correct a model. A suggestion is in no agreement and in no column of people's grades.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from catalog.errors import BadInput, NotFound
from catalog.grades.campaigns import questions
from catalog.meta.models import Campaign, Dataset

if TYPE_CHECKING:
    from catalog.catalog import Catalog

REVEALS = ("after", "before")


def check_suggest(cat: Catalog, dataset: str, rubric: dict[str, Any], suggest: dict[str, str], reveal: str) -> None:
    """Refuse what cannot be shown: an unknown moment, question or column."""
    if reveal not in REVEALS:
        raise BadInput(f"reveal {reveal!r} is not one of {', '.join(REVEALS)}")
    asked, known = questions(rubric), {column.alias for column in cat.columns(dataset)}
    for question, column in suggest.items():
        if question not in asked:
            raise BadInput(f"the rubric does not ask for {question!r}; it asks for {', '.join(asked)}")
        if column not in known:
            raise NotFound(f"column of {dataset}", column, sorted(known), "a suggestion is a computed column")


def suggestions_of(cat: Catalog, campaign: Campaign, dataset: Dataset, row: int, graded: bool) -> dict[str, Any]:
    """Question -> what the model said, when it is time to show it; a column that was taken away says nothing."""
    suggest = campaign.recipe.get("suggest") or {}
    if not suggest or not (graded or campaign.recipe.get("reveal") == "before"):
        return {}
    from catalog.store import open_table

    stored = {column.alias: column.physical for column in cat.columns(dataset.name)}
    wanted = {question: stored[column] for question, column in suggest.items() if column in stored}
    if not wanted:
        return {}
    table = open_table(cat.table_uri(dataset), dataset.lance_version, cat.settings.storage)
    held = table._take_rows([row], columns=sorted(set(wanted.values()))).to_pylist()
    said = {question: held[0][name] for question, name in wanted.items()} if held else {}
    return {question: value for question, value in said.items() if value is not None}
