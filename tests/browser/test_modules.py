"""Modules of the dashboard that need no screen, called in the browser they are written for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from playwright.sync_api import Page
from window import Open

Call = Callable[..., Any]


@pytest.fixture
def call(opened: Open) -> Call:
    """``call("dom.js", (m, given) => … as JavaScript, given)``"""
    page: Page = opened("/")

    def run(path: str, code: str, given: object = None) -> Any:
        source = f"""async (given) => {{
            const base = document.querySelector('script[type=module]').src.replace('app.js', '');
            const m = await import(base + {path!r});
            return ({code})(m, given);
        }}"""
        return page.evaluate(source, given)

    return run


STREAM = (
    "retry: 2000\nid: 1-0\nevent: hello\ndata: {}\n\n: heartbeat\nid: 1-5\n\n"
    "id: 2-0\r\nevent: task\r\ndata: a\r\ndata:b\r\n\r\nid: 3-0\rdata: last ñ\r\r"
)
PARSE = """(m, [text, cuts]) => {
    const seen = [];
    const parse = m.makeParser(({id, name, data}) => seen.push([id, name, data]), (id) => seen.push([id]));
    let from = 0;
    for (const to of [...cuts, text.length]) { parse(text.slice(from, to)); from = to; }
    parse('\\n');
    return seen;
}"""


def test_a_stream_is_read_alike_wherever_it_is_cut(call: Call) -> None:
    """Three kinds of line ends, several lines of data, an id that comes alone (WHATWG HTML 9.2.6)."""
    expected = [
        ["1-0", "hello", "{}"],
        ["1-5"],
        ["2-0", "task", "a\nb"],
        ["3-0", "message", "last ñ"],
    ]

    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.integers(0, len(STREAM)), max_size=6))
    def holds(cuts: list[int]) -> None:
        assert expected == call("events.js", PARSE, [STREAM, sorted(cuts)])

    holds()


def test_ids_of_events_are_compared_as_numbers(call: Call) -> None:
    """10 comes after 9, in either half."""
    pairs = [["9-0", "10-0"], ["5-9", "5-10"], ["5-1", "5-1"], ["6-0", "5-99"]]

    assert [False, False, False, True] == call(
        "live.js", "(m, pairs) => pairs.map(([id, other]) => m.isAfter(id, other))", pairs
    )


def test_only_paths_of_this_service_become_links(call: Call) -> None:
    """Whatever a task gives as the address of its file."""
    given = [
        "/reports/a.pdf",
        "//evil.example/a",
        "/\\evil.example",
        "https://evil.example",
        "javascript:x",
        "/a b",
        None,
    ]

    assert ["/reports/a.pdf", *[None] * 6] == call(
        "dom.js", "(m, all) => all.map(m.ownPath)", given
    )


def test_schemas_become_fields(call: Call) -> None:
    """What Pydantic writes of optional values, references and choices."""
    schema = {
        "$defs": {
            "Size": {"enum": ["s", "l"], "type": "string"},
            "Box": {"type": "object", "title": "Box", "properties": {"name": {"type": "string"}}},
        },
        "properties": {
            "size": {"$ref": "#/$defs/Size"},
            "born": {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}]},
            "parts": {"type": "array", "items": {"type": "string"}},
            "deep": {"type": "object"},
            "file_path": {"type": "string"},
            "body": {"type": "string"},
            "mixed": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
            "either": {"anyOf": [{"type": "object"}, {"type": "integer"}]},
            "price": {"anyOf": [{"type": "number"}, {"type": "string"}, {"type": "null"}]},
            "marks": {"type": "array", "items": {"type": "integer"}},
            "sizes": {"type": "array", "items": {"$ref": "#/$defs/Size"}},
            "box": {"anyOf": [{"$ref": "#/$defs/Box"}, {"type": "null"}]},
            "boxes": {"type": "array", "items": {"$ref": "#/$defs/Box"}},
        },
        "required": ["size"],
    }
    kinds = call(
        "schema.js",
        "(m, s) => m.fieldsOf(s).map(({name, schema, required}) => [name, m.kindOf(name, schema, s), required])",
        schema,
    )

    assert [
        ["size", "choice", True], ["born", "date", False], ["parts", "list", False], ["deep", "json", False],
        ["file_path", "file", False], ["body", "long", False], ["mixed", "wordOrNumber", False], ["either", "json", False],
        ["price", "decimal", False], ["marks", "list", False], ["sizes", "items", False], ["box", "object", False],
        ["boxes", "items", False],
    ] == kinds  # fmt: skip


def test_a_life_becomes_stretches(call: Call) -> None:
    """Waited, ran, waited for the retry, runs."""
    task = {
        "state": "STARTED",
        "created_at": "2026-11-22T09:00:00Z",
        "attempts": [
            {"number": 1, "worker": "w", "started_at": "2026-11-22T09:00:01Z", "ended_at": "2026-11-22T09:00:03Z", "outcome": "RETRY"},
            {"number": 2, "worker": "w", "started_at": "2026-11-22T09:00:10Z", "ended_at": None, "outcome": None},
        ],
    }  # fmt: skip
    now = 1_763_802_000_000 + 12_000 + 365 * 86_400_000
    found = call("parts/timeline.js", "(m, [task, now]) => m.stretches(task, now)", [task, now])

    assert [("wait", 1000), ("run", 2000), ("wait", 7000), ("run", 2000)] == [
        (each["kind"], each["end"] - each["start"]) for each in found
    ]


def test_a_number_stays_with_its_unit(call: Call) -> None:
    """No line is broken between them, in spans or in sizes."""
    spans = call(
        "format.js", "(m, all) => all.map(m.duration)", [850, 4200, 37_000, 185_000, 7_800_000]
    )
    sizes = call("format.js", "(m, all) => all.map(m.bytes)", [0, 1023, 1536, 5 * 1024**3])

    assert ["850 ms", "4,2 s", "37 s", "3 min 5 s", "2 h 10 min"] == [
        each.replace("\u00a0", " ") for each in spans
    ]
    assert ["0 B", "1023 B", "1,5 KB", "5 GB"] == [each.replace("\u00a0", " ") for each in sizes]
    assert not any(" " in each for each in [*spans, *sizes])


def test_new_tasks_are_told_apart_up_to_a_thousand(call: Call) -> None:
    """A page that stays open for a week does not grow; and one of a state is new while it has it."""
    gather = """(m, [query, events]) => {
        const fresh = new Set();
        for (const [task_id, state] of events) m.gather(fresh, {task_id, state, attempt: 0}, query);
        return [fresh.size, m.freshCount(fresh)];
    }"""
    many = [[f"t{n}", "PENDING"] for n in range(3000)]
    size, told = call("tasklist.js", gather, [{}, many])
    assert ({"count": 1000, "exact": False}, 1001) == (told, size)

    twice = [["a", "FAILURE"], ["a", "PENDING"], ["b", "FAILURE"], ["b", "FAILURE"]]
    _, told = call("tasklist.js", gather, [{"state": "FAILURE"}, twice])
    assert {"count": 1, "exact": True} == told


def test_a_row_is_written_only_when_its_task_changes(call: Call) -> None:
    """A thousand events of other tasks cost a row nothing; its own span goes on while it runs."""
    changes = call(
        "parts/task-row.js",
        """async (m) => {
            const task = {task_id: 'a', type: 't', state: 'STARTED', queue: 'q', created_at: '2026-11-22T09:00:00Z',
                started_at: new Date(Date.now() - 5000).toISOString(), input: {}};
            const row = m.taskRow(task, {picked: new Set(), pick() {}, open: () => null});
            const seen = [];
            row.update(task);
            const spans = new MutationObserver((all) => seen.push(...all.map(({target}) => target.className)));
            spans.observe(row.element, {subtree: true, childList: true, attributes: true, characterData: true});
            row.update(task);
            await new Promise((resolve) => setTimeout(resolve, 300));
            row.update(task);
            row.update({...task, state: 'SUCCESS', completed_at: new Date().toISOString()});
            await null;
            return [...new Set(seen)];
        }""",
    )

    assert "row-span" in changes
    assert "row" in changes
    assert "row-queue" not in changes


def test_a_log_that_comes_before_its_place_is_shown_from_its_end(call: Call) -> None:
    """Its lines may be there before the page of the task is; who has scrolled up is left alone."""
    shown = call(
        "parts/log.js",
        """async (m) => {
            const entry = (n) => `id: ${n}-0\\nevent: log\\ndata: {"at": "2026-11-22T09:00:00Z", "attempt": 1, "level": "info", "source": "s", "message": "${n}"}\\n\\n`;
            const until = async (holds) => {
                for (const end = Date.now() + 10_000; !holds(); await new Promise(requestAnimationFrame)) {
                    if (Date.now() > end) throw new Error(`not within 10 s: ${holds}`);
                }
            };
            const more = new TransformStream();
            const writer = more.writable.getWriter();
            const say = (text) => writer.write(new TextEncoder().encode(text));
            globalThis.fetch = async () => new Response(more.readable);
            const {element} = m.taskLog('a');
            const roll = element.querySelector('.log');
            const lines = roll.querySelector('ol');
            const atEnd = () => roll.scrollTop > 0 && roll.scrollHeight - roll.scrollTop - roll.clientHeight < 24;
            say(Array.from({length: 100}, (_, n) => entry(n + 1)).join(''));
            await until(() => lines.childElementCount === 100);
            document.getElementById('app').replaceChildren(element);
            await until(atEnd);
            say(entry(101));
            await until(() => lines.childElementCount === 101 && atEnd());
            roll.scrollTop = 40;
            await new Promise((done) => roll.addEventListener('scroll', done, {once: true}));
            say(entry(102));
            await until(() => lines.childElementCount === 102);
            await new Promise(requestAnimationFrame);
            return roll.scrollTop;
        }""",
    )

    assert 40 == shown
