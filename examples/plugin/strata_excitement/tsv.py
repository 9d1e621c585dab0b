"""Tab-separated text: tabs and line ends inside a value become spaces, lists and structs JSON."""

import json

from catalog.pull.formats import exporter


@exporter("tsv")
def write(file, schema, batches):
    """Tab-separated text with a header."""
    file.write(("\t".join(schema.names) + "\n").encode())
    for batch in batches:
        for row in batch.to_pylist():
            file.write(("\t".join(_plain(value) for value in row.values()) + "\n").encode())


def _plain(value) -> str:
    text = "" if value is None else value if isinstance(value, str) else json.dumps(value, default=str)
    return " ".join(text.split())
