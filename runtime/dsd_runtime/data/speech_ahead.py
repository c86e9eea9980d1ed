"""Work in order, results in the same order, some of them computed ahead by threads (decoding releases the GIL)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_AHEAD_OF_EACH_WORKER = 2


def load_ahead(items: Iterable[Item], load: Callable[[Item], Result], *, workers: int) -> Iterator[Result]:
    """``load(item)`` for each item, in order; with ``workers`` > 0 up to twice as many are under way at a time."""
    if workers <= 0:
        yield from map(load, items)
        return
    waiting = iter(items)
    with ThreadPoolExecutor(workers, thread_name_prefix="speech") as pool:
        running: deque[Future[Result]] = deque(
            pool.submit(load, item) for item in islice(waiting, workers * _AHEAD_OF_EACH_WORKER)
        )
        try:
            while running:
                result = running.popleft().result()
                running.extend(pool.submit(load, item) for item in islice(waiting, 1))
                yield result
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
