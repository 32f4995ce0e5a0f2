"""What the tests share: they use the plugin that users get, too."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from realtime_pubsub import LocalGateway, RealtimeClient


class Heard:
    """A listener that remembers, and tells when it has heard enough."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self._changed = asyncio.Event()

    def __call__(self, event: Any) -> None:
        self.events.append(event)
        self._changed.set()

    async def until(self, count: int = 1, timeout: float = 10) -> list[Any]:
        """The events, once there are so many."""

        async def enough() -> None:
            while len(self.events) < count:
                self._changed.clear()
                await self._changed.wait()

        await asyncio.wait_for(enough(), timeout)
        return self.events


@pytest.fixture
def heard() -> Callable[[RealtimeClient, str], Heard]:
    """Listens to a name and remembers."""

    def listen(client: RealtimeClient, name: str) -> Heard:
        listener = Heard()
        client.on(name, listener)
        return listener

    return listen


async def closes(gateway: LocalGateway, client: RealtimeClient, code: int, reason: str = "") -> Any:
    """Has the gateway close the client's connection, and gives the close event."""
    listener = Heard()
    listening = client.on("close", listener)
    gateway.faults.close(code, reason)
    try:
        return (await listener.until())[0]
    finally:
        client.off(listening)
