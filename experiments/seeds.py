"""One seed tree: every random draw has a seed of its own, from the study's seed and what the draw is for."""

import hashlib


def seed_for(seed: int, *names: str | int) -> int:
    """Return a seed in [0, 2**32) that depends on the study's seed and the names alone.

    The same names give the same seed on every machine, in every process and in any order of work.
    """
    text = "\x1f".join([str(seed), *map(str, names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
