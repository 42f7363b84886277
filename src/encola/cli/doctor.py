"""``encola doctor``: what is wrong with an installation, and what to do about it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from encola.errors import NothingRuns, SettingsError
from encola.readable import count, number
from encola.settings import Settings, load_settings

from .client import api_url
from .exits import DONE, FAILED, NOTHING_RUNS, USAGE
from .modules import look_in_this_folder

if TYPE_CHECKING:
    from encola.doctor import Finding

AREA_WIDTH = 13
WORDS = {"ok": "ok", "warning": "warning", "fault": "FAULT"}
COLOURS = {"ok": "green", "warning": "yellow", "fault": "red"}


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """
    Say what is wrong with this installation, and what to do.

    It looks at versions, data folder, server, workers, queues, schedules, at whether every
    unfinished task is where its record says, and at mail server and API. It changes nothing, and
    may run while everything works.

    Exit code 0 without a fault, 1 with one, 2 where a setting is wrong, 4 where the store is away.

    \b
    Examples:
        encola doctor
        encola doctor --json | jq '.findings[] | select(.level != "ok")'
        REDIS_URL=redis://localhost:6379/0 encola doctor
    """
    look_in_this_folder()
    try:
        settings = load_settings()
    except SettingsError as error:
        findings = list(_wrong_settings(error))
        _report(findings, as_json=as_json)
        raise typer.Exit(USAGE) from None
    findings = list(_as_they_come(settings, as_json=as_json))
    if as_json:
        typer.echo(json.dumps(_document(findings), ensure_ascii=False))
    else:
        typer.echo(_summary(findings))
    raise typer.Exit(_exit_code(findings))


def _wrong_settings(error: SettingsError) -> Iterator[Finding]:
    from encola.doctor import Finding, Level  # see the package

    for problem in error.problems:
        remedy = "Set it right, or unset it; docs/settings.md has what each may be."
        yield Finding(Level.FAULT, "settings", f"{problem}.", remedy)


def _as_they_come(settings: Settings, *, as_json: bool) -> Iterator[Finding]:
    from encola.doctor import examine  # see the package

    progress, last_remedy = _Progress(), ""
    for finding in examine(settings, api_url=_api_url(settings), say=progress.say):
        progress.clear()
        if not as_json:
            _print(finding, last_remedy)
        last_remedy = finding.remedy
        yield finding
    progress.clear()


def _api_url(settings: Settings) -> str | None:
    try:
        return api_url(settings)
    except NothingRuns:
        return None  # which is among the findings


def _report(findings: list[Finding], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(_document(findings), ensure_ascii=False))
        return
    for finding in findings:
        _print(finding, findings[-1].remedy if finding is not findings[-1] else "")
    typer.echo(_summary(findings))


def _print(finding: Finding, said: str) -> None:
    """*said*: a remedy that needs no saying again."""
    level = str(finding.level)
    mark = typer.style(f"{WORDS[level]:<8}", fg=COLOURS[level], bold=level == "fault")
    typer.echo(f"{mark}{finding.area:<{AREA_WIDTH}}{finding.says}")
    if finding.remedy and finding.remedy != said:
        typer.echo(f"{'':<8}{'':<{AREA_WIDTH}}→ {finding.remedy}")


def _summary(findings: Iterable[Finding]) -> str:
    levels = [str(finding.level) for finding in findings]
    faults, warnings = levels.count("fault"), levels.count("warning")
    if not faults and not warnings:
        return "\nAll is well."
    parts = [count(n, noun) for n, noun in ((faults, "fault"), (warnings, "warning")) if n]
    return f"\n{' and '.join(parts)}."


def _document(findings: list[Finding]) -> dict[str, object]:
    levels = [finding.level for finding in findings]
    return {
        "faults": sum(level == "fault" for level in levels),
        "warnings": sum(level == "warning" for level in levels),
        "findings": [asdict(finding) for finding in findings],
    }


def _exit_code(findings: Iterable[Finding]) -> int:
    faults = [finding for finding in findings if finding.level == "fault"]
    if any(finding.area == "server" for finding in faults):
        return NOTHING_RUNS
    return FAILED if faults else DONE


class _Progress:
    """One line on a terminal that says how far the comparison is, and goes when it is over."""

    def __init__(self) -> None:
        self._is_shown = False
        self._is_terminal = sys.stderr.isatty()

    def say(self, done: int, total: int) -> None:
        if self._is_terminal:
            share = f" of about {number(total)}" if total >= done else ""
            typer.echo(
                f"\r\x1b[KComparing records and places: {number(done)}{share} …", nl=False, err=True
            )
            self._is_shown = True

    def clear(self) -> None:
        if self._is_shown:
            typer.echo("\r\x1b[K", nl=False, err=True)
            self._is_shown = False
