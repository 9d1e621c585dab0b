"""Endpoints by name. A key is named by its environment variable and never stored."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field
from sqlmodel import select

from catalog.access import check
from catalog.errors import BadInput, Missing, NotFound
from catalog.meta.calls import EndpointRecord
from catalog.plugins import parse_params

if TYPE_CHECKING:
    from catalog.catalog import Catalog

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


def today() -> str:
    """The day in UTC, YYYY-MM-DD."""
    return datetime.now(UTC).date().isoformat()


class Endpoint(BaseModel):
    """A model behind an address.

    url: up to and without /chat/completions or /messages. revision: what the provider will never change under this model
    name (a dated snapshot, a commit, a file digest); without one the model is `unpinned`, and its answers of one day are
    not merged with those of another. input_price, output_price: per million tokens, in the currency of your budgets.
    batch: the provider's batch API (OpenAI: /files and /batches; Anthropic: /messages/batches), answered within a day.
    """

    model_config = ConfigDict(extra="forbid")

    url: str = Field("", description="address, up to /chat/completions or /messages; none for transformers")
    model: str = Field(description="model name, as the server knows it")
    api: Literal["openai", "anthropic", "transformers"] = Field(
        "openai", description="openai (and compatible), anthropic, or transformers: a model in this process, no server"
    )
    key: str | None = Field(None, description="environment variable that holds the API key")
    revision: str | None = Field(None, description="what never changes under this name; none: recorded as unpinned")
    input_price: float | None = Field(None, ge=0, description="per million tokens read")
    output_price: float | None = Field(None, ge=0, description="per million tokens written")
    parallel: int = Field(8, ge=1, le=256, description="requests in flight")
    requests_per_minute: float | None = Field(None, gt=0, description="most requests a minute, of this process")
    tokens_per_minute: float | None = Field(None, gt=0, description="most tokens a minute, of this process")
    timeout: float = Field(120.0, gt=0, description="seconds until a request is given up")
    attempts: int = Field(6, ge=1, le=50, description="times a request is sent at most")
    structured: bool = Field(True, description="the server enforces a JSON schema (else the prompt alone asks for it)")
    idempotent: bool = Field(False, description="the server bills requests of one Idempotency-Key once")
    batch: bool = Field(False, description="hand questions in as provider batches: slower, at the batch price")
    batch_price: float = Field(
        1.0, ge=0, le=1, description="share of the prices that a batch costs, as your provider says"
    )
    batch_size: int = Field(10_000, ge=1, le=50_000, description="questions of one batch")
    batch_poll: float = Field(30.0, gt=0, le=3600, description="seconds between two looks at a running batch")
    private: bool = Field(False, description="yours: sample text may go there without a dataset's consent")

    @property
    def local(self) -> bool:
        """On this machine, or declared to be yours."""
        if self.api == "transformers":
            return True
        host = urlsplit(self.url).hostname or ""
        return self.private or host in ("localhost", "::1") or host.startswith("127.")

    def served(self, as_of: str | None = None) -> str:
        """The revision that answers are kept under: pinned, or the day they were given on."""
        return self.pinned or f"unpinned:{as_of or today()}"

    @property
    def pinned(self) -> str | None:
        """What never changes: as declared, and for a model of this process the digest of its files."""
        if self.revision is None and self.api == "transformers":
            from flows.models import model_revision

            return model_revision(self.model)
        return self.revision

    def secret(self) -> str | None:
        """The key itself, from the environment."""
        if self.key is None:
            return None
        if not (value := os.environ.get(self.key)):
            raise Missing(f"the endpoint's key is expected in {self.key}, which is not set; export it")
        return value

    def money(self, read: float, written: float, batch: bool = False) -> float | None:
        """What tokens cost, None where no price is known; a local endpoint costs nothing. batch: at the batch price."""
        if self.input_price is None and self.output_price is None:
            return 0.0 if self.local else None
        full = (read * (self.input_price or 0.0) + written * (self.output_price or 0.0)) / 1e6
        return full * self.batch_price if batch else full


def endpoints(cat: Catalog) -> dict[str, Endpoint]:
    """All endpoints of the catalog, by name."""
    with cat.session() as session:
        held = session.exec(select(EndpointRecord).order_by(EndpointRecord.name)).all()
    return {item.name: parse_params(f"endpoint {item.name}", Endpoint, item.body) for item in held}  # type: ignore[misc]


def endpoint(cat: Catalog, name: str) -> Endpoint:
    """One endpoint; `NotFound` names the others."""
    held = endpoints(cat)
    if name not in held:
        raise NotFound("endpoint", name, held, "add it: strata endpoint add NAME --url URL --model MODEL")
    return held[name]


def save_endpoint(cat: Catalog, name: str, **given: Any) -> Endpoint:
    """Add an endpoint or replace it."""
    if not NAME.fullmatch(name):
        raise BadInput(f"endpoint name {name!r} may hold lower-case letters, digits, - and _, and begins with no sign")
    check(cat, "write", f"endpoint {name}")
    wanted = {key: value for key, value in given.items() if value is not None}
    made: Endpoint = parse_params(f"endpoint {name}", Endpoint, wanted)  # type: ignore[assignment]
    address = urlsplit(made.url)
    if made.api != "transformers" and (address.scheme not in ("http", "https") or not address.hostname):
        raise BadInput(f"endpoint {name}: {made.url!r} is no address; write http://HOST:PORT/v1 or https://...")
    if made.batch and made.api == "transformers":
        raise BadInput(f"endpoint {name}: a model of this process has no batches; leave --batch away")
    body = made.model_dump(exclude_defaults=True)
    with cat.session() as session:
        session.merge(EndpointRecord(name=name, body=body, actor=cat.settings.actor))
        session.commit()
    return made


def remove_endpoint(cat: Catalog, name: str) -> None:
    """Forget an endpoint; its answers stay."""
    check(cat, "write", f"endpoint {name}")
    endpoint(cat, name)
    with cat.session() as session:
        session.delete(session.get_one(EndpointRecord, name))
        session.commit()
