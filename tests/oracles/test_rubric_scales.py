"""Shipped rubrics against what their papers publish: names of criteria, ranges, domains and tags, written out by hand.

DataMan: prompts of the authors' repository (14 criteria of 1 to 5, 15 domains). Meta-rater: prompts/*.txt of its repository
(points from 0 for three criteria, "a score of 1" at the least for cleanliness). FineWeb-Edu: additive, 0 to 5. AlpaGasus:
accuracy from 0 to 5. TuluTalk: Magpie's tags, five levels of quality and difficulty, twelve tasks, a reward from 0 to 5.
QuRating: four criteria.
"""

import pytest

from flows.scorers.judge._rubric import shipped
from flows.scorers.judge.pairwise import CRITERIA

DATAMAN = """accuracy coherence language_consistency semantic_density knowledge_novelty topic_focus creativity professionalism
style_consistency grammatical_diversity structural_standardization originality sensitivity overall_score""".split()
RANGES = {
    "dataman": dict.fromkeys(DATAMAN, (1, 5)),
    "prrc": {"professionalism": (0, 5), "readability": (0, 5), "reasoning": (0, 5), "cleanliness": (1, 5)},
    "educational_value": {"educational_value": (0, 5)},
    "chat_tags": {"input_quality": (1, 5), "reply_quality": (0, 5), "difficulty": (1, 5)},
}
LABELS = {
    (
        "dataman",
        "domain",
    ): "medicine finance law education technology entertainment mathematics coding government culture "
    "transportation retail_e-commerce telecommunication agriculture other",
    (
        "chat_tags",
        "task_category",
    ): "information_seeking reasoning planning editing coding_and_debugging math role_playing "
    "data_analysis creative_writing advice_seeking brainstorming others",
}


@pytest.mark.parametrize("name", sorted(RANGES))
def test_criteria_and_ranges_are_the_published_ones(name):
    assert {scale: (held.low, held.high) for scale, held in shipped()[name].scales.items()} == RANGES[name]


def test_accuracy_of_responses_is_graded_from_0_to_5():
    held = shipped()["response_quality"].scales["response_accuracy"]
    assert (held.low, held.high) == (0, 5)


@pytest.mark.parametrize(("name", "label"), sorted(LABELS))
def test_domains_and_tasks_are_the_published_ones(name, label):
    assert [value.replace(" ", "_") for value in shipped()[name].labels[label].of] == LABELS[name, label].split()


def test_pairwise_criteria_are_the_four():
    assert set(CRITERIA) == {"writing_style", "required_expertise", "facts_and_trivia", "educational_value"}
