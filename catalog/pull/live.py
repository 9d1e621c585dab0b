"""Remember that a mix is being streamed: which lock, by whom, from which index on, so that a leak can be traced to it.

One row a stream, written by a thread while the first block is read; the first batch waits for it at most `WAIT` seconds
and later ones never. Where the metadata cannot be written (a read-only home, a database that is busy or away) nothing is
recorded and nothing is said: training goes on. The row says where a stream began and where it would end; how far it came
is the trainer's to know.
"""

from __future__ import annotations

import socket
from threading import Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from catalog.pull.reader import MixReader

WAIT = 1.0


def begin(reader: MixReader, face: str, start: int, stop: int, rank: int = 0, world: int = 1) -> Thread | None:
    """Start to record a stream of a mix; None for a selection, and for a stream that this reader recorded before.

    The arrow face is asked for many small ranges, so that its first one stands for all.
    """
    key = (face, rank, world, None if face == "arrow" else start)
    if "selection" in reader.lock or key in reader.streams or start >= stop:
        return None
    reader.streams.add(key)
    thread = Thread(target=_record, args=(reader, face, start, stop, rank, world), daemon=True, name="strata-stream")
    thread.start()
    return thread


def _record(reader: MixReader, face: str, start: int, stop: int, rank: int, world: int) -> None:
    from sqlalchemy.exc import SQLAlchemyError

    from catalog.catalog import Catalog
    from catalog.errors import StrataError
    from catalog.meta.models import Stream

    actor, host = reader.settings.actor, socket.gethostname()
    try:
        with Catalog(reader.settings).session() as session:
            session.add(
                Stream(
                    mix=reader.ref, lock=reader.digest, face=face, actor=actor, host=host, rank=rank, world=world,
                    start=start, stop=stop,
                )
            )  # fmt: skip
            session.commit()
    except (SQLAlchemyError, StrataError, OSError):
        return
