"""The pages are true: what they show runs, what they print is printed, what is generated is fresh, what they link exists.

Every page has a small home of its own, a copy of one prepared home. Its blocks run in order: Python, `strata` lines of
`bash` blocks, and `console` blocks, whose text (`...` stands for anything) must be found in what the command prints. YAML
that begins with a comment of a file name becomes that file. What cannot run here stands in UNRUN with its reason.
"""

from __future__ import annotations

import gzip
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from catalog import Catalog
from catalog.plugins import REGISTRY
from ui.cli.main import run

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "examples" / "data"
GENERATED = ("cli.md", "methods.md")
PAGES = [ROOT / "README.md", *sorted(path for path in (ROOT / "docs").glob("*.md") if path.name not in GENERATED)]
LANGUAGES = {"python", "bash", "console", "yaml", "toml", ""}
FENCE = re.compile(r"^```(\w*)\s*$")

UNRUN = {
    "README.md": {
        "strata plan web langid minhash perplexity": "its pilot loads a language model",
        "strata score web perplexity --sample 1000 --on home": "starts a Prefect server and loads a language model",
        'loader = cat.mix("demo@v1")': "rank and world are the trainer's",
    },
    "query.md": {
        "strata score web minilm": "embeds 499 pages: a minute on a CPU",
        "strata search web --like": "needs the embeddings of the line above",
    },
    "operations.md": {"strata ui --host": "becomes the page's server, which runs until it is stopped"},
    "judge.md": {"strata endpoint cancel 1f3a9c2e": "the batch is the reader's own"},
    "agents.md": {
        "strata score web cluster_leaves": "embeds 499 pages: a minute on a CPU",
        'strata attribute "Who coached the San Jose Sharks from 2008 on? Todd McLellan" --in': "needs the column of the line above",
    },
    "proposals.md": {"strata ask": "needs a language model"},
    "text.md": {
        "strata score generations toxicity": "needs a classifier of toxicity",
        "strata profile toxicity generations": "needs the column of the line above",
        "strata score web bits_per_byte": "needs models of different ability",
        "strata score web predictive_strength": "needs the columns of the lines above",
        "strata score web preselect": "needs the column of the line above",
    },
    "select.md": {
        "strata score web perplexity minilm --sample 300": "runs two models",
        "strata score web distil": "needs the columns of the line above",
        "import numpy as np\nfrom catalog.selectors": "a plug-in is a module of its own",
    },
    "score.md": {
        '"""Exclamation marks per 100 characters."""': "examples/plugin, run as an installed package below",
    },
}


@dataclass
class Item:
    """One thing a page shows. code: what is run; shown: what must be printed, for `console`."""

    page: str
    line: int
    kind: str
    code: str
    shown: list[str] = field(default_factory=list)

    @property
    def reason(self) -> str | None:
        """Why it does not run here."""
        return next((why for start, why in UNRUN.get(self.page, {}).items() if self.code.startswith(start)), None)


def items_of(path: Path) -> list[Item]:
    """What a page shows, in order."""
    found: list[Item] = []
    kind, start, body = None, 0, []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        fence = FENCE.match(line)
        if kind is None and line.startswith("```"):
            assert fence and fence[1] in LANGUAGES, f"{path.name}:{number}: a block of an unknown language: {line}"
            kind, start, body = fence[1], number, []
        elif kind is not None and line.startswith("```"):
            found += _block(path.name, start, kind, body)
            kind = None
        elif kind is not None:
            body.append(line)
    assert kind is None, f"{path.name}:{start}: the block is not closed"
    return found


def _block(page: str, start: int, kind: str, body: list[str]) -> list[Item]:
    if kind in ("python", "yaml", "toml"):
        return [Item(page, start + 1, kind, "\n".join(body) + "\n")]
    found: list[Item] = []
    for number, line in _joined(body, start + 1):
        if kind == "console" and not line.startswith("$ "):
            found[-1].shown.append(line)
        elif kind in ("bash", "console") and line.strip():
            found.append(Item(page, number, kind, line.removeprefix("$ ")))
        elif not kind:
            assert not re.match(r"(\$ )?strata ", line), f"{page}:{number}: commands belong in bash or console blocks"
    return found


def _joined(body: list[str], first: int) -> list[tuple[int, str]]:
    """Lines with their numbers; one that ends in a backslash goes on in the next."""
    found: list[tuple[int, str]] = []
    open_line = False
    for number, line in enumerate(body, first):
        if open_line:
            found[-1] = (found[-1][0], found[-1][1].removesuffix("\\") + line.strip())
        else:
            found.append((number, line))
        open_line = line.endswith("\\")
    return found


ITEMS = [item for page in PAGES for item in items_of(page)]


# -- running them --------------------------------------------------------------------------------------------------


class Reader:
    """Somebody who types what a page shows, in order, in a home and a folder of their own."""

    def __init__(self, page: str, home: Path, folder: Path) -> None:
        self.items = [item for item in ITEMS if item.page == page]
        self.home, self.folder = home, folder
        self.names: dict[str, Any] = {"__name__": "a_page"}
        self.outcomes: dict[int, str] = {}

    def reach(self, item: Item, capsys: Any) -> str:
        """Run all up to an item; what went wrong with that one, "" if nothing did."""
        for held in self.items:
            if held.line not in self.outcomes:
                self.outcomes[held.line] = "" if held.reason else self._run(held, capsys)
            if held is item:
                break
        return self.outcomes[item.line]

    def _run(self, item: Item, capsys: Any) -> str:
        capsys.readouterr()
        try:
            return getattr(self, f"_{item.kind}")(item, capsys) or ""
        except Exception as error:
            return f"{type(error).__name__}: {error}"

    def _python(self, item: Item, capsys: Any) -> None:
        held = {group: dict(names) for group, names in REGISTRY.items()}
        try:
            exec(compile(item.code, f"{item.page}:{item.line}", "exec"), self.names)
        finally:  # plug-ins of a page are not those of the tests that follow
            REGISTRY.clear()
            REGISTRY.update(held)

    def _bash(self, item: Item, capsys: Any) -> str:
        words = shlex.split(item.code, comments=True)
        if words[0] == "make":
            return "" if re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.M) else "no such target"
        if words[0] == "printf":  # writes the input of the next line
            subprocess.run(["bash", "-c", item.code], check=True)
            return ""
        status, told = self._command(words, capsys)
        return "" if status == 0 else f"status {status}: {told}"

    def _console(self, item: Item, capsys: Any) -> str:
        status, told = self._command(shlex.split(item.code), capsys)
        shown = _plain("\n".join(item.shown))
        wanted = 2 if shown.startswith("error:") else 0
        pattern = ".*?".join(re.escape(part) for part in shown.split("..."))
        if status != wanted:
            return f"status {status}, not {wanted}: {told}"
        return "" if re.search(pattern, _plain(told)) else f"the page shows\n{shown}\nbut it prints\n{_plain(told)}"

    def _command(self, words: list[str], capsys: Any) -> tuple[int, str]:
        assert words[0] == "strata", f"not a command of ours: {words[0]}; give the reason in UNRUN"
        assert not set(words) & {"|", "&&", ">", "<", ";"}, "one plain command a line"
        status = run(words[1:])
        told = capsys.readouterr()
        return status, told.out + told.err

    def _yaml(self, item: Item, capsys: Any) -> None:
        from catalog.ingest.sources import load_sources
        from catalog.mixes import load_spec
        from flows.recipe import load_recipe

        name = re.match(r"# (\S+\.yaml)\n", item.code)
        assert name, "the first line is a comment that names the file"
        path = self.folder / name[1]
        if not path.exists():
            path.write_text(item.code, "utf-8")
        body = yaml.safe_load(item.code)
        if "stages" in body and "parts" not in body:  # a mix has stages too, checked where it is published
            from flows.stages import stages_of

            stages_of(body["stages"])
            return
        if "scales" in body:
            from flows.scorers.judge._rubric import read_rubric

            read_rubric(path)
            return
        check = load_sources if "sources" in body else load_recipe if "to" in body else load_spec
        check(path)

    def _toml(self, item: Item, capsys: Any) -> None:
        tomllib.loads(item.code)


def _plain(text: str) -> str:
    return " ".join(text.split())


@pytest.fixture(scope="session")
def prepared(tmp_path_factory) -> Path:
    """Real pages, tasks, chats and an eval, promoted as in the demo: the home that the pages speak of."""
    home = tmp_path_factory.mktemp("docs") / "home"
    steps = [
        f"ingest {DATA}/web_quality_dclm.jsonl --as web --licence MIT",
        f"ingest {DATA}/math_gsm8k_train.jsonl --as math --licence MIT",
        f"ingest {DATA}/sft_dolly.jsonl --as sft --licence CC-BY-SA-3.0",
        f"ingest {DATA}/encyclopedia_wikitext2.jsonl --as encyclopedia --licence CC-BY-SA-3.0",
        f"ingest {DATA}/multilingual_opensource_guide.jsonl --as guides --licence CC-BY-4.0",
        f"ingest {DATA}/eval_gsm8k_test.jsonl --as gsm8k-test --role eval --licence MIT",
        "promote web --to L1",
        "promote web-l1 --to L2 --recipe select-web --set labels=web --as web-l2",
        "promote math --to L1",
        "promote sft --to L1",
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STRATA_HOME", str(home))
        for step in steps:
            assert run(shlex.split(step)) == 0, step
        Catalog.open(home).engine.dispose()
    return home


@pytest.fixture(scope="session")
def readers() -> dict[str, Reader]:
    return {}


@pytest.fixture
def reader(request, prepared, readers, tmp_path_factory, monkeypatch) -> Reader:
    """The reader of the item's page, in its folder and home."""
    page = request.getfixturevalue("item").page
    if page not in readers:
        folder = tmp_path_factory.mktemp(page.replace(".", "-"))
        home = folder / "strata-home"
        shutil.copytree(prepared, home)
        (folder / "examples").symlink_to(ROOT / "examples")
        texts = (DATA / "web_quality_dclm.jsonl").read_text("utf-8").splitlines()[:20]
        fresh = "\n".join(line.replace('"id": "dclm-', '"id": "new-') for line in texts) + "\n"
        (folder / "pages.jsonl.gz").write_bytes(gzip.compress(fresh.encode()))
        readers[page] = Reader(page, home, folder)
    monkeypatch.setenv("STRATA_HOME", str(readers[page].home))
    monkeypatch.chdir(readers[page].folder)
    return readers[page]


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: f"{item.page}:{item.line}")
def test_what_a_page_shows_is_true(item, reader, capsys):
    if item.reason:
        pytest.skip(item.reason)
    assert reader.reach(item, capsys) == ""


def test_the_list_of_what_does_not_run_is_not_stale():
    for page, held in UNRUN.items():
        codes = [item.code for item in ITEMS if item.page == page]
        assert all(any(code.startswith(start) for code in codes) for start in held), page


# -- what pages must name --------------------------------------------------------------------------------------------


def commands() -> list[str]:
    """Every command as it is typed, groups too."""
    import typer

    from ui.cli.main import app

    def walk(command: Any, words: str) -> list[str]:
        below = getattr(command, "commands", {})
        return [words, *(line for name, held in below.items() for line in walk(held, f"{words} {name}"))]

    return walk(typer.main.get_command(app), "strata")[1:]


def sections(page: str) -> set[str]:
    return set(re.findall(r"^## (.+)$", (ROOT / "docs" / page).read_text("utf-8"), re.M))


def test_every_command_and_every_scorer_is_in_its_reference():
    from catalog.plugins import plugins

    assert sections("cli.md") == set(commands())
    assert sections("methods.md") == {name for group in ("scorer", "selector", "mixer") for name in plugins(group)}


def generator() -> Any:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec and spec.loader
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    return generate


def test_generated_pages_are_fresh():
    stale = [name for name, build in generator().PAGES.items() if (ROOT / "docs" / name).read_text("utf-8") != build()]
    assert stale == [], "run `make docs`"


def test_the_ingest_page_names_every_format_dialect_reason_and_entry():
    from catalog.ingest.dialect import dialects
    from catalog.ingest.expectations import Expectations
    from catalog.ingest.records import REASONS, readers
    from catalog.ingest.sources import SourceSpec

    text = (ROOT / "docs" / "ingest.md").read_text("utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|", text, re.M)
    assert rows == [(item.name, item.kind) for item in dialects()], "the dialects, in the order in which they are tried"
    named = [*readers(), *REASONS, *SourceSpec.model_fields, *Expectations.model_fields]
    assert [name for name in named if f"`{name}`" not in text and f"{name}:" not in text] == []


def test_the_query_page_names_every_system_table():
    from catalog.query.system import TABLES

    text = (ROOT / "docs" / "query.md").read_text("utf-8")
    assert set(re.findall(r"`strata\.(\w+)`", text)) == set(TABLES)


def test_the_operations_page_names_every_variable():
    text = (ROOT / "docs" / "operations.md").read_text("utf-8")
    code = [path.read_text("utf-8") for room in ("catalog", "flows", "ui") for path in (ROOT / room).rglob("*.py")]
    read = set(re.findall(r'environ(?:\.get\(|\[)"(STRATA_\w+)', "\n".join(code)))
    assert read >= {"STRATA_HOME", "STRATA_ACTOR"}
    assert [
        name for name in sorted(read - {"STRATA_FLOW_RUN"}) if name not in text
    ] == []  # which a flow sets for itself


def test_the_mix_of_the_front_page_is_the_example():
    from catalog.mixes import load_spec

    shown = next(item.code for item in ITEMS if item.page == "README.md" and item.kind == "yaml")
    assert load_spec(shown).parts == load_spec(ROOT / "examples" / "mix.yaml").parts


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.S)
    targets = [target.partition("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text)]
    gone = [target for target in targets if target and "://" not in target and not (page.parent / target).exists()]
    assert gone == []


# -- the example of a plug-in ----------------------------------------------------------------------------------------

PLUGIN = ROOT / "examples" / "plugin"


def test_the_scorer_of_the_page_is_the_example():
    shown = next(item.code for item in ITEMS if item.page == "score.md" and "@scorer" in item.code)
    assert shown == (PLUGIN / "strata_excitement" / "excitement.py").read_text("utf-8")
    declared = next(item.code for item in ITEMS if item.page == "score.md" and item.kind == "toml")
    project = tomllib.loads((PLUGIN / "pyproject.toml").read_text("utf-8"))["project"]
    assert tomllib.loads(declared)["project"]["entry-points"] == project["entry-points"]


def test_a_plugin_package_is_found_scores_reads_and_exports(tmp_path):
    """As installed: the package on the path, beside it what an installer would have written."""
    project = tomllib.loads((PLUGIN / "pyproject.toml").read_text("utf-8"))["project"]
    info = tmp_path / f"strata_excitement-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    points = [
        f"[{group}]\n{name} = {value}"
        for group, held in project["entry-points"].items()
        for name, value in held.items()
    ]
    (info / "entry_points.txt").write_text("\n".join(points) + "\n")
    (tmp_path / "rows.jsonl").write_text('{"text": "Wow!"}\n{"text": "Calm."}\n')
    (tmp_path / "jokes.fortune").write_text("Knock knock.\n%\nWho is there?\n%\nNobody.\n")
    (tmp_path / "quotes").write_text("To be.\n%\nOr not.\n%\nWell.\n")
    (tmp_path / "news.jsonl").write_text('{"headline": "Rain", "story": "It fell."}\n' * 2)
    (tmp_path / "mix.yaml").write_text("name: m\nparts: [{dataset: jokes}]\n")
    steps = [
        "scorers",
        "ingest jokes.fortune --as jokes",
        "ingest quotes --as quotes",
        "ingest news.jsonl --as news",
        "sql 'SELECT count(*) AS n, min(text) AS first FROM quotes UNION ALL SELECT count(*), min(text) FROM news' --format csv",
        "mix publish mix.yaml",
        "pull m --export tsv out --column text",
        "ingest rows.jsonl --as rows --kind text",
        "score rows excitement --on inline",
        "sql 'SELECT text, excitement FROM rows ORDER BY text' --format csv",
    ]
    code = (
        "import shlex, sys; sys.path[:0] = sys.argv[1:3]; from ui.cli.main import run\n"
        f"for step in {steps!r}:\n    assert run(shlex.split(step)) == 0, step\n"
        f"import pytest; assert pytest.main(['-q', '-p', 'no:cacheprovider', {str(PLUGIN / 'test_excitement.py')!r}]) == 0\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path), str(PLUGIN)],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert re.search(r"excitement +cpu +map +excitement +Exclamation marks per 100 characters", done.stdout)
    assert '"Calm.",0\n"Wow!",25\n' in done.stdout
    assert '3,"Or not."\n2,"Rain\n\nIt fell."\n' in done.stdout
    shard = (tmp_path / "out" / "part-00000.tsv").read_text().splitlines()
    assert shard[0].split("\t")[-1] == "text" and sorted(line.split("\t")[-1] for line in shard[1:]) == [
        "Knock knock.", "Nobody.", "Who is there?"
    ]  # fmt: skip


@pytest.mark.parametrize("group", ["scorer", "selector", "mixer"])
def test_every_method_is_checked_against_something_or_called_experimental(group):
    from catalog.plugins import plugins

    held = generator().evidence()
    ours = [item for item in plugins(group).values() if item.module.startswith("flows.")]
    assert ours and [item.name for item in ours if not item.experimental and item.name not in held] == []


def test_evidence_names_methods_that_exist():
    from catalog.plugins import plugins

    assert set(generator().evidence()) <= {name for group in ("scorer", "selector", "mixer") for name in plugins(group)}
