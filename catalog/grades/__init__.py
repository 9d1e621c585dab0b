"""Grading by people: campaigns with a frozen queue, blind grades, planted answers, agreement, and columns of the result.

from catalog import grades

grades.create(cat, "clarity", "web@v1", rubric, graders=2, order="random")
item = grades.next_item(cat, "clarity", "ann")            # locked for ann for half an hour
grades.put(cat, item["item"], {"clarity": 4}, grader="ann")
grades.agreement_of(cat, "clarity")
grades.publish_grades(cat, "clarity")                       # a column of the dataset, with its recipe
grades.publish_edits(cat, "clarity", "web-edits")           # what graders wrote better, as new samples with parents
"""

from catalog.grades.bulk import bulk, bulk_acts, bulk_undo
from catalog.grades.campaigns import campaigns, close, create, find
from catalog.grades.children import edits_so_far, publish_edits
from catalog.grades.columns import compare_column, publish_grades
from catalog.grades.desk import look, next_item, put, skip, undo
from catalog.grades.gold import gold_report, plant
from catalog.grades.overview import overview
from catalog.grades.results import adjudicate, agreement_of, conflicts, export, sample_at, status

__all__ = [
    "adjudicate", "agreement_of", "bulk", "bulk_acts", "bulk_undo", "campaigns", "close", "compare_column", "conflicts", "create", "edits_so_far", "export", "find",
    "gold_report", "look", "next_item", "overview", "plant", "publish_edits", "publish_grades", "put", "sample_at", "skip", "status", "undo",
]  # fmt: skip
