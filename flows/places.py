"""Where a run happens: inline, on the home's own Prefect server, or on the team's. The choice is printed.

Short work runs inline: a server would only add its own seconds. `--on` overrides the choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from catalog.errors import BadInput
from flows.planner import Plan
from flows.prefect_api import PrefectApi, team_endpoint
from flows.server import status

if TYPE_CHECKING:
    from catalog.catalog import Catalog

Kind = Literal["inline", "home", "team"]
KINDS = ("inline", "home", "team")
SHORT_SECONDS = 60.0


@dataclass(frozen=True)
class Place:
    """A chosen place, the sentence to print, and its server where it has one that runs already."""

    kind: Kind
    sentence: str
    endpoint: PrefectApi | None = None


def choose(
    cat: Catalog,
    planned: Plan,
    requested: str | None = None,
    *,
    seconds: float | None = None,
    guessed: Sequence[str] = (),
) -> Place:
    """Pick a place for a plan. seconds: the estimated time; guessed: scorers whose part of it is guessed by rows."""
    if requested is not None and requested not in KINDS:
        raise BadInput(f"--on {requested!r} is not one of {', '.join(KINDS)}")
    about = f"about {duration(seconds)}" if seconds is not None else f"{sum(s.missing for s in planned.todo)} values"
    if seconds is not None and guessed:
        about += f" ({', '.join(guessed)} by its rows alone, no pilot can tell)"
    team, home = team_endpoint(), None
    if requested == "inline":
        return Place("inline", f"running inline, as asked: {about}")
    if requested == "team":
        if team is None:
            raise BadInput("--on team needs PREFECT_API_URL (and PREFECT_API_AUTH_STRING or PREFECT_API_KEY)")
        return Place("team", f"running on the team's server {team.url}, as asked: {about}", team)
    if requested == "home":
        home = status(cat)
        return Place("home", f"running on the home's server, as asked: {about}", home.endpoint if home else None)
    if not planned.todo:
        return Place("inline", "nothing is missing: no run is needed")
    if seconds is None or seconds <= SHORT_SECONDS:
        return Place("inline", f"running inline: {about}" + (" is short" if seconds is not None else ""))
    if team is not None:
        return Place("team", f"running on the team's server {team.url}: {about} (--on inline to stay here)", team)
    if (home := status(cat)) is not None:
        return Place(
            "home", f"running on the home's server {home.url}: {about} (--on inline to stay here)", home.endpoint
        )
    return Place("inline", f"running inline: {about}, and no server runs (--on home starts one and can be left)")


def duration(seconds: float) -> str:
    """A time as people say it."""
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
