"""Where an example connects to: the URL it is given, or a gateway of its own."""

import contextlib
import sys
from collections.abc import Iterator

from realtime_pubsub import LocalGateway


@contextlib.contextmanager
def place(arguments: list[str]) -> Iterator[str]:
    """A URL: the first argument, or that of a gateway of its own, which says what the other half needs."""
    if arguments:
        yield arguments[0]
        return
    with LocalGateway() as gateway:
        print(f"A gateway of its own; for the other half: '{gateway.url('other')}'", file=sys.stderr, flush=True)
        yield gateway.url()
