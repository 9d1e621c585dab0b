"""The laboratory's examples end to end on their real data, at the smallest setting: minutes, so marked slow."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from catalog import Catalog
from catalog.trials import list_trials

ROOT = Path(__file__).resolve().parents[2]


def example(name: str, home: Path, *options: str) -> str:
    command = [sys.executable, str(ROOT / "examples" / name), "--home", str(home), "--size", "16k", *options]
    tiny = ["--param", "context=64", "--param", "batch=8", "--param", "validation_tokens=1024"]
    done = subprocess.run([*command, *tiny], capture_output=True, text=True, timeout=900, env=dict(os.environ))
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


# Sixteen such runs tell something of one part's loss, and nothing of the mean: there the mixer refuses.
SMALL = "--tokens 40960 --runs 16 --held 3 --model linear --goal loss/math".split()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_regmix_from_data_to_verdicts(tmp_path):
    out = example("regmix.py", tmp_path, *SMALL)
    trials = list_trials(Catalog.open(tmp_path))
    assert 16 + 3 + 9 <= len(trials) <= 16 + 3 + 15 and all(trial.source == "proxy" for trial in trials)
    assert "of 3 inside the interval (90%" in out and "Spearman" in out
    for other in ("uniform", "proportional", "best-of-trials", "mixing-laws"):
        line = next(
            line
            for line in out.splitlines()
            if line.startswith("   regmix") and f" {other} " in line and "differ" in line
        )
        assert any(word in line for word in ("WINS", "TIES", "LOSES")) and "smallest visible" in line
    again = example("regmix.py", tmp_path, *SMALL)
    assert len(list_trials(Catalog.open(tmp_path))) == len(trials)
    assert [x for x in again.splitlines() if "differ" in x] == [x for x in out.splitlines() if "differ" in x]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_tiers_against_the_same_rows_mixed(tmp_path):
    out = example("tiered_training.py", tmp_path, "--tokens", "40960", "--seeds", "3")
    lines = [line for line in out.splitlines() if line.startswith("loss/mean")]
    assert len(lines) == 2 and "mixed" in lines[0] and "reversed" in lines[1]
    cat = Catalog.open(tmp_path)
    assert len(list_trials(cat)) == 9
    served = {t.mix.split("-")[1]: t.weights for t in list_trials(cat)}
    for part, share in served["mixed"].items():
        assert served["tiered"][part] == pytest.approx(share, abs=0.03) and served["reversed"][part] == pytest.approx(
            share, abs=0.03
        )
