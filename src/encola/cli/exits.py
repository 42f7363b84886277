"""The documented exit codes, and which error leads to which."""

from __future__ import annotations

from encola import errors
from encola.errors import EncolaError

DONE = 0
FAILED = 1
USAGE = 2
UNKNOWN_ID = 3
NOTHING_RUNS = 4
CONFLICT = 5
TIMED_OUT = 124
"""As ``timeout(1)`` of the shell: ``--timeout`` was over before the task was."""
INTERRUPTED = 130

EXIT_CODES = (
    "0 done, 1 task failed, 2 usage or invalid input, 3 unknown id, 4 nothing runs or the store "
    "is away, 5 cancelled or conflict, 124 --timeout is over, 130 Ctrl-C"
)

_BY_ERROR: tuple[tuple[type[EncolaError], int], ...] = (
    (errors.SettingsError, USAGE),
    (errors.InvalidInput, USAGE),
    (errors.InvalidTaskId, USAGE),
    (errors.ScheduleRefused, USAGE),
    (errors.InvalidQueue, USAGE),
    (errors.TooLarge, USAGE),
    (errors.TaskTypeNotFound, USAGE),
    (errors.TaskNotFound, UNKNOWN_ID),
    (errors.ScheduleNotFound, UNKNOWN_ID),
    (errors.NothingRuns, NOTHING_RUNS),
    (errors.StoreError, NOTHING_RUNS),
    (errors.TaskFinished, CONFLICT),
    (errors.TaskActive, CONFLICT),
)

_BY_CODE = {
    "task_not_found": UNKNOWN_ID,
    "schedule_not_found": UNKNOWN_ID,
    "task_finished": CONFLICT,
    "task_active": CONFLICT,
    "store_unavailable": NOTHING_RUNS,
    "store_full": NOTHING_RUNS,
    "disk_full": NOTHING_RUNS,
}

_BY_STATE = {"FAILURE": FAILED, "REVOKED": CONFLICT}


class CommandError(EncolaError):
    """A command could not do what was asked; says with which exit code it ends."""

    code = "command"

    def __init__(self, message: str, exit_code: int) -> None:
        self.exit_code = exit_code
        super().__init__(message)


def exit_code_of(error: EncolaError) -> int:
    """The exit code for *error*: its own where it has one, else by its kind, else 1."""
    own = getattr(error, "exit_code", None)
    if isinstance(own, int):
        return own
    return next((code for kind, code in _BY_ERROR if isinstance(error, kind)), FAILED)


def exit_code_of_problem(status: int, code: str) -> int:
    """The exit code for a problem that the API answered: by its *code*, else by its *status*."""
    if code in _BY_CODE:
        return _BY_CODE[code]
    if status == 409:
        return CONFLICT
    return NOTHING_RUNS if status >= 500 else USAGE


def exit_code_of_state(state: str) -> int:
    """The exit code for a task in *state*; 0 while it is under way."""
    return _BY_STATE.get(state, DONE)
