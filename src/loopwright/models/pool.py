"""Connections that are used again only while nothing has come over them unasked.

A server, or a proxy before it, may send a reply twice. The second one would be read as the answer to the next question that goes
over this connection: another example's.
"""

from __future__ import annotations

import selectors
from functools import cache
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

if TYPE_CHECKING:
    from aiohttp import BaseConnector
    from aiohttp.client_proto import ResponseHandler
    from aiohttp.connector import Connection


@cache
def quiet(kind: type[BaseConnector]) -> Any:
    """A connector of this kind which hands out no connection that something has come over before it is asked.

    Args:
        kind: of aiohttp, such as TCPConnector.

    Returns:
        The class; its ``connect`` raises ClientConnectionError where a new connection is spoken on before it is asked.
    """
    from aiohttp import ClientConnectionError

    class Quiet(kind):  # type: ignore[valid-type, misc]
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self._used: WeakSet[ResponseHandler] = WeakSet()

        async def connect(self, *args: Any, **options: Any) -> Connection:
            while True:
                connection: Connection = await super().connect(*args, **options)
                protocol = connection.protocol
                if protocol is None or not _spoken_on(protocol):
                    if protocol is not None:
                        self._used.add(protocol)
                    return connection
                connection.close()
                if protocol not in self._used:  # of the pool there are only so many
                    raise ClientConnectionError("the server sent something before it was asked")

    return Quiet


def _spoken_on(protocol: ResponseHandler) -> bool:
    """Whether something came over an idle connection, its end included; also what nobody has read yet."""
    if protocol.should_close:
        return True
    socket = protocol.transport.get_extra_info("socket") if protocol.transport is not None else None
    if socket is None:
        return False
    with selectors.DefaultSelector() as ready:
        ready.register(socket, selectors.EVENT_READ)
        return bool(ready.select(0))
