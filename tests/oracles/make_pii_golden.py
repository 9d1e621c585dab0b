"""Writes data/pii_golden.json: what presidio-analyzer and detect-secrets say of made-up items and of real pages.

    python tests/oracles/make_pii_golden.py     (presidio-analyzer==2.2.366, detect-secrets==1.5.0, no language model)

planted: made-up items and near misses in a short sentence, [kind, is it one, text, does presidio find it]; a finding
counts from a score of 0.4 on (patterns without context words). pages: findings of presidio in the example web pages,
[row, kind, start, end]. secrets: made-up tokens in an assignment, [plug-in of detect-secrets, text, does it find it]; these
texts are stored backwards, so that scanners of repositories do not take them for leaks.
"""

from __future__ import annotations

import base64
import json
import random
import string
from pathlib import Path

from detect_secrets.plugins import (
    aws,
    azure_storage_key,
    basic_auth,
    discord,
    github_token,
    gitlab_token,
    jwt,
    mailchimp,
    npm,
    openai,
    private_key,
    pypi_token,
    sendgrid,
    slack,
    square_oauth,
    stripe,
    telegram_token,
    twilio,
)  # fmt: skip
from presidio_analyzer import predefined_recognizers as known

RECOGNIZERS = {
    "email": known.EmailRecognizer(),
    "phone": known.PhoneRecognizer(),
    "ip": known.IpRecognizer(),
    "card": known.CreditCardRecognizer(),
    "iban": known.IbanRecognizer(),
    "ssn": known.UsSsnRecognizer(),
}
SENTENCES = ("You can reach it at {} today.", "{}", "Written down: {}", "It was ({}) last year, they said.")
PAGES = Path(__file__).parents[2] / "examples/data/web_quality_dclm.jsonl"


def digits(rng: random.Random, n: int) -> str:
    return "".join(rng.choice(string.digits) for _ in range(n))


def word(rng: random.Random, n: int, chars: str = string.ascii_lowercase) -> str:
    return "".join(rng.choice(chars) for _ in range(n))


def luhn_digit(stem: str) -> int:
    total = sum(sum(divmod(2 * int(d), 10)) if i % 2 == 0 else int(d) for i, d in enumerate(reversed(stem)))
    return -total % 10


def items(kind: str, rng: random.Random) -> list[tuple[bool, str]]:
    """One item of the kind and one near miss."""
    if kind == "email":
        name = f"{word(rng, 6)}{rng.choice(['.', '_', '-', '+', ''])}{word(rng, 4)}"
        host = f"{word(rng, 7)}.{rng.choice(['com', 'org', 'de', 'co.uk', 'info', 'edu'])}"
        return [
            (True, f"{name}@{host}"),
            (False, rng.choice([f"{name}@{word(rng, 5)}", f"{name} at {host}", f"@{name}"])),
        ]
    if kind == "ip":
        four = f"{rng.choice([8, 23, 52, 91, 104, 185])}.{rng.randint(16, 250)}.{rng.randint(0, 255)}.{rng.randint(1, 254)}"
        six = f"2a0{rng.randint(1, 9)}:{rng.randint(1000, 9999)}:{rng.randint(1, 999)}::{rng.randint(1, 99)}"
        return [(True, rng.choice([four, four, six])), (False, f"{rng.randint(256, 999)}.{digits(rng, 2)}.300.7")]
    if kind == "card":
        stem = rng.choice(["4", "51", "55", "37", "6011"])
        stem += digits(rng, (14 if stem == "37" else 15) - len(stem))
        good, bad = stem + str(luhn_digit(stem)), stem + str((luhn_digit(stem) + rng.randint(1, 9)) % 10)
        cut = rng.choice(["", " ", "-"]) if len(good) == 16 else ""
        return [(ok, cut.join(n[i : i + 4] for i in range(0, 16, 4))) for ok, n in ((True, good), (False, bad))]
    if kind == "iban":
        land, body = rng.choice([("DE", digits(rng, 18)), ("GB", word(rng, 4, string.ascii_uppercase) + digits(rng, 14)),
                                 ("ES", digits(rng, 20)), ("NL", word(rng, 4, string.ascii_uppercase) + digits(rng, 10))])  # fmt: skip
        check = 98 - int("".join(str(int(c, 36)) for c in f"{body}{land}00")) % 97
        return [(True, f"{land}{check:02d}{body}"), (False, f"{land}{(check + rng.randint(1, 50)) % 97:02d}{body}")]
    if kind == "ssn":
        area = rng.choice([rng.randint(1, 665), rng.randint(667, 899)])
        good = f"{area:03d}-{rng.randint(1, 99):02d}-{rng.randint(1, 9999):04d}"
        return [(True, good), (False, rng.choice([f"{area:03d}-00-{digits(rng, 4)}", f"000-12-{digits(rng, 4)}"]))]
    area, office = (
        rng.choice(["212", "415", "617", "312"]),
        f"{rng.randint(2, 9)}{rng.choice('02345678')}{rng.randint(2, 9)}",
    )
    forms = [f"({area}) {office}-{digits(rng, 4)}", f"{area}-{office}-{digits(rng, 4)}", f"+1 {area} {office} {digits(rng, 4)}",
             f"+44 20 7{digits(rng, 3)} {digits(rng, 4)}", f"+49 30 {rng.randint(2, 9)}{digits(rng, 6)}"]  # fmt: skip
    return [
        (True, rng.choice(forms)),
        (False, rng.choice([f"{rng.randint(1900, 2020)}-{digits(rng, 2)}", digits(rng, 6)])),
    ]


def found(kind: str, text: str) -> list[tuple[int, int]]:
    """Spans of presidio's findings from a score of 0.4 on."""
    recognizer = RECOGNIZERS[kind]
    results = recognizer.analyze(text, recognizer.supported_entities, None)
    return sorted({(one.start, one.end) for one in results if one.score >= 0.4})


def part(body: dict[str, str]) -> str:
    """A part of a JSON web token."""
    return base64.urlsafe_b64encode(json.dumps(body).encode()).decode().rstrip("=")


LETTERS = string.ascii_letters + string.digits
TOKENS = {
    "aws": (aws.AWSKeyDetector(), lambda r: "AKIA" + word(r, 16, string.ascii_uppercase + "234567")),
    "github": (github_token.GitHubTokenDetector(), lambda r: r.choice(["ghp_", "gho_", "ghs_"]) + word(r, 36, LETTERS)),
    "gitlab": (gitlab_token.GitLabTokenDetector(), lambda r: "glpat-" + word(r, 20, LETTERS)),
    "npm": (npm.NpmDetector(), lambda r: "//registry.npmjs.org/:_authToken=npm_" + word(r, 36, LETTERS)),
    "openai": (openai.OpenAIDetector(), lambda r: "sk-" + word(r, 20, LETTERS) + "T3BlbkFJ" + word(r, 20, LETTERS)),
    "pypi": (pypi_token.PypiTokenDetector(), lambda r: "pypi-AgEIcHlwaS5vcmc" + word(r, 80, LETTERS)),
    "sendgrid": (sendgrid.SendGridDetector(), lambda r: f"SG.{word(r, 22, LETTERS)}.{word(r, 43, LETTERS)}"),
    "slack": (slack.SlackDetector(), lambda r: f"xoxb-{digits(r, 12)}-{digits(r, 12)}-{word(r, 24, LETTERS)}"),
    "square": (square_oauth.SquareOAuthDetector(), lambda r: "sq0csp-" + word(r, 43, LETTERS)),
    "stripe": (stripe.StripeDetector(), lambda r: r.choice(["sk_live_", "rk_live_"]) + word(r, 24, LETTERS)),
    "telegram": (telegram_token.TelegramBotTokenDetector(), lambda r: f"{digits(r, 9)}:{word(r, 35, LETTERS)}"),
    "twilio": (twilio.TwilioKeyDetector(), lambda r: r.choice(["AC", "SK"]) + word(r, 32, "0123456789abcdef")),
    "mailchimp": (mailchimp.MailchimpDetector(), lambda r: f"{word(r, 32, '0123456789abcdef')}-us{r.randint(1, 20)}"),
    "discord": (discord.DiscordBotTokenDetector(), lambda r: f"M{word(r, 23, LETTERS)}.{word(r, 6, LETTERS)}.{word(r, 27, LETTERS)}"),
    "azure": (azure_storage_key.AzureStorageKeyDetector(), lambda r: f"AccountKey={word(r, 86, LETTERS)}=="),
    "basic_auth": (basic_auth.BasicAuthDetector(), lambda r: f"https://{word(r, 6)}:{word(r, 12, LETTERS)}@{word(r, 8)}.com/x"),
    "private_key": (private_key.PrivateKeyDetector(), lambda r: f"-----BEGIN RSA PRIVATE KEY-----\n{word(r, 64, LETTERS)}\n"),
    "jwt": (jwt.JwtTokenDetector(), lambda r: f"{part({'alg': 'HS256'})}.{part({'sub': word(r, 12)})}.{word(r, 43, LETTERS)}"),
}  # fmt: skip


def main() -> None:
    rng, planted, pages, secrets = random.Random(0), [], [], []
    for kind in RECOGNIZERS:
        for i in range(60):
            for real, item in items(kind, rng):
                text = SENTENCES[i % len(SENTENCES)].format(item)
                planted.append([kind, real, text, bool(found(kind, text))])
    for row, line in enumerate(PAGES.read_text("utf-8").splitlines()):
        text = json.loads(line)["text"]
        pages += [[row, kind, *span] for kind in RECOGNIZERS for span in found(kind, text)]
    for name, (plugin, made) in TOKENS.items():
        for _ in range(8):
            text = made(rng)
            hits = [hit for part in text.splitlines() for hit in plugin.analyze_string(part)]
            secrets.append([name, text[::-1], bool(hits)])
    body = {"planted": planted, "pages": pages, "secrets": secrets}
    parts = [f'"{key}": [\n' + ",\n".join(json.dumps(row) for row in rows) + "\n]" for key, rows in body.items()]
    (Path(__file__).parent / "data/pii_golden.json").write_text("{" + ",\n".join(parts) + "}\n", "utf-8")


if __name__ == "__main__":
    main()
