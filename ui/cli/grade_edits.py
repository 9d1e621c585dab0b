"""strata grade edits: what graders wrote better, as a dataset of new samples with parents."""

from __future__ import annotations

from typing import Annotated

import typer

from ui.cli.grade import Name
from ui.cli.output import Json, emit, facts, opened


def edits(
    name: Name,
    to: Annotated[str, typer.Option("--as", metavar="DATASET", help="Dataset that the new samples become.")],
    remark: Annotated[str, typer.Option("--note", metavar="TEXT", help="A remark on the version.")] = "",
    json: Json = False,
) -> None:
    """Publish what graders wrote better: each edit a new sample that names the one it was made of as its parent.

    Edits of items that still wait for a grader are left out. Run again, it adds new edits and takes out those taken back.

    Example: strata grade edits clarity --as web-edits
             strata score web-edits generator
             strata score web-edits semantic_check --target web
    """
    from catalog import grades

    done = grades.publish_edits(opened(), name, to, note=remark)
    emit(json, done, lambda: facts(done))


def edit_from(source: str | None) -> str | None:
    """The words of `--edit`: a file's, or those of standard input for "-"; one line break at the end is the file's own."""
    import sys
    from pathlib import Path

    from catalog.errors import BadInput

    if source is None:
        return None
    try:
        words = sys.stdin.read() if source == "-" else Path(source).read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"--edit {source} cannot be read as text: {error}; name a UTF-8 file, or - for input") from None
    return words.removesuffix("\n")
