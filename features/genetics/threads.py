"""Run a compiled loop over ranges in threads: kernels release the interpreter's lock."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TypeVar

Result = TypeVar("Result")


def over_ranges(
    task: Callable[[int, int], Result], size: int, *, threads: int, step: int = 1
) -> list[Result]:
    """Call `task(start, stop)` over ranges that cover 0 to `size`, and return the results in the order of the ranges.

    Args:
        task: works on one range; what it computes must not depend on where ranges begin.
        size: end of the last range; nothing is called for 0.
        threads: how many ranges at most run at once.
        step: ranges begin at multiples of it.
    """
    pieces = max(1, min(threads, -(-size // step)))
    bounds = [min(size, -(-(-(-size // step) * piece) // pieces) * step) for piece in range(pieces + 1)]
    ranges = [(start, stop) for start, stop in pairwise(bounds) if stop > start]
    if len(ranges) <= 1:
        return [task(start, stop) for start, stop in ranges]
    with ThreadPoolExecutor(len(ranges)) as pool:
        return list(pool.map(lambda bounds: task(*bounds), ranges))
