"""Which licences go with which use: an algebra over what is declared, not legal advice.

A use asks for permissions, a licence grants some. The table knows families by their SPDX names (https://spdx.org/licenses)
and by the names that data hubs use; what it does not know is unknown, and unknown allows nothing. Obligations (name the
authors, share alike) never block, they are listed. Whether what is declared is true is a person's to verify.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from catalog.errors import BadInput

Use = Literal["research", "commercial", "share", "share-commercial"]
USES: dict[str, str] = {
    "research": "train models for non-commercial work",
    "commercial": "train models that earn money",
    "share": "hand the rows on, not for money",
    "share-commercial": "hand the rows on, or sell them",
}


@dataclass(frozen=True)
class Terms:
    """What a licence grants and asks for. changes: may changed rows be handed on?"""

    commercial: bool = True
    changes: bool = True
    share: bool = True
    attribution: bool = False
    share_alike: bool = False


FAMILIES: list[tuple[str, Terms]] = [
    (r"cc0.*|pddl.*|unlicense|wtfpl|0bsd|mit-0|public[- ]domain|pdm.*", Terms()),
    (r"cc-by-nc-nd.*", Terms(commercial=False, changes=False, attribution=True)),
    (r"cc-by-nc-sa.*", Terms(commercial=False, attribution=True, share_alike=True)),
    (r"cc-by-nc.*", Terms(commercial=False, attribution=True)),
    (r"cc-by-nd.*", Terms(changes=False, attribution=True)),
    (r"cc-by-sa.*|gfdl.*", Terms(attribution=True, share_alike=True)),
    (r"cc-by(-\d.*)?", Terms(attribution=True)),
    (r"odbl.*|cdla-sharing.*", Terms(attribution=True, share_alike=True)),
    (r"odc-by.*|cdla-permissive.*", Terms(attribution=True)),
    (
        r"mit|apache-2\.0|apache|bsd.*|isc|zlib|ncsa|ms-pl|postgresql|python-2\.0|psf-2\.0|artistic-2\.0",
        Terms(attribution=True),
    ),
    (r"a?gpl.*|lgpl.*|mpl.*|epl.*|eupl.*|cecill.*|ms-rl|osl.*", Terms(attribution=True, share_alike=True)),
]


def terms(licence: str | None) -> Terms | None:
    """The terms of a licence by its name; None where the table does not know it."""
    name = re.sub(r"[\s_]+", "-", (licence or "").strip().lower())
    return next((held for pattern, held in FAMILIES if re.fullmatch(pattern, name)), None)


def blocks(licence: str | None, use: str) -> str:
    """Why a licence does not go with a use; empty where it does. For "A OR B" the reader may choose, for "A AND B" not."""
    check_use(use)
    text = (licence or "").strip()
    if " OR " in text.upper():
        reasons = [blocks(one, use) for one in re.split(r"\s+OR\s+", text.strip("()"), flags=re.IGNORECASE)]
        return "" if not all(reasons) else reasons[0]
    if " AND " in text.upper():
        return next(
            (why for one in re.split(r"\s+AND\s+", text.strip("()"), flags=re.IGNORECASE) if (why := blocks(one, use))),
            "",
        )
    held = terms(text)
    if held is None:
        return f"{text} is not a licence this table knows" if text else "no licence is declared"
    if "commercial" in use and not held.commercial:
        return "it forbids commercial use"
    if use.startswith("share") and not held.changes:
        return "it forbids handing on changed rows"
    return ""


def obligations(licence: str | None) -> list[str]:
    """What a licence asks of who uses it."""
    held = terms(licence)
    asked = [("attribution", held.attribution), ("share alike", held.share_alike)] if held else []
    return [name for name, wanted in asked if wanted]


def check_use(use: str) -> None:
    if use not in USES:
        raise BadInput(
            f"use {use!r} is not known; say one of: " + "; ".join(f"{name} ({what})" for name, what in USES.items())
        )
