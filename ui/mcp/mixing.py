"""Mixes, trials and ledgers as MCP tools: all read but mix_publish, mix_revise and trial_add, which add and change nothing
that is there. Signing keys and retractions stay with people: `retract_reach` only says what one would reach."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from catalog.access import check
from ui import mixing
from ui.mcp.consent import refuse_parts, refuse_where, withheld
from ui.shapes import mixer_row, plain, trial_row

if TYPE_CHECKING:
    from catalog import Catalog


def register(tool: Callable[..., Any], who: Callable[[], Catalog], texts: bool) -> None:
    """Add the tools to a server. who: the catalog in the hands of the caller."""
    _specs(tool, who, texts)
    _mixes(tool, who, texts)
    _trials(tool, who)
    _served(tool, who, texts)


def _specs(tool: Callable[..., Any], who: Callable[[], Catalog], texts: bool) -> None:
    @tool
    def mixers() -> list[dict[str, Any]]:
        """The methods that turn parts, trials and a goal into weights: what each takes and cites."""
        from catalog.plugins import plugins

        check(who(), "read", "mixers")
        return [mixer_row(held) for held in plugins("mixer").values()]

    @tool
    def mix_preview(spec: dict[str, Any]) -> dict[str, Any]:
        """What publishing a mix spec would freeze: rows, samples, tokens, epochs and verdicts. Changes nothing.

        spec: {name, parts: [{dataset, weight | samples | tokens, where, max_epochs}], unit, total, seed, order, stages, use}."""
        from catalog.mixes import preview

        if not texts:
            refuse_parts(who(), spec.get("parts"))
        check(who(), "read", "mix")
        return preview(who(), spec)

    @tool
    def mix_weights(
        spec: dict[str, Any], mixer: str, params: dict[str, Any] | None = None, trials: str | None = None,
        goal: str = "", better: str = "lower", seed: int = 0,
    ) -> dict[str, Any]:  # fmt: skip
        """Weights for the parts of a spec by a mixer, with the outcome it predicts and its interval. Changes nothing.

        trials: "catalog" for the recorded runs, or "catalog:PATTERN" for those of models with such a name."""
        if not texts:
            refuse_parts(who(), spec.get("parts"))
        return mixing.weigh(
            who(), spec, mixer, params=params, trials=trials, goal=goal, better=better, seed=seed
        )  # fmt: skip

    @tool
    def mix_front(
        spec: dict[str, Any], results: list[str] | None = None, trials: str = "catalog", mixer: str | None = None,
        params: dict[str, Any] | None = None, take: str | None = None, seed: int = 0,
    ) -> dict[str, Any]:  # fmt: skip
        """Recorded mixes of a spec's parts that no other beats in two results at once (Pareto). Changes nothing.

        results: two, such as ["loss", "acc:higher"]. mixer: regmix or mixing_laws also predicts mixes, which are not
        measured. take: key of a point whose weights the `spec` of the answer has."""
        if not texts:
            refuse_parts(who(), spec.get("parts"))
        return mixing.front(
            who(), spec, results or [], trials=trials, mixer=mixer, params=params, take=take, seed=seed
        )  # fmt: skip

    @tool
    def mix_split(spec: dict[str, Any], by: str, parts: list[str] | None = None) -> dict[str, Any]:
        """The spec with its parts cut by the values of a column, so that each value can be weighted. Changes nothing."""
        if not texts:
            refuse_parts(who(), spec.get("parts"), [by])
        return mixing.split(who(), spec, by, parts)

    def mix_publish(spec: dict[str, Any]) -> dict[str, Any]:
        """Freeze a mix spec by a lock: the next version of its name. Wants the right to write."""
        if not texts:
            refuse_parts(who(), spec.get("parts"))
        return mixing.publish(who(), spec)

    tool(mix_publish, writes=True)


def _mixes(tool: Callable[..., Any], who: Callable[[], Catalog], texts: bool) -> None:
    @tool
    def mixes() -> list[dict[str, Any]]:
        """The published mixes: reference, digest, samples, parts, what each revises."""
        return mixing.list_mixes(who())

    @tool
    def mix(ref: str) -> dict[str, Any]:
        """A published mix: what it serves, its verdicts, and its lock."""
        held = plain(mixing.mix_facts(who(), ref))
        return held if texts else withheld(held)

    @tool
    def mix_verify(ref: str, key: str | None = None) -> list[dict[str, Any]]:
        """Who signed a mix, and whether what they signed is this lock. key: a fingerprint that must have signed."""
        return mixing.verify(who(), ref, key)

    def mix_revise(
        ref: str, at_sample: int, weights: dict[str, float] | None = None,
        add: list[str | dict[str, Any]] | None = None, total: int | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """Change weights of a mix, or add parts, from global index `at_sample` on: its next version. Wants the right to write."""
        if not texts:
            refuse_parts(who(), add)
        return mixing.revise(who(), ref, at_sample, weights or {}, add, total)

    tool(mix_revise, writes=True)


def _trials(tool: Callable[..., Any], who: Callable[[], Catalog]) -> None:
    @tool
    def trials(mix: str | None = None) -> list[dict[str, Any]]:
        """Recorded training runs, of one mix or of all, oldest first: seed, step, tokens, results."""
        from catalog.trials import list_trials

        return [trial_row(held) for held in list_trials(who(), mix)]

    @tool
    def trial(name: str) -> dict[str, Any]:
        """One recorded run, by its id, the beginning of it, or its model's name."""
        from catalog.trials import find_trial

        return trial_row(find_trial(who(), name))

    @tool
    def trial_compare(
        a: str, b: str, results: list[str] | None = None, model: str | None = None
    ) -> list[dict[str, Any]]:
        """Runs of mix b against those of mix a, paired by seed: difference, interval, and a tie where that holds zero."""
        return mixing.compare_trials(who(), [a, b], results=results, models=model)

    def trial_add(
        mix: str, results: dict[str, float], step: int = 0, seed: int = 0, tokens: int | None = None,
        size: int | None = None, model: str = "", diverged: bool = False, note: str = "",
    ) -> dict[str, Any]:  # fmt: skip
        """Record what training on a published mix measured; the same results twice are one trial. Wants the right to write."""
        from catalog.trials import add_trial

        made = add_trial(who(), mix, results, step=step, seed=seed, tokens=tokens, size=size, model=model,
                         diverged=diverged, note=note)  # fmt: skip
        return trial_row(made)

    tool(trial_add, writes=True)


def _served(tool: Callable[..., Any], who: Callable[[], Catalog], texts: bool) -> None:
    @tool
    def ledgers(mix: str) -> dict[str, Any]:
        """Runs on a mix whose ledger, what they were served, is recorded."""
        return mixing.ledger_runs(who(), mix)

    @tool
    def ledger(mix: str, run: str) -> dict[str, Any]:
        """Whether a run lost or repeated samples, and how much of each part is left."""
        return mixing.ledger(who(), mix, run)

    @tool
    def ledger_curves(mix: str, run: str, by: str = "part", bins: int = 20) -> list[dict[str, Any]]:
        """Mean loss of each part or source of a run, by stretch of steps."""
        held = plain(mixing.curves(who(), mix, run, by, min(max(bins, 1), 1000)))
        return held if texts else withheld(held)

    @tool
    def ledger_who(sample: str) -> list[dict[str, Any]]:
        """Every time a recorded run was served a sample: mix, run, step, epoch, loss."""
        return mixing.served(who(), sample)

    @tool
    def retract_reach(
        match: str | None = None, where: str | None = None, ids: list[str] | None = None,
        datasets: list[str] | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """What a retraction would reach: rows, copies, children, mixes and pulls that served them. Changes nothing.

        match: the beginning of an address, a sample id, or a source; or a filter; or sample ids."""
        cat = who()
        if where and not texts:
            refuse_where(cat, where, datasets or [held.name for held in cat.datasets()])
        held = cat.retract(reason="asked over MCP", match=match, where=where, ids=ids, datasets=datasets, dry_run=True)
        return {name: value for name, value in held.items() if name not in ("reason", "asked", "included")}
