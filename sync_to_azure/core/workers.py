"""A few threads do the same work to many things; the results come in the order of the things, memory stays flat."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

Thing = TypeVar("Thing")
Result = TypeVar("Result")


class _Task(Generic[Thing, Result]):
    def __init__(self, thing: Thing) -> None:
        self.thing = thing
        self.result: list[Result] = []
        self.error: BaseException | None = None
        self.done = threading.Event()


def in_order(
    work: Callable[[Thing], Result],
    things: Iterable[Thing],
    threads: int,
    tick: Callable[[], None] = lambda: None,
) -> Iterator[tuple[Thing, Result]]:
    """(thing, ``work(thing)``) for each; ``things`` is advanced in the caller's thread, ``tick`` called there while it
    waits. An error of ``work`` comes out here; what was handed out is then not begun any more.

    The threads are daemons: one that hangs on a dead line cannot keep the process from ending.
    """
    todo: queue.SimpleQueue[_Task[Thing, Result] | None] = queue.SimpleQueue()
    stop = threading.Event()

    def serve() -> None:
        while (task := todo.get()) is not None and not stop.is_set():
            try:
                task.result.append(work(task.thing))
            except BaseException as error:  # told where the result is taken; a thread that died would hang us
                task.error = error
            task.done.set()

    for _ in range(threads):
        threading.Thread(target=serve, daemon=True).start()
    waiting: deque[_Task[Thing, Result]] = deque()

    def first() -> tuple[Thing, Result]:
        task = waiting.popleft()
        while not task.done.wait(0.2):
            tick()
        if task.error is not None:
            raise task.error
        return task.thing, task.result[0]

    try:
        for thing in things:
            task: _Task[Thing, Result] = _Task(thing)
            waiting.append(task)
            todo.put(task)
            if len(waiting) >= 4 * threads:
                yield first()
        while waiting:
            yield first()
    finally:
        stop.set()
        for _ in range(threads):
            todo.put(None)
