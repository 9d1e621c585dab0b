"""The front over two results as every face tells it: which runs, which results, what a mixer predicts, a point as a spec."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from catalog.errors import BadInput, NotFound
from flows.mix_front import Aim, Front, Point, aims_of, measured, predicted, with_weights
from flows.mixing import given_shares, names_of, open_parts, trials_from

if TYPE_CHECKING:
    from catalog.catalog import Catalog

UNTRIED = "predictions are not measured: train on a mix before you trust it"


def front(
    cat: Catalog,
    spec: str | Path | dict[str, Any],
    results: Sequence[str] = (),
    *,
    trials: str | Path = "catalog",
    mixer: str | None = None,
    params: dict[str, Any] | None = None,
    take: str | None = None,
    every: bool = False,
    seed: int = 0,
) -> dict[str, Any]:
    """Mixes of a spec's parts that no other beats in two results at once. Changes nothing in the catalog.

    results: two of them, as `aims_of` reads them. trials: as `flows.mixing.weigh` has them. mixer: one that predicts other
    mixes within the caps of the spec, fitted with params once a result. take: key of the point whose weights "spec" gets.
    every: also the predictions that lie behind their front.

    {"parts", "results": [{"result", "better"}], "runs", "measured", "on_front", "points": [{"key", "kind", "front",
    "weights", "values": {result: {"value", "low", "high"}}, "runs", "size", "tokens", "trials", "mixes"}], "notes",
    "report"}. kind: "run" is measured; "drawn", "best" in one result and "spec" are predicted, with a front of their own.
    """
    if params and mixer is None:
        raise BadInput("parameters are those of a mixer; name the one that predicts, such as regmix")
    _, made, at = open_parts(spec)
    names = names_of(made, at)
    held = trials_from(cat, trials, names)
    aims = aims_of(held, results)
    runs = measured(held, names, aims)
    fitted = _fitted(cat, spec, names, mixer, aims, held, params, seed) if mixer else None
    points = [*runs.points, *(fitted.points if fitted else ())]
    shown = [point for point in points if every or point.kind != "drawn" or not point.front or point.key == take]
    return {
        "parts": names,
        "results": [{"result": aim.name, "better": aim.better} for aim in aims],
        "runs": sum(point.runs for point in runs.points),
        "measured": len(runs.points),
        "on_front": sum(not point.front for point in runs.points),
        "points": _told(cat, names, aims, shown),
        "notes": [*runs.notes, *((UNTRIED, *fitted.notes) if fitted else ())],
        **({"report": _plain(fitted.reports)} if fitted else {}),
        **({"take": take, "spec": with_weights(spec, _found(points, take))} if take is not None else {}),
    }


def _fitted(
    cat: Catalog, spec: Any, names: list[str], mixer: str, aims: tuple[Aim, Aim], held: Any, params: Any, seed: int
) -> Front:
    shares = given_shares(spec, names)
    now = [shares[name] for name in names] if shares else None
    return predicted(cat, spec, mixer, aims, held, params=params, now=now, seed=seed)


def _found(points: Sequence[Point], key: str) -> Point:
    for point in points:
        if point.key == key:
            return point
    raise NotFound("point", key, [point.key for point in points], "its key stands in the list of points")


def _told(cat: Catalog, names: list[str], aims: tuple[Aim, Aim], points: Sequence[Point]) -> list[dict[str, Any]]:
    from catalog.trials import mixes_of

    mixes = mixes_of(cat, [trial for point in points for trial in point.trials])
    return [
        {
            "key": point.key,
            "kind": point.kind,
            "front": point.front,
            "weights": dict(zip(names, point.weights, strict=True)),
            "values": {
                aim.name: {"value": value, "low": low, "high": high}
                for aim, value, low, high in zip(aims, point.values, point.low, point.high, strict=True)
            },
            "runs": point.runs,
            "size": point.size,
            "tokens": point.tokens,
            "trials": list(point.trials),
            "mixes": list(dict.fromkeys(mixes[trial] for trial in point.trials if trial in mixes)),
        }
        for point in points
    ]


def _plain(reports: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return orjson.loads(orjson.dumps(reports, option=orjson.OPT_SERIALIZE_NUMPY))
