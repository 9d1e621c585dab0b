"""Every failure a user can cause, as one tree.

    StrataError                      root: one line that names the thing, the reason and the remedy
    ├── NotFound(LookupError)        dataset, version, column, scorer, mix, run ...; lists near matches
    ├── NameTaken                    the name is in use; pick another or drop the holder
    ├── BadInput(ValueError)         a name, option, file, spec or query that cannot be used as given
    ├── Missing                      an optional package, a model or a service is not here; says how to get it
    ├── Refused                      a contract, a permission or a gate says no; `missing` lists each item
    ├── Busy                         another process holds the lease or runs; try again later
    └── Corrupt                      stored bytes disagree with the metadata; `strata doctor` says more

The command line prints `error: <message>` and exits with status 2 for all of them. Anything else is a bug.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class StrataError(Exception):
    """Root of the tree. Facts are attributes, so that they survive JSON and process boundaries."""

    def __init__(self, message: str, **facts: object) -> None:
        super().__init__(message)
        self.message = message
        self.facts = facts

    def __str__(self) -> str:
        return self.message

    def __reduce__(self):
        return (_rebuild, (type(self), self.message, self.facts))


def _rebuild(kind: type[StrataError], message: str, facts: dict) -> StrataError:
    error = kind.__new__(kind)
    StrataError.__init__(error, message, **facts)
    return error


class NotFound(StrataError, LookupError):
    """Nothing has that name. The message lists the nearest names that exist."""

    def __init__(self, noun: str, name: str, known: Iterable[str] = (), remedy: str = "") -> None:
        known = sorted(set(known))
        near = get_close_matches(name, known, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else ""
        if not hint and known and len(known) <= 12:
            hint = f"there are: {', '.join(known)}"
        tail = "; ".join(part for part in (hint, remedy) if part)
        super().__init__(f"no {noun} {name!r}" + (f": {tail}" if tail else ""), noun=noun, name=name, near=near)


class NameTaken(StrataError):
    """The name is in use in the shared namespace of datasets, selections and mixes."""


class BadInput(StrataError, ValueError):
    """Something given cannot be used; the message says what to give instead."""


class Missing(StrataError):
    """A package, model or service that this step needs is not here; the message says how to get it."""


class Refused(StrataError):
    """A contract or gate said no. `facts["missing"]` is a list of one-line items."""


class Busy(StrataError):
    """Somebody else holds the lease or the run; wait or stop them, then repeat the command."""


class Corrupt(StrataError):
    """Stored data disagree with the metadata. Run `strata doctor`."""
