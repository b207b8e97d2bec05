"""The service shown on the page about learners runs: two of it on one store, headlines that come and go, and silence."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from aiohttp.test_utils import TestClient, TestServer
from test_pages import blocks, module_of

from loopwright import Session, SharedSession, get_recipe


def test_the_service_of_the_page_runs_twice_on_one_store(tmp_path: Path) -> None:
    (code,) = blocks("docs/reference/learners.md", "python")
    page = module_of(code, tmp_path / "headline_service.py")
    store = str(tmp_path / "learners.db")

    async def talk() -> None:
        one, other = (TestClient(TestServer(page.service(store, patience=seconds))) for seconds in (1800.0, 1.0))
        async with one, other:
            seen: dict[str, Any] = await (await one.get("/headline?mobile=1&without=storm+warning")).json()
            assert seen["headline"] in ("rain by noon", "sunny at last")
            assert (await other.post(f"/clicked/{seen['id']}")).status == 200
            again = await one.post(f"/clicked/{seen['id']}")
            assert again.status == 409 and "no open trial" in (await again.json())["error"]
            await one.put("/headlines/fog?like=rain+by+noon")
            assert (await (await other.delete("/headlines/storm warning")).json())["headlines"] == [
                "rain by noon", "sunny at last", "fog",
            ]  # fmt: skip
            unknown = await other.put("/headlines/mist?like=rain+by+moon")
            assert unknown.status == 409 and "Did you mean rain by noon" in (await unknown.json())["error"]
            left = await (await one.get("/headline")).json()
            with SharedSession(store, "headlines", get_recipe("lin-ts")(deviation=0.1), page.SPEC) as session:
                for _ in range(200):
                    if not session.open:
                        break
                    await asyncio.sleep(0.1)
                state = Session.restore(get_recipe("lin-ts")(deviation=0.1), session.snapshot()).state
            late = await one.post(f"/clicked/{left['id']}")
            assert late.status == 409 and "expired" in (await late.json())["error"]
            assert state.coefficients.any(), "a click and a silence were learned from"

    asyncio.run(talk())
