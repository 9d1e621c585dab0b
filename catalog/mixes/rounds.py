"""Two published schedules in one line of a spec, spelt out as stages that the lock and the preview show.

    rs2: {share: 0.1, rounds: 30}              # a fresh random tenth of every part each round
    dropout: {keep: 0.95, rounds: 30}          # all rows, then 95 %, 90.25 % ... drawn anew, and all of them at the end

RS2 is P. Okanovic et al., "Repeated Random Sampling for Minimizing the Time-to-Accuracy of Learning", ICLR 2024
(arXiv:2305.18424). Without replacement, rounds take the rows that come next in the part's epoch, and a new epoch begins
when what is left of it is less than a round; with replacement every round draws from all rows. In both, a round has no row
twice. The other is the scalar random dropout of S. M. Shriram et al., "Progressive Data Dropout", 2025 (arXiv:2505.22342):
round t has ceil(keep^(t-1) N) rows, and the last `revision` rounds have all. Their variant by difficulty needs the model at
every epoch, and a mix is fixed before the training: it is not offered.

A part that does not say max_epochs is given as many as the rounds begin; one that does is held to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import ceil, floor

from catalog.errors import BadInput
from catalog.mixes.budget import Supply
from catalog.mixes.spec import Spec, Stage, check_stages, label, part_name


def with_rounds(spec: Spec, supplies: Sequence[Supply]) -> Spec:
    """The spec with its rounds spelt out as stages."""
    rows = [supply.rows for supply in supplies]
    if spec.rs2 is not None:
        share = Fraction(str(spec.rs2.share))
        counts = [[floor(share * held) for held in rows]] * spec.rs2.rounds
        _check_counts(spec, rows, counts[0])
        full = min(held // count for held, count in zip(rows, counts[0], strict=True))
        fresh = [number > 0 and (spec.rs2.replacement or number % full == 0) for number in range(spec.rs2.rounds)]
    elif spec.dropout is not None:
        keep, last = Fraction(str(spec.dropout.keep)), spec.dropout.rounds - spec.dropout.revision
        shares = [keep**number if number < last else Fraction(1) for number in range(spec.dropout.rounds)]
        counts = [[ceil(share * held) for held in rows] for share in shares]
        fresh = [number > 0 for number in range(spec.dropout.rounds)]
    else:
        return spec
    names = [part_name(part) for part in spec.parts]
    stages = [
        Stage(
            name=f"round-{number}", total=sum(held), weights=dict(zip(names, map(float, held), strict=True)), fresh=anew
        )
        for number, (held, anew) in enumerate(zip(counts, fresh, strict=True), 1)
    ]
    begun = 1.0 + sum(fresh)
    parts = [
        part if "max_epochs" in part.model_fields_set else part.model_copy(update={"max_epochs": begun})
        for part in spec.parts
    ]
    made = spec.model_copy(update={"parts": parts, "stages": stages, "rs2": None, "dropout": None})
    check_stages(made, stages)
    return made


def _check_counts(spec: Spec, rows: Sequence[int], counts: Sequence[int]) -> None:
    for number, (held, count) in enumerate(zip(rows, counts, strict=True)):
        if count < 1 and spec.rs2 is not None:
            raise BadInput(
                f"mix {spec.name}: {label(number, spec.parts[number])} has {held:,} rows, and a share of "
                f"{spec.rs2.share:g} is none of them; raise rs2's share"
            )
