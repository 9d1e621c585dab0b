"""Why a computed value is there or not: one uint8 a row beside every scorer's outputs. Null means not computed."""

VALUE = 1
"""A value was computed."""
UNDEFINED = 2
"""The method gives no number here (for example an empty text)."""
OUT_OF_VALIDITY = 3
"""The method does not claim to hold here (for example an unsupported language)."""
FAILED = 4
"""The computation failed on this row; a rerun tries again."""
NOT_SAMPLED = 5
"""The run was asked for a sample and this row was not in it; a full run computes it."""

NAMES = {
    VALUE: "value",
    UNDEFINED: "undefined",
    OUT_OF_VALIDITY: "out of validity",
    FAILED: "failed",
    NOT_SAMPLED: "not sampled",
}
DONE = (VALUE, UNDEFINED, OUT_OF_VALIDITY)
"""States that a rerun does not compute again."""
