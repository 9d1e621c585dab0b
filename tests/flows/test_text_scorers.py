"""Text scorers on small texts with known answers: what counts, what only looks like it, and what has no value."""

from __future__ import annotations

import base64
import json

import pyarrow as pa
import pytest

from catalog import states
from catalog.errors import BadInput
from catalog.plugins import Context, get_scorer
from flows.scorers.text import _chars
from flows.scorers.text._chars import read_chars
from flows.scorers.text._pii import KINDS, find_pii, luhn, mod97
from flows.scorers.text._words import split_words
from flows.scorers.text.pii import count_pii
from flows.scorers.text.secrets import entropy, find_secrets

ORACLES = {
    "langid": "fastText's lid.176 itself; labelled sentences of 75 languages (benchmarks)",
    "token_count": "the tokenizers library",
    "text_length": "plain Python",
}


def _score(name: str, texts: list[str | None], **params: object) -> dict[str, list]:
    scorer = get_scorer(name)
    ctx = Context(params=scorer.parse_params(params))
    ctx.model = scorer.load(ctx) if scorer.load else None
    result = scorer.function(pa.record_batch({"text": pa.array(texts, pa.string())}), ctx)
    return {key: column.to_pylist() for key, column in result.items()}


# -- personal data -------------------------------------------------------------------------------------------------

TRUE = {
    "email": [
        "write to a.person@no-such-firm.co.uk today",
        "<o'neill+lists@mail.no-such-firm.net>",
        "mailto:first_last@uni-nowhere.de.",
    ],
    "phone": [
        "Call (212) 555-0147 now",
        "212.555.0147",
        "1-800-555-0199",
        "+1 (212) 555-0147",
        "office +44 20 7946 0123",
        "Tel.: 0049 30 23125 123",
        "+49 (0)30 23125-123",
        "Phone: 020 7946 0958",
    ],
    "ip": ["from 81.2.69.160 at night", "host 2a01:4f8:c17:b8f::2 is up", "http://81.2.69.160:8080/x"],
    "card": [
        "4111 1111 1111 1111",
        "card 5555555555554444.",
        "3782-822463-10005",
        "6011 1111 1111 1117",
        "2223003122003222",
    ],
    "iban": ["IBAN DE89 3704 0044 0532 0130 00.", "GB82WEST12345698765432 AND MORE", "NO93 8601 1117 947"],
    "ssn": ["SSN 219-09-1234", "social security number: 219 09 1234"],
}
NEAR = {
    "email": [
        "user@localhost",
        "logo@2x.png is the retina file",
        "@handle and a@b",
        "jane@example.com",
        "email@example.org",
        "x..y@firm..net",
        "<c40sdm$mov$1@smc.vnet.net>",
        "me@site.test",
    ],
    "phone": [
        "2125550147",
        "123-456-7890",
        "211-555-0147",
        "on 2019-10-11",
        "ISBN 978-3-16-148410-0",
        "3.14159265358",
        "+999 123 456 789",
        "1,212,555,0147",
        "call 5 times",
    ],
    "ip": [
        "version 4.10.22.31",
        "section 7.2.1.1",
        "192.168.1.20",
        "10.0.0.1",
        "203.0.113.7",
        "999.1.1.1",
        "1.2.3.4.5",
        "OID 2.5.29.15",
        "std::vector",
        "12:30:45",
        "fe80::1",
        "2001:db8::1",
    ],
    "card": [
        "4111 1111 1111 1112",
        "order 9999 9999 9999 9995",
        "0000 0000 0000 0000",
        "4111-1111-1111-1111-1111",
        "0.4111111111111111",
    ],
    "iban": ["DE89 3704 0044 0532 0130 01", "XX89 3704 0044 0532 0130 00", "DE89 3704 0044 0532 0130", "AB12 CDEF"],
    "ssn": [
        "000-12-3456",
        "666-12-3456",
        "912-12-3456",
        "219-00-1234",
        "219-09-0000",
        "078-05-1120",
        "1219-09-12345",
        "219091234",
    ],
}


@pytest.mark.parametrize("kind", KINDS)
def test_pii_is_found_once_and_nothing_else(kind):
    for text in TRUE[kind]:
        assert [found.kind for found in find_pii(text)] == [kind], text


@pytest.mark.parametrize("kind", KINDS)
def test_near_misses_are_not_that_kind(kind):
    for text in NEAR[kind]:
        assert kind not in {found.kind for found in find_pii(text)}, text


def test_spans_cover_exactly_the_finding():
    text = "Ann <a.person@no-such-firm.net>, tel. (212) 555-0147, IBAN DE89 3704 0044 0532 0130 00, 4111 1111 1111 1111"
    found = [(f.kind, text[f.start : f.end]) for f in find_pii(text)]
    assert found == [
        ("email", "a.person@no-such-firm.net"),
        ("phone", "(212) 555-0147"),
        ("iban", "DE89 3704 0044 0532 0130 00"),
        ("card", "4111 1111 1111 1111"),
    ]


def test_the_sieves_lose_nothing():
    texts = [text for group in (TRUE, NEAR) for items in group.values() for text in items]
    counts = count_pii(pa.array(texts))
    for row, text in enumerate(texts):
        found = [f.kind for f in find_pii(text)]
        assert {kind: int(counts[kind][row]) for kind in KINDS} == {kind: found.count(kind) for kind in KINDS}, text


def test_counts_by_kind_and_in_all():
    text = "a.person@no-such-firm.net b.person@no-such-firm.net, (212) 555-0147"
    found = _score("pii", [text, "nothing here", "", None])
    assert found["pii_email"] == [2, 0, 0, None]
    assert found["pii_count"] == [3, 0, 0, None]
    assert found["_state"] == [states.VALUE] * 3 + [states.UNDEFINED]


def test_checksums():
    assert luhn("79927398713")
    assert not any(luhn(f"7992739871{digit}") for digit in "012456789")
    assert mod97("GB82WEST12345698765432")
    assert not mod97("GB82WEST12345698765423")


# -- secrets -------------------------------------------------------------------------------------------------------

RANDOM = "q7Rz0Lw4Xk9Tn2Vb6Hs1Yd8Mf3Jc5Gp"
HEADER = base64.urlsafe_b64encode(json.dumps({"alg": "HS256", "typ": "JWT"}).encode()).decode().rstrip("=")
BODY = base64.urlsafe_b64encode(json.dumps({"sub": "8812", "name": "A Person"}).encode()).decode().rstrip("=")
BEGIN = "-----BEGIN {}PRIVATE KEY-----"  # put together at run time, so that no scanner takes this file for a leak

SECRETS = {
    "aws": "key " + "AKIA" + "Q3EGRZ7XW5NPLVTH" + " in use",
    "github": "ghp" + "_" + RANDOM + "aZ4q9",
    "gitlab": "glpat" + "-" + RANDOM[:20],
    "block": BEGIN.format("RSA ") + "\n" + "MIIEpAIBAAKCAQEA7" + RANDOM * 2 + "\n",
    "block_headers": BEGIN.format("EC ") + "\nProc-Type: 4,ENCRYPTED\n\n" + RANDOM * 2,
    "jwt": f"Authorization: Bearer {HEADER}.{BODY}.{RANDOM}",
    "assigned": f'client_secret = "{RANDOM}"',
    "json": f'{{"apiKey": "{RANDOM}"}}',
    "env": f"DB_PASSWORD={RANDOM[:24]}",
    "hex": "secret_key: '9f86d081884c7d659a2feaa0c55ad015'",
}
NO_SECRETS = {
    "aws_docs": "AKIA" + "IOSFODNN7EXAMPLE",
    "aws_short": "AKIA" + "Q3EGRZ7XW5",
    "github_short": "ghp" + "_" + RANDOM[:20],
    "github_placeholder": "ghp" + "_" + "x" * 36,
    "block_named": f"The file starts with {BEGIN.format('RSA ')} and must be kept safe.",
    "public": "-----BEGIN PUBLIC KEY-----\n" + RANDOM * 2,
    "jwt_header": f"eyJub3RoaW5nIjoxfQ.{BODY}.{RANDOM}",
    "words": 'password = "correct-horse-battery-staple"',
    "placeholder": 'api_key = "your_api_key_goes_here_1234"',
    "variable": "token = process.env.ACCESS_TOKEN_2024",
    "call": "secret = generate_secret_value_1(seed)",
    "short": 'pwd = "hunter2"',
    "prose": "The secret: nobody knows what the token was for.",
}


@pytest.mark.parametrize("name", SECRETS)
def test_secrets_are_found(name):
    assert len(find_secrets(SECRETS[name])) == 1
    assert _score("secrets", [SECRETS[name]])["secrets_count"] == [1]


@pytest.mark.parametrize("name", NO_SECRETS)
def test_what_only_looks_like_a_secret(name):
    assert find_secrets(NO_SECRETS[name]) == []


def test_secrets_of_several_kinds_add_up():
    text = "\n".join(SECRETS.values())
    assert _score("secrets", [text, "", None])["secrets_count"] == [len(SECRETS), 0, None]


def test_entropy_in_bits():
    assert entropy("aaaa") == 0
    assert entropy("abcd" * 3) == pytest.approx(2)


# -- language, tokens, lengths -------------------------------------------------------------------------------------


ENGLISH = "The boats came home before the storm, and the whole village was at the harbour."
GERMAN = "Der Zug fuhr langsam in den Bahnhof ein, und niemand stieg aus."


def test_languages_are_told():
    texts = [
        ENGLISH,
        GERMAN,
        "今天天气很好,我们去公园散步。",
        "LE TRAIN ENTRE LENTEMENT EN GARE ET PERSONNE NE DESCEND.",
    ]
    found = _score("langid", [*texts, "1234 5678 !!!", "", None])
    assert found["language"] == ["en", "de", "zh", "fr", None, None, None]
    assert all(confidence > 0.5 for confidence in found["language_confidence"][:4])
    assert found["_state"] == [states.VALUE] * 4 + [states.UNDEFINED] * 3


def test_short_mixed_and_unsupported_text_is_unknown():
    short = "Ay, my lord"
    mixed = "Поезд медленно въехал на станцию, и никто из него не вышел. " + ENGLISH
    zulu = "Ngiyabonga kakhulu ngosizo lwakho, ngizokubona kusasa ekuseni esikoleni nabantwana bami."
    found = _score("langid", [short, mixed, zulu, ENGLISH + " " + GERMAN, ENGLISH + " " + ENGLISH])
    assert found["language"] == ["unknown"] * 4 + ["en"]
    assert found["_state"] == [states.VALUE] * 5 and None not in found["language_confidence"]


def test_the_rule_of_unknown_has_parameters():
    assert _score("langid", ["Where is the boat"])["language"] == ["unknown"]
    assert _score("langid", ["Where is the boat"], min_letters=5)["language"] == ["en"]
    assert _score("langid", [ENGLISH], min_confidence=1)["language"] == ["unknown"]
    assert _score("langid", [ENGLISH + " " + GERMAN], mixed_chars=5000)["language"] != ["unknown"]


def test_language_reads_the_beginning_only():
    text = "Der Zug fuhr langsam in den Bahnhof ein. " * 3 + "The boats came home before the storm. " * 200
    assert _score("langid", [text], max_chars=100)["language"] == ["de"]
    assert _score("langid", [text], max_chars=8000)["language"] == ["en"]


def test_tokens_are_counted_without_special_tokens():
    found = _score("token_count", ["Hello world", "", None])
    assert found["tokens"] == [2, 0, None]
    assert found["_state"] == [states.VALUE, states.VALUE, states.UNDEFINED]


def test_lengths_in_bytes_and_lines():
    found = _score("text_length", ["héllo\nwörld\n", "日本", "👨‍👩‍👧", "", "\n", None])
    assert found["bytes_utf8"] == [14, 6, 18, 0, 1, None]
    assert found["lines"] == [2, 1, 1, 0, 1, None]


# -- rules ---------------------------------------------------------------------------------------------------------


def test_quality_of_a_small_text():
    text = "• The cat sat...\n- and the dog # stayed with it"
    found = _score("gopher_quality", [text, "!!!", "", None])
    assert found["word_count"] == [9, 0, 0, None]  # The cat sat and the dog stayed with it; the rest are symbols
    assert found["stop_word_count"][0] == 3  # the, and, with: compared as written, so "The" is not one
    assert found["bullet_line_share"][0] == 1
    assert found["ellipsis_line_share"][0] == 0.5
    assert found["hash_word_ratio"][0] == pytest.approx(1 / 13)
    assert found["mean_word_length"][1:] == [None, None, None]
    assert found["_state"] == [states.VALUE] + [states.UNDEFINED] * 3


def test_stop_words_of_another_language():
    text = "Der Zug und die Bahn sind da"
    assert _score("gopher_quality", [text])["stop_word_count"] == [0]
    assert _score("gopher_quality", [text], stop_words="der, die, und, das")["stop_word_count"] == [2]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("I'm sure O'Neill’s can't.", "I 'm sure O'Neill ’s ca n't ."),
        ("Thanks to @abby and\n@bob (@The-One), x@y @ home", "Thanks to @abby and @bob ( @The - One ) , x@y @ home"),
        ("At 10:30, 3.14 or 1/2 of 10,000!!", "At 10:30 , 3.14 or 1/2 of 10,000 !!"),
        ("U.S. J. Smith...end.Next www.site.org a.b@c.org", "U.S. J. Smith ... end . Next www.site.org a.b@c.org"),
        ("well-known snake_case #tag", "well - known snake_case # tag"),
        ("п'ять l'homme naïve cafe\u0301", "п'ять l'homme naïve cafe\u0301"),
        ("我们 カナok", "我 们 カ ナ ok"),
        ("👨‍👩‍👧 ❤️x👍🏽", "👨‍👩‍👧 ❤️ x 👍🏽"),
    ],
)
def test_words_of_the_splitter(text, words):
    split = split_words(read_chars(pa.array(["don", text, "'t"])))
    found = split.chars.strings(split.start, split.end).to_pylist()
    assert found == ["don", *words.split(), "'", "t"]


def test_white_space_words():
    text = "don't stop, now!"
    assert _score("gopher_quality", [text], words="whitespace")["mean_word_length"] == pytest.approx([14 / 3])
    assert _score("gopher_quality", [text])["mean_word_length"] == pytest.approx([3])  # do n't stop now


def test_first_release_line_ends():
    text = 'He said "yes"\nand left'
    assert _score("fineweb_lines", [text])["line_punct_ratio"] == [0]
    assert _score("fineweb_lines", [text], stop_chars=".'\"!?")["line_punct_ratio"] == [0.5]


def test_c4_rules_by_hand():
    text = (
        "The first line is fine. It has two sentences, e.g. this one.\n"
        "No end mark here\n"
        "Too short.\n"
        "Turn on JavaScript to read this.\n"
        "We know that this site uses cookies.\n"
        "It ends with dots...\n"
        'Quoted it stands.[3] He said "that is it"\n'
        "Lorem ipsum { dolor sit } amet."
    )
    found = {key: values[0] for key, values in _score("c4_lines", [text]).items()}
    assert found["c4_lines"] == 8
    assert found["c4_terminal_share"] == pytest.approx(6 / 8)
    assert found["c4_short_share"] == pytest.approx(1 / 8)
    assert found["c4_javascript_share"] == found["c4_policy_share"] == pytest.approx(1 / 8)
    assert found["c4_kept_share"] == pytest.approx(3 / 8)
    assert found["c4_sentences"] == 2 + 1 + 1
    assert found["c4_curly_brackets"] == found["c4_lorem_ipsum"] == 1
    assert _score("c4_lines", [text], min_words=6)["c4_short_share"] == pytest.approx([3 / 8])


def test_slices_of_a_long_batch_change_nothing(monkeypatch):
    texts = ["The cat sat on the mat. " * n for n in range(40)] + [None, "", "x" * 5000]
    names = ("gopher_quality", "gopher_repetition", "fineweb_lines", "c4_lines", "text_length")
    whole = [_score(name, texts) for name in names]
    monkeypatch.setattr(_chars, "SLICE_BYTES", 700)
    assert len(list(_chars.slices(pa.array(texts)))) > 20
    assert [_score(name, texts) for name in names] == whole


def test_unknown_splitter_is_refused():
    with pytest.raises(BadInput, match="words"):
        get_scorer("gopher_quality").parse_params({"words": "spacy"})
