"""
The screen of ``encola monitor``: an overview, drawn for the width and height that there are.

From :data:`WIDE` columns on workers and queues stand side by side and ids are whole. What does not
fit is counted, never cut off in silence. Every word that comes from a task is shown
as plain text, its control characters written out.
"""

from __future__ import annotations

import contextlib
import select
import sys
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from typing import Any, Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from encola.errors import EncolaError
from encola.logs import one_line
from encola.readable import duration, number, sparkline
from encola.record import TaskState
from encola.store.overview import FailureNow, Overview, QueueNow, RunningNow, WorkerNow

#: Columns from which on there is room for two tables side by side.
WIDE: Final = 112
#: Lines below which workers and queues are one line together.
LOW: Final = 20
#: No column but the last is wider, whatever a task is called; an id is as wide.
WIDEST: Final = 36
FEWEST_FAILURES: Final = 3
#: Of an id that is cut only its end tells: the beginning is the time.
ID_SHOWN: Final = 12

STATES: Final = (
    ("waiting", (TaskState.PENDING,), ""),
    ("running", (TaskState.STARTED, TaskState.PROCESSING), "cyan"),
    ("to retry", (TaskState.RETRY,), "yellow"),
    ("scheduled", (TaskState.SCHEDULED,), ""),
    ("done", (TaskState.SUCCESS,), "green"),
    ("failed", (TaskState.FAILURE,), "red"),
    ("cancelled", (TaskState.REVOKED,), ""),
)
ALWAYS_SHOWN: Final = frozenset({"waiting", "running", "done", "failed"})


class Screen:
    """Draws overviews on standard output."""

    def __init__(self, where: str, console: Console | None = None) -> None:
        self._where = where
        self._console = console or Console(markup=False, emoji=False, highlight=False)

    def print(self, overview: Overview) -> None:
        """Once, with as many lines as it takes."""
        self._console.print(self._drawn(overview, None, ""))

    def watch(self, look: Callable[[], Overview], interval: float) -> None:
        """
        Anew every *interval* seconds, until q.

        Raises:
            StoreError: at the first look; later the screen says so and tries again.
        """
        overview, trouble = look(), ""
        with Live(console=self._console, screen=True, auto_refresh=False) as live, _keys() as quits:
            while True:
                height = self._console.size.height
                live.update(self._drawn(overview, height, trouble), refresh=True)
                if quits(interval):
                    return
                try:
                    overview, trouble = look(), ""
                except EncolaError as error:
                    # Its first sentence: the next one speaks to somebody who wanted to submit.
                    reason = str(error).partition(". ")[0].rstrip(".")
                    seen = f"{overview.at.astimezone():%H:%M:%S}"
                    trouble = f"{reason}. This is of {seen}; trying again."

    def _drawn(self, overview: Overview, height: int | None, trouble: str) -> RenderableType:
        width = self._console.size.width
        head: list[RenderableType] = [_title(overview, self._where, live=height is not None)]
        if trouble:
            head.append(Text(one_line(trouble), style="bold red"))
        head += [_states(overview), _throughput(overview, width), Text()]
        workers, queues = _workers(overview.workers), _queues(overview.queues)
        if height is not None and height < LOW:
            head.append(_summary(overview))
        else:
            head += [_beside(workers, queues)] if width >= WIDE else [workers, Text(), queues]
        head.append(Text())
        left = None if height is None else height - self._lines(head)
        running, failures = _shares(left, len(overview.running), len(overview.failures))
        return Group(
            *head,
            *_running(overview, running, width),
            Text(),
            *_failures(overview.failures, failures, width),
        )

    def _lines(self, parts: Iterable[RenderableType]) -> int:
        return len(self._console.render_lines(Group(*parts), pad=False))


def _shares(left: int | None, running: int, failures: int) -> tuple[int, int]:
    """How many rows of each to show in *left* lines; None: all."""
    if left is None:
        return running, failures
    # Two titles, two heads, a blank line, and two lines that say how many more there are.
    rows = max(left - 7, 2)
    wanted = min(failures, max(FEWEST_FAILURES, rows - running))
    shown = min(running, max(1, rows - wanted))
    return shown, min(failures, max(0, rows - shown))


# --- the parts, from top to bottom ----------------------------------------------


def _title(overview: Overview, where: str, *, live: bool) -> Table:
    line = Table.grid(expand=True)
    line.add_column()
    line.add_column(justify="right")
    left = Text.assemble(("encola", "bold"), "  ", (one_line(where), "dim"))
    clock = f"{overview.at.astimezone():%Y-%m-%d %H:%M:%S}"
    line.add_row(left, _text(f"{clock}  q quits" if live else clock, "dim"))
    return line


def _states(overview: Overview) -> Text:
    parts: list[Text] = []
    for word, states, style in STATES:
        count = sum(overview.states.get(state, 0) for state in states)
        if count or word in ALWAYS_SHOWN:
            shown = f"bold {style}".strip() if count else "dim"
            parts.append(
                Text.assemble((number(count), shown), (f" {word}", "" if count else "dim"))
            )
    if overview.dead:
        parts.append(_text(f"{number(overview.dead)} parked", "bold red"))
    if overview.paused_types:
        parts.append(_text(f"paused: {', '.join(overview.paused_types)}", "yellow"))
    return Text("   ").join(parts)


def _throughput(overview: Overview, width: int) -> Text:
    ended = [minute.succeeded + minute.failed for minute in overview.minutes]
    failed = sum(minute.failed for minute in overview.minutes)
    line = Text()
    line.append(f"{number(round(overview.rate, 2))}/s  ", "bold")
    line.append(f"{number(ended[-1])} this minute, {number(sum(ended))} in {len(ended)} min")
    line.append(f", {number(failed)} failed" if failed else "", "red")
    if width >= len(line) + len(ended) + 4:
        line.append(f"  {sparkline(ended)}", "cyan")
    return line


def _summary(overview: Overview) -> Text:
    workers = [worker for worker in overview.workers if not worker.is_in_process]
    online = sum(worker.is_alive for worker in workers)
    waiting = sum(queue.ready for queue in overview.queues)
    lost = f", {len(workers) - online} lost" if len(workers) > online else ""
    return _text(
        f"Workers: {online} online{lost}   Queues: {len(overview.queues)}, {number(waiting)} ready"
    )


def _beside(left: RenderableType, right: RenderableType) -> Table:
    both = Table.grid(expand=True, padding=(0, 2))
    both.add_column(ratio=1)
    both.add_column(ratio=1)
    both.add_row(left, right)
    return both


def _workers(workers: Sequence[WorkerNow]) -> RenderableType:
    table = _table("Worker", "State", "Busy", "Queues")
    for worker in workers:
        state, style = _state_of(worker)
        busy = f"{worker.held}/{worker.slots}" if worker.slots else str(worker.held)
        queues = "in-process tasks" if worker.is_in_process else ", ".join(worker.queues)
        table.add_row(_text(worker.hostname), _text(state, style), busy, _text(queues))
    if any(not worker.is_in_process for worker in workers):
        return table
    return Group(table, _text("none: tasks wait until `encola worker` runs", "yellow"))


def _state_of(worker: WorkerNow) -> tuple[str, str]:
    if worker.is_alive:
        return ("draining", "yellow") if worker.is_draining else ("online", "green")
    return f"lost {duration(-worker.lease_seconds)} ago", "red"


def _queues(queues: Iterable[QueueNow]) -> Table:
    table = _table("Queue", "Waiting", "Next since", "Workers", "")
    for queue in queues:
        since = "" if queue.waiting_seconds is None else duration(queue.waiting_seconds)
        said, style = _remark(queue)
        table.add_row(
            _text(queue.name), number(queue.ready), since, str(queue.workers), _text(said, style)
        )
    return table


def _remark(queue: QueueNow) -> tuple[str, str]:
    if queue.ready and not queue.workers:
        return "nobody listens", "red"
    parts = ["paused"] if queue.is_paused else []
    parts += [f"{number(queue.held)} held"] if queue.held else []
    parts += [f"{number(queue.delayed)} later"] if queue.delayed else []
    return ", ".join(parts), "yellow" if queue.is_paused or queue.held else "dim"


def _running(overview: Overview, rows: int, width: int) -> list[RenderableType]:
    count = sum(overview.states.get(state, 0) for state in STATES[1][1])
    head = _text(f"Running ({number(count)})", "bold")
    if not overview.running:
        return [head, _text("  nothing runs", "dim")]
    wide = width >= WIDE
    table = _table("Type", "Task", "Since", "Progress", "", "")
    for task in overview.running[:rows]:
        table.add_row(
            _text(task.type),
            _text(_id(task.task_id, wide=wide)),
            duration(task.seconds),
            _bar(task, 24 if wide else 12),
            _text(_share(task)),
            _text(_said(task)),
        )
    return [head, table, *_more(count - min(rows, len(overview.running)))]


def _bar(task: RunningNow, width: int) -> RenderableType:
    current, total = _amounts(task)
    if not total:
        return Text()
    return ProgressBar(total=total, completed=current, width=width, complete_style="cyan")


def _share(task: RunningNow) -> str:
    current, total = _amounts(task)
    if total:
        return f"{current / total:.0%}"
    return number(current) if current else ""


def _amounts(task: RunningNow) -> tuple[float, float]:
    """Current and total; 0 for what the task did not say, or not as a number."""
    return _amount(task.progress.get("current")), _amount(task.progress.get("total"))


def _amount(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) and value > 0 else 0.0


def _said(task: RunningNow) -> str:
    attempt = f"attempt {task.attempt}" if task.attempt > 1 else ""
    words = str(task.progress.get("status") or task.phase or "")
    return ", ".join(word for word in (attempt, words) if word)


def _failures(failures: Iterable[FailureNow], rows: int, width: int) -> list[RenderableType]:
    found = list(failures)
    head = _text("Last failures", "bold")
    if not found:
        return [head, _text("  none", "dim")]
    table = _table("Type", "Task", "Ago", "Why")
    for task in found[:rows]:
        why = Text.assemble((one_line(task.error_code), "red"), " ", one_line(task.error))
        why.no_wrap, why.overflow = True, "ellipsis"
        shown = _id(task.task_id, wide=width >= WIDE)
        table.add_row(_text(task.type), _text(shown), duration(task.seconds), why)
    return [head, table]


# --- small things -------------------------------------------------------------------


def _table(*names: str) -> Table:
    """A table without lines. The last column takes and gives what room there is."""
    table = Table(box=None, padding=(0, 2, 0, 0), expand=False, header_style="dim")
    for position, name in enumerate(names):
        # Where there is too little room the column that may wrap gives way. None does wrap, because
        # no text of ours does.
        is_last = position == len(names) - 1
        table.add_column(name, no_wrap=not is_last, max_width=None if is_last else WIDEST)
    return table


def _text(words: str, style: str = "") -> Text:
    return Text(one_line(words), style=style, no_wrap=True, overflow="ellipsis")


def _id(task_id: str, *, wide: bool) -> str:
    is_short = wide or len(task_id) <= ID_SHOWN
    return task_id if is_short else f"…{task_id[1 - ID_SHOWN :]}"


def _more(count: int) -> list[RenderableType]:
    return [_text(f"  and {number(count)} more", "dim")] if count > 0 else []


@contextlib.contextmanager
def _keys() -> Generator[Callable[[float], bool]]:
    """Waits up to so many seconds; True when q was pressed. Without a keyboard it only waits."""
    if not sys.stdin.isatty():

        def wait(seconds: float) -> bool:
            time.sleep(seconds)
            return False

        yield wait
        return
    import termios  # Unix alone has it
    import tty

    descriptor = sys.stdin.fileno()
    before: list[Any] = termios.tcgetattr(descriptor)
    # Keys come at once and unseen; Ctrl-C stays what it is.
    tty.setcbreak(descriptor)
    try:
        yield _pressed_q
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _pressed_q(seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        ready, _, _ = select.select([sys.stdin], [], [], left)
        if ready and sys.stdin.read(1) in ("q", "Q", ""):
            return True
    return False
