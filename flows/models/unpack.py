"""Turn a GGUF file of the Llama family into the folder that transformers reads, without torch.

The formats are public: GGUF (a table of fields and quantised tensors) and safetensors. Weights are stored as float16:
bfloat16 would round Q4_1 values and move the negative log-likelihood by 1e-3.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from catalog.errors import Missing

CONTROL = 3
"""Type of special tokens in a GGUF vocabulary."""

TOP = {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight"}
LAYER = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def unpack_model(file: Path, into: Path) -> None:
    """Write config.json and model.safetensors (float16; the output matrix is the embedding, as the file has none)."""
    reader, gguf = _read(file)
    from safetensors.numpy import save_file

    config = _config(reader)
    heads = {"attn_q": config["num_attention_heads"], "attn_k": config["num_key_value_heads"]}
    weights = {}
    for tensor in reader.tensors:
        values = gguf.dequantize(tensor.data, tensor.tensor_type)
        parts = tensor.name.split(".")
        if tensor.name in TOP:
            name = TOP[tensor.name]
        elif parts[0] == "blk" and parts[2] in LAYER:
            name = f"model.layers.{parts[1]}.{LAYER[parts[2]]}.weight"
            values = _half_rotation(values, heads[parts[2]]) if parts[2] in heads else values
        else:
            raise Missing(
                f"model {file.name}: holds {tensor.name}, which is not of the Llama family; save it with transformers"
            )
        weights[name] = np.ascontiguousarray(values, np.float16)
    (into / "config.json").write_text(json.dumps(config, indent=2))
    save_file(weights, into / "model.safetensors", metadata={"format": "pt"})


def _config(reader: Any) -> dict[str, Any]:
    def field(name: str) -> Any:
        return reader.fields[name].contents()

    if field("general.architecture") != "llama" or any(t.name == "output.weight" for t in reader.tensors):
        raise Missing(
            "only GGUF files of the Llama family with tied embeddings can be unpacked; save it with transformers"
        )
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_act": "silu",
        "hidden_size": field("llama.embedding_length"),
        "intermediate_size": field("llama.feed_forward_length"),
        "max_position_embeddings": field("llama.context_length"),
        "num_attention_heads": field("llama.attention.head_count"),
        "num_hidden_layers": field("llama.block_count"),
        "num_key_value_heads": field("llama.attention.head_count_kv"),
        "rms_norm_eps": field("llama.attention.layer_norm_rms_epsilon"),
        "rope_theta": field("llama.rope.freq_base"),
        "tie_word_embeddings": True,
        "vocab_size": len(field("tokenizer.ggml.tokens")),
        "bos_token_id": field("tokenizer.ggml.bos_token_id"),
        "eos_token_id": field("tokenizer.ggml.eos_token_id"),
        "dtype": "float16",
    }


def _half_rotation(values: np.ndarray, heads: int) -> np.ndarray:
    """GGUF interleaves the two halves that rotary embedding turns; transformers keeps them apart."""
    rows, columns = values.shape
    return values.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def unpack_tokenizer(file: Path, into: Path) -> None:
    """Write tokenizer.json: a byte-level BPE that splits digits first, as the model was trained.

    (transformers reads every GPT-2 style GGUF tokenizer alike and merges line breaks before a digit differently.)
    """
    reader, _ = _read(file)
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    kind, words, merges, types = (
        reader.fields[f"tokenizer.ggml.{key}"].contents() for key in ("pre", "tokens", "merges", "token_type")
    )
    if kind != "smollm":
        raise Missing(f"model {file.name}: its tokenizer is of the unknown kind {kind!r}; save it with transformers")
    pairs = [tuple(merge.split(" ")) for merge in merges]
    tokenizer = Tokenizer(models.BPE(vocab={word: i for i, word in enumerate(words)}, merges=pairs))
    special = [word for word, type_ in zip(words, types, strict=True) if type_ == CONTROL]
    tokenizer.add_special_tokens([AddedToken(word, normalized=False, special=True) for word in special])
    digits = pre_tokenizers.Digits(individual_digits=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.save(str(into / "tokenizer.json"))


def _read(file: Path) -> tuple[Any, Any]:
    try:
        import gguf
        import safetensors
        import tokenizers  # noqa: F401
    except ImportError as error:
        raise Missing(
            f"model {file.name} needs the package {error.name}; pip install 'strata-catalog[flows]'"
        ) from None
    del safetensors
    return gguf.GGUFReader(file), gguf
