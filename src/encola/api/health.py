"""Whether the service is up, and whether it can take work."""

from __future__ import annotations

from typing import Any

import orjson
from fastapi import APIRouter
from redis.exceptions import RedisError
from starlette.responses import Response

from ..client import current_loop_client
from ..errors import EncolaError
from ..store.callers import translate
from .answers import answer

router = APIRouter(tags=["health"])


@router.get("/health")
async def health() -> Response:
    """This process answers. Asks nobody else."""
    return answer({"status": "ok"})


@router.get("/ready")
async def ready() -> Response:
    """The store takes writes; how many workers there are, and how many tasks in each state."""
    try:
        store, workers, states = await _look()
    except (EncolaError, RedisError) as error:
        reason = str(error if isinstance(error, EncolaError) else translate(error))
        response = answer({"store": {"ok": False, "error": reason}, "workers": 0}, 503)
        response.headers["Retry-After"] = "2"
        return response
    return answer({"store": store, "workers": workers, "states": states})


async def _look() -> tuple[dict[str, Any], int, dict[str, int]]:
    client = current_loop_client()
    keys = client.verbs.keys
    # A real write: a replica, a full disk and a full memory answer reads all the same.
    await client.redis.set(keys.named("ready"), "1", px=10_000)
    alive = await client.redis.zrange(keys.named("workers"), 0, -1)
    infos = await client.redis.mget([keys.worker(w.decode()) for w in alive]) if alive else []
    hosts = [orjson.loads(info)["hostname"] for info in infos if info]
    workers = [host for host in hosts if not host.startswith("api@")]
    counts = await client.records.count_by_state()
    return {"ok": True}, len(workers), {state.value: n for state, n in counts.items()}
