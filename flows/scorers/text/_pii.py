"""Where a text holds personal data that has a form: a pattern proposes, a rule or checksum decides.

Precision comes first: what has a checksum must pass it (Luhn for cards, ISO 7064 mod 97 for IBANs), numbers must lie in
assigned ranges (E.164 country codes, North American area codes, social security areas, routable addresses), and what is
reserved for examples (RFC 2606 domains, private and documentation addresses) is nobody's data and does not count.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

KINDS = ("email", "iban", "card", "ip", "ssn", "phone")
"""In order of precedence: text that one kind has claimed is not another's."""


class Found(NamedTuple):
    kind: str
    start: int
    end: int


def find_pii(text: str, kinds: tuple[str, ...] = KINDS) -> list[Found]:
    """Every finding in order of position, without overlaps."""
    taken: list[Found] = []
    for kind in KINDS:
        if kind in kinds:
            spans = (Found(kind, start, end) for start, end in FINDERS[kind](text))
            taken += [span for span in spans if all(span.end <= t.start or span.start >= t.end for t in taken)]
    return sorted(taken, key=lambda found: found.start)


# -- mail addresses ------------------------------------------------------------------------------------------------

_LOCAL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_%+'-]|\.(?!\.)){0,63}$")
_DOMAIN = re.compile(
    r"@((?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,8}[A-Za-z]{2,24})(?![A-Za-z0-9@-]|\.[A-Za-z0-9])"
)
_LOCAL_CHARS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_%+'-.$")
_RESERVED = re.compile(r"(?:^|\.)(?:example\.(?:com|org|net)|example|test|invalid|localhost|local)$", re.I)
_FILE = re.compile(r"\.(?:png|jpe?g|gif|svg|webp|ico|css|js|ts|html?|php|json|md|pdf|mp[34])$", re.I)


def _emails(text: str) -> Iterator[tuple[int, int]]:
    at = text.find("@")
    while at >= 0:
        first = at
        while first > 0 and at - first <= 64 and text[first - 1] in _LOCAL_CHARS:
            first -= 1
        local = text[first:at].lstrip(".'%+-")
        domain = _DOMAIN.match(text, at)
        usable = local and len(local) <= 64 and local[-1] not in ".'" and _LOCAL.fullmatch(local)
        if domain and usable and not _RESERVED.search(domain[1]) and not _FILE.search(domain[1]):
            yield at - len(local), domain.end()
        at = text.find("@", at + 1)


# -- account numbers -----------------------------------------------------------------------------------------------

_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}[0-9]{2}(?= ?[A-Z0-9])")
_CARD = re.compile(
    r"(?<![\w.+-])[2-6][0-9]{3}(?:([ -]?)[0-9]{4}\1[0-9]{4}\1[0-9]{1,7}|([ -]?)[0-9]{6}\2[0-9]{4,5})(?![\w-]|\.[0-9])"
)
_CARD_RANGES = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|3[47]\d{13}"
    r"|6(?:011|4[4-9]\d|5\d\d)\d{12,15}|62\d{14,17}|3(?:0[0-5]|[689]\d)\d{11,16}|35(?:2[89]|[3-8]\d)\d{12,15}"
)


@cache
def _iban_lengths() -> dict[str, int]:
    return json.loads((Path(__file__).parent / "iban_lengths.json").read_text("utf-8"))


def mod97(iban: str) -> bool:
    """ISO 13616: the first four characters moved to the end, letters as 10 ... 35, remainder 1."""
    return int("".join(str(int(char, 36)) for char in iban[4:] + iban[:4])) % 97 == 1


def luhn(digits: str) -> bool:
    """ISO/IEC 7812: every second digit from the right doubled, digits summed, divisible by ten."""
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (sum(map(int, digits[-1::-2])) + sum(doubled)) % 10 == 0


def _ibans(text: str) -> Iterator[tuple[int, int]]:
    for start in _IBAN.finditer(text):
        length = _iban_lengths().get(start[0][:2], 0)
        match = length and re.compile(rf"(?:[A-Z0-9] ?){{{length - 1}}}[A-Z0-9](?![A-Za-z0-9])").match(
            text, start.start()
        )
        if match and mod97(match[0].replace(" ", "")):
            yield match.span()


def _cards(text: str) -> Iterator[tuple[int, int]]:
    for match in _CARD.finditer(text):
        digits = re.sub(r"\D", "", match[0])
        if _CARD_RANGES.fullmatch(digits) and luhn(digits) and len(set(digits)) > 1:
            yield match.span()


# -- addresses of machines, social security numbers ----------------------------------------------------------------

_IP4 = re.compile(r"(?<![\w.])(?<!version )(?<!Version )(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?!\w|\.[0-9])")
_IP6 = re.compile(r"(?<![\w:.])[23][0-9A-Fa-f]{3}:[0-9A-Fa-f:]{2,34}(?![\w:])")
_NOT_IP = re.compile(r"(?:[0-9]\.){3}[0-9]$|(?:1\.[23]|2\.5)\.")  # section and version numbers; object identifiers
_SSN = re.compile(r"(?<![\w-])(?!000|666|9)[0-9]{3}-(?!00)[0-9]{2}-(?!0000)[0-9]{4}(?![\w-])")
_SSN_CUE = re.compile(
    r"(?i)\b(?:ssn|social security)\W{0,3}(?:number|no\.?|#)?\W{0,4}((?!000|666|9)[0-9]{3}[ ]?(?!00)[0-9]{2}[ ]?(?!0000)[0-9]{4})\b"
)
_SSN_PRINTED = {"078-05-1120", "219-09-9999"}  # printed in advertisements and never valid since


def _ips(text: str) -> Iterator[tuple[int, int]]:
    for match in [*_IP4.finditer(text), *_IP6.finditer(text)]:
        try:
            address = ipaddress.ip_address(match[0])
        except ValueError:
            continue
        if address.is_global and not address.is_multicast and not _NOT_IP.match(match[0]):
            yield match.span()


def _ssns(text: str) -> Iterator[tuple[int, int]]:
    yield from (match.span() for match in _SSN.finditer(text) if match[0] not in _SSN_PRINTED)
    yield from (match.span(1) for match in _SSN_CUE.finditer(text))


# -- telephone numbers ---------------------------------------------------------------------------------------------

_GAP = r"[ .\-/\u00a0\u2011]?"
_CODES = (
    r"(?:[17]|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]|21[12368]|2[2-6][0-9]|29[01789]|3[578][0-9]|42[013]"
    r"|50[0-9]|59[0-9]|67[02-9]|68[0-9]|69[0-2]|80[08]|85[02356]|87[08]|88[0-368]|96[0-8]|97[0-79]|99[2-68])"
)
_WORLD = re.compile(rf"(?<![\w+])\+{_CODES}{_GAP}(?:\([0-9]{{1,5}}\){_GAP})?[0-9](?:{_GAP}[0-9]){{5,12}}(?![\w])")
_AREA = r"(?!.11)[2-9][0-9]{2}"
_AMERICA = re.compile(
    rf"(?<![\w.+$-])(?:\+?1[ .-]?)?(?:\({_AREA}\) ?|{_AREA}([-. ]))(?!.11)[2-9][0-9]{{2}}(?(1)\1|[-. ])[0-9]{{4}}(?![\w-]|\.[0-9])"
)
_CUED = re.compile(
    r"(?i)\b(?:tel|phone|telephone|mobile|cell|fax|whatsapp|telefon|téléphone|tél|teléfono|telefono|handy|call(?: us)?(?: at| on)?)"
    r"(?:\.|\b)(?: ?(?:no\.?|number|nr\.?))?\s{0,2}[:.]?\s{0,2}(\(?[0-9](?:[ .()/-]{0,2}[0-9]){6,13})(?![\w-]|\.[0-9])"
)


def _phones(text: str) -> Iterator[tuple[int, int]]:
    last = 0
    for start, end in sorted(
        [m.span() for m in _WORLD.finditer(text)]
        + [m.span() for m in _AMERICA.finditer(text)]
        + [m.span(1) for m in _CUED.finditer(text)]
    ):
        digits = re.sub(r"\D", "", text[start:end])
        if start >= last and 7 <= len(digits) <= 15 and len(set(digits)) > 1 and not _looks_like_date(text[start:end]):
            yield start, end
            last = end


def _looks_like_date(text: str) -> bool:
    return re.fullmatch(r"(?:19|20)[0-9]{2}[-./ ][0-9]{1,2}[-./ ][0-9]{1,2}", text) is not None


FINDERS = {"email": _emails, "iban": _ibans, "card": _cards, "ip": _ips, "ssn": _ssns, "phone": _phones}
