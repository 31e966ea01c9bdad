"""The client of the daemon for asyncio: `skbpool.aio.Client`.

The verbs, their results and their errors are those of `skbpool.client`. What ends with a `with`
there ends with an `async with` here, and what a cancelled task was about to be given is given back.

>>> async def main():  # doctest: +SKIP
...     async with skbpool.aio.Client() as client, client.subscribe("tap") as tap:
...         async for batch in tap:
...             print(len(batch))
"""

import skbpool.client  # noqa: F401 - which says what is missing where grpcio is
from skbpool.aio.client import Client
from skbpool.aio.sender import Sender
from skbpool.aio.session import Session
from skbpool.aio.stamps import StampReader
from skbpool.aio.subscription import Subscription
from skbpool.aio.watch import PoolWatch

__all__ = ["Client", "PoolWatch", "Sender", "Session", "StampReader", "Subscription"]
