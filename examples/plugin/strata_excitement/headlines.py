"""Records with a headline and a story: the headline is the first line of the text."""

from catalog.ingest.dialect import dialect
from catalog.ingest.turns import text_of


@dialect("headline_story", kind="text", rank=5, roles={"headline": "headline title", "story": "story"},
         needs="headline story", strict=True)  # fmt: skip
def headline_story(fields):
    """A headline and a story."""

    def convert(row):
        return {"text": text_of(row, fields["headline"]) + "\n\n" + text_of(row, fields["story"])}

    return convert
