"""Dialects: real-looking records of each kind are told apart, and become the columns they should."""

from copy import deepcopy

import orjson
import pytest

from catalog.digests import content_id
from catalog.errors import BadInput
from catalog.ingest.dialect import dialects
from catalog.ingest.infer import infer, infer_rows
from catalog.ingest.mapping import Mapped, compile_mapping
from catalog.ingest.records import Chunk
from catalog.testing import write_jsonl


def mapped(rows, **options):
    """The mapping found for rows, and what became of them."""
    mapping = infer_rows(rows, **options)
    out = Mapped()
    compile_mapping(mapping)(Chunk([deepcopy(row) for row in rows], range(1, len(rows) + 1), None, {}), out)
    return mapping, out


def turns(messages):
    return [(turn["role"], turn.get("content")) for turn in messages]


def meta(out, at=0):
    return orjson.loads(out.meta[at]) if out.meta[at] else None


@pytest.mark.parametrize("field", ["text", "content", "raw_content", "body", "Document", "page_content"])
def test_a_document_in_a_field_of_any_usual_name(field):
    mapping, out = mapped([{field: "Rivers run to the sea.", "lang": "en"}])
    assert (mapping.kind, mapping.dialect, mapping.fields) == ("text", "text", {"text": field})
    assert out.encoded == [b"Rivers run to the sea."] and meta(out) == {"lang": "en"}


def test_provenance_fields_become_columns_and_the_rest_stays():
    row = {
        "text": "a page", "url": "https://x.org", "license": "CC0-1.0", "date": "2024-05-01T10:00:00Z",
        "author": "Ann", "score": 3.5, "tags": ["a"], "big": 2**70, "id": "p1",
    }  # fmt: skip
    mapping, out = mapped([row])
    assert mapping.row == {"url": "url", "licence": "license", "created": "date", "author": "author"}
    assert out.row["url"] == ["https://x.org"] and out.row["licence"] == ["CC0-1.0"]
    assert out.row["created"] == ["2024-05-01T10:00:00+00:00"]
    assert out.keys == ["p1"] and meta(out)["id"] == "p1" and meta(out)["tags"] == ["a"]


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("2023-02-01", "2023-02-01T00:00:00"),
        ("Wed, 01 Feb 2023 10:00:00 GMT", "2023-02-01T10:00:00+00:00"),
        (1675245600, "2023-02-01T10:00:00+00:00"),
        (1675245600000, "2023-02-01T10:00:00+00:00"),
        ("spring 1877", "spring 1877"),
    ],
)
def test_dates_are_iso_where_they_parse(given, stored):
    _, out = mapped([{"text": "a page", "created": given}])
    assert out.row["created"] == [stored]


def test_alpaca_triple_keeps_where_the_input_begins():
    row = {"instruction": "Add the numbers.", "input": "1 2", "output": "3", "in_sample": True}
    mapping, out = mapped([row, {**row, "input": ""}])
    assert (mapping.kind, mapping.dialect) == ("chat", "alpaca")
    assert turns(out.own["messages"][0]) == [("user", "Add the numbers.\n\n1 2"), ("assistant", "3")]
    assert orjson.loads(out.own["messages"][0][0]["meta"]) == {"input_chars": 3}
    assert turns(out.own["messages"][1])[0] == ("user", "Add the numbers.") and meta(out, 1) == {"in_sample": True}
    assert out.encoded[0] == b"user: Add the numbers.\n\n1 2\n\nassistant: 3"


def test_dolly_context_goes_with_the_instruction():
    mapping, out = mapped(
        [{"instruction": "Who?", "context": "Ann wrote it.", "response": "Ann", "category": "closed_qa"}]
    )
    assert mapping.dialect == "dolly"
    assert turns(out.own["messages"][0]) == [("user", "Who?\n\nAnn wrote it."), ("assistant", "Ann")]
    assert meta(out) == {"category": "closed_qa"}


@pytest.mark.parametrize(
    ("prompt", "response"),
    [("prompt", "response"), ("question", "answer"), ("query", "completion"), ("Problem", "Solution")],
)
def test_pairs_of_any_usual_names(prompt, response):
    mapping, out = mapped([{prompt: "Why is the sky blue?", response: "It scatters light."}])
    assert (mapping.kind, mapping.dialect) == ("chat", "prompt_response")
    assert turns(out.own["messages"][0]) == [("user", "Why is the sky blue?"), ("assistant", "It scatters light.")]


def test_openai_messages_with_tools_parts_and_reasoning():
    call = {"id": "c1", "type": "function", "function": {"name": "time", "arguments": "{}"}}
    row = {
        "messages": [
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "What time"}, {"type": "text", "text": "is it?"},
                                         {"type": "image_url", "image_url": {"url": "https://x.org/a.png"}}]},
            {"role": "assistant", "content": None, "tool_calls": [call], "reasoning_content": "I need the clock."},
            {"role": "tool", "tool_call_id": "c1", "content": "12:00", "name": "time"},
            {"role": "assistant", "content": "Noon.", "weight": 0},
        ],
        "tools": [{"type": "function"}],
    }  # fmt: skip
    mapping, out = mapped([row])
    assert (mapping.kind, mapping.dialect) == ("chat", "messages")
    system, user, asked, told, last = out.own["messages"][0]
    assert (system["role"], orjson.loads(system["meta"])) == ("system", {"role": "developer"})
    assert user["content"] == "What time\nis it?" and orjson.loads(user["parts"])[2]["type"] == "image_url"
    assert orjson.loads(asked["tool_calls"]) == [call] and asked["reasoning"] == "I need the clock."
    assert told["role"] == "tool" and told["tool_call_id"] == "c1" and orjson.loads(told["meta"]) == {"name": "time"}
    assert last["train"] is False and meta(out) == {"tools": [{"type": "function"}]}


def test_think_tags_are_kept_apart_and_can_be_put_back():
    _, out = mapped([{"messages": [{"role": "user", "content": "2+2?"},
                                   {"role": "assistant", "content": "<think>\neasy\n</think>\n\n4"}]}])  # fmt: skip
    turn = out.own["messages"][0][1]
    assert f"<think>{turn['reasoning']}</think>{turn['content']}" == "<think>\neasy\n</think>\n\n4"


def test_sharegpt_roles():
    row = {"id": "x", "system": "Be kind.", "conversations": [
        {"from": "human", "value": "hi"}, {"from": "gpt", "value": "hello"},
        {"from": "function_call", "value": '{"name": "f"}'}, {"from": "observation", "value": "ok"}]}  # fmt: skip
    mapping, out = mapped([row])
    assert mapping.dialect == "sharegpt"
    assert [role for role, _ in turns(out.own["messages"][0])] == ["system", "user", "assistant", "assistant", "tool"]
    assert orjson.loads(out.own["messages"][0][3]["tool_calls"])[0]["function"] == {"name": "f"}


def test_transcript_pairs_share_their_prompt():
    begin = "\n\nHuman: hi\n\nAssistant: hello\n\nHuman: tell me a joke"
    mapping, out = mapped([{"chosen": begin + "\n\nAssistant: no", "rejected": begin + "\n\nAssistant: a bad one"}])
    assert (mapping.kind, mapping.dialect) == ("preference", "preference")
    assert turns(out.own["messages"][0]) == [("user", "hi"), ("assistant", "hello"), ("user", "tell me a joke")]
    assert turns(out.own["chosen"][0]) == [("assistant", "no")]
    assert turns(out.own["rejected"][0]) == [("assistant", "a bad one")]


def test_preference_as_message_lists_and_as_strings_with_an_instruction():
    user = {"role": "user", "content": "hi"}
    lists = {"prompt": "hi", "chosen": [user, {"role": "assistant", "content": "hello"}],
             "rejected": [user, {"role": "assistant", "content": "go away"}], "score_chosen": 8.0}  # fmt: skip
    _, out = mapped([lists])
    assert turns(out.own["messages"][0]) == [("user", "hi")] and turns(out.own["rejected"][0]) == [
        ("assistant", "go away")
    ]
    strings = {"instruction": "Fix it.", "input": "freind", "output": "friend", "chosen": "friend", "rejected": "no"}
    mapping, out = mapped([strings])
    assert mapping.fields == {"chosen": "chosen", "rejected": "rejected", "prompt": "instruction", "input": "input"}
    assert turns(out.own["messages"][0]) == [("user", "Fix it.\n\nfreind")]
    assert turns(out.own["chosen"][0]) == [("assistant", "friend")] and meta(out) == {"output": "friend"}


def test_equal_sides_keep_one_turn_each():
    same = "\n\nHuman: hi\n\nAssistant: hello"
    _, out = mapped([{"chosen": same, "rejected": same}])
    assert turns(out.own["chosen"][0]) == turns(out.own["rejected"][0]) == [("assistant", "hello")]


def test_gsm8k_answer_is_behind_the_marks():
    solution = "He pays 2 * 600 = <<2*600=1200>>1200.\n#### 1,200"
    mapping, out = mapped([{"question": "How much?", "answer": solution}])
    assert (mapping.kind, mapping.dialect) == ("task", "gsm8k")
    assert out.own["answer"] == ["1200"] and out.own["verifier"] == ["gsm8k"] and meta(out) == {"answer": solution}


def test_boxed_answers_with_nested_braces():
    _, out = mapped([{"problem": "Half?", "solution": "So $\\boxed{\\frac{1}{2}}$.", "level": "1"}])
    assert out.own["answer"] == ["\\frac{1}{2}"] and out.own["verifier"] == ["boxed"]


@pytest.mark.parametrize(
    ("row", "answer"),
    [
        ({"question": "2+2?", "choices": ["3", "4", "5"], "answer": 1}, "B"),
        ({"question": "2+2?", "choices": ["3", "4", "5"], "answer": "B"}, "B"),
        ({"question": "2+2?", "options": ["three", "four"], "answer": "four"}, "B"),
        ({"question": "2+2?", "choices": {"text": ["3", "4"], "label": ["1", "2"]}, "answerKey": "2"}, "B"),
        ({"question": "2+2?", "options": {"A": "3", "B": "4"}, "answer": "B"}, "B"),
        ({"question": "2+2?", "mc1_targets": {"choices": ["4", "3"], "labels": [1, 0]}}, "A"),
        ({"question": "2+2?", "A": "3", "B": "4", "C": "5", "D": "6", "answer": "B"}, "B"),
        ({"Question": "2+2?", "Best Answer": "4", "Incorrect Answers": "3; 5", "Correct Answers": "4; four"}, "A"),
        ({"ctx": "He sat", "endings": ["down", "up"], "label": "0"}, "A"),
    ],
)
def test_multiple_choice_in_its_many_forms(row, answer):
    mapping, out = mapped([row])
    assert mapping.kind == "task" and out.own["answer"] == [answer] and out.own["verifier"] == ["choice"]
    assert len(out.own["choices"][0]) >= 2 and b"\nA. " in out.encoded[0]


def test_a_choice_that_is_not_there_is_quarantined():
    good = {"question": "2+2?", "choices": ["3", "4"], "answer": 1}
    _, out = mapped([good, {**good, "answer": 7}, {**good, "choices": ["3"]}, good, good])
    assert [reject.line for reject in out.rejects] == [2, 3] and len(out.encoded) == 3


def test_code_tasks():
    human = {"task_id": "H/0", "prompt": "def f(x):\n", "canonical_solution": "    return x\n", "test": "assert f(1) == 1",
             "entry_point": "f"}  # fmt: skip
    mapping, out = mapped([human])
    assert mapping.dialect == "humaneval" and mapping.key == "task_id" and out.own["answer"] == ["    return x\n"]
    assert meta(out)["test"] == "assert f(1) == 1"
    mbpp = {"text": "Write a function.", "code": "def f(): pass", "test_list": ["assert f() is None"], "task_id": 1}
    mapping, out = mapped([mbpp])
    assert mapping.dialect == "mbpp" and out.own["verifier"] == ["mbpp"]


def test_reading_comprehension_flat_and_nested():
    flat = {
        "context": "Ann was born in Rome.",
        "question": "Where?",
        "answers": {"text": ["Rome"], "answer_start": [16]},
    }
    mapping, out = mapped([flat])
    assert mapping.dialect == "squad" and out.own["answer"] == ["Rome"]
    nested = {
        "text": "Ann was born in Rome.",
        "qas": [{"question": "Who?", "answer": "Ann"}, {"question": "Where?", "answer": "Rome"}],
    }
    mapping, out = mapped([nested])
    assert mapping.dialect == "squad_nested" and out.own["answer"] == ["1. Ann\n2. Rome"]
    assert out.encoded[0] == b"user: Ann was born in Rome.\n\n1. Who?\n2. Where?" and len(meta(out)["qas"]) == 2


def test_prompts_alone_are_tasks_for_rollouts():
    mapping, out = mapped([{"prompt": "Write a poem.", "ground_truth": 4}])
    assert (mapping.kind, mapping.dialect) == ("task", "prompts") and out.own["answer"] == ["4"]


def test_any_other_record_is_knowledge_and_stays_whole():
    row = {"name": {"common": "Aruba"}, "area": 180, "landlocked": False, "borders": []}
    mapping, out = mapped([row])
    assert mapping.kind == "knowledge" and mapping.confidence < 1 and meta(out) == row
    assert out.encoded[0] == b'name: {"common":"Aruba"}\narea: 180\nlandlocked: no'
    assert out.contents[0].hex() == content_id("knowledge", {"meta": out.meta[0]})


def test_the_longest_column_is_the_text_of_a_file_without_names():
    rows = [{"c0": "3", "c1": "A title", "c2": "A long description of what happened in the town yesterday."}] * 3
    mapping, _ = mapped(rows)
    assert (mapping.kind, mapping.fields, mapping.confidence) == ("text", {"text": "c2"}, 0.5)


def test_overrides_win_and_wrong_ones_are_named():
    row = {"title": "T", "text": "Body.", "summary": "S", "nr": 7, "where": {"link": "https://x.org"}}
    mapping, out = mapped([row], given={"text": "summary", "key": "nr", "url": "where.link"})
    assert out.encoded == [b"S"] and out.keys == ["7"] and out.row["url"] == ["https://x.org"]
    assert meta(out) == {"title": "T", "text": "Body.", "nr": 7, "where": {}}
    mapping, _ = mapped([row], given={"prompt": "title", "response": "text"})
    assert (mapping.kind, mapping.dialect) == ("chat", "prompt_response")
    assert infer_rows([row], kind="knowledge").kind == "knowledge"
    with pytest.raises(BadInput, match="no field 'txet'.*title, text"):
        infer_rows([row], given={"text": "txet"})
    with pytest.raises(BadInput, match="no such role"):
        infer_rows([row], given={"teext": "text"})
    with pytest.raises(BadInput, match="do not fit kind preference"):
        infer_rows([row], kind="preference")
    with pytest.raises(BadInput, match="not one of text, chat"):
        infer_rows([row], kind="texts")


def test_a_forced_kind_chooses_another_dialect():
    row = {"question": "2+2?", "answer": "#### 4"}
    assert infer_rows([row]).dialect == "gsm8k"
    assert infer_rows([row], kind="chat").dialect == "prompt_response"
    assert infer_rows([{"question": "2+2?", "answer": "4"}], kind="task").dialect == "question_answer"


@pytest.mark.parametrize("values", [["a", "a"], [None, "b"], [["x"], ["y"]]])
def test_a_field_that_does_not_name_each_record_is_no_key(values):
    assert infer_rows([{"text": "some text", "id": value} for value in values]).key is None


@pytest.mark.parametrize(
    ("row", "reason", "detail"),
    [
        ({"text": ""}, "empty text", "text is empty"),
        ({"text": " \n\t"}, "empty text", "text is empty"),
        ({"text": None}, "empty text", "text is null"),
        ({"text": 5}, "wrong type", "text is a number"),
        ({"text": ["a"]}, "wrong type", "text is a list"),
        ({"txt": "a"}, "missing field", "no field 'text'"),
    ],
)
def test_records_without_text_are_rejected_with_their_place(row, reason, detail):
    good = {"text": "fine"}
    out = Mapped()
    mapping = infer_rows([good])
    compile_mapping(mapping)(Chunk([dict(good), dict(row), dict(good)], [1, 2, 3], [0, 10, 20], {}), out)
    (reject,) = out.rejects
    assert (reject.line, reject.offset, reject.reason) == (2, 10, reason) and detail in reject.detail
    assert out.lines == [1, 3] and orjson.loads(reject.excerpt) == row


def test_lone_surrogates_and_long_texts_are_rejected_wherever_they_come_from():
    out, mapping = Mapped(), infer_rows([{"text": "fine"}])
    rows = [{"text": "bad \ud800"}, {"text": "x" * 101}, {"text": "fine", "other": "\udfff"}]
    compile_mapping(mapping, limit=100)(Chunk(rows, [1, 2, 3], None, {}), out)
    assert [reject.reason for reject in out.rejects] == ["lone surrogate", "oversize", "lone surrogate"]


def test_the_fast_lane_and_the_careful_one_agree():
    """An irregular neighbour must not change what a record becomes."""
    rows = [{"text": f"text {at} é", "id": f"k{at}", "url": f"u{at}", "n": at} for at in range(50)]
    _, alone = mapped(rows, key="id")
    _, beside = mapped([*rows, {"text": ""}], key="id")
    assert alone.encoded == beside.encoded and alone.contents == beside.contents and alone.meta == beside.meta
    assert alone.row == beside.row and alone.keys == beside.keys and alone.chars == beside.chars


def test_message_ids_do_not_depend_on_metadata_or_training_flags():
    plain = [{"role": "user", "content": "hi"}]
    marked = [{"role": "user", "content": "hi", "train": True, "meta": '{"x":1}', "parts": None}]
    assert content_id("chat", {"messages": plain}) == content_id("chat", {"messages": marked})
    assert content_id("chat", {"messages": plain}) != content_id(
        "chat", {"messages": [{"role": "user", "content": "ho"}]}
    )


def test_infer_shows_five_rows_as_they_would_be_stored(tmp_path):
    rows = [{"id": f"q{at}", "question": f"{at}+1?", "answer": f"#### {at + 1}"} for at in range(9)]
    rows[2]["answer"] = "no idea"
    mapping = infer(str(write_jsonl(tmp_path / "q.jsonl", rows)))
    assert (mapping.kind, mapping.key, len(mapping.preview)) == ("task", "id", 5)
    assert mapping.preview[0]["text"] == "user: 0+1?" and mapping.preview[0]["answer"] == "1"
    assert mapping.preview[2]["quarantined"] == "missing field" and "89% of 9" in mapping.why


def test_empty_records_do_not_change_what_a_file_is():
    rows = [{"text": "a page", "n": 1}, *[{"text": "", "n": 2}] * 9]
    mapping, out = mapped(rows)
    assert mapping.dialect == "text" and len(out.rejects) == 9
    assert infer_rows([{"text": "", "n": 2}]).dialect == "text"


def test_every_dialect_says_what_it_is():
    for item in dialects():
        assert item.doc and item.kind and set(item.needs) <= set(item.roles)
