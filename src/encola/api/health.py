"""Whether the service is up, and whether it can take work."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from ..client import current_loop_client
from ..errors import EncolaError
from ..store.callers import server_ms, translated
from .answers import answer
from .problems import RETRY_AFTER
from .shapes import Health, Readiness, StoreHealth

router = APIRouter(tags=["health"])


@router.head("/health", include_in_schema=False)
@router.get("/health", response_model=Health)
async def read_health() -> Response:
    """This process answers. Asks nobody else."""
    return answer({"status": "ok"})


@router.head("/ready", include_in_schema=False)
@router.get(
    "/ready",
    response_model=Readiness,
    responses={503: {"description": "It cannot take work now.", "model": Readiness}},
)
async def read_readiness() -> Response:
    """The store takes writes; how many workers there are, and how many tasks in each state."""
    try:
        store, workers, states = await _look()
    except EncolaError as error:
        unready: Readiness = {"store": {"ok": False, "error": str(error)}, "workers": 0}
        response = answer(unready, 503)
        response.headers["Retry-After"] = str(RETRY_AFTER)
        return response
    ready: Readiness = {"store": store, "workers": workers, "states": states}
    return answer(ready)


async def _look() -> tuple[StoreHealth, int, dict[str, int]]:
    client = current_loop_client()
    keys = client.verbs.keys
    with translated():
        # A real write: a replica, a full disk and a full memory answer reads all the same.
        await client.redis.set(keys.named("probe:ready"), "1", px=10_000)
        now_ms = await server_ms(client.redis)
        # Scored by the end of their lease: who is past it has gone, though nobody has swept it yet.
        alive = await client.redis.zrangebyscore(keys.named("workers"), now_ms, "+inf")
    workers = [worker for worker in alive if not worker.startswith(b"api@")]
    counts = await client.records.count_by_state()
    return {"ok": True}, len(workers), {state.value: n for state, n in counts.items()}
