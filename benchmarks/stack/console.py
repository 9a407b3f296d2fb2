"""The console's pages when there are 1,000 executions, as an agent's browser requests them."""

import html
import re
from datetime import timedelta

import httpx

from benchmarks.stack.bench import Bench
from benchmarks.stack.reads import median_ms
from devtools.load.logged_executions import COPIES, copy_execution
from local.processes import wait_for
from local.settings import StackError

_EXECUTIONS = 1_000
# The console lists those of the last hour.
_PERIOD = timedelta(minutes=50)
_AGENT = "agent@example.com"
_LIST = "/console/executions"
_LINK = re.compile(rf'href="({_LIST}/[^"]+)"')
_OLDER = re.compile(r'href="([^"]+)">Older executions')
_DEADLINE_SECONDS = 60


def measure_console(bench: Bench) -> dict[str, float]:
    """Read the list of the executions, and the page with the graph of one."""
    _log_executions(bench)
    with httpx.Client(base_url=bench.stack.web_url, timeout=35, trust_env=False) as client:
        headers = {"Origin": bench.stack.web_url}
        if client.post("/console/sign-in", data={"demo": _AGENT}, headers=headers).status_code != 303:
            raise StackError(f"{_AGENT} could not sign in to the console.")
        if not wait_for(lambda: _listed(client) >= _EXECUTIONS, _DEADLINE_SECONDS):
            raise StackError(f"The console did not list {_EXECUTIONS} executions in time.")
        path = html.unescape(_LINK.findall(_page(client, _LIST))[0])
        return {
            "console.executions1000Ms": median_ms(lambda: _page(client, _LIST)),
            "console.executionGraphMs": median_ms(lambda: _page(client, path)),
        }


def _log_executions(bench: Bench) -> None:
    """Fill the log in the first round."""
    streams = bench.stack.client("logs").describe_log_streams(
        logGroupName=bench.stack.state_machine_log_group, logStreamNamePrefix=COPIES
    )["logStreams"]
    if not streams:
        name = bench.pipeline.executions("SUCCEEDED")[0]["name"]
        copy_execution(bench.stack, name, _EXECUTIONS, over=_PERIOD)


def _listed(client: httpx.Client) -> int:
    """The number of executions on all pages of the list."""
    page = _page(client, _LIST)
    number = len(_LINK.findall(page))
    while older := _OLDER.search(page):
        page = _page(client, html.unescape(older[1]))
        number += len(_LINK.findall(page))
    return number


def _page(client: httpx.Client, path: str) -> str:
    return client.get(path).raise_for_status().text
