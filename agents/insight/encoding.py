"""Checks of encoding and markup: what a broken decoding or a half-done extraction leaves behind."""

from __future__ import annotations

from collections.abc import Iterator

from agents.insight.look import Flag, Look, check, grade

TAGS = (
    "p|div|span|br|a|ul|ol|li|table|tr|td|th|h[1-6]|script|style|img|strong|em|iframe|body|html|head|form|input|section"
)


@check("replacement_characters")
def replacement_characters(look: Look) -> Iterator[Flag]:
    """Texts with U+FFFD, which a decoder writes where it could not read."""
    yield Flag(
        "contains(text, chr(65533))", "{count} texts ({share}) hold U+FFFD, where bytes could not be decoded",
        "read the files again in their own encoding: what is lost here cannot be restored", grade(medium=0.001, high=0.05),
    )  # fmt: skip


@check("mojibake")
def mojibake(look: Look) -> Iterator[Flag]:
    """Texts in UTF-8 that was read as Latin-1 or Windows-1252."""
    yield Flag(
        r"regexp_matches(text, 'Ã[\x{80}-\x{BF}]|Â[\x{80}-\x{BF}]|â€[\x{99}\x{9c}\x{9d}™œ“”¦˜\x{a2}]|ðŸ[\x{80}-\x{BF}˜’“”]|Ð[\x{80}-\x{BF}]Ñ')",
        "{count} texts ({share}) look like UTF-8 that was read in another encoding",
        "repair them with a decoder for mojibake, or read the source as UTF-8", grade(medium=0.001, high=0.05),
    )  # fmt: skip


@check("control_characters")
def control_characters(look: Look) -> Iterator[Flag]:
    """Texts with control characters other than tab and line breaks."""
    yield Flag(
        r"regexp_matches(text, '[\x{00}-\x{08}\x{0B}\x{0E}-\x{1F}\x{7F}]')", "{count} texts ({share}) hold control characters",
        "they come from terminals, PDFs and binary files: strip them, and look what else those files hold",
        grade(medium=0.01, high=2),
    )  # fmt: skip


@check("invisible_characters")
def invisible_characters(look: Look) -> Iterator[Flag]:
    """Texts with characters that change direction or hide (bidirectional overrides, tags), as hidden instructions do."""
    yield Flag(
        r"regexp_matches(text, '[\x{202A}-\x{202E}\x{2066}-\x{2069}\x{E0000}-\x{E007F}]')",
        "{count} texts ({share}) hold characters that hide or turn text around",
        "nobody sees what they hide: read them escaped, strip them, and ask where they come from", grade(medium=0.0, high=0.01),
    )  # fmt: skip


@check("html_residue")
def html_residue(look: Look) -> Iterator[Flag]:
    """Texts in which HTML tags remained."""
    kinds = "text", "knowledge"
    yield Flag(
        rf"regexp_matches(text, '(?i)</?({TAGS})(\s[a-z-]+=[^<>]{{0,200}})?\s*/?>')", "{count} texts ({share}) hold HTML tags",
        "extract the text again, unless the dataset is about markup",
        grade(medium=0.02, high=0.2) if look.dataset.kind in kinds else grade(medium=0.1, high=2),
    )  # fmt: skip


@check("html_entities")
def html_entities(look: Look) -> Iterator[Flag]:
    """Texts in which HTML entities remained."""
    yield Flag(
        r"regexp_matches(text, '&(amp|lt|gt|quot|nbsp|apos|mdash|ndash|hellip|rsquo|lsquo|rdquo|ldquo|#[0-9]{2,5}|#x[0-9a-fA-F]{2,5});')",
        "{count} texts ({share}) hold HTML entities", "unescape them at ingest", grade(medium=0.01, high=0.2),
    )  # fmt: skip


@check("special_tokens")
def special_tokens(look: Look) -> Iterator[Flag]:
    """Texts with what tokenizers and old corpora write for themselves: <unk>, <|endoftext|>, [MASK], @-@."""
    yield Flag(
        r"regexp_matches(text, '<unk>|<pad>|</?s>|<\|[a-z_]{3,24}\|>|\[(CLS|SEP|MASK|PAD|UNK)\]| @[-,.]@ ')",
        "{count} texts ({share}) hold special tokens of a tokenizer",
        "undo the tokenization, or take the raw text: a model reads them as control tokens, or as noise",
        grade(medium=0.001, high=0.05),
    )  # fmt: skip
