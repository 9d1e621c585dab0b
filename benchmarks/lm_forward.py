"""Tokens a second of `lm_stats` against the bare model and against a naive padded loop, on the same real texts.

    python benchmarks/lm_forward.py --data examples/data --tokens 20000

bare     the transformers model alone, full logits, on texts already tokenised and batched by length in the same batches
strata   the scorer `lm_stats` from Arrow in to Arrow out: tokenising, batching, forward pass, statistics
naive    texts in file order, eight at a time, padded to the longest, attention mask, cross entropy of all logits

All three see the same texts cut at the same number of tokens, in one process, in turns; each figure is the median over
rounds of real (not padded) tokens a second. On a machine that others use too, run with OMP_NUM_THREADS=1 and read the
ratios of processor seconds, which waiting does not enter.
"""

from __future__ import annotations

import argparse
import gzip
import json
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa

from catalog.plugins import Context, get_scorer
from flows.devices import pick_device, pick_dtype
from flows.models import LanguageModel, encode_heads, load_causal_lm
from flows.models.forward import BUDGET
from flows.models.tokens import batches_by_length


def texts_of(path: Path) -> Iterator[str]:
    """The string fields of every JSON line, joined: real text, whatever the schema of the file."""
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
        for line in lines:
            row = json.loads(line)
            values = row.values() if isinstance(row, dict) else [row]
            text = "\n".join(value for value in values if isinstance(value, str))
            if text:
                yield text


def gather(data: Path, lm: LanguageModel, tokens: int, limit: int) -> tuple[list[str], list[list[int]]]:
    """Texts in file order, an equal number of tokens from each file, and their ids cut at `limit`."""
    files = sorted(path for path in data.rglob("*") if path.name.endswith((".jsonl", ".jsonl.gz")))
    files = files or ([data] if data.is_file() else [])
    if not files:
        raise SystemExit(f"no .jsonl files under {data}; name a folder with --data")
    texts, ids = [], []
    for path in files:
        held = 0
        for text in texts_of(path):
            sequence = encode_heads(lm.tokenizer, [text], limit)[0].ids[:limit]
            if len(sequence) < 2:
                continue
            texts.append(text)
            ids.append(sequence)
            held += len(sequence)
            if held >= tokens / len(files):
                break
    return texts, ids


def padded(ids: list[list[int]], group: list[int], device: str):
    import torch

    width = max(len(ids[i]) for i in group)
    batch = torch.zeros((len(group), width), dtype=torch.long)
    mask = torch.zeros((len(group), width), dtype=torch.long)
    for row, i in enumerate(group):
        batch[row, : len(ids[i])] = torch.tensor(ids[i])
        mask[row, : len(ids[i])] = 1
    return batch.to(device), mask.to(device)


def bare(lm: LanguageModel, ids: list[list[int]]) -> None:
    for group in batches_by_length([len(i) for i in ids], BUDGET[lm.device.partition(":")[0]]):
        batch, _ = padded(ids, group, lm.device)
        lm.model(input_ids=batch, use_cache=False).logits.sum().item()


def naive(lm: LanguageModel, texts: list[str], limit: int, size: int = 8) -> None:
    import torch

    for start in range(0, len(texts), size):
        encodings = lm.tokenizer.encode_batch(texts[start : start + size], add_special_tokens=False)
        ids = [encoding.ids[:limit] for encoding in encodings]
        batch, mask = padded(ids, list(range(len(ids))), lm.device)
        logits = lm.model(input_ids=batch, attention_mask=mask, use_cache=False).logits.float()
        labels = batch.masked_fill(mask == 0, -100)[:, 1:]
        loss = torch.nn.functional.cross_entropy(logits[:, :-1].transpose(1, 2), labels, reduction="none")
        loss.sum(1).cpu()


def strata(lm: LanguageModel, batch: pa.RecordBatch, limit: int) -> None:
    plugin = get_scorer("lm_stats")
    params = plugin.parse_params({"model": lm.name, "max_tokens": limit})
    ctx = Context(params=params, device=lm.device, dtype=lm.dtype, model=lm)
    for start in range(0, batch.num_rows, plugin.batch_rows):
        plugin.function(batch.slice(start, plugin.batch_rows), ctx)


def main() -> None:
    import torch

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("examples/data"), help="folder of .jsonl files, or one file")
    parser.add_argument("--tokens", type=int, default=20_000, help="tokens of text to read")
    parser.add_argument("--max-tokens", type=int, default=512, help="tokens of a text that are scored")
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--device", default=None)
    parser.add_argument("--dtype", default=None)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args()
    device = pick_device(args.device)
    lm = load_causal_lm(args.model, device, pick_dtype(device, args.dtype))
    texts, ids = gather(args.data, lm, args.tokens, args.max_tokens)
    batch = pa.RecordBatch.from_pydict({"text": pa.array(texts)})
    total = sum(len(sequence) for sequence in ids)
    ways: dict[str, Callable[[], None]] = {
        "bare": lambda: bare(lm, ids),
        "strata": lambda: strata(lm, batch, args.max_tokens),
        "naive": lambda: naive(lm, texts, args.max_tokens),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    processor: dict[str, list[float]] = {name: [] for name in ways}
    with torch.inference_mode():
        lm.model(input_ids=torch.tensor([ids[0]], device=device))
        for _ in range(args.rounds):
            for name, way in ways.items():
                start, used = time.perf_counter(), time.process_time()
                way()
                seconds[name].append(time.perf_counter() - start)
                processor[name].append(time.process_time() - used)
    rate = {name: total / statistics.median(times) for name, times in seconds.items()}
    cost = {name: statistics.median(times) for name, times in processor.items()}
    facts = {
        "texts": len(texts),
        "tokens": total,
        "device": device,
        "dtype": lm.dtype,
        "threads": torch.get_num_threads(),
    }
    ratios = {
        "strata_to_bare": rate["strata"] / rate["bare"],
        "strata_to_naive": rate["strata"] / rate["naive"],
        "strata_to_bare_processor": cost["bare"] / cost["strata"],
        "strata_to_naive_processor": cost["naive"] / cost["strata"],
    }
    if args.json:
        print(json.dumps({**facts, **{f"{name}_tokens_s": round(value, 1) for name, value in rate.items()}, **ratios}))
        return
    print(", ".join(f"{key} {value}" for key, value in facts.items()))
    for name, value in rate.items():
        times = ", ".join(f"{t:.1f}" for t in seconds[name])
        print(f"{name:8}{value:10.1f} tokens/s   rounds {times} s   processor {cost[name]:.1f} s")
    print("   ".join(f"{name} {value:.2f}" for name, value in ratios.items()))


if __name__ == "__main__":
    main()
