"""The gateway in the same process, so that tests need no network and no account."""

from __future__ import annotations

from typing import NamedTuple

from . import _native


class GatewayConnection(NamedTuple):
    """An open connection, as the gateway sees it."""

    id: str
    """Its id, as its welcome said."""
    subject: str
    """Its token's subject."""


class LocalGateway:
    """A gateway on a free port of this machine, with tokens to mint and faults to inject.

        with LocalGateway() as gateway:
            client = RealtimeClient(gateway.url("alice"))

    It speaks the protocol in full, and runs on a thread of its own until it is stopped. `secret` and `admin_secret`
    are what tokens are signed with (default: fresh ones); `insecure` takes any token or none. The limits are the
    gateway's: bytes of a message (1 MiB), connections of one subject (100), messages a second (none). With a
    certificate chain and its key in PEM it serves `wss://`.
    """

    def __init__(
        self,
        *,
        app: str = "local",
        host: str = "127.0.0.1",
        port: int = 0,
        secret: str | None = None,
        admin_secret: str | None = None,
        acks: bool = True,
        insecure: bool = False,
        max_message_size: int | None = None,
        connections_per_subject: int | None = None,
        messages_per_second: int | None = None,
        tls_cert_pem: str | None = None,
        tls_key_pem: str | None = None,
    ) -> None:
        self._gateway = _native.Gateway(
            app=app,
            host=host,
            port=port,
            secret=secret,
            admin_secret=admin_secret,
            acks=acks,
            insecure=insecure,
            max_message_size=max_message_size,
            connections_per_subject=connections_per_subject,
            messages_per_second=messages_per_second,
            tls_cert_pem=tls_cert_pem,
            tls_key_pem=tls_key_pem,
        )

    @property
    def app(self) -> str:
        """The app's id."""
        return self._gateway.app

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._gateway.port

    @property
    def base_url(self) -> str:
        """The app's URL without a token."""
        return self._gateway.base_url

    @property
    def http_url(self) -> str:
        """The URL that REST paths begin at."""
        return self._gateway.http_url

    @property
    def faults(self) -> _native.Faults:
        """What a bad network or a bad gateway does, to be turned on and off."""
        return self._gateway.faults

    @property
    def connections(self) -> list[GatewayConnection]:
        """The open connections."""
        return [GatewayConnection(*connection) for connection in self._gateway.connections()]

    def token(self, subject: str = "local", permissions: list[str] | None = None, *, expires_in: float = 3600.0) -> str:
        """Make a token for clients: of this subject, with these permissions (all), good for so many seconds.

        A negative `expires_in` makes one that has expired.
        """
        return self._gateway.token(subject, permissions, expires_in=expires_in)

    def admin_token(
        self, subject: str = "admin", permissions: list[str] | None = None, *, expires_in: float = 3600.0
    ) -> str:
        """Make a token for REST calls."""
        return self._gateway.admin_token(subject, permissions, expires_in=expires_in)

    def url(self, subject: str = "local", permissions: list[str] | None = None, *, expires_in: float = 3600.0) -> str:
        """The app's URL with a token: all that a client needs."""
        return f"{self.base_url}?access_token={self.token(subject, permissions, expires_in=expires_in)}"

    def stop(self) -> None:
        """Close all connections with code 1001, and stop. Harmless when repeated."""
        self._gateway.stop()

    def __enter__(self) -> LocalGateway:
        """This."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()

    async def __aenter__(self) -> LocalGateway:
        """This."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop, without blocking the loop."""
        import asyncio

        await asyncio.get_running_loop().run_in_executor(None, self.stop)

    def __repr__(self) -> str:
        """Where it listens."""
        return f"<LocalGateway {self.base_url}>"
