"""Whatever Python's own JSON wrote can be answered."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from encola.record import MAX_DEPTH
from encola.store import Message
from encola.store.plain_json import CUT, read_plain


def nested(depth: int, inmost: object = 1) -> Any:
    value = inmost
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        ({"a": [1, 2.5, None, True, "ñ"]}, {"a": [1, 2.5, None, True, "ñ"]}),
        (float("nan"), None),
        ([float("inf"), float("-inf"), 1.0], [None, None, 1.0]),
        ({"half \ud83d": "a \ude00"}, {"half ?": "a ?"}),
        (10**30, 1e30),
        ([float("nan"), 10**30, 2**64 - 1, -(2**63)], [None, 1e30, 2**64 - 1, -(2**63)]),
        ([float("nan"), 10**400], [None, None]),
    ],
)
def test_what_is_no_json_is_told_as_something_that_is(value: object, plain: object) -> None:
    assert plain == read_plain(json.dumps(value).encode())


@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 300, 1_500, 100_000])
def test_what_is_nested_too_deep_is_cut_and_can_be_answered(depth: int) -> None:
    read = read_plain(b"[" * depth + b"1" + b"]" * depth)

    assert CUT.encode() in orjson.dumps(read)
    assert orjson.dumps(read).count(b"[") <= MAX_DEPTH


def test_what_is_nested_as_deep_as_an_input_may_be_is_whole() -> None:
    arguments = [nested(MAX_DEPTH)]

    assert (arguments, {}) == Message("t", json.dumps([arguments, {}, {}])).arguments()


@given(
    st.recursive(
        st.floats() | st.integers() | st.text(st.characters(exclude_categories=[])) | st.none(),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=[])), inner)
        ),
    )
)
def test_anything_that_python_writes_can_be_answered(value: object) -> None:
    read = read_plain(json.dumps(value).encode())

    assert read == orjson.loads(orjson.dumps(read))


def test_what_is_no_json_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="Expecting value"):
        read_plain(b"[")
