"""Numbers, sizes and times as people read them. An absent value is a dash, never a zero; below zero stands a minus sign."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

DASH = "–"


def count(value: int | float | None) -> str:
    """1234567 -> 1,234,567"""
    return DASH if value is None else _signed(f"{int(value):,}")


def _signed(text: str) -> str:
    """A minus sign, which is as wide as a plus, in place of the hyphen in front."""
    return "−" + text[1:] if text.startswith("-") else text


def compact(value: int | float | None) -> str:
    """1234567 -> 1.23M; below ten thousand in full."""
    if value is None:
        return DASH
    if abs(value) < 10_000:
        return count(value)
    return _scaled(float(value), 1000, ("", "k", "M", "B", "T"))


def size(value: int | float | None) -> str:
    """Bytes in powers of 1024."""
    return DASH if value is None else _scaled(float(value), 1024, (" B", " KiB", " MiB", " GiB", " TiB"))


def _scaled(amount: float, step: int, suffixes: tuple[str, ...]) -> str:
    """Three significant digits and the suffix that fits after rounding."""
    at = 0
    while abs(amount) >= step - 0.5 and at < len(suffixes) - 1:
        amount, at = amount / step, at + 1
    digits = 0 if abs(amount) >= 100 or not at else 1 if abs(amount) >= 10 else 2
    text = f"{amount:,.{digits}f}"
    return _signed(text.rstrip("0").rstrip(".") if "." in text else text) + suffixes[at]


def plural(number: int, one: str, many: str | None = None) -> str:
    """ "1 row", "2 rows"."""
    return f"{_signed(f'{number:,}')} {one if number == 1 else many or one + 's'}"


def share(part: float | None, whole: float | None = 1.0) -> str:
    """A percentage that never rounds to 100 or to 0 what is not."""
    if part is None or not whole:
        return DASH
    value = 100 * part / whole
    if value in (0, 100):
        return f"{value:.0f}%"
    if value > 99.9:
        return ">99.9%"
    if value < 0.1:
        return "<0.1%"
    return f"{value:.1f}%"


def number(value: Any) -> str:
    """A cell: integers in full, floats with four significant digits."""
    if value is None:
        return DASH
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return count(value)
    if isinstance(value, float):
        if value != value:
            return "NaN"
        if value in (float("inf"), float("-inf")):
            return "∞" if value > 0 else "−∞"
        if value == int(value) and abs(value) < 1e6:
            return count(value)
        form = ".3g" if abs(value) >= 1e6 or 0 < abs(value) < 1e-4 else ",.4g" if abs(value) < 1e4 else ",.0f"
        return _signed(f"{value:{form}}")
    return str(value)


def moment(stamp: str | None) -> datetime | None:
    return datetime.fromisoformat(stamp) if stamp else None


def ago(stamp: str | None) -> str:
    """ "12 s ago" up to "3 d ago", then the date."""
    when = moment(stamp)
    if when is None:
        return DASH
    seconds = max(0.0, (datetime.now(UTC) - when).total_seconds())
    if seconds < 10:
        return "just now"
    for limit, unit, name in ((90, 1, "s"), (5400, 60, "min"), (129_600, 3600, "h"), (86_400 * 14, 86_400, "d")):
        if seconds < limit:
            return f"{seconds / unit:.0f} {name} ago"
    return when.date().isoformat()


def lasted(began: str | None, ended: str | None) -> str:
    """How long something ran, or has run so far."""
    begin = moment(began)
    if begin is None:
        return DASH
    return duration(((moment(ended) or datetime.now(UTC)) - begin).total_seconds())


def duration(seconds: float | None) -> str:
    if seconds is None:
        return DASH
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{int(seconds // 60)} min {int(seconds % 60)} s"
    return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60)} min"


def stamp(value: str | None) -> str:
    """A time in UTC, to the minute."""
    when = moment(value)
    return DASH if when is None else when.astimezone(UTC).strftime("%Y-%m-%d %H:%M")
