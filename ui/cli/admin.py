"""strata init, doctor, gc, token create|list|revoke, ui, serve, mcp."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from ui.cli.output import HOME, Json, emit, facts, note, number, opened, table

Host = Annotated[str, typer.Option(help="Address to listen on.")]


def init(json: Json = False) -> None:
    """Create the catalog, or bring its metadata up to date; says where everything is.

    Example: strata --home /data/strata init
    """
    from sqlalchemy.engine import make_url

    settings = opened().settings
    held = {
        "home": str(settings.home),
        "database": make_url(settings.database).render_as_string(hide_password=True),
        "tables": settings.tables,
        "actor": settings.actor,
    }
    emit(json, held, lambda: facts(held))


def doctor(
    deep: Annotated[bool, typer.Option("--deep", help="Read every row and compare digests.")] = False,
    json: Json = False,
) -> None:
    """Prove that metadata and tables agree. Exit status 1 when something is wrong.

    Example: strata doctor --deep
    """
    found = opened().doctor(deep=deep)
    rows = [{"level": item.level, "object": item.object, "message": item.message} for item in found]
    bad = sum(row["level"] == "error" for row in rows)

    def human() -> None:
        if rows:
            table(rows, ["level", "object", "message"])
        print("the catalog is whole" if not bad else f"{bad} errors")

    emit(json, rows, human)
    if bad:
        raise typer.Exit(1)


def gc(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="One dataset; all if not given.")] = None,
    compact: Annotated[bool, typer.Option("--compact", help="Merge small files first.")] = False,
    abandon: Annotated[
        bool, typer.Option("--abandon", help="Also give up unfinished runs and what they computed.")
    ] = False,
    json: Json = False,
) -> None:
    """Free what no version, tag, mix or run points to.

    Example: strata gc web --compact
    """
    held = opened().gc(name, compact=compact, abandon=abandon)
    rows = [{"dataset": dataset, **counts} for dataset, counts in held.items()]
    emit(json, held, lambda: table(rows, list(dict.fromkeys(key for row in rows for key in row)), empty="no datasets"))


def token_create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Who will use it; shows in audit and runs.")],
    verbs: Annotated[str, typer.Option(metavar="read|propose|write|admin", help="What it may do.")] = "read",
    days: Annotated[float | None, typer.Option(metavar="N", help="Days until it expires; none: never.")] = None,
    json: Json = False,
) -> None:
    """Create a token, for `strata serve` and to sign in with. It is shown once; only its hash is stored.

    Example: strata token create ci --verbs write --days 90
    """
    from ui.api.tokens import create

    secret = create(opened(), name, verbs, days)
    emit(json, {"name": name, "verbs": verbs, "days": days, "token": secret}, lambda: print(secret))
    note("keep it safe: it is not shown again; sign in with it, or send it as `Authorization: Bearer ...`")


def token_list(json: Json = False) -> None:
    """List the tokens by name and hash.

    Example: strata token list
    """
    from ui.api.tokens import tokens

    rows = tokens(opened())
    emit(
        json, rows, lambda: table(rows, ["name", "verbs", "digest", "created", "expires", "revoked"], empty="no tokens")
    )


def token_revoke(
    name: Annotated[str, typer.Argument(metavar="NAME|DIGEST", help="Name, or the beginning of the hash.")],
    json: Json = False,
) -> None:
    """Revoke tokens; requests with them are refused from now on.

    Example: strata token revoke ci
    """
    from ui.api.tokens import revoke

    count = revoke(opened(), name)
    emit(json, {"revoked": count}, lambda: print(f"{number(count)} tokens revoked"))


def _become(command: list[str]) -> None:
    """Replace this process, so that signals and exit status are the program's own."""
    if HOME[0]:
        os.environ["STRATA_HOME"] = os.path.abspath(os.path.expanduser(HOME[0]))
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, *command])


def ui(
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8501,
    host: Host = "127.0.0.1",
    sign_in: Annotated[
        bool | None,
        typer.Option("--sign-in/--no-sign-in", help="Ask everybody for a token; on where --host is not this machine.",
                     show_default=False),
    ] = None,
) -> None:  # fmt: skip
    """Open the web page. Without sign-in, whoever opens it acts as you.

    Example: strata ui --port 8600
             strata token create ada --verbs write && strata ui --host 0.0.0.0
    """
    from importlib.util import find_spec
    from pathlib import Path

    from catalog.errors import Missing
    from ui.web.entry.sessions import SWITCH

    if find_spec("streamlit") is None:
        raise Missing("the web page needs streamlit: pip install 'strata-catalog[ui]'")
    signs = _sign_in(host, sign_in)
    os.environ[SWITCH] = str(int(signs))
    page = Path(__file__).parents[1] / "web" / ("server.py" if signs else "app.py")
    note(f"web page on http://{host}:{port} (Ctrl-C stops)")
    _become(["-m", "streamlit", "run", str(page), "--server.address", host, "--server.port", str(port),
             "--server.headless", "true", "--browser.gatherUsageStats", "false"])  # fmt: skip


def _sign_in(host: str, asked: bool | None) -> bool:
    """Whether people sign in: as asked, as STRATA_UI_SIGN_IN says, else where the page listens beyond this machine."""
    from catalog.errors import BadInput
    from ui.api.tokens import live_count
    from ui.web.entry.sessions import SWITCH, hours, wanted

    near = host in ("localhost", "::1") or host.startswith("127.")
    signs = asked if asked is not None else wanted() if SWITCH in os.environ else not near
    if not signs and not near:
        raise BadInput(f"a page on {host} without sign-in would let everybody who reaches it act as you, with all rights; "
                       "leave out --no-sign-in (and STRATA_UI_SIGN_IN=0), or listen on 127.0.0.1")  # fmt: skip
    if signs:
        hours()
        if not live_count(opened()):
            note("nobody can sign in yet: strata token create NAME --verbs admin")
    return signs


def serve(port: Annotated[int, typer.Option(help="Port to listen on.")] = 8080, host: Host = "127.0.0.1") -> None:
    """Serve the verbs over HTTP, with local tokens; /docs describes them.

    Example: strata token create me --verbs write && strata serve --port 8080
    """
    from importlib.util import find_spec

    from catalog.errors import Missing

    if find_spec("fastapi") is None or find_spec("uvicorn") is None:
        raise Missing("serving needs fastapi and uvicorn: pip install 'strata-catalog[ui]'")
    note(f"API on http://{host}:{port}/docs (Ctrl-C stops)")
    _become(["-m", "uvicorn", "ui.api.app:create_app", "--factory", "--host", host, "--port", str(port)])


def mcp(
    http: Annotated[bool, typer.Option("--http", help="Over HTTP with local tokens instead of stdio.")] = False,
    port: Annotated[int, typer.Option(help="Port for --http.")] = 8081,
    host: Host = "127.0.0.1",
    texts: Annotated[
        bool, typer.Option("--texts", help="Sample text may leave: the model is local, or you consent.")
    ] = False,
) -> None:
    """Offer the read verbs to language-model clients (Model Context Protocol).

    Without --texts, text leaves only for datasets whose owner consented.

    Example: strata mcp
    """
    from importlib.util import find_spec

    from catalog.errors import Missing

    if find_spec("fastmcp") is None:
        raise Missing("the MCP server needs fastmcp: pip install 'strata-catalog[ui]'")
    from ui.mcp.server import serve_http, serve_stdio

    if http:
        serve_http(opened(), host, port, texts=texts)
    else:
        serve_stdio(opened(), texts=texts)
