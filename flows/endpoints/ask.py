"""Ask many questions: stored answers first, the rest in parallel, at the endpoint's pace, within the budget."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from catalog.errors import BadInput, Missing, Refused
from catalog.meta.calls import Call
from flows.endpoints import account, batches
from flows.endpoints.batching import Batcher
from flows.endpoints.registry import Endpoint, endpoint
from flows.endpoints.wire import Answer, Question, Unanswered, send

if TYPE_CHECKING:
    import httpx

    from catalog.catalog import Catalog

LONGEST_WAIT = 60.0
"""Seconds between two attempts at most, unless the server asks for more."""


_LOCK = threading.Lock()
_ASKED: WeakValueDictionary[str, Any] = WeakValueDictionary()


@dataclass(frozen=True)
class Reply:
    """answer: None where there is none, and `error` says why. cached: it was stored already and cost nothing now."""

    question: Question
    answer: Answer | None
    error: str | None = None
    cached: bool = False


def may_send(cat: Catalog, name: str, datasets: Sequence[str]) -> None:
    """Refuse to send text to an endpoint that is not yours without the consent of its dataset's owner, or raw text."""
    held = endpoint(cat, name)
    if held.local:
        return
    found = [cat.resolve(dataset).dataset for dataset in dict.fromkeys(datasets)]
    if raw := [dataset.name for dataset in found if dataset.tier == "L0"]:
        raise Refused(
            f"{raw[0]} is raw (L0) and may hold what nobody looked at, so its text stays here: promote it first, or use "
            "an endpoint of yours (--private)"
        )
    closed = [dataset.name for dataset in found if not dataset.consent_llm]
    if closed:
        raise Refused(
            f"text of {closed[0]} may not go to {held.url} without its owner's consent: "
            f"strata consent {closed[0]}, or use an endpoint of yours (--private)",
            missing=[f"consent of {dataset}" for dataset in closed],
        )


def ask(
    cat: Catalog,
    name: str,
    questions: Sequence[Question],
    *,
    purpose: str,
    budget: str | None = None,
    as_of: str | None = None,
    run_id: str | None = None,
    batch: bool | None = None,
    tick: Callable[[int], None] = lambda done: None,
) -> list[Reply]:
    """Answers in the order of the questions. A question that cannot be answered has an error instead.

    Raises when all would fail alike (a wrong key) and `OverBudget` when the budget ends; what is answered is kept, and
    the same call goes on where it stopped. as_of: the day whose answers count, for a model without a fixed revision.
    batch: hand them in as provider batches, as the endpoint says if not given. What waits in a batch is waited for.
    """
    held = endpoint(cat, name)
    if batch and held.api == "transformers":
        raise BadInput(f"endpoint {name} is a model of this process, which has no batches")
    if budget is not None and held.money(1, 1) is None and account.budget(cat, budget).money is not None:
        raise BadInput(f"endpoint {name} has no prices, so budget {budget} cannot bound its money; add --input-price")
    revision = held.served(as_of)
    digests = [question.digest(held, revision) for question in questions]
    stored = account.answered(cat, digests)
    found = {digest: Reply(questions[at], _answer(stored[digest]), cached=True)
             for at, digest in enumerate(digests) if digest in stored}  # fmt: skip
    times = Counter(digests)
    tick(sum(times[digest] for digest in found))
    todo = {digest: question for digest, question in zip(digests, questions, strict=True) if digest not in found}
    if todo:
        asker = _Asker(cat, name, held, revision, purpose, budget, run_id)
        told = _Ahead(tick)
        for digest, reply in asker.all(todo, held.batch if batch is None else batch, told):
            found[digest] = reply
            told.done(times[digest])
    return [found[digest] for digest in digests]


def asker(
    cat: Catalog, dataset: str, purpose: str, params: Any, run_id: str | None,
    tick: Callable[[int], None] = lambda done: None,
) -> Callable[[Sequence[Question]], list[Reply]]:  # fmt: skip
    """What a scorer asks with: its parameters name the endpoint, the budget and the day."""
    may_send(cat, params.endpoint, [dataset])
    return partial(
        ask, cat, params.endpoint, purpose=purpose, budget=params.budget, as_of=params.as_of, run_id=run_id, tick=tick
    )  # fmt: skip


def at_once(cat: Catalog, params: Any) -> int:
    """Questions that a scorer with these parameters had better ask at once: those of a batch; 0 where it is the same."""
    held = endpoint(cat, params["endpoint"] if isinstance(params, dict) else params.endpoint)
    return held.batch_size if held.batch else 0


class _Ahead:
    """Progress that a provider tells before its answers are here is not told again when they are."""

    def __init__(self, tick: Callable[[int], None]) -> None:
        self.tick, self.ahead = tick, 0

    def early(self, count: int) -> None:
        """So many are done over there."""
        if count:
            self.ahead += count
            self.tick(count)

    def done(self, count: int) -> None:
        """So many are here."""
        known = min(self.ahead, count)
        self.ahead -= known
        if count > known:
            self.tick(count - known)


class Pace:
    """At most so many requests and tokens in any minute; `wait` blocks until the next may go."""

    def __init__(self, requests: float | None, tokens: float | None) -> None:
        self.requests, self.tokens = requests, tokens
        self.seen: deque[tuple[float, int]] = deque()
        self.pause = 0.0
        self.lock = threading.Lock()

    def wait(self, tokens: int, stop: threading.Event) -> None:
        """Block until a request of so many tokens may go, or until `stop`."""
        while not stop.is_set():
            with self.lock:
                moment = time.monotonic()
                while self.seen and self.seen[0][0] <= moment - 60:
                    self.seen.popleft()
                full = self.requests is not None and len(self.seen) + 1 > self.requests
                heavy = self.tokens is not None and self.seen and sum(t for _, t in self.seen) + tokens > self.tokens
                rest = max(self.pause - moment, self.seen[0][0] + 60 - moment if full or heavy else 0.0)
                if rest <= 0:
                    self.seen.append((moment, tokens))
                    return
            stop.wait(min(rest, 1.0))

    def hold_off(self, seconds: float) -> None:
        """Nobody asks for so long: the server said so."""
        with self.lock:
            self.pause = max(self.pause, time.monotonic() + seconds)


class _Asker:
    """What the threads of one `ask` share."""

    def __init__(self, cat: Catalog, name: str, held: Endpoint, revision: str, purpose: str, budget: str | None,
                 run_id: str | None) -> None:  # fmt: skip
        self.cat, self.name, self.endpoint, self.revision = cat, name, held, revision
        self.purpose, self.budget, self.run_id = purpose, budget, run_id
        self.pace = Pace(held.requests_per_minute, held.tokens_per_minute)
        self.stop = threading.Event()

    def all(self, todo: dict[str, Question], batch: bool, told: _Ahead) -> Iterator[tuple[str, Reply]]:
        """Replies by batches, or one by one; a question that waits in a stored batch is waited for either way."""
        held = todo if batch else batches.waiting(self.cat, list(todo))
        if held:
            batcher = Batcher(self.cat, self.name, self.endpoint, partial(self._row, batch=True), told.early)
            left, todo = {digest: todo[digest] for digest in held}, {d: q for d, q in todo.items() if d not in held}
            for digest, found in batcher.replies(dict(left), submit=batch):
                question = left.pop(digest)
                ok = isinstance(found, Call)
                yield digest, Reply(question, _answer(found)) if ok else Reply(question, None, found)  # type: ignore[arg-type]
            todo |= left
        if todo:
            yield from self.replies(todo)

    def _row(self, digest: str, question: Question, batch: bool = False) -> Call:
        read, written = question.most_tokens()
        return Call(
            digest=digest, endpoint=self.name, model=self.endpoint.model, revision=self.revision, purpose=self.purpose,
            sample_id=question.sample_id, run_id=self.run_id, budget=self.budget,
            held_money=self.endpoint.money(read, written, batch) or 0.0, held_tokens=read + written,
        )  # fmt: skip

    def replies(self, todo: dict[str, Question]) -> Iterator[tuple[str, Reply]]:
        """One reply a question, as they come; the first error that concerns all stops the rest and is raised."""
        import httpx

        self.endpoint.secret()  # a key that is not there is said before the first thread starts
        failure: BaseException | None = None
        waiting, running = iter(todo.items()), set[Future[tuple[str, Reply]]]()
        limits = httpx.Limits(max_connections=self.endpoint.parallel)
        with httpx.Client(limits=limits) as client, ThreadPoolExecutor(self.endpoint.parallel) as pool:
            try:
                while True:
                    while failure is None and len(running) < 2 * self.endpoint.parallel:
                        if (item := next(waiting, None)) is None:
                            break
                        running.add(pool.submit(self._one, client, *item))
                    if not running:
                        break
                    done = {future for future in running if future.done()} or {_first(running)}
                    running -= done
                    for future in done:
                        try:
                            yield future.result()
                        except BaseException as error:
                            failure = failure or error
                            self.stop.set()
            finally:
                self.stop.set()
        if failure is not None:
            raise failure

    def _one(self, client: httpx.Client, digest: str, question: Question) -> tuple[str, Reply]:
        with _LOCK:  # another `ask` of this process may hold the same question
            lock = _ASKED.setdefault(digest, threading.Lock())
        with lock:
            return self._asked(client, digest, question)

    def _asked(self, client: httpx.Client, digest: str, question: Question) -> tuple[str, Reply]:
        read, written = question.most_tokens()
        last = ""
        for attempt in range(self.endpoint.attempts):
            self.pace.wait(read + written, self.stop)
            if self.stop.is_set():
                raise Missing("the other requests were stopped")
            held = self._reserved(digest, question)
            if held.status == "answered":
                return digest, Reply(question, _answer(held), cached=True)
            try:
                answer = send(client, self.endpoint, question, digest)
            except Unanswered as error:
                account.unsettle(self.cat, digest, str(error), billed=error.billed and not self.endpoint.idempotent)
                if error.everybody:
                    raise Missing(str(error)) from None
                if not error.again:
                    return digest, Reply(question, None, str(error))
                last = str(error)
                self._rest(attempt, error.after)
                continue
            except BaseException as error:
                billed = self.endpoint.api != "transformers" and not self.endpoint.idempotent
                account.unsettle(self.cat, digest, str(error) or type(error).__name__, billed=billed)
                raise
            money = self.endpoint.money(answer.tokens_in, answer.tokens_out) or 0.0
            account.settle(self.cat, digest, answer, money)
            return digest, Reply(question, answer)
        return digest, Reply(question, None, f"{last}; given up after {self.endpoint.attempts} attempts")

    def _reserved(self, digest: str, question: Question) -> Call:
        """The question's row, ours to send; waits while another process asks the same."""
        wanted = self._row(digest, question)
        while (held := account.reserve(self.cat, wanted, idempotent=self.endpoint.idempotent)) is None:
            if self.stop.wait(0.2):
                raise Missing("the other requests were stopped")
        return held

    def _rest(self, attempt: int, after: float | None) -> None:
        if after is not None:
            self.pace.hold_off(after)
            return
        self.stop.wait(min(LONGEST_WAIT, 0.5 * 2**attempt) * random.uniform(0.5, 1.0))


def _first(running: set[Future[tuple[str, Reply]]]) -> Future[tuple[str, Reply]]:
    from concurrent.futures import FIRST_COMPLETED, wait

    return next(iter(wait(running, return_when=FIRST_COMPLETED).done))


def _answer(call: Call) -> Answer:
    return Answer(call.text or "", call.finish or "stop", call.tokens_in, call.tokens_out, call.served_by)
