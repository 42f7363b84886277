"""Task types for the browser: one that takes its time, one that fails, one of every kind of field."""

from __future__ import annotations

import datetime as dt
import logging
import time
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, Field

from encola import RetryPolicy, TaskContext, cron, every, task


class Size(StrEnum):
    SMALL = "small"
    LARGE = "large"


@task
def resize_photos(
    context: TaskContext, album: str, photos: int = 20, seconds: float = 2
) -> dict[str, Any]:
    for done in range(photos):
        context.progress(done, photos, f"IMG_{2400 + done}.jpg")
        if done % 50 == 49:
            print(f"{done + 1} of {photos} are done")
        time.sleep(seconds / photos)
    return {"album": album, "resized": photos}


@task
def charge(order_id: int, cents: int) -> dict[str, int]:
    if cents > 100_000:
        raise ValueError(f"order {order_id}: {cents} cents is above the limit of the card")
    return {"order_id": order_id, "charged": cents}


@task
def talk(lines: int, seconds: float, text: str = "line") -> None:
    for number in range(1, lines + 1):
        print(text, number)
        time.sleep(seconds / lines)
    logging.getLogger("demo").warning("almost done")


@task
def echo(context: TaskContext, text: str, file_url: str = "") -> dict[str, str]:
    context.progress(1, 2, text[:500])
    return {"text": text, "file_url": file_url, text[:80]: text[:80]}


@task(
    schedule=[
        cron("0 9 * * mon-fri", tz="Europe/Madrid", input={"region": "north"}, id="north"),
        every(hours=6, input={"region": "south"}, id="south"),
    ]
)
def collect(region: str) -> dict[str, str]:
    return {"region": region}


@task(retry=RetryPolicy(max_retries=0))
def refuse(reason: str) -> None:
    raise ValueError(reason)


@task(retry=RetryPolicy(max_retries=2, retry_on=(ConnectionError,), first_delay=30))
def sync_stock(warehouse: str) -> None:
    raise ConnectionError(f"{warehouse}: the warehouse does not answer")


@task
def every_field(
    name: str,
    age: int = Field(ge=0, le=150),
    weight: float | None = None,
    newsletter: bool = False,
    size: Size = Size.SMALL,
    birthday: dt.date | None = None,
    at: dt.datetime | None = None,
    tags: list[str] = [],  # noqa: B006 - the declared default, never changed
    extra: dict[str, Any] | None = None,
) -> str:
    return f"{name}, {age}"


class Address(BaseModel):
    name: str
    zip: str = Field(pattern=r"^\d{5}$")


class Line(BaseModel):
    sku: str
    count: int = Field(1, ge=1, le=99)


@task
def ship(
    name: str,
    ship_to: Address,
    lines: list[Line],
    price: Decimal | None = None,
    marks: list[int] = [],  # noqa: B006 - as above
    colours: list[Literal["red", "green"]] = [],  # noqa: B006 - as above
    bill_to: Address | None = None,
) -> str:
    return f"{len(lines)} lines to {ship_to.zip}"
