"""What a described need asks for: facts that can be checked against a card, and words to look for.

    read_need("multilingual news with dates, free for commercial use, 10k rows at least")
    -> use commercial, several languages, field created, at least 10,000 rows; words "multilingual news with dates"

By patterns, in English, the same every time. What is not understood stays among the words. The need may hold anything;
nothing in it is carried out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from catalog.errors import BadInput
from catalog.schema import TIERS

LONGEST = 2000

_PAIRS = (
    "afrikaans:af albanian:sq amharic:am arabic:ar armenian:hy azerbaijani:az basque:eu belarusian:be bengali:bn "
    "bosnian:bs bulgarian:bg burmese:my catalan:ca chinese:zh mandarin:zh croatian:hr czech:cs danish:da dutch:nl "
    "english:en esperanto:eo estonian:et finnish:fi french:fr galician:gl georgian:ka german:de greek:el "
    "gujarati:gu hausa:ha hebrew:he hindi:hi hungarian:hu icelandic:is igbo:ig indonesian:id irish:ga italian:it "
    "japanese:ja javanese:jv kannada:kn kazakh:kk khmer:km korean:ko kurdish:ku kyrgyz:ky lao:lo latin:la "
    "latvian:lv lithuanian:lt luxembourgish:lb macedonian:mk malagasy:mg malay:ms malayalam:ml maltese:mt "
    "maori:mi marathi:mr mongolian:mn nepali:ne norwegian:no oriya:or pashto:ps persian:fa farsi:fa "
    "portuguese:pt punjabi:pa quechua:qu romanian:ro russian:ru sanskrit:sa serbian:sr sindhi:sd sinhala:si "
    "slovak:sk slovenian:sl somali:so spanish:es sundanese:su swahili:sw swedish:sv tagalog:tl tajik:tg tamil:ta "
    "tatar:tt telugu:te thai:th tibetan:bo turkish:tr turkmen:tk ukrainian:uk urdu:ur uyghur:ug uzbek:uz "
    "vietnamese:vi welsh:cy yiddish:yi yoruba:yo zulu:zu"
).split()
LANGUAGES: dict[str, str] = {name: code for name, _, code in (pair.partition(":") for pair in _PAIRS)}
NAMES = {code: name.capitalize() for name, code in reversed(LANGUAGES.items())}

USE = [  # first match wins: what is forbidden is named before what is allowed
    (r"\b(non|not)[- ]?(for[- ])?commercial(ly)?( use)?\b|\b(for )?(academic|research)(( use| purposes?)( only)?| only)\b", "research"),
    (r"\b(redistribut\w+|resel\w+|resale)\b.{0,30}\bcommercial\w*|\bcommercial\w*.{0,30}\b(redistribut\w+|resel\w+|resale)\b",
     "share-commercial"),
    (r"\b(free |open |usable |licen[sc]ed |allowed |cleared )*(for commercial(?! real)|for (any )?commercial (use|usage|purposes?)|"
     r"commercial (use|usage|purposes?|licen[sc]e\w*)|commercially( usable| licen[sc]ed)?)( (use|usage|purposes?))?\b", "commercial"),
    (r"\b(permissive(ly)?|open)([- ]licen[sc]\w+)\b", "commercial"),
    (r"\b(redistribut\w+|shareable)\b", "share"),
]  # fmt: skip
NUMBER = r"(?P<{0}>\d[\d,._ ]*\d|\d)\s*(?P<{0}_unit>k|m|b|thousand|million|billion)?\b"
ROWS = r"(?P<between>(\s+[^\W\d_][\w-]*){0,5}?)\s*\b(rows?|samples?|examples?|records?|documents?|pairs?|problems?|questions?|conversations?|dialog(ue)?s?|articles?|items?)"
SIZES = [
    (rf"\b(between|from)\s+{NUMBER.format('low')}\s*(and|to|-)\s*{NUMBER.format('high')}{ROWS}", ("low", "high")),
    (rf"\b(at least|no (less|fewer) than|minimum( of)?|more than|over|above|>=?)\s*{NUMBER.format('low')}{ROWS}", ("low",)),
    (rf"\b{NUMBER.format('low')}\s*\+?{ROWS}\s*(at least|or more|and more|minimum|upwards?)", ("low",)),
    (rf"\b(at most|no more than|maximum( of)?|less than|fewer than|under|below|up to|<=?)\s*{NUMBER.format('high')}{ROWS}", ("high",)),
    (rf"\b{NUMBER.format('high')}{ROWS}\s*(at most|or less|or fewer|maximum)", ("high",)),
    (rf"\b{NUMBER.format('low')}\s*\+{ROWS}", ("low",)),
]  # fmt: skip
CHARACTERS = [
    (rf"\b(at least|more than|over|longer than|>=?)\s*{NUMBER.format('low')}\s*char(acter)?s?( long)?\b", ("low",)),
    (rf"\b(at most|less than|under|shorter than|up to|<=?)\s*{NUMBER.format('high')}\s*char(acter)?s?( long)?\b", ("high",)),
]  # fmt: skip
LONG, SHORT = 4000, 500
"""Characters that "long documents" and "short texts" stand for."""
KINDS = [
    ("preference", r"\b(preference|preferences|chosen and rejected|dpo|rlhf|reward model(l?ing)?)\b"),
    ("chat", r"\b(chat|dialog(ue)?s?|conversations?|conversational|multi[- ]turn|instructions?|instruction[- ]tuning|sft)\b"),
    ("task", r"\b(verifiable|benchmark|evals?|evaluation|multiple[- ]choice|with answers)\b"),
    ("knowledge", r"\b(structured records?|knowledge base|key[- ]value)\b"),
]  # fmt: skip
FIELDS = [
    ("created", r"\bwith (\w+ )?(dates?|timestamps?|publication (dates?|years?))\b|\bdated\b"),
    ("url", r"\bwith (\w+ )?(urls?|links?|source links?)\b"),
    ("author", r"\bwith (\w+ )?authors?( names?)?\b"),
]


@dataclass
class Need:
    """What was asked. words: all of it but the phrases about licence and size, which say nothing of the content."""

    text: str
    words: str = ""
    languages: list[str] = field(default_factory=list)
    multilingual: bool = False
    use: str | None = None
    rows: tuple[int | None, int | None] = (None, None)
    chars: tuple[int | None, int | None] = (None, None)
    kinds: list[str] = field(default_factory=list)
    tier: str | None = None
    fields: list[str] = field(default_factory=list)


def read_need(text: str) -> Need:
    """Take a need apart; `BadInput` where it says nothing."""
    text = " ".join(text.split())
    if not re.search(r"[^\W_]", text):
        raise BadInput('say what is needed in words, for example: strata discover "German news with dates"')
    if len(text) > LONGEST:
        raise BadInput(f"the need is {len(text):,} characters long; say it in {LONGEST:,} at most")
    need, rest = Need(text), text
    for pattern, use in USE:
        if re.search(pattern, rest, re.IGNORECASE):
            need.use, rest = use, re.sub(pattern, " ", rest, flags=re.IGNORECASE)
            break
    need.rows, rest = _range(SIZES, rest)
    need.chars, rest = _range(CHARACTERS, rest)
    if need.chars == (None, None):
        if re.search(
            r"\blong(er)? (\w+ )?(documents?|texts?|articles?|passages?|books?)\b|\blong[- ]context\b", rest, re.I
        ):
            need.chars = (LONG, None)
        elif re.search(r"\bshort(er)? (\w+ )?(documents?|texts?|sentences?|answers?|passages?)\b", rest, re.I):
            need.chars = (None, SHORT)
    found = re.search(r"\b(?:tier |level )?(L[0-4])( tier)?\b", rest)
    if found and found[1] in TIERS:
        need.tier, rest = found[1], rest.replace(found[0], " ")
    need.languages = [code for name, code in LANGUAGES.items() if re.search(rf"\b{name}\b", rest, re.IGNORECASE)]
    need.languages = list(dict.fromkeys(need.languages))
    need.multilingual = bool(
        re.search(r"\b(multi-?lingual|many languages|several languages|cross-?lingual)\b", rest, re.I)
    )
    need.kinds = [kind for kind, pattern in KINDS if re.search(pattern, rest, re.IGNORECASE)]
    need.fields = [name for name, pattern in FIELDS if re.search(pattern, rest, re.IGNORECASE)]
    need.words = re.sub(r"[\s,;.]+", " ", rest).strip()
    return need


def topic_of(need: Need) -> str:
    """The words that are neither a checked fact nor about one: what the data should be about."""
    rest = need.words
    names = "|".join(LANGUAGES)
    for pattern in (
        *(pattern for _, pattern in FIELDS),
        rf"\b({names})\b",
        r"\b(multi-?lingual|cross-?lingual|many languages|several languages|languages?|rows?|samples?|records?|documents?|texts?)\b",
        r"\b(long|longer|short|shorter|free|open|use|usage|licen[sc]e\w*|least|most|more|less|with|without|about|under)\b",
    ):
        rest = re.sub(pattern, " ", rest, flags=re.IGNORECASE)
    return " ".join(rest.split())


def _range(patterns: list[tuple[str, tuple[str, ...]]], text: str) -> tuple[tuple[int | None, int | None], str]:
    held: dict[str, int] = {}
    for pattern, ends in patterns:
        found = re.search(pattern, text, re.IGNORECASE)
        if found is None:
            continue
        for end in ends:
            if end not in held:
                held[end] = _count(found[end], found[f"{end}_unit"])
        between = found.groupdict().get("between") or ""
        text = f"{text[: found.start()]} {between} {text[found.end() :]}"
    return (held.get("low"), held.get("high")), text


def _count(digits: str, unit: str | None) -> int:
    factor = {"k": 1e3, "t": 1e3, "m": 1e6, "b": 1e9}.get((unit or "").lower()[:1], 1)
    text = re.sub(r"[ _]", "", digits)
    if re.fullmatch(r"\d+[.,]\d{1,2}", text):  # 1.5 million; 10,000 has three digits after its comma
        return int(float(text.replace(",", ".")) * factor)
    return int(int(re.sub(r"\D", "", text)) * factor)
