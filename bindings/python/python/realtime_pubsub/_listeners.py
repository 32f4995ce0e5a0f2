"""Listeners: what the user registered, and how it wants to be called."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from ._native import IncomingMessage

Callback = Callable[..., Any]


class Listener:
    """A function that was registered with `on` or `once`."""

    __slots__ = ("active", "arguments", "callback", "id", "once", "pattern")

    def __init__(self, pattern: str, callback: Callback, once: bool) -> None:
        if not callable(callback):
            raise TypeError(f"a listener must be callable, not {type(callback).__name__}")
        self.id = 0
        self.pattern = pattern
        self.callback = callback
        self.once = once
        self.active = True
        self.arguments = _takes(callback)


def _takes(callback: Callback) -> int:
    """How many of `(message, reply_fn)` the callback wants."""
    try:
        parameters = inspect.signature(callback).parameters.values()
    except (TypeError, ValueError):
        # Some builtins don't say.
        return 1
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
        return 2
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return min(2, sum(parameter.kind in positional for parameter in parameters))


def arguments(event: Any) -> tuple[Any, ...]:
    """What a listener is called with: a message and its reply function, or a control event's object."""
    if isinstance(event, IncomingMessage):
        return event, event.reply
    return (event,)


def call(listener: Listener, event: Any) -> Any:
    """Calls the listener with as much as it takes."""
    wanted = listener.arguments
    if wanted == 1:
        return listener.callback(event)
    if wanted == 0:
        return listener.callback()
    if type(event) is IncomingMessage:
        return listener.callback(event, event.reply)
    return listener.callback(event)
