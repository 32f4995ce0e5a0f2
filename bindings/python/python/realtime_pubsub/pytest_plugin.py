"""Fixtures for testing offline: a gateway in the same process, and clients of it.

They are there in every test once the package is installed:

    async def test_greets(realtime_client):
        async with realtime_client("alice") as client:
            ...
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

# The package is imported when a fixture is used, so that it costs nothing in other tests.
if TYPE_CHECKING:
    from . import BlockingClient, LocalGateway, RealtimeClient


@pytest.fixture
def realtime_gateway() -> Iterator[LocalGateway]:
    """A gateway on a free port, stopped after the test."""
    from . import LocalGateway

    with LocalGateway() as gateway:
        yield gateway


@pytest.fixture
def realtime_client(realtime_gateway: LocalGateway) -> Callable[..., RealtimeClient]:
    """Makes clients of the gateway: `realtime_client("alice", retry=True)`. Use them with `async with`."""
    from . import RealtimeClient

    def make(subject: str = "local", permissions: list[str] | None = None, **options: Any) -> RealtimeClient:
        return RealtimeClient(realtime_gateway.url(subject, permissions), **options)

    return make


@pytest.fixture
def realtime_blocking_client(realtime_gateway: LocalGateway) -> Iterator[Callable[..., BlockingClient]]:
    """Makes clients of the gateway for threads, and disconnects them after the test."""
    from . import BlockingClient

    made: list[BlockingClient] = []

    def make(subject: str = "local", permissions: list[str] | None = None, **options: Any) -> BlockingClient:
        made.append(BlockingClient(realtime_gateway.url(subject, permissions), **options))
        return made[-1]

    yield make
    for client in made:
        client.disconnect(1.0)
