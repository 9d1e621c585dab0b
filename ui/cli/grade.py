"""strata grade: people grade samples, blind to one another, and what they said becomes a column."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ui.cli.output import Json, emit, facts, note, number, opened, table
from ui.grading import PLAIN, agreement, campaign_row

Name = Annotated[str, typer.Argument(metavar="CAMPAIGN", help="Campaign.")]
Item = Annotated[str, typer.Argument(metavar="ITEM", help="Handle that `strata grade next` gave.")]
As = Annotated[str | None, typer.Option("--as", metavar="PERSON", help="Who grades; default the actor.")]
Note = Annotated[str, typer.Option("--note", metavar="TEXT", help="A remark that is stored with it.")]
Resamples = Annotated[int, typer.Option(min=0, help="Resamples of the bootstrap over items.")]
Seed = Annotated[int, typer.Option(help="Seed of whatever is random.")]


def create(
    name: Name,
    source: Annotated[str, typer.Argument(metavar="DATASET[@vN]|SELECTION", help="What is graded.")],
    rubric: Annotated[
        str | None, typer.Option(metavar="FILE|NAME", help="Rubric: a YAML file, or one that comes with Strata.")
    ] = None,
    graders: Annotated[int, typer.Option(min=1, help="Graders wanted for each item.")] = 1,
    order: Annotated[
        str, typer.Option(metavar="ORDER", help="given, random, uncertain, disagreeing or stratified.")
    ] = "given",
    by: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN", help="Column of the order; repeat for more.")
    ] = None,
    threshold: Annotated[float | None, typer.Option(help="For order uncertain: nearest to this value first.")] = None,
    items: Annotated[int | None, typer.Option(min=1, help="Grade the first so many items of the order.")] = None,
    pairs: Annotated[int, typer.Option(min=0, help="Compare samples in pairs, in so many rounds of the circle.")] = 0,
    target: Annotated[str, typer.Option(metavar="sample|turn|span", help="What of a sample is graded.")] = "sample",
    where: Annotated[str | None, typer.Option(metavar="SQL", help="Only rows for which this holds.")] = None,
    missing: Annotated[
        str, typer.Option(metavar="error|drop|keep", help="What a row without a value means.")
    ] = "error",
    gold_every: Annotated[int, typer.Option("--gold-every", min=0, help="A planted item after so many others.")] = 0,
    hold: Annotated[float, typer.Option(help="Minutes until a taken item goes to somebody else.")] = 30.0,
    suggest: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=COLUMN", help="Column that holds what a model said; repeat for more."),
    ] = None,
    reveal: Annotated[
        str, typer.Option(metavar="after|before", help="Shown after the own grade, or before.")
    ] = "after",
    seed: Seed = 0,
    remark: Annotated[str, typer.Option("--note", help="Why it exists.")] = "",
    json: Json = False,
) -> None:
    """Make a campaign and freeze its queue; the same request again is the campaign that is there.

    Example: strata grade create clarity web --rubric clarity.yaml --graders 2 --order random --items 200
             strata grade create edge web --rubric clarity.yaml --order uncertain --by quality --threshold 0.5
             strata grade create duel best --pairs 3
    """
    from catalog import grades
    from catalog.errors import BadInput

    if rubric is None and not pairs:
        raise BadInput("say what is asked: --rubric FILE or the name of a shipped rubric; only --pairs needs none")
    made = grades.create(
        opened(), name, source, _rubric(rubric), graders=graders, order=order, columns=by, threshold=threshold, items=items,
        pairs=pairs, target=target, where=where, missing=missing, gold_every=gold_every, hold=hold * 60, seed=seed,
        suggest={key: str(value) for key, value in _read(suggest or []).items()} or None, reveal=reveal, note=remark,
    )  # fmt: skip
    body = {
        "campaign": made.name, "ref": made.ref, "items": made.items, "graders": made.graders, "order": order,
        "rubric": made.rubric["name"], "rubric_digest": made.rubric_digest,
    }  # fmt: skip
    emit(json, body, lambda: facts(body))


def _rubric(source: str | None) -> dict[str, Any]:
    if source is None:
        return dict(PLAIN)
    from json import loads

    from flows.scorers.judge._rubric import read_rubric

    return loads(read_rubric(source).model_dump_json())


def list_campaigns(json: Json = False) -> None:
    """List the campaigns.

    Example: strata grade list
    """
    from catalog import grades

    rows = [campaign_row(held) for held in grades.campaigns(opened())]
    shown = ["campaign", "ref", "rubric", "kind", "order", "items", "touched", "graders", "closed", "note"]
    emit(json, rows, lambda: table(rows, shown, empty="no campaign is there: strata grade create"))


def next_item(name: Name, person: As = None, json: Json = False) -> None:
    """Take the next item: it is yours for a while, and asking again before grading gives the same one.

    Example: strata grade next clarity --as ann
    """
    from catalog import grades

    held = grades.next_item(opened(), name, person)
    if held is None:
        emit(json, None, lambda: print("nothing is left for you to grade"))
        return
    emit(json, held, lambda: _show(held))


def _show(held: dict[str, Any]) -> None:
    for at, sample in enumerate(held["samples"]):
        if len(held["samples"]) > 1:
            print(f"--- {'AB'[at]} ---")
        turns = sample.get("messages") if held["target"] == "turn" else None
        if turns:
            for turn, message in enumerate(turns):
                print(f"[turn:{turn}] {message['role']}: {message['content']}")
        else:
            print(sample["text"])
    print()
    print(held["about"])
    for name, body in held["questions"].items():
        wants = ", ".join(body["of"]) if "of" in body else f"{body['low']} to {body['high']}"
        print(f"  {name}: {wants}. {body.get('about', '')}".rstrip(". "))
        for value, meaning in (body.get("anchors") or {}).items():
            print(f"    {value}: {meaning}")
    facts({"item": held["item"], "held until": held["expires"][:19] + " UTC"})
    if held["mine"]:
        note("yours so far: " + ", ".join(f"{g['target']} {g['name']}={g['value']}".strip() for g in held["mine"]))


def put(
    item: Item,
    values: Annotated[
        list[str],
        typer.Argument(
            metavar="VALUE | NAME=VALUE...", help="Grades; of a part: turn:2.NAME=VALUE, span:0-40.NAME=VALUE."
        ),
    ],
    person: As = None,
    remark: Note = "",
    seconds: Annotated[float | None, typer.Option(help="Seconds it took; default since the item was taken.")] = None,
    revision: Annotated[
        int | None, typer.Option(min=1, help="Store this revision once, however often it is sent.")
    ] = None,
    edit: Annotated[
        str | None, typer.Option(metavar="FILE|-", help="A better text or response, stored with it.")
    ] = None,
    json: Json = False,
) -> None:
    """Grade an item; the same again changes nothing, other values supersede yours.

    Example: strata grade put 5f2c... clarity=4 audience=experts --as ann
    """
    from catalog import grades
    from ui.cli.grade_edits import edit_from

    cat = opened()
    done = grades.put(cat, item, _values(cat, item, values, person), grader=person, note=remark, seconds=seconds,
                      revision=revision, edit=edit_from(edit))  # fmt: skip
    emit(json, done, lambda: print("stored already" if done["repeated"] else f"stored, revision {done['revision']}"))


def _values(cat: Any, item: str, given: list[str], person: str | None) -> dict[str, Any]:
    """NAME=VALUE as a mapping, parts nested; a bare value answers the only question there is."""
    from catalog import grades
    from catalog.errors import BadInput

    if len(given) == 1 and "=" not in given[0]:
        asked = list(grades.look(cat, item, person)["questions"])
        if len(asked) > 1:
            raise BadInput(f"the rubric asks for {', '.join(asked)}: write NAME=VALUE for each")
        given = [f"{asked[0]}={given[0]}"]
    return _read(given)


def _read(given: list[str]) -> dict[str, Any]:
    from catalog.errors import BadInput

    found: dict[str, Any] = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals or not name:
            raise BadInput(f"a grade is NAME=VALUE, not {one!r}")
        target, dot, part = name.rpartition(".")
        if dot:
            found.setdefault(target, {})[part] = value
        else:
            found[name] = value
    return found


def skip(item: Item, person: As = None, remark: Note = "", json: Json = False) -> None:
    """Leave an item to others; you are not asked about it again.

    Example: strata grade skip 5f2c... --note "not in a language I read"
    """
    from catalog import grades

    done = grades.skip(opened(), item, grader=person, note=remark)
    emit(json, done, lambda: print("skipped already" if done["repeated"] else "skipped"))


def undo(name: Name, person: As = None, json: Json = False) -> None:
    """Take back your last grade or skip; it stays on record as superseded.

    Example: strata grade undo clarity --as ann
    """
    from catalog import grades

    done = grades.undo(opened(), name, person)
    emit(json, done, lambda: print(f"took back the {done['undone']} of item {done['item']}"))


def work(name: Name, person: As = None) -> None:
    """Grade one item after the other at the terminal: a value for each question; s skips, u takes back, q ends.

    Example: strata grade work clarity --as ann
    """
    from catalog import grades
    from catalog.errors import BadInput

    cat, done = opened(), 0
    while (held := grades.next_item(cat, name, person)) is not None:
        _show(held)
        try:
            said = _asked(held)
            if said in ("s", "u"):
                _ = grades.skip(cat, held["item"], grader=person) if said == "s" else grades.undo(cat, name, person)
                continue
            if said == "q":
                break
            grades.put(cat, held["item"], said, grader=person)  # type: ignore[arg-type]
            done += 1
        except BadInput as error:
            note(f"{error}; again")
    note(f"{done} graded" + ("" if held else "; nothing is left for you to grade"))


def _asked(held: dict[str, Any]) -> dict[str, Any] | str:
    """Answers to the questions, or s, u or q."""
    prefix = ""
    if held["target"] == "turn":
        prefix = f"turn:{typer.prompt('turn')}."
    found = []
    for name, body in held["questions"].items():
        said = str(typer.prompt(name)).strip()
        if said in ("s", "u", "q") and said not in body.get("of", []):
            return said
        found.append(f"{prefix}{name}={said}")
    return _read(found)


def status(name: Name, json: Json = False) -> None:
    """How far a campaign is, and each grader's count, speed and share of planted items right.

    Example: strata grade status clarity
    """
    from catalog import grades

    held = grades.status(opened(), name)

    def human() -> None:
        facts({key: value for key, value in held.items() if key not in ("graders", "rubric_digest", "dropped")})
        shown = ["grader", "graded", "skipped", "median_seconds", "gold_answers", "gold_right"]
        table(held["graders"], shown, empty="nobody has graded yet")

    emit(json, held, human)


def plant(
    name: Name,
    sample: Annotated[str, typer.Argument(metavar="SAMPLE", help="Sample id, or the beginning of one.")],
    answer: Annotated[list[str], typer.Argument(metavar="NAME=VALUE...", help="What is right to answer.")],
    person: Annotated[str | None, typer.Option("--as", metavar="PERSON", help="Who knows the answer.")] = None,
    json: Json = False,
) -> None:
    """Plant a sample whose answer is known among the items; whoever planted it is never given it.

    Example: strata grade plant clarity 19bd49 clarity=5
    """
    from catalog import grades

    done = grades.plant(opened(), name, sample, _read(answer), actor=person)
    emit(json, done, lambda: facts(done))


def agree(name: Name, resamples: Resamples = 1000, seed: Seed = 0, json: Json = False) -> None:
    """How far the graders agree beyond chance, each coefficient with its 95 % interval over items.

    1 is perfect, 0 is chance, higher is better.

    Example: strata grade agree clarity
    """
    held = agreement(opened(), name, resamples, seed)
    emit(json, held, lambda: _agreement(held))


def _interval(found: dict[str, Any]) -> str:
    if found["low"] != found["low"]:  # NaN: too few items to draw again
        return "undefined" if found["value"] != found["value"] else number(found["value"])
    return f"{number(found['value'])} [{number(found['low'])}, {number(found['high'])}]"


def _agreement(held: dict[str, Any]) -> None:
    for question, body in held["questions"].items():
        lines = [{"coefficient": f"Krippendorff's alpha, {metric}", "graders": "all", "items": found["items"],
                  "agreement": _interval(found)} for metric, found in body["alpha"].items()]  # fmt: skip
        if body["fleiss"]:
            lines.append({"coefficient": "Fleiss' kappa", "graders": "all", "items": body["fleiss"]["items"],
                          "agreement": _interval(body["fleiss"])})  # fmt: skip
        for pair in body["pairs"]:
            for kind in ("kappa", "linear", "quadratic"):
                if kind in pair:
                    named = "Cohen's kappa" + ("" if kind == "kappa" else f", {kind}")
                    lines.append({"coefficient": named, "graders": f"{pair['a']}, {pair['b']}", "items": pair["items"],
                                  "agreement": _interval(pair[kind])})  # fmt: skip
        table(lines, ["coefficient", "graders", "items", "agreement"], title=question,
              empty=f"{question}: no two graders share an item yet")  # fmt: skip
        if body["graders"]:
            shown = [
                key
                for key in ("grader", "shared", "same", "mean_difference", "mean_distance")
                if key in body["graders"][0]
            ]
            table(body["graders"], shown, title=f"{question}: each grader beside the others")
    if held["gold"]:
        table(held["gold"], ["grader", "answers", "right", "low", "high", "mean_distance"], title="planted items")


def compare(
    name: Name,
    column: Annotated[str, typer.Argument(metavar="COLUMN", help="Column of the dataset, for example a judge's.")],
    question: Annotated[str | None, typer.Option(metavar="NAME", help="Scale or label; default the first.")] = None,
    rule: Annotated[
        str, typer.Option(metavar="majority|mean|median", help="How people's grades are put together.")
    ] = "mean",
    resamples: Resamples = 1000,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """How far a model's grades agree with people's, beside how far people agree with each other.

    Example: strata grade compare clarity judge_clarity
    """
    from catalog import grades

    held = grades.compare_column(opened(), name, column, question=question, rule=rule, resamples=resamples, seed=seed)

    def human() -> None:
        flat = {key.replace("_", " "): _interval(value) if isinstance(value, dict) else value
                for key, value in held.items() if key != "people"}  # fmt: skip
        people = {f"people, alpha {metric}": _interval(found) for metric, found in held["people"].items()}
        facts({**flat, **people})

    emit(json, held, human)


def conflicts(
    name: Name,
    apart: Annotated[int, typer.Option(min=1, help="On a scale, from how far apart on.")] = 1,
    settled: Annotated[bool, typer.Option("--settled", help="Also those that were settled.")] = False,
    json: Json = False,
) -> None:
    """Items on which graders differ, widest first, once all their grades are in.

    Example: strata grade conflicts clarity --apart 2
    """
    from catalog import grades

    rows = grades.conflicts(opened(), name, apart=apart, settled=settled)
    shown = [{**row, "said": ", ".join(f"{who} {value}" for who, value in row["values"].items()),
              "sample": row["sample_id"][:8]} for row in rows]  # fmt: skip
    emit(
        json,
        rows,
        lambda: table(shown, ["item", "target", "name", "said", "final", "by", "sample"], empty="no conflict"),
    )


def adjudicate(
    name: Name,
    item: Annotated[int, typer.Argument(metavar="NUMBER", help="Number of the item in `strata grade conflicts`.")],
    values: Annotated[list[str], typer.Argument(metavar="NAME=VALUE...", help="The final value.")],
    by: Annotated[str | None, typer.Option("--as", metavar="PERSON", help="Who settles it; default the actor.")] = None,
    target: Annotated[str, typer.Option(metavar="turn:N", help="Part of the sample.")] = "",
    remark: Note = "",
    json: Json = False,
) -> None:
    """Settle an item by a final value, which stands before every rule; people's grades stay as they are.

    Example: strata grade adjudicate clarity 17 clarity=4 --as carol
    """
    from catalog import grades

    done = grades.adjudicate(opened(), name, item, _read(values), by=by, target=target, note=remark)
    emit(json, done, lambda: facts(done))


def export(
    name: Name,
    out: Annotated[
        str | None, typer.Option("--out", metavar="FILE", help=".jsonl or .csv; default JSON lines here.")
    ] = None,
    whole: Annotated[
        bool, typer.Option("--whole", help="Also items that wait for a grader; ends blindness for who reads it.")
    ] = False,
    history: Annotated[bool, typer.Option("--history", help="Also skips and what was superseded.")] = False,
    json: Json = False,
) -> None:
    """Write the grades as rows.

    Example: strata grade export clarity --out grades.csv
    """
    import csv
    import json as encoder
    from pathlib import Path

    from catalog import grades
    from catalog.errors import BadInput

    rows = grades.export(opened(), name, whole=whole, history=history)
    if out is None:
        lines = [encoder.dumps(row, ensure_ascii=False) + "\n" for row in rows]
        emit(json, rows, lambda: print("".join(lines), end=""))
        return
    path = Path(out)
    if path.suffix not in (".jsonl", ".csv"):
        raise BadInput(f"{out} is neither .jsonl nor .csv")
    with path.open("w", encoding="utf-8", newline="") as file:
        if path.suffix == ".jsonl":
            file.writelines(encoder.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        elif rows:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    emit(json, {"grades": len(rows), "file": out}, lambda: note(f"{len(rows):,} grades written to {out}"))


def publish(
    name: Name,
    rule: Annotated[
        str, typer.Option(metavar="majority|mean|median", help="How a sample's grades become one.")
    ] = "majority",
    least: Annotated[int, typer.Option(min=1, help="Graders that a sample needs.")] = 1,
    to: Annotated[str | None, typer.Option(metavar="DATASET", help="Another dataset that holds the samples.")] = None,
    json: Json = False,
) -> None:
    """Publish people's grades as columns with their recipe; of pairs, Bradley-Terry strengths.

    Example: strata grade publish clarity --rule mean --least 2
             strata estimate web judge_clarity --labels clarity_clarity
    """
    from catalog import grades

    done = grades.publish_grades(opened(), name, rule=rule, least=least, to=to)
    emit(json, done, lambda: table(done["columns"], ["column", "samples", "undecided", "changed", "published"]))


def close(
    name: Name,
    reopen: Annotated[bool, typer.Option("--reopen", help="Take grades again.")] = False,
    json: Json = False,
) -> None:
    """Ask for no more grades; what was graded stays.

    Example: strata grade close clarity
    """
    from catalog import grades

    held = grades.close(opened(), name, reopen=reopen)
    emit(json, {"campaign": name, "closed": held.closed}, lambda: print("closed" if held.closed else "open"))
