"""What agents that ask a language model share: an endpoint and a budget, both or none, and answers of a declared form.

An answer is strict JSON of a pydantic model; one that is not is dropped and counted. When the budget ends, or the endpoint
does not answer at all, nothing more is asked, a note says so, and the agent goes on with what it can do alone. Nothing
that an answer holds is carried out here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import orjson
from pydantic import BaseModel

from catalog.errors import BadInput, Missing, Refused

if TYPE_CHECKING:
    from catalog.catalog import Catalog

TOGETHER = 8
"""Questions that are in flight at once; a budget that ends among them loses none that was answered."""
STOPPED = "the language model stopped here"
Form = TypeVar("Form", bound=BaseModel)


class Query(NamedTuple):
    """One question. system: the prompt; text: what it is about, data throughout."""

    system: str
    text: str
    schema: dict[str, Any]
    tokens: int
    sample_id: str | None = None


def json_of(text: str) -> Any:
    """The JSON object inside an answer; ValueError where there is none."""
    begin, end = text.find("{"), text.rfind("}")
    try:
        return orjson.loads(text[begin : end + 1] if begin >= 0 else b"")
    except orjson.JSONDecodeError:
        raise ValueError("it was not the JSON object that was asked for") from None


def both_or_none(endpoint: str | None, budget: str | None) -> None:
    """`BadInput` for an endpoint without a budget, or a budget without an endpoint."""
    if (endpoint is None) != (budget is None):
        lacking = "--budget B (strata budget set B --money AMOUNT)" if budget is None else "--endpoint E"
        raise BadInput(f"a language model is asked only within a budget: give {lacking} too")


def asker(cat: Catalog, endpoint: str | None, budget: str | None, purpose: str) -> Asker | None:
    """None without an endpoint; `BadInput` where only one of endpoint and budget is given."""
    both_or_none(endpoint, budget)
    return None if endpoint is None or budget is None else Asker(cat, endpoint, budget, purpose)


class Asker:
    """A language model with a budget. notes: what it did, and what it could not do."""

    def __init__(self, cat: Catalog, endpoint: str, budget: str, purpose: str) -> None:
        from flows.endpoints import account, registry

        self.cat, self.endpoint, self.budget, self.purpose = cat, endpoint, budget, purpose
        held = registry.endpoint(cat, endpoint)
        account.budget(cat, budget)
        self.model, self.local = f"{held.model} ({held.served()})", held.local
        self.notes = [f"the language model {held.model} of endpoint {endpoint} helped, within budget {budget}"]
        self.over = False
        self.unread = 0

    def may_show(self, datasets: Iterable[str]) -> bool:
        """Whether text of these datasets may go to the endpoint."""
        from flows.endpoints.ask import may_send

        try:
            may_send(self.cat, self.endpoint, list(datasets))
        except Refused:
            return False
        return True

    def ask(self, queries: Sequence[Query]) -> list[str | None]:
        """Answers in order, None where there is none."""
        out: list[str | None] = []
        for begin in range(0, len(queries), TOGETHER):
            out += self._some(queries[begin : begin + TOGETHER])
        return out

    def read(self, form: type[Form], text: str | None) -> Form | None:
        """An answer as its form; None, and counted, where it is something else."""
        if text is None:
            return None
        try:
            return form.model_validate(json_of(text))
        except ValueError:  # no JSON, or JSON of another form
            self.unread += 1
            return None

    def said(self) -> list[str]:
        """The notes, with the answers that could not be read."""
        lost = f"{self.unread} answers of the language model were not the JSON that was asked for, and are left out"
        return [*self.notes, *([lost] if self.unread else [])]

    def _some(self, queries: Sequence[Query]) -> list[str | None]:
        from flows.endpoints.account import OverBudget
        from flows.endpoints.ask import ask
        from flows.endpoints.wire import Question

        if self.over:
            return [None] * len(queries)
        questions = [Question((("user", q.text),), q.system, q.tokens, schema=q.schema, sample_id=q.sample_id)
                     for q in queries]  # fmt: skip
        try:
            replies = ask(self.cat, self.endpoint, questions, purpose=self.purpose, budget=self.budget)
        except OverBudget as error:
            if (
                len(queries) > 1
            ):  # any of them may have been answered before the end: stored, it costs nothing to ask again
                kept = [self._stored(query) for query in queries]
                self._stop(str(error))
                return kept
            self._stop(str(error))
            return [None]
        except Missing as error:
            self._stop(str(error))
            return [None] * len(queries)
        failed = [reply.error for reply in replies if reply.answer is None]
        if failed:
            self.notes.append(f"{len(failed)} questions have no answer: {failed[0]}")
        return [reply.answer.text if reply.answer else None for reply in replies]

    def _stored(self, query: Query) -> str | None:
        """The answer of one question by itself, if there is one by now."""
        (text,) = self._some([query])
        self.over, self.notes = False, [line for line in self.notes if STOPPED not in line]
        return text

    def _stop(self, why: str) -> None:
        if not self.over:
            self.notes.append(f"{STOPPED}: {why}")
        self.over = True
