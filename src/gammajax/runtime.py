"""What XLA's runtime says where a compiled program fails: whose fault it is stands in its first word.

An error that is found while a program is started comes as a ValueError, one that is found later as a JaxRuntimeError.
"""

__all__ = ["OUT_OF_MEMORY", "is_lost", "is_out_of_memory", "status_of"]

OUT_OF_MEMORY = "RESOURCE_EXHAUSTED"
# the device failed, and not what it was asked for
LOST = (
    "INTERNAL", "UNAVAILABLE", "UNKNOWN", "DATA_LOSS", "ABORTED", "CANCELLED", "DEADLINE_EXCEEDED", "FAILED_PRECONDITION",
)  # fmt: skip


def status_of(error: BaseException | None) -> str:
    """The first word of an error of the runtime, such as "INTERNAL"; empty for all other errors, those of Python functions included."""
    import jax

    if not isinstance(error, jax.errors.JaxRuntimeError | ValueError):
        return ""
    text = str(error)
    word = text.partition(":")[0]
    # what a Python function of the user raised that a program called comes back as INTERNAL
    known = word in (*LOST, OUT_OF_MEMORY) and "callback" not in text.lower()
    return word if known else ""


def is_lost(error: BaseException | None) -> bool:
    """Whether the device failed, for another reason than too little memory."""
    return status_of(error) in LOST and not is_out_of_memory(error)


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether the device had too little memory."""
    word = status_of(error)
    # what is below XLA may say it in words alone
    return word == OUT_OF_MEMORY or (bool(word) and "out of memory" in str(error).lower())
