"""Reads of tickets through the API, and what the number of stored tickets changes."""

import time
from collections.abc import Callable
from statistics import median

import httpx

from benchmarks.stack.bench import Bench
from local.settings import StackError

_SIZES = (100, 2_000, 5_000)
_PAGE = 25
_READS = 15
_TICKETS = 6


def measure_reads(bench: Bench) -> dict[str, float]:
    """Read one ticket, list 25 as an agent, and send some, with 100, 2,000 and 5,000 tickets stored."""
    listed, announced = dict[int, float](), dict[int, float]()
    headers = {"Authorization": f"Bearer {bench.agent_token}"}
    with httpx.Client(base_url=bench.stack.api_url, headers=headers, timeout=35, trust_env=False) as client:
        for size in _SIZES:
            bench.stored.set_number(size)
            listed[size] = median_ms(lambda: _list(client))
            run = bench.send_one_at_a_time(_TICKETS)
            announced[size] = median(run.seconds_until(bench.notified_at(run)))
        path = f"/tickets/{bench.stored.any_id()}"
        ticket = median_ms(lambda: _get(client, path))
    bench.stored.set_number(0)
    smallest, *_, largest = _SIZES
    return {
        "get.ticketMs": ticket,
        **{f"list.ms{size}": milliseconds for size, milliseconds in listed.items()},
        f"list.ms{largest}over{smallest}": listed[largest] / listed[smallest],
        f"growth.ticketMs{largest}over{smallest}": announced[largest] / announced[smallest],
    }


def median_ms(read: Callable[[], object]) -> float:
    """The median time of a read, after one that does not count."""
    read()
    seconds = []
    for _ in range(_READS):
        started = time.perf_counter()
        read()
        seconds.append(time.perf_counter() - started)
    return median(seconds) * 1000


def _list(client: httpx.Client) -> None:
    if len(_get(client, f"/tickets?limit={_PAGE}").json()["tickets"]) != _PAGE:
        raise StackError(f"GET /tickets did not list {_PAGE} tickets.")


def _get(client: httpx.Client, path: str) -> httpx.Response:
    return client.get(path).raise_for_status()
