"""Computes the results of a function ahead of time with threads, in order.

Pillow and torch release the interpreter lock while they decode and compute, so threads keep training supplied without
copying batches between processes. The results do not depend on the number of workers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def ordered_map(
    function: Callable[[Item], Result], items: Iterable[Item], *, workers: int, ahead: int = 2
) -> Iterator[Result]:
    """``map(function, items)`` with ``workers`` threads (0: none), each at most ``ahead`` results before the reader.

    >>> list(ordered_map(abs, [-1, -2, -3], workers=2))
    [1, 2, 3]
    """
    if workers <= 0:
        yield from map(function, items)
        return
    source = iter(items)
    pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="dsd-data")
    waiting: deque[Future[Result]] = deque(pool.submit(function, item) for item in islice(source, workers * ahead))
    try:
        while waiting:
            result = waiting.popleft().result()
            waiting.extend(pool.submit(function, item) for item in islice(source, 1))
            yield result
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
