"""Web pages of other sites cannot use the stand-in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

if TYPE_CHECKING:
    from devtools.model.tests.conftest import StandIn


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Host": "evil.example"}]
)
def test_requests_of_foreign_pages_are_refused(stand_in: StandIn, headers: dict[str, str]) -> None:
    page = {"Content-Type": "text/plain"} | headers
    assert httpx.post(f"{stand_in.url}/faults", content=b'{"deny": 1}', headers=page).status_code == 403
    assert httpx.get(f"{stand_in.url}/calls", headers=page).status_code == 403
    assert httpx.post(f"{stand_in.url}/model/m/converse", content=b"{}", headers=page).status_code == 403
    assert stand_in.calls() == {}
