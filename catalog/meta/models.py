"""The metadata tables. A row here is the commit: what no row names is not published.

Times are UTC, ISO 8601 with microseconds, as strings, so that SQLite and PostgreSQL compare them alike.
"""

# pyright: reportCallIssue=false, reportGeneralTypeIssues=false
from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import JSON, BigInteger, Column, Index, LargeBinary, Text, UniqueConstraint
from sqlmodel import Field, SQLModel


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")


def new_id() -> str:
    return uuid4().hex


def json_column(default: Any = dict) -> Any:
    return Field(default_factory=default, sa_column=Column(JSON, nullable=False))


class Name(SQLModel, table=True):
    """The one namespace of datasets, selections and mixes."""

    name: str = Field(primary_key=True)
    noun: str  # dataset, selection, mix


class Dataset(SQLModel, table=True):
    """A named table of samples of one kind in one tier; its published head and its lease."""

    id: str = Field(default_factory=new_id, primary_key=True)
    name: str = Field(index=True)
    kind: str
    tier: str
    role: str | None = None
    owner: str = ""
    note: str = ""
    licence: str | None = None  # declared default of its rows
    licence_evidence: str | None = None  # URL or file that shows the declared licence
    licence_verified: str | None = None  # licence as verified by a person
    licence_verified_by: str | None = None
    use_class: str | None = None  # commercial, research, unspecified
    consent_llm: bool = False  # may sample text go to a non-local endpoint
    uri: str  # of the Lance table, relative to the tables' prefix; empty when its space was freed
    lance_version: int = 0  # the published head; readers open this, never "latest"
    head: int = 0  # newest version number; 0: nothing published yet
    rows: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))  # live rows at head
    removed: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))  # rows removed or retracted, physical
    parent: str | None = None  # reference it was promoted from
    lease_owner: str | None = None
    lease_token: int = 0
    lease_expires: str | None = None
    created: str = Field(default_factory=now)
    dropped: str | None = None

    @property
    def text_may_leave(self) -> bool:
        """Whether sample text may go to what is not on this machine: its owner consented, and it is not raw."""
        return self.consent_llm and self.tier != "L0"


class Version(SQLModel, table=True):
    """A published set of rows. Digest: order-independent sum of row hashes, columns excluded."""

    __table_args__ = (UniqueConstraint("dataset_id", "number"),)

    id: str = Field(default_factory=new_id, primary_key=True)
    dataset_id: str = Field(index=True)
    number: int
    digest: str
    rows: int = Field(sa_column=Column(BigInteger, nullable=False))
    added: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    removed: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    retracted: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))  # taken out of it afterwards
    note: str = ""
    actor: str = ""
    run_id: str | None = None
    statistics: dict = json_column()  # counts by source, licence, language; bytes; quantiles of length
    created: str = Field(default_factory=now)


class ColumnRecord(SQLModel, table=True):
    """One computed column of one dataset: alias -> physical name, fingerprint, coverage, statistics."""

    __tablename__ = "columnrecord"
    __table_args__ = (UniqueConstraint("dataset_id", "physical"), UniqueConstraint("dataset_id", "alias"))

    id: str = Field(default_factory=new_id, primary_key=True)
    dataset_id: str = Field(index=True)
    alias: str
    physical: str
    state: str  # physical name of the state column it shares with its scorer's other outputs
    fingerprint: str = Field(index=True)
    scorer: str
    output: str
    type: str
    better: str | None = None
    scope: str = "row"  # row, fitted, population
    population: str | None = None  # "name@vN" for scope population
    covered: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))  # rows in a DONE state
    states: dict = json_column()  # state name -> rows
    statistics: dict = json_column()  # count, mean, min, max, quantiles, histogram, correlation with length
    report: dict = json_column()  # agreement of a fitted scorer, AUC with interval, reduction of KL ...
    digest: str = ""
    run_id: str | None = None
    created: str = Field(default_factory=now)


class Recipe(SQLModel, table=True):
    """How a column was made; the fingerprint is the hash of `body`."""

    fingerprint: str = Field(primary_key=True)
    scorer: str
    body: dict = json_column()
    source_digest: str = ""  # of the plug-in's file: recorded, not hashed in
    base: str = Field(default="", index=True)  # fingerprint without the fitted population: finds a frozen fit again
    created: str = Field(default_factory=now)


class FittedState(SQLModel, table=True):
    """The frozen state of a fitted scorer (an .npz archive); in the metadata store, where every worker can read it."""

    fingerprint: str = Field(primary_key=True)
    body: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class Run(SQLModel, table=True):
    """One execution of a verb by an actor, with counts and cost."""

    id: str = Field(default_factory=new_id, primary_key=True)
    verb: str = Field(index=True)  # ingest, score, promote, mix, pull, retract ...
    key: str = Field(index=True)  # equal for equal commands: how a repeated command finds what to resume
    status: str = Field(default="running", index=True)  # running, done, failed, cancelled, crashed
    actor: str = ""
    dataset: str | None = None
    place: str = "inline"  # inline, home, team
    request: dict = json_column()
    counts: dict = json_column()  # in, kept, dropped, quarantined, computed, reused
    cost: dict = json_column()  # cpu_s, gpu_s, tokens, money
    progress: dict = json_column()  # done, total, unit, rate
    error: str | None = None
    host: str = ""
    pid: int = 0
    process_start: str = ""  # start time of the process, so that a reused pid is not taken for a live run
    prefect_id: str | None = None
    started: str = Field(default_factory=now)
    heartbeat: str = Field(default_factory=now)
    finished: str | None = None


class Checkpoint(SQLModel, table=True):
    """A finished unit of an unfinished run: files are written, nothing is published yet."""

    key: str = Field(primary_key=True)
    unit: str = Field(primary_key=True)
    payload: dict = json_column()
    created: str = Field(default_factory=now)


class Edge(SQLModel, table=True):
    """Provenance: which run made which version, column or file from which."""

    id: str = Field(default_factory=new_id, primary_key=True)
    run_id: str = Field(index=True)
    verb: str
    source: str = Field(index=True)  # "file:...", "name@v3", "column:<fingerprint>", "mix:name@v1"
    target: str = Field(index=True)
    counts: dict = json_column()
    details: dict = json_column()  # the recipe of a promotion, waterfall, mapping of an ingest
    created: str = Field(default_factory=now)


class SourceFile(SQLModel, table=True):
    """A file that was ingested, so that the same bytes are not read twice and a grown file is continued."""

    id: str = Field(default_factory=new_id, primary_key=True)
    dataset_id: str = Field(index=True)
    uri: str = Field(sa_column=Column(Text, nullable=False))
    size: int = Field(sa_column=Column(BigInteger, nullable=False))
    digest: str
    mapping: str = ""  # digest of reader and mapping options
    rows: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    quarantined: int = 0
    version: int = 0
    run_id: str | None = None
    created: str = Field(default_factory=now)


class Quarantine(SQLModel, table=True):
    """A record that could not become a sample."""

    id: int | None = Field(default=None, primary_key=True)
    dataset_id: str = Field(index=True)
    run_id: str = Field(index=True)
    file: str = Field(sa_column=Column(Text, nullable=False))
    line: int | None = Field(default=None, sa_column=Column(BigInteger))
    offset: int | None = Field(default=None, sa_column=Column(BigInteger))
    reason: str
    detail: str = ""
    excerpt: str = ""  # at most 200 characters of the record


class Selection(SQLModel, table=True):
    """A named, versioned recipe for a row set; no copied rows."""

    __table_args__ = (UniqueConstraint("name", "version"),)

    id: str = Field(default_factory=new_id, primary_key=True)
    name: str = Field(index=True)
    version: int
    dataset: str
    where: str
    missing: str = "error"  # drop, keep, error: what a row without the value means
    owner: str = ""
    note: str = ""
    created: str = Field(default_factory=now)


class Mix(SQLModel, table=True):
    """A published mix: its spec and its lock, both frozen."""

    __table_args__ = (UniqueConstraint("name", "version"),)

    id: str = Field(default_factory=new_id, primary_key=True)
    name: str = Field(index=True)
    version: int
    spec: dict = json_column()
    lock: dict = json_column()
    digest: str
    actor: str = ""
    run_id: str | None = None
    created: str = Field(default_factory=now)


class Tag(SQLModel, table=True):
    """A name for a version ("name@tag"); what a tag points to is never collected."""

    dataset_id: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    version: int
    actor: str = ""
    created: str = Field(default_factory=now)


class Grade(SQLModel, table=True):
    """A judgement by a person or a model on a sample under a rubric. Never deleted: a later one supersedes it."""

    __table_args__ = (
        Index("ix_grade_once", "slot_id", "grader", "act", "name", "target", "revision", unique=True),
        Index("ix_grade_item", "campaign_id", "item", "grader"),
        Index("ix_grade_grader", "campaign_id", "grader", "created"),
    )

    id: str = Field(default_factory=new_id, primary_key=True)
    sample_id: str = Field(index=True)
    content_id: str
    dataset: str
    rubric: str
    grader: str
    value: str
    suggestion: bool = False
    note: str = ""
    created: str = Field(default_factory=now)
    campaign_id: str | None = None  # these are of grades that a campaign asked for
    slot_id: str | None = None
    item: int | None = Field(default=None, sa_column=Column(BigInteger))  # rank in the queue; below 0: planted
    act: str = "grade"  # grade, skip, final
    name: str = ""  # scale or label of the rubric
    target: str = ""  # "": the whole sample; "turn:2", "span:10-25"
    other: str | None = None  # second sample of a pair
    number: float | None = None  # the value of a scale
    seconds: float | None = None
    revision: int = 1
    superseded: str | None = None  # when


class Campaign(SQLModel, table=True):
    """Grading by people: which samples, in which frozen order, under which rubric, how many graders each."""

    id: str = Field(default_factory=new_id, primary_key=True)
    name: str = Field(unique=True)
    kind: str = "single"  # single, pair
    dataset_id: str = Field(index=True)
    ref: str  # "web@v3"
    rubric: dict = json_column()
    rubric_digest: str
    recipe: dict = json_column()  # where, order, seed, columns: how the queue was made
    target: str = "sample"  # sample, turn, span
    graders: int = 1  # wanted for each item
    gold_every: int = 0  # every so many items a planted one; 0: none
    hold: float = 1800.0  # seconds an item stays with who took it
    items: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    frontier: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))  # first item nobody has touched
    actor: str = ""
    note: str = ""
    closed: str | None = None
    created: str = Field(default_factory=now)


class GradeQueue(SQLModel, table=True):
    """A piece of the frozen order of a campaign: row ids, eight bytes each, two for a pair."""

    __tablename__ = "gradequeue"  # type: ignore[assignment]

    campaign_id: str = Field(primary_key=True)
    piece: int = Field(primary_key=True)
    body: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class GradeSlot(SQLModel, table=True):
    """A place for one grader at one item that somebody has touched."""

    __tablename__ = "gradeslot"  # type: ignore[assignment]
    __table_args__ = (
        UniqueConstraint("campaign_id", "item", "place"),
        Index("ix_gradeslot_open", "campaign_id", "status", "item"),
        Index("ix_gradeslot_grader", "campaign_id", "grader", "status", "item"),
    )

    id: str = Field(default_factory=new_id, primary_key=True)
    campaign_id: str
    item: int = Field(sa_column=Column(BigInteger, nullable=False))
    place: int
    status: str = "open"  # open, taken, graded, reopened (skipped by its grader), gone
    grader: str | None = None
    taken: str | None = None
    expires: str | None = None


class GradeGold(SQLModel, table=True):
    """A planted item whose answer is known."""

    __tablename__ = "gradegold"  # type: ignore[assignment]
    __table_args__ = (UniqueConstraint("campaign_id", "row_id"),)

    campaign_id: str = Field(primary_key=True)
    item: int = Field(primary_key=True)  # -1, -2 ...
    row_id: int = Field(sa_column=Column(BigInteger, nullable=False))
    sample_id: str
    answer: dict = json_column()
    actor: str = ""
    created: str = Field(default_factory=now)


class GradeCursor(SQLModel, table=True):
    """Where a grader is: below `item` nothing is open that the grader has not seen."""

    __tablename__ = "gradecursor"  # type: ignore[assignment]

    campaign_id: str = Field(primary_key=True)
    grader: str = Field(primary_key=True)
    item: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    served: int = 0  # items of the queue that were given to the grader
    golds: int = 0  # planted ones


class Token(SQLModel, table=True):
    """A local API token; only its hash is stored."""

    digest: str = Field(primary_key=True)
    actor: str
    verbs: str = "read"  # read, propose, write or admin
    created: str = Field(default_factory=now)
    expires: str | None = None  # None: until it is revoked
    revoked: str | None = None


class SignIn(SQLModel, table=True):
    """A browser in which somebody signed in with a token. Only the hash of what the browser holds is stored."""

    __tablename__ = "signin"  # type: ignore[assignment]

    digest: str = Field(primary_key=True)
    token: str = Field(index=True)  # digest of the token: when it ends, so does this
    actor: str = ""
    created: str = Field(default_factory=now)
    expires: str
    ended: str | None = None  # signed out


class Audit(SQLModel, table=True):
    """Who did what: every write, and every read through the API."""

    id: int | None = Field(default=None, primary_key=True)
    actor: str
    verb: str
    object: str = Field(sa_column=Column(Text, nullable=False))
    allowed: bool = True
    created: str = Field(default_factory=now)


class EvalPolicy(SQLModel, table=True):
    """What of an eval is a leak, from which share on, and what is done with a row that holds it."""

    dataset_id: str = Field(primary_key=True)
    fields: list = json_column(list)  # text, question, choices, answer, or keys of `meta`
    action: str = "flag"  # flag, cut, drop
    share: float = 0.5  # of an item's words, copied
    numbers: float = 0.8  # of an item's words, numbers masked
    actor: str = ""
    created: str = Field(default_factory=now)


class StandingSegment(SQLModel, table=True):
    """A sorted run of the standing index: the rows of one dataset that one range of versions added."""

    __table_args__ = (UniqueConstraint("dataset_id", "sketch", "first"),)

    id: str = Field(default_factory=new_id, primary_key=True)
    dataset_id: str = Field(index=True)
    sketch: str  # method and version of the near-duplicate keys
    first: int  # versions whose added rows it holds
    last: int
    lance_version: int  # the head it was last compared with; removed rows are out up to here
    rows: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    bytes: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    file: str  # below the tables' prefix
    created: str = Field(default_factory=now)


class Stream(SQLModel, table=True):
    """A live pull that began: who streamed which lock, from where on, and where it would end."""

    id: str = Field(default_factory=new_id, primary_key=True)
    mix: str = Field(index=True)  # "name@v1"
    lock: str
    face: str  # torch, hf, arrow
    actor: str = ""
    host: str = ""
    rank: int = 0
    world: int = 1
    start: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    stop: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    created: str = Field(default_factory=now)


class Trial(SQLModel, table=True):
    """A training run on a mix at one step, and what it measured. Ours and runs made elsewhere alike."""

    __table_args__ = (UniqueConstraint("lock", "model", "step", "seed", "digest"),)

    id: str = Field(default_factory=new_id, primary_key=True)
    mix: str = Field(index=True)  # "name@v1"
    lock: str
    model: str = Field(default="", index=True)  # name of the trained checkpoint, for `trace model:NAME`
    step: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    seed: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    tokens: int | None = Field(default=None, sa_column=Column(BigInteger))
    size: int | None = Field(default=None, sa_column=Column(BigInteger))  # parameters of the model
    weights: dict = json_column()  # part -> share it was served, from the lock
    results: dict = json_column()  # result -> number
    status: str = "done"  # done, diverged
    source: str = ""  # file the results came from, or "proxy"
    digest: str = ""  # of the results
    note: str = ""
    actor: str = ""
    run_id: str | None = None
    created: str = Field(default_factory=now)
