"""
Empty tasks through encola and its peers, on the same Valkey, in one run.

    python bench/engine.py [--tasks 10000] [--rounds 3] [--only encola celery …]

Each system as it ships and documents for production, two worker processes or children each,
results or records kept. A round: the queue is filled with the workers down (one mark, the empty
tasks, twenty marks); then the workers start, and the time counts from the first mark to the last. Rounds are
interleaved, and the medians printed. The peers live in environments of their own,
bench/.venv/, made at the first run.
"""

from __future__ import annotations

from rig.running import BENCH, PEERS, PYTHON, server, until

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
from contextlib import suppress

import redis

VENVS = BENCH / ".venv"
#: Marks in a run: one before the empty tasks, the rest behind them.
MARKS = 21


def workers(name: str) -> list[list[str]]:
    """The commands of a system's workers: two processes or children in all."""
    binaries = VENVS / name / "bin"
    match name:
        case "encola":
            return [[sys.executable, "-m", "encola", "worker", "--concurrency", "2"]]
        case "celery":
            return [
                [f"{binaries}/celery", "-A", "celery_peer", "worker", "-c", "2", "-l", "warning"]
            ]
        case "huey":
            options = ["-w", "2", "-k", "process", "-q"]
            return [[f"{binaries}/huey_consumer", "huey_peer.huey", *options]]
        case "dramatiq":
            return [[f"{binaries}/dramatiq", "dramatiq_peer", "-p", "2"]]
        case "taskiq":
            return [[f"{binaries}/taskiq", "worker", "taskiq_peer:broker", "-w", "2"]]
        case "saq":
            return [[f"{binaries}/saq", "saq_peer.settings"]] * 2
        case "arq":
            return [[f"{binaries}/arq", "arq_peer.WorkerSettings"]] * 2
    raise SystemExit(f"Unknown system {name!r}; known: {', '.join(SYSTEMS)}")


SYSTEMS = ("encola", "celery", "taskiq", "dramatiq", "huey", "arq", "saq")

#: What each peer is installed from, in an environment of its own: their demands on redis-py differ.
REQUIREMENTS = {
    "arq": ["arq==0.28.0"],
    "celery": ["celery[redis]==5.7.0"],
    "dramatiq": ["dramatiq[redis]==2.2.1"],
    "huey": ["huey==3.5.4", "redis"],
    "saq": ["saq[redis]==0.26.4", "typing_extensions"],
    "taskiq": ["taskiq==0.13.0", "taskiq-redis==1.2.4"],
}


def make_environment(name: str) -> None:
    home = VENVS / name
    if name == "encola" or (home / "ready").exists():
        return
    print(f"Making {home.relative_to(BENCH.parent)} …", file=sys.stderr)
    subprocess.run([*PYTHON, "-m", "venv", str(home)], check=True)
    install = [
        f"{home}/bin/python",
        "-P",
        "-m",
        "pip",
        "install",
        "-q",
        *REQUIREMENTS[name],
        "hiredis",
    ]
    subprocess.run(install, check=True)
    (home / "ready").touch()


def run_once(name: str, tasks: int) -> tuple[float, float]:
    """(enqueued a second, run a second)"""
    with tempfile.TemporaryDirectory(prefix="enc-") as folder, server(folder) as port:
        url = f"redis://127.0.0.1:{port}/0"
        environment = {
            **os.environ,
            "BENCH_URL": url,
            "REDIS_URL": url,
            "ENCOLA_DATA_DIR": f"{folder}/data",
            "ENCOLA_TASK_MODULES": "encola_peer",
            "PYTHONPATH": str(PEERS),
        }
        python = sys.executable if name == "encola" else f"{VENVS}/{name}/bin/python"
        filled = subprocess.run(
            [python, "run.py", f"{name}_peer", str(tasks)],
            env=environment,
            cwd=PEERS,
            check=True,
            capture_output=True,
            text=True,
        )
        enqueued = tasks / float(filled.stdout.split()[-1])
        client = redis.Redis(port=port)
        running = [
            subprocess.Popen(
                command,
                env=environment,
                cwd=PEERS,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            for command in workers(name)
        ]
        try:
            until(lambda: int(client.llen("bench:marks")) >= MARKS, f"{name} has run all")  # type: ignore[arg-type]
        finally:
            for process in running:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait(30)
        marks = sorted(float(mark) for mark in client.lrange("bench:marks", 0, -1))  # type: ignore[union-attr]
        return enqueued, tasks / (marks[-1] - marks[0])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tasks", type=int, default=10_000, help="empty tasks a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", default=list(SYSTEMS), choices=SYSTEMS)
    arguments = parser.parse_args()
    for name in arguments.only:
        make_environment(name)
    seen: dict[str, list[tuple[float, float]]] = {name: [] for name in arguments.only}
    for number in range(arguments.rounds):
        for name in arguments.only:
            try:
                result = run_once(name, arguments.tasks)
            except (TimeoutError, subprocess.CalledProcessError) as error:
                detail = getattr(error, "stderr", "") or ""
                print(f"round {number + 1} {name}: {error} {detail[-500:]}", file=sys.stderr)
                continue
            seen[name].append(result)
            print(f"round {number + 1} {name}: {result[1]:.0f} tasks/s", file=sys.stderr)
    medians = {
        name: (statistics.median(e for e, _ in runs), statistics.median(r for _, r in runs))
        for name, runs in seen.items()
        if runs
    }
    base = medians.get("celery", (0.0, 0.0))[1]
    print("| system | enqueue/s | tasks/s | beside stock Celery |\n|---|---:|---:|---:|")
    for name, (enqueued, ran) in sorted(medians.items(), key=lambda item: -item[1][1]):
        ratio = f"{ran / base:.2f}" if base else "–"
        print(f"| {name} | {enqueued:,.0f} | {ran:,.0f} | {ratio} |")


if __name__ == "__main__":
    main()
