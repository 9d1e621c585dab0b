"""Checks of answers in conversations and pairs: refusals, a model that speaks of itself, echoes, and how pairs differ."""

from __future__ import annotations

from collections.abc import Iterator

from agents.insight.look import SAMPLES, Finding, Flag, Look, check, grade

REFUSAL = (
    r"(?i)^\s*(i[''’]?m (very |really |so )?sorry,? (but )?i (can[''’]?t|cannot|can not|am (not able|unable))|i (cannot|can[''’]?t|can not|won[''’]?t|"
    r"am (not able|unable) to) (help|assist|provide|answer|do|fulfill|comply|engage|support|generate|create|write)|sorry,? (but )?i (can[''’]?t|cannot)|"
    r"as an ai[a-z ]*,? i (cannot|can[''’]?t|am not able|do not|don[''’]?t))"
)
SELF = (
    r"(?i)\bas an? (ai|artificial intelligence)( language)?( model| assistant|,)|\bi[''’ ]?a?m (just |only )?an? (ai|artificial intelligence|"
    r"(large )?language model)\b|\b(developed|created|trained|made) by (openai|anthropic|google deepmind|meta ai)\b|\bmy (training data|knowledge cutoff)\b"
)


def _pattern(value: str) -> str:
    return "'" + value + "'"


@check("refusals", "chat", "preference")
def refusals(look: Look) -> Iterator[Flag]:
    """Answers that begin as a refusal."""
    yield Flag(
        f"regexp_matches({look.last}, {_pattern(REFUSAL)})", "{count} answers ({share}) begin as a refusal",
        "a few teach to refuse, many teach to refuse everything: read them and decide on a share",
        grade(medium=0.01, high=0.1),
    )  # fmt: skip


@check("self_mentions")
def self_mentions(look: Look) -> Iterator[Flag]:
    """Texts in which an assistant speaks of itself: "as an AI language model", "developed by …"."""
    yield Flag(
        f"regexp_matches({look.last or 'text'}, {_pattern(SELF)})", "{count} texts ({share}) are an assistant that speaks of itself",
        "they give a model another one's name and limits, and in a crawl they mark generated pages: drop or rewrite",
        grade(medium=0.005, high=0.1),
    )  # fmt: skip


@check("empty_reply", "chat")
def empty_reply(look: Look) -> Iterator[Flag]:
    """Conversations whose last turn is empty or is not the assistant's."""
    yield Flag(
        "len(messages) = 0 OR messages[-1].role <> 'assistant' OR "
        "(coalesce(trim(messages[-1].content), '') = '' AND messages[-1].tool_calls IS NULL)",
        "{count} conversations ({share}) end without an answer",
        "there is nothing to learn at their end: drop them, or cut them after the last answer", grade(medium=0.0, high=0.05),
    )  # fmt: skip


@check("echo", "chat", "preference")
def echo(look: Look) -> Iterator[Flag]:
    """Answers that stand word for word in what was asked."""
    held = look.last
    yield Flag(
        f"length(trim({held})) >= 20 AND len(messages) > 0 AND contains("
        f"{'messages[:-2]' if look.dataset.kind == 'chat' else 'messages'}::VARCHAR, trim({held}))",
        "{count} answers ({share}) stand word for word in the prompt", "the prompt leaks its answer, or the answer only copies: "
        "fine for extraction, a fault elsewhere", grade(medium=0.01, high=0.3),
    )  # fmt: skip


@check("identical_pair", "preference")
def identical_pair(look: Look) -> Iterator[Flag]:
    """Pairs whose chosen and rejected answer are the same."""
    yield Flag(
        "trim(chosen[-1].content) = trim(rejected[-1].content) AND len(chosen) = len(rejected)",
        "{count} pairs ({share}) prefer an answer over itself", "they teach nothing and cost a step each: drop them",
        grade(medium=0.0, high=0.05),
    )  # fmt: skip


@check("longer_chosen", "preference")
def longer_chosen(look: Look) -> Iterator[Finding]:
    """The chosen answer is nearly always the longer one, or nearly always the shorter one."""
    sizes = "length(chosen[-1].content) AS chosen_chars, length(rejected[-1].content) AS rejected_chars"
    query = (
        f"SELECT count(*) FILTER (chosen_chars > rejected_chars) AS longer, count(*) FILTER (chosen_chars < rejected_chars) "
        f"AS shorter, median(chosen_chars) AS chosen, median(rejected_chars) AS rejected FROM (SELECT {sizes} FROM {look.rows})"
    )
    longer, shorter, chosen, rejected = look.ask(query)[0]
    most, both = max(longer, shorter), longer + shorter
    if both >= 50 and most >= 0.75 * both:
        word = "longer" if longer > shorter else "shorter"
        yield look.finding(
            f"the chosen answer is the {word} one in {most:,} of {both:,} pairs", "high" if most >= 0.9 * both else "medium", most,
            query, "a reward model learns length from this: balance the pairs by length, or train with a length penalty",
            shows="figures", detail={"chosen_median": chosen, "rejected_median": rejected},
        )  # fmt: skip


@check("reversed_pair", "preference")
def reversed_pair(look: Look) -> Iterator[Finding]:
    """Two pairs of one prompt that prefer opposite answers."""
    sides = f"SELECT sample_id, md5(messages::VARCHAR) AS p, md5(chosen[-1].content) AS c, md5(rejected[-1].content) AS r FROM {look.rows}"
    query = f"SELECT DISTINCT a.sample_id FROM ({sides}) a JOIN ({sides}) b ON a.p = b.p AND a.c = b.r AND a.r = b.c WHERE a.c <> a.r"
    count, ids = look.ask(f"SELECT count(*), min(sample_id, {SAMPLES}) FROM ({query})")[0]
    if count:
        yield look.finding(
            f"{count:,} pairs are contradicted by a pair of the same prompt that prefers the other answer", "medium", count, query,
            "the graders disagreed, or a column was swapped in one file: adjudicate, or drop both", samples=tuple(ids or ()),
        )  # fmt: skip
