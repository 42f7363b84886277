"""
The report of a user's sales: how much, when, of what, and out of which files.

What DuckDB adds up is fetched as decimals; nothing is rounded before it is shown, and the
figures at the end are the same sums as a program writes them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import duckdb

from . import datasets, document
from .datasets import Source, zero
from .document import Bar, Block, Column, Document
from .failures import ReportFailed
from .periods import Periods
from .wording import EXACT, Wording, plain, shortened, shown

#: Products that have a line of their own in the table; the others share one.
PRODUCTS: Final = 200
#: Products in the chart.
CHARTED: Final = 10
#: Most characters of a product's name in the chart.
CHARTED_NAME: Final = 44


@dataclass(frozen=True, slots=True)
class Sum:
    """What a group of sales comes to."""

    sales: int
    quantity: Decimal
    amount: Decimal

    def __sub__(self, other: Sum) -> Sum:
        return Sum(
            self.sales - other.sales,
            EXACT.subtract(self.quantity, other.quantity),
            EXACT.subtract(self.amount, other.amount),
        )


@dataclass(frozen=True, slots=True)
class Sales:
    """A user's sales, added up."""

    sources: list[Source]
    """Every file that was found, also those that were left out."""
    total: Sum
    returned: Sum
    """Those below zero, which are in the total too."""
    periods: Periods | None
    """None: no file has dates."""
    by_period: dict[dt.date, Sum]
    undated: Sum | None
    by_product: list[tuple[str | None, Sum]]
    """By amount, the greatest first, at most :data:`PRODUCTS`; None: the name is empty."""
    products: int
    """How many products there are."""

    def has(self, role: str) -> bool:
        """Whether any file in use has such a column."""
        return any(role in source.columns for source in self.sources if not source.skipped)


def read_sales(data_dir: Path, user_id: int, memory: int, scratch: Path) -> Sales:
    """
    Raises:
        ReportFailed: ``no_datasets``, ``no_sales_columns``, ``no_sales``, ``numbers_too_large``
    """
    sources = datasets.find_sources(data_dir, user_id)
    with datasets.connect(memory, scratch) as database:
        datasets.confine(database, data_dir)
        datasets.use(database, sources)
        try:
            return _add_up(database, sources)
        except duckdb.OutOfRangeException as error:
            raise ReportFailed(
                "The amounts are too large to be added exactly: expected sums below 10^32.",
                "numbers_too_large",
            ) from error


def _add_up(database: duckdb.DuckDBPyConnection, sources: list[Source]) -> Sales:
    first, last = _row(database, "SELECT min(day), max(day) FROM sold WHERE amount IS NOT NULL")
    periods = Periods.over(first, last) if first is not None else None
    unit = periods.unit if periods else "year"
    database.execute(
        "CREATE TEMP TABLE sums AS "
        "SELECT grouping(period, product) AS of, period, product, count(*) AS sales,"
        " sum(quantity) AS quantity, sum(amount) AS amount,"
        " count(*) FILTER (amount < 0) AS returns, sum(quantity) FILTER (amount < 0) AS returned,"
        " sum(amount) FILTER (amount < 0) AS refunded "
        f"FROM (SELECT date_trunc('{unit}', day)::DATE AS period,"
        " nullif(trim(product), '') AS product, quantity, amount FROM sold WHERE amount IS NOT NULL) "
        "GROUP BY GROUPING SETS ((period), (product), ())"
    )
    # The bits of `of`: 1 the product is not looked at, 2 the period is not.
    everything = (
        "SELECT sales, quantity, amount, returns, returned, refunded FROM sums WHERE of = 3"
    )
    whole = _row(database, everything)
    if not whole[0]:
        raise ReportFailed("The datasets of this user have no row with an amount.", "no_sales")
    by_period = dict(
        _sums(database, "SELECT period, sales, quantity, amount FROM sums WHERE of = 1")
    )
    by_product = list(
        _sums(
            database,
            "SELECT product, sales, quantity, amount FROM sums WHERE of = 2 "
            f"ORDER BY amount DESC, product LIMIT {PRODUCTS}",
        )
    )
    return Sales(
        sources,
        _sum(whole[:3]),
        _sum(whole[3:]),
        periods,
        by_period={
            periods.start_of(day): each for day, each in by_period.items() if day and periods
        },
        undated=by_period.get(None),
        by_product=by_product,
        products=_row(database, "SELECT count(*) FROM sums WHERE of = 2")[0],
    )


def _sums(database: duckdb.DuckDBPyConnection, query: str) -> Iterator[tuple[Any, Sum]]:
    for key, *rest in database.execute(query).fetchall():
        yield key, _sum(rest)


def _sum(values: Sequence[Any]) -> Sum:
    return Sum(values[0], zero(values[1]), zero(values[2]))


def _row(database: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    return tuple(database.execute(query).fetchall()[0])


# --- as a document ------------------------------------------------------------------


def sales_document(sales: Sales, user_id: int, wording: Wording, now: dt.datetime) -> Document:
    """The report of these sales."""
    page = _Page(sales, wording)
    return Document(
        title=wording.say("sales_title"),
        subtitle=page.subtitle(user_id),
        made=wording.say("made", moment=wording.moment(now)),
        language=wording.language,
        page_of=wording.say("page_of"),
        blocks=[page.cards(), *page.over_time(), *page.products(), *page.files(), *page.exact()],
    )


class _Page:
    """Makes the blocks; one method a section."""

    def __init__(self, sales: Sales, wording: Wording) -> None:
        self.sales = sales
        self.wording = wording
        self.say = wording.say
        self.has_quantity = sales.has("quantity")

    def subtitle(self, user_id: int) -> str:
        user = self.say("user", user_id=user_id)
        if self.sales.periods is None:
            return user
        first, last = self.sales.periods.first, self.sales.periods.last
        return f"{user} · {self.wording.day(first)} – {self.wording.day(last)}"

    def cards(self) -> Block:
        total, returned, wording = self.sales.total, self.sales.returned, self.wording
        refunded = ""
        if returned.sales:
            refunded = self.say(
                "refunds",
                count=wording.count(returned.sales),
                amount=wording.money(returned.amount),
            )
        items = [
            (self.say("total_amount"), wording.money(total.amount), refunded),
            (self.say("sales"), wording.count(total.sales), ""),
        ]
        if self.has_quantity:
            items.append((self.say("units"), wording.number(total.quantity), ""))
        mean = EXACT.divide(total.amount, total.sales)
        items.append((self.say("mean_amount"), wording.money(mean), ""))
        return document.cards(items)

    def over_time(self) -> Iterator[Block]:
        periods, wording = self.sales.periods, self.wording
        if periods is None:
            yield document.note(self.say("no_dates"))
            return
        nothing = Sum(0, Decimal(0), Decimal(0))
        rows = [(start, self.sales.by_period.get(start, nothing)) for start in periods.starts()]
        yield document.heading(self.say(f"by_{periods.unit}"))
        yield document.columns_chart(
            [
                Bar(periods.label(start, wording), [(float(each.amount), _tone(each.amount))])
                for start, each in rows
            ],
            alt=self.say(f"by_{periods.unit}"),
            format_tick=wording.compact,
        )
        lines = [self.line([periods.label(start, wording)], each) for start, each in rows]
        if self.sales.undated:
            lines.append(self.line([self.say("undated")], self.sales.undated))
        yield self.table([Column(self.say("period"), share=1)], lines)

    def products(self) -> Iterator[Block]:
        if not self.sales.has("product"):
            yield document.note(self.say("no_products"))
            return
        named = [(self.product(name), each) for name, each in self.sales.by_product]
        charted = named[:CHARTED]
        yield document.heading(self.say("best_products"))
        yield document.bars_chart(
            [
                Bar(
                    shortened(name, CHARTED_NAME),
                    [(float(each.amount), _tone(each.amount))],
                    self.wording.money(each.amount),
                )
                for name, each in charted
            ],
            alt=self.say("best_products"),
        )
        yield document.heading(self.say("by_product"))
        lines = [
            self.line([self.wording.count(number), name], each)
            for number, (name, each) in enumerate(named, 1)
        ]
        rest = self.sales.products - len(named)
        if rest:
            others = self.sales.total
            for _, each in self.sales.by_product:
                others = others - each
            lines.append(
                self.line(["", self.say("others", count=self.wording.count(rest))], others)
            )
        columns = [Column("#", "right"), Column(self.say("product"), share=1)]
        yield self.table(columns, lines)

    def files(self) -> Iterator[Block]:
        yield document.heading(self.say("files"))
        columns = [
            Column(self.say("file"), share=3),
            Column(self.say("rows"), "right"),
            Column(self.say("use"), share=4),
        ]
        yield document.table(
            columns,
            [
                [
                    shown(source.name),
                    "" if source.skipped == "unreadable" else self.wording.count(source.rows),
                    self.use(source),
                ]
                for source in self.sales.sources
            ],
        )

    def exact(self) -> Iterator[Block]:
        total = self.sales.total
        rows = [
            [self.say("total_amount"), plain(total.amount, 2)],
            [self.say("sales"), str(total.sales)],
        ]
        if self.has_quantity:
            rows.append([self.say("units"), _bare(total.quantity)])
        yield document.heading(self.say("exact"))
        yield document.note(self.say("exact_note"))
        columns = [Column(self.say("figure"), share=1), Column(self.say("value"), "right")]
        yield document.table(columns, rows)

    def use(self, source: Source) -> str:
        """Which columns were taken, or why none."""
        if source.skipped:
            return self.say(f"skipped_{source.skipped}", name=shown(source.same_as))
        roles = [
            role
            for role in ("date", "product", "quantity", "price", "amount")
            if role in source.columns
        ]
        if "price" in roles:
            roles.remove("amount")
        words = ", ".join(
            f"{self.say(f'role_{role}')} = {shown(source.columns[role], 60)}" for role in roles
        )
        if source.unread:
            words += ". " + self.say("unread", count=self.wording.count(source.unread))
        return words

    def product(self, name: str | None) -> str:
        return self.say("unnamed") if name is None else shown(name)

    def line(self, first: list[str], each: Sum) -> list[str]:
        wording = self.wording
        quantity = [wording.number(each.quantity)] if self.has_quantity else []
        share = wording.percent(each.amount, self.sales.total.amount)
        return [*first, wording.count(each.sales), *quantity, wording.money(each.amount), share]

    def table(self, first: list[Column], lines: list[list[str]]) -> Block:
        quantity = [Column(self.say("units"), "right")] if self.has_quantity else []
        columns = [
            *first,
            Column(self.say("sales"), "right"),
            *quantity,
            Column(self.say("amount"), "right"),
            Column(self.say("share"), "right"),
        ]
        blank = [""] * (len(first) - 1)
        return document.table(
            columns, lines, self.line([*blank, self.say("total")], self.sales.total)
        )


def _tone(amount: Decimal) -> document.Tone:
    return "bad" if amount < 0 else "main"


def _bare(value: Decimal) -> str:
    text = plain(value, 6).rstrip("0").rstrip(".")
    return text or "0"
