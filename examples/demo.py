"""The whole path on real data, as commands you can type yourself: `make demo`.

Ingests excerpts of real datasets (examples/data, licences in its README), scores them, the web pages through the home's
own Prefect server, promotes through tiers, asks questions in SQL and in words, publishes a mix with its lock, and trains
a small language model on what the mix serves. Model-based columns run on a stated sample; `--full` does every row.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
STRATA = str(Path(sys.executable).parent / "strata")
BOLD, DIM, END = ("\033[1m", "\033[2m", "\033[0m") if sys.stdout.isatty() else ("", "", "")


def say(text: str) -> None:
    print(f"\n{BOLD}{text}{END}", flush=True)


def strata(command: str, *, may_refuse: bool = False) -> None:
    """Run one command and show it; a refusal that is part of the story may end with status 2."""
    print(f"{DIM}$ strata {command}{END}", flush=True)
    done = subprocess.run([STRATA, *shlex.split(command)], cwd=ROOT)
    if done.returncode and not (may_refuse and done.returncode == 2):
        sys.exit(f"the demo stopped: strata {command} ended with status {done.returncode}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="model-based columns on every row (long on a CPU)")
    options = parser.parse_args()
    home = Path(os.environ.setdefault("STRATA_HOME", str(ROOT / "strata-home")))
    began = time.perf_counter()
    rows = "" if options.full else "--sample 60"

    say(f"1. A catalog in {home.name}/: nothing to install, no network")
    strata("init")

    say("2. Ingest: five kinds of real data and three evals, each with its licence and evidence")
    strata("ingest --sources examples/sources.yaml")
    strata("datasets")

    say(
        "3. Score the web pages through Prefect: a deployment on the home's own server"
        + ("" if options.full else "; model-based columns on a sample of at most 60,000 tokens")
    )
    strata("plan web langid gopher_quality minhash perplexity")
    strata("score web langid gopher_quality gopher_repetition fineweb_lines text_length token_count --on home")
    strata(f"score web perplexity bits_per_byte --param max_tokens=256 {rows}")
    strata("score web minilm --param max_tokens=128" + ("" if options.full else " --sample 250"))

    say("4. Promote: the recipe runs what is missing, the contract checks it, every drop has a reason")
    strata('promote web --to L2 --where "chars > 500"', may_refuse=True)
    strata("promote web --to L1 --as web-l1")
    strata("promote web-l1 --to L2 --recipe select-web --set labels=web --as web-l2")
    strata("promote sft --to L1 --as sft-l1")
    strata("promote preference --to L1 --as preference-l1")
    strata("promote math --to L1 --as math-l1")

    say("5. Query: SQL over datasets, versions and the catalog itself")
    strata(
        'sql "SELECT verdict_web_l1 AS verdict, count(*) AS pages, round(avg(chars)) AS mean_chars FROM web GROUP BY 1 ORDER BY 2 DESC"'
    )
    strata(
        "sql \"SELECT dataset, alias, covered FROM strata.columns WHERE scorer IN ('lm_stats', 'minilm') ORDER BY 1, 2\""
    )
    strata('search web "how to cook rice" --mode text --limit 3')

    say("6. Mix: check the parts against the evals, publish a spec, get a lock")
    strata("score math-l1 eval_overlap")
    strata("score sft-l1 eval_overlap")
    strata("mix publish examples/mix.yaml")
    strata("mix show demo@v1")

    say("7. Pull: the order is a pure function of the lock; two ranks, then a training loop")
    strata("pull demo@v1 --limit 4 --rank 0 --world 2 --column sample_id --column source --column licence")
    train("demo@v1")

    say("8. Prove it")
    strata("doctor")
    say(f"Done in {time.perf_counter() - began:.0f} s. Open the page with:  make ui   (or: {Path(STRATA).name} ui)")


def train(ref: str, steps: int = 30) -> None:
    """A two-layer transformer on the mix, resumed in the middle from three integers."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from catalog import Catalog
    from flows.models import load_tokenizer

    torch.manual_seed(0)
    torch.set_num_threads(2)
    tokenizer = load_tokenizer("smollm2-135m")
    sizes = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=tokenizer.get_vocab_size(), max_position_embeddings=128, **sizes))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    loader, state, losses = Catalog.open().mix(ref).torch(batch_size=8), None, []
    for half in range(2):
        if state is not None:
            loader = Catalog.open().mix(ref).torch(batch_size=8)
            loader.load_state_dict(state)
        for step, batch in enumerate(loader, 1):
            ids = [encoding.ids[:128] or [0] for encoding in tokenizer.encode_batch(batch["text"])]
            width = max(map(len, ids))
            tokens = torch.tensor([row + [0] * (width - len(row)) for row in ids])
            labels = torch.tensor([row + [-100] * (width - len(row)) for row in ids])
            loss = model(input_ids=tokens, labels=labels).loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            if step == steps // 2:
                break
        state = loader.state_dict()
        print(f"   {len(losses):>3} steps, loss {losses[half * steps // 2]:.2f} -> {losses[-1]:.2f}, state {state}")


if __name__ == "__main__":
    main()
