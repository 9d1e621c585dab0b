"""The assistant's tools are those of the MCP server, in an agent's hands: the same verbs under the same permissions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from catalog.errors import BadInput

if TYPE_CHECKING:
    from agents.assistant import AgentTool, Step, Turn
    from catalog import Catalog


def ask(
    cat: Catalog, question: str, *, endpoint: str, budget: str, history: str = "[]", steps: int | None = None,
    told: Callable[[Step], None] = lambda step: None,
) -> Turn:  # fmt: skip
    """One turn of a conversation with the catalog's tools. Text of samples goes only to a model of yours, or with consent."""
    from agents.assistant import converse
    from agents.assistant.loop import STEPS
    from flows.endpoints.registry import endpoint as named

    tools = tools_for(cat, texts=named(cat, endpoint).local)
    return converse(
        cat, question, tools, endpoint=endpoint, budget=budget, history=history, steps=steps or STEPS, told=told
    )


def tools_for(cat: Catalog, *, texts: bool) -> list[AgentTool]:
    """The tools of the MCP server over this catalog, whose caller may read and propose, whatever its person may.

    Those that write at once are not offered: in these hands they would all be refused."""
    import asyncio

    from agents.assistant import AgentTool
    from agents.hands import as_agent
    from ui.mcp.server import build

    server = build(as_agent(cat, "assistant"), texts=texts)

    def caller(name: str) -> Callable[[dict[str, Any]], Any]:
        def call(args: dict[str, Any]) -> Any:
            from fastmcp.exceptions import FastMCPError
            from pydantic import ValidationError

            try:
                held = asyncio.run(server.call_tool(name, args)).structured_content
            except FastMCPError as error:
                raise BadInput(str(error)) from None
            except ValidationError as error:
                first = error.errors()[0]
                raise BadInput(f"{name}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
            return held["result"] if held is not None and set(held) == {"result"} else held

        return call

    return [AgentTool(tool.name, tool.description or "", tool.parameters, caller(tool.name))
            for tool in asyncio.run(server.list_tools())
            if tool.name == "propose" or (tool.annotations and tool.annotations.read_only_hint)]  # fmt: skip
