"""Chats as tokens: ids and loss masks are those of transformers' own apply_chat_template, on tool-calling conversations."""

import json
import random

import pytest

transformers = pytest.importorskip("transformers")

import pyarrow as pa  # noqa: E402

from catalog.errors import BadInput  # noqa: E402
from catalog.pull.chat import ChatTemplate, open_template, plain_message  # noqa: E402
from catalog.pull.tokens import open_tokenizer  # noqa: E402
from catalog.schema import MESSAGES  # noqa: E402
from catalog.testing import WORDS, tiny_tokenizer  # noqa: E402

SPECIAL = ("<s>", "</s>", "<|im_start|>", "<|im_end|>", "<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>",
           "<|eot_id|>", "[INST]", "[/INST]", "[TOOL_CALLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]")  # fmt: skip
SMOLLM2 = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\n"
    "You are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
ZEPHYR = (
    "{% for message in messages %}\n{% if message['role'] == 'user' %}\n{{ '<|user|>\n' + message['content'] + eos_token }}"
    "\n{% elif message['role'] == 'assistant' %}\n{{ '<|assistant|>\n'  + message['content'] + eos_token }}\n{% else %}\n"
    "{{ '<|' + message['role'] + '|>\n' + message['content'] + eos_token }}\n{% endif %}\n"
    "{% if loop.last and add_generation_prompt %}\n{{ '<|assistant|>' }}\n{% endif %}\n{% endfor %}"
)
TOOLS = [{"type": "function", "function": {"name": "weather", "description": "Wetter für \"eine\" Stadt",
          "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_tokenizer(tmp_path_factory.mktemp("chat"), SPECIAL, bos_token="<s>")


@pytest.fixture(scope="module")
def theirs(folder):
    return transformers.PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"), bos_token="<s>", eos_token="</s>"
    )


def conversation(seed):
    """Turns with calls, results, spaces at the ends, empty and foreign text, as the store keeps them."""
    rng = random.Random(seed)

    def words():
        return rng.choice(["", "  ", "\n"]) + " ".join(
            rng.choices([*WORDS, "día", "東京", "🙂", "<b>"], k=rng.randint(1, 9))
        )

    turns = [{"role": "system", "content": words()}] if rng.random() < 0.5 else []
    for _ in range(rng.randint(1, 3)):
        turns.append({"role": "user", "content": words()})
        if rng.random() < 0.6:
            arguments = json.dumps(
                {"city": rng.choice(["Zürich", "Oslo"]), "days": rng.randint(1, 5)}, ensure_ascii=False
            )
            calls = [{"id": f"c{n}", "type": "function", "function": {"name": "weather", "arguments": arguments}}
                     for n in range(rng.randint(1, 2))]  # fmt: skip
            turns.append({"role": "assistant", "content": rng.choice(["", words()]), "tool_calls": json.dumps(calls)})
            turns += [{"role": "tool", "content": words(), "tool_call_id": call["id"]} for call in calls]
        turns.append({"role": "assistant", "content": words()})
    return turns


def rows(conversations, tools):
    kept = [json.dumps(TOOLS) if tools else None] * len(conversations)
    return pa.table({"messages": pa.array(conversations, MESSAGES), "tools": pa.array(kept, pa.string())})


@pytest.mark.parametrize("tools", [False, True])
@pytest.mark.parametrize("name", ["chatml", "llama3", "mistral"])
def test_marked_templates_give_the_mask_of_transformers(folder, theirs, name, tools):
    tokenizer = open_tokenizer(folder)
    template, held = open_template(name, tokenizer), [conversation(seed) for seed in range(40)]
    assert template.marked
    for turns, (ids, mask) in zip(held, template.encode(rows(held, tools), tokenizer), strict=True):
        found = theirs.apply_chat_template(
            [plain_message(turn) for turn in turns], tools=TOOLS if tools else None, chat_template=template.text,
            return_dict=True, return_assistant_tokens_mask=True,
        )  # fmt: skip
        assert ids.tolist() == found["input_ids"]
        assert mask.tolist() == [bool(value) for value in found["assistant_masks"]]
        assert 0 < mask.sum() < len(mask)


@pytest.mark.parametrize("text", [SMOLLM2, ZEPHYR])
def test_unmarked_templates_give_the_mask_of_the_prefix_method(folder, theirs, text):
    """Naively: tokenise every prefix of the conversation; an answer is what its prefix has more."""
    tokenizer = open_tokenizer(folder)
    template, held = open_template(text, tokenizer), [conversation(seed) for seed in range(40)]
    assert not template.marked
    for turns, (ids, mask) in zip(held, template.encode(rows(held, False), tokenizer), strict=True):
        plain = [plain_message(turn) for turn in turns]

        def tokens(upto, prompt=False, plain=plain):
            made = theirs.apply_chat_template(
                plain[:upto], chat_template=text, add_generation_prompt=prompt, return_dict=True
            )
            return made["input_ids"]

        whole, wanted = tokens(len(plain)), [False] * len(tokens(len(plain)))
        for at, turn in enumerate(plain):
            if turn["role"] == "assistant":
                begin, end = len(tokens(at, True)), len(tokens(at + 1))
                wanted[begin:end] = [True] * (end - begin)
        assert ids.tolist() == whole
        differing = [i for i, (a, b) in enumerate(zip(mask.tolist(), wanted, strict=True)) if a != b]
        for place in differing:  # a token over the border of prompt and answer: no prefix has it
            assert "\n" in tokenizer.raw.decode([whole[place]], skip_special_tokens=False)
        assert len(differing) <= sum(wanted) // 4


def test_the_templates_with_and_without_marks_agree(folder):
    tokenizer = open_tokenizer(folder)
    marked = open_template("chatml", tokenizer)
    bare = ChatTemplate(
        marked.text.replace("{%- generation %}", "").replace("{%- endgeneration %}", ""), tokenizer.named
    )
    held = rows([conversation(seed) for seed in range(20)], True)
    for (ids, mask), (others, found) in zip(marked.encode(held, tokenizer), bare.encode(held, tokenizer), strict=True):
        assert ids.tolist() == others.tolist() and mask.tolist() == found.tolist()


def test_turns_that_say_no_have_no_loss(folder):
    tokenizer = open_tokenizer(folder)
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "no", "train": False},
             {"role": "user", "content": "b"}, {"role": "assistant", "content": "yes", "train": True}]  # fmt: skip
    for name in ("chatml", SMOLLM2):
        template = open_template(name, tokenizer)
        ((ids, mask),) = template.encode(rows([turns], False), tokenizer)
        assert tokenizer.raw.decode(ids[mask].tolist(), skip_special_tokens=False) == "yes<|im_end|>\n"


def test_what_is_refused(folder):
    tokenizer = open_tokenizer(folder)
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    forgetful = "{% for m in messages %}{% if loop.last %}{{ m['content'] }}{% endif %}{% endfor %}"
    with pytest.raises(BadInput, match="rewrites earlier turns"):
        open_template(forgetful, tokenizer).render(turns)
    with pytest.raises(BadInput, match="is not valid, line 1"):
        open_template("{% for %}", tokenizer)
    with pytest.raises(BadInput, match="none of chatml, llama3, mistral"):
        open_template("vicuna", tokenizer)
    with pytest.raises(BadInput, match="has no chat template"):
        open_template(tokenizer, tokenizer)
    with pytest.raises(BadInput, match="cannot print a conversation: alternate"):
        open_template("{{ raise_exception('alternate') }}", tokenizer).render(turns)
    today = "{{ strftime_now('%d %b %Y') }}{% for m in messages %}{{ m['content'] }}{% endfor %}"
    with pytest.raises(BadInput, match="prints today's date"):
        open_template(today, tokenizer).render(turns)
    assert open_template(today, tokenizer, date="2025-01-31").render(turns)[0] == "31 Jan 2025ab"
    with pytest.raises(BadInput, match="remove U"):
        open_template("chatml", tokenizer).render([{"role": "user", "content": "\ue0f0strata<\ue0f0"}, turns[1]])
