"""`strata`: the command list, its help, and what an error looks like.

    strata ingest web.jsonl --as web && strata score web langid && strata sql 'select language, count(*) from web group by 1'

Exit status: 0 done, 1 `doctor` found errors, 2 an error that names its remedy, 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

from ui.cli import (
    admin,
    ask,
    attribute,
    clusters,
    compare,
    discover,
    endpoint,
    estimate,
    evals,
    grade,
    grade_bulk,
    grade_edits,
    history,
    ingest,
    insight,
    intake,
    judge,
    ledger,
    lifecycle,
    mix,
    mix_draft,
    mix_front,
    places,
    profile,
    promote,
    proposals,
    queries,
    query,
    question,
    receipts,
    rules,
    score,
    select,
    trial,
    trial_recipes,
    weights,
)
from ui.cli.help import Command, Group
from ui.cli.output import HOME, note

app = typer.Typer(
    name="strata",
    help="A training-data catalog: datasets in tiers, columns with recipes, mixes with locks.",
    epilog="Start: strata ingest web.jsonl --as web · strata score web langid · strata show web",
    cls=Group,
    rich_markup_mode=None,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

PANELS: dict[str, list[tuple[str, Callable[..., Any]]]] = {
    "Data in": [("init", admin.init), ("ingest", ingest.ingest)],
    "Look": [
        ("datasets", query.datasets), ("show", query.show), ("card", history.card), ("lineage", history.lineage),
        ("trace", history.trace), ("attribute", attribute.attribute), ("diff", history.diff), ("compare", compare.compare), ("clusters", clusters.clusters), ("sql", query.sql), ("question", question.question), ("search", query.search), ("discover", discover.discover), ("ask", ask.ask),
        ("explore", query.explore), ("rules", rules.rules), ("confounds", query.confounds), ("estimate", estimate.estimate),
        ("insight", insight.insight), ("notes", insight.notes),
        ("index", query.index),
    ],
    "Compute": [
        ("scorers", score.scorers), ("selectors", select.selectors), ("mixers", score.mixers), ("plan", score.plan),
        ("score", score.score), ("promote", promote.promote),
    ],
    "Change": [
        ("rollback", lifecycle.rollback), ("tag", lifecycle.tag), ("rename", lifecycle.rename), ("consent", lifecycle.consent),
        ("drop", lifecycle.drop), ("retract", lifecycle.retract), ("incident", receipts.incident), ("propose", proposals.propose),
    ],
    "Train": [("pull", mix.pull)],
    "Run": [("ui", admin.ui), ("serve", admin.serve), ("mcp", admin.mcp)],
    "Care": [("doctor", admin.doctor), ("gc", admin.gc)],
}  # fmt: skip
GROUPS: list[tuple[str, str, str, list[tuple[str, Callable[..., Any]]]]] = [
    ("Look", "profile", "Facts of a whole set.",
     [("features", profile.features), ("near", profile.near), ("facts", profile.fact_counts),
      ("toxicity", profile.toxicity)]),
    ("Change", "select", "Named row sets: a recipe, no copied rows.",
     [("save", select.save), ("list", select.list_selections), ("show", select.show), ("overlap", select.overlap)]),
    ("Data in", "intake", "Sources: where each stands, and what is to be done next.",
     [("list", intake.list_sources), ("verify", intake.verify), ("accept", intake.accept), ("check", intake.check),
      ("score", intake.score), ("promote", intake.promote), ("approve", intake.approve), ("again", intake.again),
      ("forget", intake.forget)]),
    ("Change", "receipts", "What was taken out, and whom it had reached.",
     [("list", receipts.list_receipts), ("show", receipts.show_receipt)]),
    ("Change", "proposals", "Writes that wait for a person: look, then approve, edit or reject.",
     [("list", proposals.list_proposals), ("show", proposals.show), ("edit", proposals.edit), ("approve", proposals.approve),
      ("reject", proposals.reject)]),
    ("Look", "queries", "Statements of SQL that are kept by name.",
     [("save", queries.save), ("list", queries.list_queries), ("show", queries.show), ("delete", queries.delete)]),
    ("Compute", "weights", "Weights of several scores, learned from trials.",
     [("draw", weights.draw), ("learn", weights.learn)]),
    ("Compute", "endpoint", "Language models that judges and agents may ask.",
     [("add", endpoint.add), ("list", endpoint.list_endpoints), ("remove", endpoint.remove), ("export", endpoint.export), ("import", endpoint.import_), ("batches", endpoint.list_batches), ("cancel", endpoint.cancel)]),
    ("Compute", "budget", "What may be spent on endpoints.",
     [("set", endpoint.budget_set), ("list", endpoint.budget_list)]),
    ("Compute", "judge", "What language models are worth as judges.", [("report", judge.report)]),
    ("Compute", "grade", "People grade samples, blind to one another.",
     [("create", grade.create), ("list", grade.list_campaigns), ("work", grade.work), ("next", grade.next_item),
      ("put", grade.put), ("skip", grade.skip), ("undo", grade.undo), ("plant", grade.plant), ("status", grade.status),
      ("agree", grade.agree), ("compare", grade.compare), ("conflicts", grade.conflicts),
      ("adjudicate", grade.adjudicate), ("export", grade.export), ("publish", grade.publish), ("bulk", grade_bulk.bulk),
      ("edits", grade_edits.edits), ("close", grade.close)]),
    ("Train", "mix", "Freeze what is trained on by a lock.",
     [("weights", mix.weights), ("split", mix.split), ("publish", mix.publish), ("draft", mix_draft.draft), ("front", mix_front.front), ("revise", mix.revise), ("preview", mix.preview), ("list", mix.list_mixes), ("show", mix.show), ("diff", mix.diff), ("key", mix.key), ("sign", mix.sign), ("verify", mix.verify)]),
    ("Train", "trial", "Train proxy models on mixes, record what came of it, and compare.",
     [("add", trial.add), ("design", trial.design), ("run", trial.run), ("doremi", trial_recipes.doremi), ("skills", trial_recipes.skills), ("anneal", trial_recipes.anneal), ("traces", trial_recipes.traces), ("list", trial.list_), ("show", trial.show), ("compare", trial.compare)]),
    ("Train", "ledger", "What runs were served, and what they lost on it.",
     [("add", ledger.add), ("show", ledger.show), ("curves", ledger.curves), ("who", ledger.who)]),
    ("Run", "server", "The home's Prefect server and its workers.",
     [("start", places.start), ("status", places.status), ("stop", places.stop), ("worker", places.worker)]),
    ("Run", "runs", "What ran, what runs, and how to stop it.",
     [("list", places.runs_list), ("show", places.runs_show), ("cancel", places.runs_cancel)]),
    ("Care", "evals", "What each eval protects, and the leak checks that wait.",
     [("list", evals.list_evals), ("declare", evals.declare_eval), ("check", evals.check)]),
    ("Care", "token", "Local tokens for `strata serve` and `strata mcp --http`.",
     [("create", admin.token_create), ("list", admin.token_list), ("revoke", admin.token_revoke)]),
]  # fmt: skip


def _add(to: typer.Typer, name: str, function: Callable[..., Any], panel: str | None = None) -> None:
    """Register a command; the part of its docstring after "Example:" becomes the foot of its help."""
    text, _, example = (function.__doc__ or "").partition("\n\n    Example:")
    lines = [line.strip() for line in example.strip().splitlines() if line.strip()]
    foot = "Example: " + "\n         ".join(lines) if lines else None
    short = text.split("\n\n")[0].split(": ")[0].split("; ")[0].split(". ")[0].strip().rstrip(".")
    to.command(name, cls=Command, help=text, short_help=short, epilog=foot, rich_help_panel=panel)(function)


for _panel, _commands in PANELS.items():
    for _name, _function in _commands:
        _add(app, _name, _function, _panel)
for _panel, _name, _help, _commands in GROUPS:
    _group = typer.Typer(help=_help, cls=Group, no_args_is_help=True, rich_markup_mode=None)
    for _verb, _function in _commands:
        _add(_group, _verb, _function)
    app.add_typer(_group, name=_name, rich_help_panel=_panel)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(f"strata {version('strata-catalog')}")
        raise typer.Exit


@app.callback()
def home(
    at: Annotated[
        str | None,
        typer.Option(
            "--home", metavar="FOLDER", help="Folder of the catalog; $STRATA_HOME or ./strata-home if not given."
        ),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options of every command."""
    HOME[0] = at


def main(arguments: list[str] | None = None) -> None:
    """Run a command and leave with its status."""
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    sys.unraisablehook = _again
    sys.exit(run(arguments))


def _again(lost: sys.UnraisableHookArgs) -> None:
    """Python drops a Ctrl-C that lands in a weak reference's callback or a destructor: deliver it again."""
    if lost.exc_type is KeyboardInterrupt:
        signal.setitimer(signal.ITIMER_REAL, 0.01)
    else:
        sys.__unraisablehook__(lost)


def run(arguments: list[str] | None = None) -> int:
    """Run a command; a failure a user can cause is one line on stderr and status 2, anything else is a bug."""
    try:
        status = app(arguments, prog_name="strata", standalone_mode=False)
    except typer.TyperException as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            print(error.format_message())
            return 0
        return _fail(error.format_message(), "see --help")
    except (KeyboardInterrupt, typer.Abort):
        status = 130
    except SystemExit:
        # Typer leaves this way only when the reader of our pipe has gone: nothing is left to say, and the flush at exit
        # must not complain either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if (line := _explained(error)) is None:
            raise
        if type(error).__name__ != "Cancelled":
            return _fail(line)
        note(line)
        return 130
    if status == 130:
        note("stopped; what is finished is kept: resume by running the same command")
    return status if isinstance(status, int) else 0


def _explained(error: Exception) -> str | None:
    """The one line of an error with a known cause, or None for a bug."""
    from catalog.errors import StrataError

    if isinstance(error, StrataError):
        return str(error)
    if "LanceError" in str(error):
        reason = str(error).partition("LanceError")[2].partition(", /")[0].strip("(): ")
        return f"{_unreadable()} cannot be read or written: {reason[:200]}; run `strata doctor`"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'the system'}: {error.strerror}; mend that and run the command again"
    if type(error).__module__.startswith("sqlalchemy") and (cause := getattr(error, "orig", None)) is not None:
        reason = str(cause).strip().splitlines()[0]
        first = "free some space and " if "full" in reason or "disk I/O" in reason else ""
        return f"the metadata database failed: {reason}; what is published is untouched, {first}run the command again"
    return None


def _unreadable() -> str:
    """Which tables doctor finds broken: Lance does not say what it could not read."""
    from ui.cli.output import opened

    try:
        names = sorted({item.object for item in opened().doctor() if item.level == "error"})
    except Exception:  # this is an error's way out: it must not raise another one
        names = []
    return ", ".join(names[:3]) or "a table"


def _fail(message: str, hint: str = "") -> int:
    line = " ".join(message.split())
    note(f"error: {line}" + (f" ({hint})" if hint else ""))
    return 2


if __name__ == "__main__":
    main()
