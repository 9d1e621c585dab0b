"""Plain help, grouped by panel. Typer's own panels would import rich's Markdown, which takes longer than most commands."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand, TyperGroup


def _by_panel(items: list[tuple[str | None, tuple[str, str]]], first: str) -> dict[str, list[tuple[str, str]]]:
    """Rows under their panel's name, panels in order of appearance."""
    found: dict[str, list[tuple[str, str]]] = {}
    for panel, row in items:
        found.setdefault(panel or first, []).append(row)
    return found


def _write(formatter: Any, panels: dict[str, list[tuple[str, str]]]) -> None:
    for name, rows in panels.items():
        with formatter.section(name):
            formatter.write_dl(rows)


def _parameters(command: Any, ctx: Any) -> list[tuple[str | None, tuple[str, str]]]:
    rows = []
    for parameter in command.get_params(ctx):
        record = parameter.get_help_record(ctx)
        if record is not None:
            argument = parameter.param_type_name == "argument"
            panel = "Arguments" if argument else getattr(parameter, "rich_help_panel", None)
            rows.append((panel, record))
    return sorted(rows, key=lambda row: row[0] != "Arguments")


def _examples(command: Any, formatter: Any) -> None:
    """Examples as they are: a command line must not be wrapped."""
    if command.epilog:
        formatter.write_paragraph()
        formatter.write(command.epilog + "\n")


class Command(TyperCommand):
    """A command whose options are listed by panel."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        _write(formatter, _by_panel(_parameters(self, ctx), "Options"))

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        _examples(self, formatter)


class Group(TyperGroup):
    """A group whose commands are listed by panel, in the order of the table in main.py."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        held = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        wide = formatter.width - 6 - max(len(name) for name, _ in held)
        rows = [
            (getattr(command, "rich_help_panel", None), (name, command.get_short_help_str(wide)))
            for name, command in held
            if command is not None and not command.hidden
        ]
        _write(formatter, _by_panel(rows, "Commands"))

    def format_options(self, ctx: Any, formatter: Any) -> None:
        self.format_commands(ctx, formatter)
        _write(formatter, _by_panel(_parameters(self, ctx), "Options"))

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        _examples(self, formatter)
