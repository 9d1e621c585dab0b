"""strata endpoint add|list|remove|export|import|batches|cancel and strata budget set|list."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ui.cli.output import Json, emit, facts, note, opened, table

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the endpoint.")]


def add(
    name: Name,
    model: Annotated[str, typer.Option(metavar="MODEL", help="Model name, as the server knows it.")],
    url: Annotated[str, typer.Option(metavar="URL", help="Address, up to /chat/completions or /messages.")] = "",
    api: Annotated[
        str,
        typer.Option(metavar="openai|anthropic|transformers", help="Protocol; transformers runs it in this process."),
    ] = "openai",
    key: Annotated[
        str | None, typer.Option(metavar="VARIABLE", help="Environment variable that holds the key.")
    ] = None,
    revision: Annotated[
        str | None, typer.Option(metavar="TEXT", help="What never changes under this name; without: unpinned.")
    ] = None,
    input_price: Annotated[float | None, typer.Option(metavar="X", help="Price of a million tokens read.")] = None,
    output_price: Annotated[float | None, typer.Option(metavar="X", help="Price of a million tokens written.")] = None,
    parallel: Annotated[int | None, typer.Option(metavar="N", help="Requests in flight; 8.")] = None,
    requests_per_minute: Annotated[float | None, typer.Option(metavar="N", help="Most requests a minute.")] = None,
    tokens_per_minute: Annotated[float | None, typer.Option(metavar="N", help="Most tokens a minute.")] = None,
    timeout: Annotated[float | None, typer.Option(metavar="SECONDS", help="Until a request is given up; 120.")] = None,
    private: Annotated[
        bool, typer.Option("--private", help="It is yours: sample text may go there without a dataset's consent.")
    ] = False,
    unstructured: Annotated[
        bool, typer.Option("--unstructured", help="The server takes no JSON schema; the prompt alone asks for one.")
    ] = False,
    idempotent: Annotated[
        bool, typer.Option("--idempotent", help="The server bills one Idempotency-Key once.")
    ] = False,
    batch: Annotated[
        bool, typer.Option("--batch", help="Hand questions in as provider batches, answered within a day.")
    ] = False,
    batch_price: Annotated[
        float | None, typer.Option(metavar="SHARE", help="Share of the prices that a batch costs, as 0.5; 1.")
    ] = None,
    batch_size: Annotated[int | None, typer.Option(metavar="N", help="Questions of one batch; 10,000.")] = None,
    json: Json = False,
) -> None:
    """Add a language model that judges and agents may ask, or replace it. The key itself is never stored.

    Example: strata endpoint add vllm --url http://localhost:8000/v1 --model my-judge --revision 2026-05-01
             strata endpoint add smol --api transformers --model smollm2-135m
             strata endpoint add night --url https://api.openai.com/v1 --model M --key OPENAI_API_KEY --batch --batch-price 0.5
    """
    from flows.endpoints.registry import save_endpoint

    given: dict[str, Any] = {
        "model": model, "url": url, "api": api, "key": key, "revision": revision, "input_price": input_price,
        "output_price": output_price, "parallel": parallel, "requests_per_minute": requests_per_minute,
        "tokens_per_minute": tokens_per_minute, "timeout": timeout, "private": private or None,
        "structured": False if unstructured else None, "idempotent": idempotent or None,
        "batch": batch or None, "batch_price": batch_price, "batch_size": batch_size,
    }  # fmt: skip
    made = save_endpoint(opened(), name, **given)
    emit(json, {"name": name, **made.model_dump()}, lambda: facts(_shown(name, made)))
    if made.pinned is None:
        note("without --revision the model is unpinned: its answers of one day are not merged with those of another")


def list_endpoints(json: Json = False) -> None:
    """List the endpoints, and what was asked and paid through each.

    Example: strata endpoint list
    """
    from flows.endpoints.account import spent_by_endpoint
    from flows.endpoints.registry import endpoints

    cat = opened()
    spent = spent_by_endpoint(cat)
    rows = [_shown(name, held) | spent.get(name, {"answered": 0, "tokens": 0, "money": 0.0})
            for name, held in endpoints(cat).items()]  # fmt: skip
    columns = ["endpoint", "model", "revision", "where", "answered", "tokens", "money"]
    emit(
        json,
        rows,
        lambda: table(rows, columns, empty="no endpoint yet: strata endpoint add NAME --url URL --model MODEL"),
    )


def remove(name: Name, json: Json = False) -> None:
    """Forget an endpoint; what it answered stays.

    Example: strata endpoint remove vllm
    """
    from flows.endpoints.registry import remove_endpoint

    remove_endpoint(opened(), name)
    emit(json, {"removed": name}, lambda: print(f"endpoint {name} is forgotten; its answers stay"))


def export(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="JSON lines to write.")],
    purpose: Annotated[str | None, typer.Option(metavar="SCORER", help="Answers of one scorer or agent only.")] = None,
    json: Json = False,
) -> None:
    """Write the stored answers to a file, so that another catalog can use them without the endpoint.

    Example: strata endpoint export answers.jsonl --purpose judge_prrc
    """
    from flows.endpoints.account import export_calls

    count = 0
    with open(path, "wb") as file:
        for line in export_calls(opened(), purpose):
            file.write(line)
            count += 1
    emit(json, {"answers": count, "file": str(path)}, lambda: print(f"{count:,} answers written to {path}"))


def import_(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="JSON lines of `strata endpoint export`.")],
    json: Json = False,
) -> None:
    """Take over stored answers: the same questions to the same model cost nothing any more.

    Example: strata endpoint import answers.jsonl
    """
    from catalog.errors import BadInput
    from flows.endpoints.account import import_calls

    try:
        with open(path, "rb") as file:
            count = import_calls(opened(), file)
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from None
    emit(json, {"new": count}, lambda: print(f"{count:,} new answers taken over"))


def list_batches(
    collect: Annotated[bool, typer.Option("--collect", help="Ask the providers, and store what has ended.")] = False,
    json: Json = False,
) -> None:
    """List the provider batches: how far each is, and what became of its questions.

    Example: strata endpoint batches --collect
    """
    from flows.endpoints.batches import batches
    from flows.endpoints.batching import collect as look

    cat = opened()
    held = look(cat) if collect else batches(cat)
    rows = [_batch(item) for item in held]
    columns = ["batch", "endpoint", "purpose", "status", "questions", "done", "failed", "created", "error"]
    emit(json, [item.model_dump() for item in held], lambda: table(rows, columns, empty="no batch was handed in yet"))


def cancel(
    batch: Annotated[str, typer.Argument(metavar="BATCH", help="Its id, the provider's, or the beginning of one.")],
    json: Json = False,
) -> None:
    """End a provider batch; what is answered by then is kept and paid, the rest can be asked again.

    Example: strata endpoint cancel 1f3a9c2e
    """
    from flows.endpoints.batching import cancel as end

    made = end(opened(), batch)
    emit(json, made.model_dump(), lambda: facts(_batch(made)))
    if made.status != "ended":
        note("the provider is ending it: strata endpoint batches --collect stores what it answered")


def _batch(item: Any) -> dict[str, Any]:
    status = "ending" if item.cancelled and item.status != "ended" else "cancelled" if item.cancelled else item.status
    return {
        "batch": item.id[:8], "endpoint": item.endpoint, "purpose": item.purpose, "status": status,
        "questions": item.questions, "done": item.done, "failed": item.failed, "created": item.created[:19], "error": item.error,
    }  # fmt: skip


def budget_set(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the budget.")],
    money: Annotated[
        float | None, typer.Option(metavar="X", help="Most money, in the currency of your prices.")
    ] = None,
    tokens: Annotated[int | None, typer.Option(metavar="N", help="Most tokens, read and written.")] = None,
    requests: Annotated[int | None, typer.Option(metavar="N", help="Most requests.")] = None,
    json: Json = False,
) -> None:
    """Set what may be spent on endpoints under a name. No request is sent that could pass a limit.

    Example: strata budget set grading --money 20
    """
    from flows.endpoints.account import set_budget

    made = set_budget(opened(), name, money=money, tokens=tokens, requests=requests)
    emit(json, made.model_dump(), lambda: facts(_left(made)))


def budget_list(json: Json = False) -> None:
    """List the budgets: limits, what is spent, what requests under way hold.

    Example: strata budget list
    """
    from flows.endpoints.account import budgets

    held = budgets(opened())
    rows = [_left(item) for item in held]
    columns = ["budget", "money", "spent", "tokens", "tokens spent", "requests", "requests spent", "held"]
    data = [item.model_dump() for item in held]
    emit(json, data, lambda: table(rows, columns, empty="no budget yet: strata budget set NAME --money AMOUNT"))


def _shown(name: str, held: Any) -> dict[str, Any]:
    where = "this process" if held.api == "transformers" else held.url
    return {"endpoint": name, "model": held.model, "revision": held.pinned or "unpinned", "where": where}


def _left(item: Any) -> dict[str, Any]:
    return {
        "budget": item.name, "money": item.money, "spent": round(item.spent_money, 6), "tokens": item.tokens,
        "tokens spent": item.spent_tokens, "requests": item.requests, "requests spent": item.spent_requests,
        "held": item.held_requests,
    }  # fmt: skip
