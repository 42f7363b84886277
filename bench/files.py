"""
Processing a table, beside Polars' and DuckDB's own bare conversion of it to Parquet.

    python bench/files.py [--gigabytes 1 4] [--rounds 3] [--folder DIR]

Makes a CSV of that size (nine columns: numbers, moments, amounts, texts, some in quotes), and prints
Markdown: seconds, processor seconds and peak memory of each, the least of the rounds, which take
turns. The conversions do nothing but convert; processing also finds out how the file is written, checks every row,
keeps what does not fit, profiles each column and syncs what it has written. Each runs in a process of its own, whose start counts.

Needs the libraries of `encola[files]`, and DuckDB. The file is written again at each size, and removed.
"""

from __future__ import annotations

from rig.running import PYTHON

import argparse
import os
import platform
import random
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

ROWS: Final = 200_000
CITIES: Final = (
    "Madrid",
    "Sevilla",
    "Bilbao",
    "Zürich",
    "São Paulo",
    "Lima",
    "Quito",
    "México D.F.",
)
PRODUCTS: Final = ("Silla", "Mesa de roble", "Lámpara", "Estantería", '"Espejo, redondo"', "Reloj")
GOAL: Final = "at most twice the faster conversion, and 500 MB"

POLARS: Final = """
import sys, polars
polars.scan_csv(sys.argv[1]).sink_parquet(sys.argv[2])
"""
DUCKDB: Final = """
import sys, duckdb
duckdb.sql(f"COPY (FROM read_csv('{sys.argv[1]}')) TO '{sys.argv[2]}' (FORMAT parquet)")
"""
ENCOLA: Final = """
import sys
from pathlib import Path
from encola.settings import load_settings
from encola.tables.processing import process
settings = load_settings(data_dir=Path(sys.argv[2]), file_roots=(str(Path(sys.argv[1]).parent),))
done = process(sys.argv[1], 7, "bench", settings, lambda _: None)
assert not done.rejected, done
print(done.records)
"""


@dataclass(slots=True)
class Figures:
    """What one run took."""

    seconds: float
    cpu_seconds: float
    peak_mb: float
    """Of the largest process, in 10^6 bytes."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, nargs="+", default=[1.0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=None)
    given = parser.parse_args()
    libraries = ", ".join(f"{name} {version(name)}" for name in ("polars", "duckdb"))
    machine = f"{platform.machine()}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}"
    print(f"{machine}, Python {platform.python_version()}, {libraries}\n")
    with tempfile.TemporaryDirectory(dir=given.folder, prefix="encola-bench-") as name:
        for gigabytes in given.gigabytes:
            compare(Path(name), gigabytes, given.rounds)


def compare(folder: Path, gigabytes: float, rounds: int) -> None:
    """One table of Markdown."""
    needed = gigabytes * 10**9 * 1.6
    free = shutil.disk_usage(folder).free
    if free < needed:
        sys.exit(f"{folder} has {free / 1e9:.1f} GB free; {needed / 1e9:.1f} GB are needed.")
    source = folder / "table.csv"
    rows = generate(source, int(gigabytes * 10**9))
    size = source.stat().st_size
    programs = {"Polars, bare": POLARS, "DuckDB, bare": DUCKDB, "encola": ENCOLA}
    found: dict[str, list[Figures]] = {name: [] for name in programs}
    for _ in range(rounds):
        for name, program in programs.items():
            found[name].append(measure(program, source, folder / "target"))
    source.unlink()
    print(f"{size / 1e9:.2f} GB, {rows:,} rows, least of {rounds} ({GOAL})\n")
    print("| | seconds | processor seconds | peak memory, MB |\n|---|---|---|---|")
    best = {name: least(runs) for name, runs in found.items()}
    for name, figures in best.items():
        print(
            f"| {name} | {figures.seconds:.1f} | {figures.cpu_seconds:.1f} | {figures.peak_mb:.0f} |"
        )
    peers = (best["Polars, bare"], best["DuckDB, bare"])
    wall = best["encola"].seconds / min(peer.seconds for peer in peers)
    processor = best["encola"].cpu_seconds / min(peer.cpu_seconds for peer in peers)
    print(
        f"\nencola / the faster conversion: {wall:.2f}; of the processor's time: {processor:.2f}\n"
    )
    sys.stdout.flush()


def least(runs: list[Figures]) -> Figures:
    """The run that was disturbed least, and the most memory of all."""
    return Figures(
        min(run.seconds for run in runs),
        min(run.cpu_seconds for run in runs),
        max(run.peak_mb for run in runs),
    )


def measure(program: str, source: Path, target: Path) -> Figures:
    """One run in a process of its own, asked by one that is small: peaks are passed on at a start."""
    outer = (
        "import resource, subprocess, sys, time\n"
        "started = time.perf_counter()\n"
        "subprocess.run([sys.executable, '-P', '-c', *sys.argv[1:]], check=True, stdout=subprocess.DEVNULL)\n"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "seconds = time.perf_counter() - started\n"
        "print(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss)\n"
    )
    command = [*PYTHON, "-c", outer, program, str(source), str(target)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    seconds, cpu, peak = map(float, said.split())
    shutil.rmtree(target) if target.is_dir() else target.unlink()
    unit = 1 if sys.platform == "darwin" else 1024
    return Figures(seconds, cpu, peak * unit / 1e6)


def generate(path: Path, size: int) -> int:
    """A CSV of about *size* bytes; its rows."""
    rng = random.Random(7)
    tails = [tail(rng) for _ in range(ROWS)]
    written = number = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write("id,fecha,producto,ciudad,cantidad,importe,cliente,urgente,nota\n")
        while written < size:
            rng.shuffle(tails)
            text = "".join(f"{number + n},{one}" for n, one in enumerate(tails))
            number += len(tails)
            written += len(text.encode())
            file.write(text)
    return number


def tail(rng: random.Random) -> str:
    day = f"2026-{rng.randrange(1, 13):02}-{rng.randrange(1, 29):02}"
    moment = f"{day} {rng.randrange(24):02}:{rng.randrange(60):02}:{rng.randrange(60):02}"
    note = "" if rng.random() < 0.5 else f"entrega {rng.randrange(10**6)}"
    fields = (
        *(moment, rng.choice(PRODUCTS), rng.choice(CITIES), str(rng.randrange(1, 50))),
        f"{rng.randrange(100, 999_999) / 100:.2f}",
        f"cliente{rng.randrange(10**7)}@example.com",
        "true" if rng.random() < 0.3 else "false",
        note,
    )
    return ",".join(fields) + "\n"


if __name__ == "__main__":
    main()
