"""The one port through which commands print: tables and JSON on stdout, notes and progress on stderr.

Nothing of the catalog is imported here or at the top of any command module: `strata --help` must start in a blink.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from catalog import Catalog

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.", show_default=False)]
Show = Callable[..., None]

HOME: list[str | None] = [None]
"""The --home option of this process; None leaves the choice to STRATA_HOME."""


def opened() -> Catalog:
    """The catalog of this command."""
    from catalog import Catalog

    return Catalog.open(HOME[0])


def emit(as_json: bool, data: Any, human: Callable[[], None]) -> None:
    """Print data as JSON, or let `human` print it."""
    if not as_json:
        human()
        return
    from ui.shapes import plain

    print(json.dumps(plain(data), ensure_ascii=False, indent=2))


def note(text: str) -> None:
    """A line for the person at the terminal, never for the script behind the pipe."""
    print(text, file=sys.stderr, flush=True)


def number(value: Any) -> str:
    """Counts with separators, floats with four digits, nothing for null."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(str(item) for item in value)
    return str(value)


def table(
    rows: Iterable[dict[str, Any]],
    columns: Sequence[str],
    *,
    empty: str = "nothing to show",
    title: str = "",
    as_named: bool = False,
) -> None:
    """Print chosen keys of rows; on a terminal the last column wraps, in a pipe nothing is cut.

    as_named: the columns are somebody's names, to be shown as they are, not keys of ours to be read as words.
    """
    rows = list(rows)
    if not rows:
        print(empty)
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    made = Table(box=box.SIMPLE_HEAD, title=title or None, title_justify="left", pad_edge=False)
    for name in columns:
        numeric = all(isinstance(row.get(name), (int, float, type(None))) for row in rows)
        head = Text(name) if as_named else name.replace("_", " ")
        made.add_column(head, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        made.add_row(*(Text(number(row.get(name))) for name in columns))
    Console(width=None if sys.stdout.isatty() else 240, soft_wrap=False).print(made)


def facts(pairs: dict[str, Any]) -> None:
    """Print names and values, one a line; empty ones are left out."""
    shown = {name: number(value) for name, value in pairs.items() if value not in (None, "", {}, [])}
    width = max((len(name) for name in shown), default=0)
    for name, value in shown.items():
        print(f"{name:<{width}}  {value}")


@contextmanager
def progress(label: str) -> Iterator[Show]:
    """A bar on a terminal, a line every ten seconds elsewhere; `show(done, total, unit)` moves it."""
    if not sys.stderr.isatty() or os.environ.get("STRATA_PROGRESS") == "lines":
        yield _lines(label)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    amount = TextColumn("{task.fields[amount]}")
    columns = (TextColumn("{task.description}"), BarColumn(), amount, TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(label, total=None, amount="")

        def show(done: int, total: int | None = None, unit: str = "", **_: Any) -> None:
            bars.update(task, completed=done, total=total, amount=_amount(done, total, unit))

        yield show


def _amount(done: int, total: int | None, unit: str) -> str:
    if unit == "bytes":
        return f"{done / 1e6:,.1f}" + (f" of {total / 1e6:,.1f} MB" if total else " MB")
    return f"{done:,}" + (f" of {total:,}" if total else "") + f" {unit}"


def _lines(label: str) -> Show:
    last = [time.monotonic()]

    def show(done: int, total: int | None = None, unit: str = "", **_: Any) -> None:
        if time.monotonic() - last[0] >= 10:
            last[0] = time.monotonic()
            note(f"{label}: {_amount(done, total, unit)}")

    return show


def pairs(items: Sequence[str], option: str) -> dict[str, Any]:
    """`k=v` options as a mapping; a value that is JSON is read as JSON, anything else is text."""
    from catalog.errors import BadInput

    found: dict[str, Any] = {}
    for item in items:
        name, given, value = item.partition("=")
        if not given or not name:
            raise BadInput(f"{option} wants name=value, not {item!r}")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found
