"""The columns of a sample, by kind. One message schema serves chat, preference and task.

Every table holds ROW (identity and provenance) and the columns of its kind. `text` is always there: the canonical plain
text of the sample, which text scorers read. Unmapped source fields are kept as a JSON object in `meta`.

    kind        own columns                                  text
    text        -                                            the document
    chat        messages                                     "role: content" turns joined by a blank line
    preference  messages (prompt), chosen, rejected          prompt turns and chosen turns
    task        messages (prompt), answer, choices, tools    prompt turns (choices as lettered lines)
    knowledge   -                                            the record as "key: value" lines; the record is in meta
"""

from __future__ import annotations

import pyarrow as pa

KINDS = ("text", "chat", "preference", "task", "knowledge")
TIERS = ("L0", "L1", "L2", "L3", "L4")
ROLES = ("target", "eval", "calibration")

MESSAGE = pa.struct(
    [
        pa.field("role", pa.string()),  # system, user, assistant, tool
        pa.field("content", pa.string()),  # plain text; of a list of parts, the text parts joined by a newline
        pa.field("parts", pa.string()),  # JSON list of content parts where content was not plain text
        pa.field("reasoning", pa.string()),  # the assistant's reasoning, kept apart from the answer
        pa.field("tool_calls", pa.string()),  # JSON list in OpenAI form
        pa.field("tool_call_id", pa.string()),
        pa.field("train", pa.bool_()),  # whether the loss covers this turn; null: the trainer's default
        pa.field("meta", pa.string()),  # JSON object of unknown fields
    ]
)
MESSAGES = pa.list_(MESSAGE)

ROW = [
    pa.field("sample_id", pa.string(), nullable=False),  # 32 hex digits, unique, stable through edits up to L2
    pa.field("content_id", pa.string(), nullable=False),  # 32 hex digits of the canonical content, not unique
    pa.field("text", pa.string()),
    pa.field("source", pa.string()),  # name of the source the row came from
    pa.field("licence", pa.string()),  # declared licence (SPDX id where known); null: unknown, and shown as such
    pa.field("url", pa.string()),
    pa.field("author", pa.string()),
    pa.field("created", pa.string()),  # crawl or creation date as declared, ISO 8601 where it parses
    pa.field("file", pa.string()),  # file the row was read from
    pa.field("line", pa.int64()),  # 1-based line or record number in that file
    pa.field("offset", pa.int64()),  # byte offset of the record; null where the format has none
    pa.field("meta", pa.string()),  # JSON object of unmapped fields
    pa.field("added", pa.int32()),  # version that added the row
]
CODED = ("source", "licence")
"""String columns of few values. Tables keep them as dictionaries: Lance decodes them nine times faster than strings, and
DuckDB groups by the codes."""
CHARS = pa.field("chars", pa.int32())  # characters of `text`; the store fills it when rows are written
REMOVED = pa.field("removed", pa.int32())  # version that removed the row; 0: retracted from every version; null: live
OWN = {
    "text": [],
    "chat": [pa.field("messages", MESSAGES)],
    "preference": [pa.field("messages", MESSAGES), pa.field("chosen", MESSAGES), pa.field("rejected", MESSAGES)],
    "task": [
        pa.field("messages", MESSAGES),
        pa.field("answer", pa.string()),  # ground truth that a verifier can check
        pa.field("choices", pa.list_(pa.string())),
        pa.field("tools", pa.string()),  # JSON list of tool definitions
        pa.field("verifier", pa.string()),  # reference of the verifier, for example "exact" or "gsm8k"
    ],
    "knowledge": [],
}
PARENTS = pa.field("parents", pa.list_(pa.string()))  # sample ids of the parents, from L3 on


def sample_schema(kind: str, tier: str = "L0") -> pa.Schema:
    """Columns that a writer of samples fills, in order."""
    return pa.schema([*ROW, *OWN[kind], *([PARENTS] if tier in ("L3", "L4") else [])])


def table_schema(kind: str, tier: str = "L0") -> pa.Schema:
    """Columns of a table: those of the writer, and `chars` and `removed`, which the store keeps."""
    return pa.schema([*sample_schema(kind, tier), CHARS, REMOVED])


def stored(schema: pa.Schema) -> pa.Schema:
    """How the store keeps a schema: CODED columns as dictionaries."""
    coded = pa.dictionary(pa.int32(), pa.string())
    return pa.schema([field.with_type(coded) if field.name in CODED else field for field in schema])


def plain_type(kind: pa.DataType) -> pa.DataType:
    """The type of a column as readers know it."""
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def plain(batch: pa.RecordBatch) -> pa.RecordBatch:
    """A batch as writers and scorers know it: dictionaries as the strings they stand for."""
    for at, field in enumerate(batch.schema):
        if pa.types.is_dictionary(field.type):
            kind = plain_type(field.type)
            batch = batch.set_column(at, field.with_type(kind), batch.column(at).cast(kind))
    return batch


def field_names(kind: str) -> set[str]:
    """Names that a scorer may read as sample fields."""
    return {field.name for field in [*ROW, *OWN[kind], CHARS]}
