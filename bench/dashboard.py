"""
The dashboard in a headless Chromium: the first paint, and the frames while tasks scroll by.

    python bench/dashboard.py [--records 300000] [--seconds 60] [--rate 84]

First paint: of a service that holds so many records, with an empty cache and again with a full
one; "rows" is when the data stands on the page. Medians of five. Frames: a service that is given
*rate* tasks a second (84 are 5,000 a minute) and runs them, three events each, while the list of
tasks is scrolled up and down and its new rows are asked for every second. The service, its worker,
the browser and the sender share one machine; "of a processor" is what the page's own thread took,
which says more than the frames where other work goes on. Needs Debian's chromium.
"""

from __future__ import annotations

from rig.running import PYTHON

import argparse
import os
import platform
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "tests/browser"), str(ROOT / "tests")]

from playwright.sync_api import Browser, CDPSession, Page, sync_playwright  # noqa: E402 - found by the path above
from service import Service  # noqa: E402
from window import ARGUMENTS, find_browser  # noqa: E402

ROUNDS = 5
BATCH = 5_000
FILL = f"""
import demo_tasks, encola, sys
for start in range(0, int(sys.argv[1]), {BATCH}):
    encola.enqueue_many("charge", [{{"order_id": start + n, "cents": n}} for n in range({BATCH})])
"""
SCREENS = {"overview": ("/#/", ".card"), "tasks": ("/#/tasks", "tr.row")}
#: Notes when the first element of a selector stands on the page, in ms since the navigation.
NOTE_CONTENT = """
    new MutationObserver((_, observer) => {
        if (!document.querySelector('tr.row, .card')) return;
        globalThis.contentAt = performance.now();
        observer.disconnect();
    }).observe(document, {childList: true, subtree: true});
"""
TIMES = "[performance.getEntriesByName('first-contentful-paint')[0].startTime, contentAt]"
COUNT_FRAMES = """() => {
    globalThis.gaps = [];
    let last = performance.now();
    const frame = (now) => { gaps.push(now - last); last = now; requestAnimationFrame(frame); };
    requestAnimationFrame(frame);
}"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=300_000)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rate", type=float, default=84)
    wanted = parser.parse_args()
    # More than it is by default: the records wait, so that none is pruned and no worker runs them.
    os.environ["ENCOLA_MAX_WAITING"] = str(wanted.records + BATCH)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=[*ARGUMENTS])
        print(
            f"{platform.machine()}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}, "
            f"Chromium {browser.version}\n"
        )
        if wanted.records:
            first_paint(browser, wanted.records)
        if wanted.seconds:
            frames(browser, wanted.seconds, wanted.rate)
        browser.close()


def first_paint(browser: Browser, records: int) -> None:
    service = Service()
    try:
        service.start()
        service.call("POST", "/queues/encola/pause")
        fill(service, records)
        total = service.get("/tasks/counts")["total"]
        print(f"With {total:,} records, ms since the navigation:\n")
        print("| screen | cache | first paint | rows |\n|---|---|---:|---:|")
        for name, (path, content) in SCREENS.items():
            visits = [visit(browser, service, path, content) for _ in range(ROUNDS)]
            for cache, times in zip(("empty", "full"), zip(*visits, strict=True), strict=True):
                paint, rows = (statistics.median(each) for each in zip(*times, strict=True))
                print(f"| {name} | {cache} | {paint:.0f} | {rows:.0f} |")
    finally:
        service.close()


def fill(service: Service, records: int) -> None:
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests/browser")]),
        "ENCOLA_TASK_MODULES": "demo_tasks",
        "ENCOLA_DATA_DIR": str(service.folder / "data"),
    }
    subprocess.run([*PYTHON, "-c", FILL, str(records)], env=environment, check=True)


def visit(
    browser: Browser, service: Service, path: str, content: str
) -> tuple[list[float], list[float]]:
    """(first paint, rows) with an empty cache, and the same with a full one."""
    context = browser.new_context(base_url=service.address)
    context.add_init_script(NOTE_CONTENT)
    page = context.new_page()
    page.goto(path)
    page.wait_for_selector(content)
    empty = page.evaluate(TIMES)
    page.reload()
    page.wait_for_selector(content)
    full = page.evaluate(TIMES)
    context.close()
    return empty, full


def frames(browser: Browser, seconds: float, rate: float) -> None:
    service = Service()
    try:
        service.start()
        service.submit_many(60)
        page = browser.new_page(base_url=service.address, viewport={"width": 1440, "height": 900})
        page.goto("/#/tasks")
        page.wait_for_selector("tr.row")
        devtools = page.context.new_cdp_session(page)
        devtools.send("Performance.enable", {"timeDomain": "threadTicks"})
        before = spent(devtools)
        page.evaluate(COUNT_FRAMES)
        sent = stream(service, page, seconds, rate)
        share = (spent(devtools) - before) / seconds
        gaps = sorted(page.evaluate("gaps"))
        at = [gaps[int(len(gaps) * share)] for share in (0.5, 0.95, 0.99)]
        seen = sum(gap > 100 for gap in gaps)
        print(f"\n{sent:,} tasks in {seconds:.0f} s, ms between two frames:\n")
        print("| frames | p50 | p95 | p99 | longest | above 100 ms | of a processor |")
        print("|---:|---:|---:|---:|---:|---:|---:|")
        print(
            f"| {len(gaps):,} | {at[0]:.0f} | {at[1]:.0f} | {at[2]:.0f} | {gaps[-1]:.0f} "
            f"| {seen} | {share:.0%} |"
        )
    finally:
        service.close()


def spent(devtools: CDPSession) -> float:
    """Seconds of the processor that the page's thread has worked."""
    metrics = devtools.send("Performance.getMetrics")["metrics"]
    return float(next(each["value"] for each in metrics if each["name"] == "TaskDuration"))


def stream(service: Service, page: Page, seconds: float, rate: float) -> int:
    """Sends at an even pace from a thread of its own, and scrolls; how many were sent."""
    end = time.monotonic() + seconds
    sent = 0

    def send() -> None:
        nonlocal sent
        begun = time.monotonic()
        with httpx.Client(base_url=service.address) as client:
            while time.monotonic() < end:
                body = {"type": "charge", "input": {"order_id": sent, "cents": 1}}
                client.post("/tasks", json=body).raise_for_status()
                sent += 1
                time.sleep(max(0.0, begun + sent / rate - time.monotonic()))

    sender = threading.Thread(target=send)
    sender.start()
    turn = 0
    while time.monotonic() < end:
        turn += 1
        page.mouse.wheel(0, 300 if turn % 4 < 2 else -300)
        if turn % 4 == 0 and page.locator(".fresh").is_visible():
            page.locator(".fresh").click()
        page.wait_for_timeout(250)
    sender.join()
    return sent


if __name__ == "__main__":
    main()
