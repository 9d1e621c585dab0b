"""The house rules that a test can keep: which room imports which, how fast, how long files are, pages up to date."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
HEAVY = ["torch", "transformers", "prefect", "streamlit", "sklearn", "scipy", "fastapi", "lancedb"]


def loaded_by(statement: str) -> set[str]:
    code = f"import json, sys; {statement}; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("room", ["catalog", "flows", "agents", "ui", "ui.cli.main"])
def test_importing_a_room_loads_nothing_heavy(room):
    assert not loaded_by(f"import {room}") & set(HEAVY)


def test_the_registry_loads_nothing_heavy():
    assert not loaded_by(
        "from catalog.plugins import plugins, FAILED; assert len(plugins('scorer')) > 15 and not FAILED"
    ) & set(HEAVY)


def test_the_catalog_never_imports_the_rooms_above_it():
    """Plug-ins are found by entry point; no line of the catalog names a room above, nor torch or Prefect but in pull."""
    for path in (ROOT / "catalog").rglob("*.py"):
        words = [
            line.split()[1]
            for line in path.read_text("utf-8").splitlines()
            if line.strip().startswith(("import ", "from "))
        ]
        above = [
            word
            for word in words
            if word.split(".")[0] in ("flows", "agents", "ui", "prefect", "transformers", "streamlit")
        ]
        assert not above, f"{path}: {above}"
        if "torch" in {word.split(".")[0] for word in words}:
            assert path.name in ("pytorch.py", "pytorch_packed.py"), path


def test_files_stay_small():
    """A file that outgrows the ceiling wants to be two."""
    for room in ("catalog", "flows", "ui"):
        for path in (ROOT / room).rglob("*.py"):
            assert len(path.read_text("utf-8").splitlines()) <= 480, path
    for path in (ROOT / "flows" / "scorers").rglob("[a-z]*.py"):
        assert len(path.read_text("utf-8").splitlines()) <= 160, path


def test_generated_pages_are_current():
    done = subprocess.run([sys.executable, "docs/generate.py", "--check"], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr


def test_the_readme_names_the_two_commands_and_its_links_exist():
    import re

    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        text = page.read_text("utf-8")
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
    readme = (ROOT / "README.md").read_text("utf-8")
    assert "make demo" in readme and "make test" in readme
