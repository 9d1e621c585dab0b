"""Asking by provider batches: hand in, wait, store, and hand in again what a batch did not get to."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from catalog.errors import Missing, Refused
from catalog.meta.calls import Call, CallBatch
from flows.endpoints import account, batch_wire, batches
from flows.endpoints.registry import Endpoint, endpoint
from flows.endpoints.wire import Question, Unanswered

if TYPE_CHECKING:
    import httpx

    from catalog.catalog import Catalog

MOST_BYTES = 90_000_000
"""Of one batch: providers take 200 MB and 256 MB, and a file is held in memory."""
BRIEF = 0.2
"""Seconds until the first look at a batch; later looks are further and further apart, up to the endpoint's batch_poll."""


class Batcher:
    """One `ask` by batches. call: the row of a question, with what it holds of the budget."""

    def __init__(self, cat: Catalog, name: str, held: Endpoint, call: Callable[[str, Question], Call],
                 tick: Callable[[int], None] = lambda done: None) -> None:  # fmt: skip
        self.cat, self.name, self.endpoint, self.call, self.tick = cat, name, held, call, tick
        self.tries: Counter[str] = Counter()
        self.counted: dict[str, int] = {}
        self.seen: set[str] = set()
        self.misses = 0
        self.over: account.OverBudget | None = None
        self.stop: BaseException | None = None

    def replies(self, todo: dict[str, Question], *, submit: bool = True) -> Iterator[tuple[str, Call | str]]:
        """(digest, its row once answered, or why it has no answer). submit: false waits for stored batches alone, and
        leaves out what they did not get to. A budget that ends is raised when what it could hold is answered."""
        import httpx

        left, pause = dict(todo), BRIEF
        self.endpoint.secret()
        with httpx.Client() as client:
            while left:
                for digest, found in account.answered(self.cat, list(left)).items():
                    del left[digest]
                    yield digest, found
                held = batches.waiting(self.cat, list(left))
                self.seen |= {batch.id for batch in held.values()}
                self._cancelled()
                fresh = {digest: question for digest, question in left.items() if digest not in held}
                if submit and fresh and self.stop is None and self._hand_in(client, fresh):
                    pause = BRIEF
                    continue
                if not held:
                    self.stop = self.stop or self.over
                    if self.stop is not None or not submit:
                        break
                    time.sleep(BRIEF)  # another process asks them, one by one
                    continue
                before = len(left)
                for digest, why in self._looks(client, {batch.id: batch for batch in held.values()}, left):
                    del left[digest]
                    yield digest, why
                if len(left) == before:
                    pause = self._wait(pause)
        if self.stop is not None:
            raise self.stop

    def _wait(self, pause: float) -> float:
        time.sleep(min(pause, self.endpoint.batch_poll))
        return min(pause * 1.5, self.endpoint.batch_poll)

    def _hand_in(self, client: httpx.Client, fresh: dict[str, Question]) -> bool:
        """Hand in one batch of what is new; False when nothing could be, and `stop` says why where it is for good."""
        some, size = {}, 0
        for digest, question in fresh.items():
            text = batch_wire.line(self.endpoint, digest, question)
            size += len(text) + 1
            if some and (size > MOST_BYTES or len(some) >= self.endpoint.batch_size):
                break
            some[digest] = text
        try:
            batch, taken = batches.begin(self.cat, [self.call(digest, fresh[digest]) for digest in some],
                                         idempotent=self.endpoint.idempotent)  # fmt: skip
        except account.OverBudget as error:  # what runs may cost less than it holds: asked again when it has ended
            self.over = error
            return False
        self.over = None
        if batch is None:
            return False
        try:
            self._submit(client, batch, [some[digest] for digest in taken])
        except BaseException:
            batches.abandon(self.cat, batch.id)
            raise
        return True

    def _submit(self, client: httpx.Client, batch: CallBatch, lines: list[bytes]) -> None:
        """Hand a written batch in. A request that may have arrived is looked for before another is sent."""
        error = Unanswered("the batch was not handed in", again=True)
        for attempt in range(self.endpoint.attempts):
            try:
                return batches.submitted(self.cat, batch.id, batch_wire.submit(client, self.endpoint, batch.id, lines))
            except Unanswered as raised:
                error = raised
                if error.everybody or not error.again:
                    break
                time.sleep(error.after if error.after is not None else min(30.0, 0.5 * 2**attempt))
                if error.billed and self._adopted(client, batch):
                    return None
        self._free(batch, str(error), billed=False)
        if error.everybody:
            raise Missing(str(error)) from None
        raise Refused(f"{error}; no question of the batch was paid, run the same command again")

    def _adopted(self, client: httpx.Client, batch: CallBatch) -> bool:
        """Whether the provider has the batch although we were never told; then we know it from now on."""
        known = batches.remotes(self.cat, self.name)
        found = self._patient(
            lambda: batch_wire.find(client, self.endpoint, batch.id, batch.created, batch.questions, known)
        )
        for remote in found:
            if self.endpoint.api != "anthropic" or self._holds(client, batch, remote):
                batches.submitted(self.cat, batch.id, remote)
                return True
        return False

    def _holds(self, client: httpx.Client, batch: CallBatch, remote: str) -> bool:
        """Whether a batch without a name holds our questions: seen in its results, so it must have ended."""
        pause = BRIEF
        while not (held := self._patient(lambda: batch_wire.look(client, self.endpoint, remote))).ended:
            pause = self._wait(pause)
        first = next(iter(batch_wire.results(client, self.endpoint, held)), None)
        return first is not None and first[0] in batches.waiting(self.cat, [first[0]])

    def _patient(self, act: Callable[[], Any]) -> Any:
        """What a request that changes nothing answers, asked again until the attempts are used up."""
        for attempt in range(self.endpoint.attempts):
            try:
                return act()
            except Unanswered as error:
                if not error.again or attempt + 1 == self.endpoint.attempts:
                    raise Missing(
                        f"{error}; the batch is kept: run the same command again, which looks for it"
                    ) from None
                time.sleep(error.after if error.after is not None else min(30.0, 0.5 * 2**attempt))

    def _looks(
        self, client: httpx.Client, held: dict[str, CallBatch], left: dict[str, Question]
    ) -> Iterator[tuple[str, str]]:
        for batch in held.values():
            for digest, error in self.step(client, batch).items():
                self.tries[digest] += 1
                spent = self.tries[digest] >= self.endpoint.attempts
                if digest in left and (not error.again or spent):
                    yield (
                        digest,
                        f"{error}; given up after {self.tries[digest]} attempts" if error.again else str(error),
                    )

    def _cancelled(self) -> None:
        """Stop where somebody ended a batch that we wait for."""
        for name in [name for name in self.seen if batches.batch_of(self.cat, name).status == "ended"]:
            self.seen.remove(name)
            if batches.batch_of(self.cat, name).cancelled:
                self.stop = Refused(
                    f"batch {name[:8]} was cancelled; what is answered is kept, the same command asks the rest again"
                )

    def step(self, client: httpx.Client, batch: CallBatch) -> dict[str, Unanswered]:
        """Look at a batch once, and settle it if it has ended: its questions without an answer."""
        if batch.remote is None:
            if batches.orphaned(batch) and not self._adopted(client, batch):
                return self._free(batch, "the batch was never handed in", billed=False)
            return {}
        try:
            held = batch_wire.look(client, self.endpoint, batch.remote)
        except Unanswered as error:
            if error.code == 404:
                return self._free(batch, f"{self.endpoint.url} does not know the batch any more", billed=True)
            self.misses += 1
            if not error.again or self.misses >= self.endpoint.attempts:
                raise Missing(f"{error}; the batch is kept: run the same command again, which waits for it") from None
            time.sleep(error.after or 0.0)
            return {}
        self.misses = 0
        self._count(batch, held)
        if not held.ended:
            return {}
        if held.error:
            self._free(batch, held.error, billed=False)
            raise Missing(f"{self.endpoint.url} refused the batch: {held.error}; a smaller one may pass: --batch-size")
        return self._settle(client, batch, held)

    def _settle(self, client: httpx.Client, batch: CallBatch, held: batch_wire.Look) -> dict[str, Unanswered]:
        found = self._patient(lambda: list(batch_wire.results(client, self.endpoint, held)))
        why = "the batch ended before it came to it" if held.cut_short else "the batch has no answer to it"
        return batches.settle(self.cat, batch, self.endpoint, found, left_billed=not held.cut_short, why=why)

    def _free(self, batch: CallBatch, why: str, *, billed: bool) -> dict[str, Unanswered]:
        return batches.settle(self.cat, batch, self.endpoint, [], left_billed=billed, why=why)

    def _count(self, batch: CallBatch, held: batch_wire.Look) -> None:
        if (held.done, held.failed) != (batch.done, batch.failed):
            batches.counted(self.cat, batch.id, held.done, held.failed)
        self.tick(max(0, held.done - self.counted.get(batch.id, 0)))
        self.counted[batch.id] = max(held.done, self.counted.get(batch.id, 0))


def collect(cat: Catalog) -> list[CallBatch]:
    """Look at every batch that runs, and store the answers of those that have ended; all batches, newest first."""
    import httpx

    from catalog.access import check

    check(cat, "write", "batches")
    with httpx.Client() as client:
        for batch in batches.batches(cat, running=True):
            if batch.remote is not None or batches.orphaned(batch):
                _alone(cat, batch).step(client, batch)
    return batches.batches(cat)


def cancel(cat: Catalog, name: str) -> CallBatch:
    """Ask for the end of a batch. What is answered by then is stored when it has ended; the rest is free again."""
    import httpx

    batch = batches.batch_of(cat, name)
    if batch.status == "ended":
        raise Refused(f"batch {batch.id[:8]} has ended already: {batch.done} of {batch.questions} answered")
    batches.mark_cancelled(cat, batch.id)
    with httpx.Client() as client:
        alone = _alone(cat, batch)
        if batch.remote is not None:
            try:
                batch_wire.cancel(client, alone.endpoint, batch.remote)
            except Unanswered as error:
                raise Missing(f"{error}; try again") from None
        alone.step(client, batch)
    return batches.batch_of(cat, batch.id)


def _alone(cat: Catalog, batch: CallBatch) -> Batcher:
    def none(digest: str, question: Question) -> Call:
        raise Refused("batches are only looked at here")

    return Batcher(cat, batch.endpoint, endpoint(cat, batch.endpoint), none)
