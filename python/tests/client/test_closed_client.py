"""A client that was closed: every verb says so, and none takes the process along."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from skbpool import Client, Closed, aio
from skbpool_processes import Daemon

VERBS: list[Callable[[Any], Any]] = [
    lambda client: client.server_info(),
    lambda client: client.pools(),
    lambda client: client.drivers(),
    lambda client: client.holders(),
    lambda client: client.session(),
    lambda client: client.watch_pools(),
    lambda client: client.subscribe(),
    lambda client: client.ingest(),
    lambda client: client.ingest([b"x" * 60]),
    lambda client: client.stamp_reader(1),
]


@pytest.mark.parametrize("used", [False, True])
def test_a_closed_client_says_so(tmp_path: Path, used: bool) -> None:
    with Daemon(tmp_path) as daemon:
        client = Client(daemon.address)
        if used:
            client.pools()
        client.close()
        for verb in VERBS:
            with pytest.raises(Closed, match="the client was closed"):
                verb(client)


def test_a_closed_asyncio_client_says_so(tmp_path: Path) -> None:
    async def use(address: str) -> None:
        client = aio.Client(address)
        await client.pools()
        await client.close()
        with pytest.raises(Closed):
            await client.pools()
        for stream in (client.session(), client.watch_pools(), client.subscribe(), client.ingest()):
            with pytest.raises(Closed):
                await stream.open()

    with Daemon(tmp_path) as daemon:
        asyncio.run(use(daemon.address))
