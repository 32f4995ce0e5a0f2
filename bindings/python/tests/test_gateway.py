"""The gateway for tests: tokens, limits, TLS."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import urllib.request

import pytest

from realtime_pubsub import (
    ClosedError,
    HandshakeError,
    InvalidArgumentError,
    LocalGateway,
    RealtimeClient,
    RealtimeError,
    WaitTimeoutError,
)


async def test_tokens_say_who_and_what():
    async with LocalGateway(app="mine", secret="s3cret") as gateway:
        assert gateway.base_url in gateway.url("alice")
        assert gateway.app == "mine"
        assert str(gateway.port) in repr(gateway)
        async with RealtimeClient(gateway.url("alice", ["realtime:publisher:write:topic:open"])) as client:
            (connection,) = gateway.connections
            assert connection == (client.connection.id, "alice")
            await (await client.publish("open", 1)).wait_for_ack()
            with pytest.raises(WaitTimeoutError):
                await (await client.publish("shut", 1)).wait_for_ack(0.05)
        expired = RealtimeClient(gateway.url("alice", expires_in=-1), backoff_min=0.01, backoff_max=0.02)
        with pytest.raises(HandshakeError, match="401"):
            await expired.connect(0.1)
        await expired.disconnect()


async def test_messages_can_be_published_over_rest(realtime_gateway, realtime_client):
    async with realtime_client() as client:
        stream = client.messages("main.news")
        request = urllib.request.Request(
            f"{realtime_gateway.http_url}/api/topics/{realtime_gateway.app}/publish",
            data=b'{"topic":"main","message":{"a":1},"messageType":"news"}',
            headers={"Authorization": f"Bearer {realtime_gateway.admin_token()}", "Content-Type": "application/json"},
        )

        def post():
            with urllib.request.urlopen(request, timeout=5) as response:
                return response.status

        assert await asyncio.get_running_loop().run_in_executor(None, post) < 300
        message = await stream.__anext__()
        assert (message.payload, message.sender, message.id) == ({"a": 1}, None, None)


async def test_stopping_closes_connections_and_is_harmless_when_repeated():
    gateway = LocalGateway()
    async with RealtimeClient(gateway.url(), backoff_min=5) as client:
        closing = asyncio.ensure_future(client.wait_for("close"))
        await asyncio.sleep(0)
        async with gateway:
            pass
        (event,) = await closing
        assert event.code == 1001
        gateway.stop()


def test_what_a_gateway_cannot_do_is_said():
    with pytest.raises(InvalidArgumentError, match="IP address"):
        LocalGateway(host="not an address")
    with pytest.raises(InvalidArgumentError):
        LocalGateway(app="no/slash")
    with pytest.raises(InvalidArgumentError, match="together"):
        LocalGateway(tls_cert_pem="x")
    with LocalGateway() as gateway:
        with pytest.raises(RealtimeError):
            LocalGateway(port=gateway.port)
        with pytest.raises(InvalidArgumentError, match="not both"):
            gateway.faults.close(subject="a", connection="b")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make a certificate")
async def test_tls_with_an_authority_of_ones_own(tmp_path):
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
    extensions = ["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"]
    files = ["-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem"]
    subprocess.run([*command.split(), *extensions, *files], check=True, capture_output=True)
    certificate, key = ((tmp_path / name).read_text() for name in ("cert.pem", "key.pem"))
    with LocalGateway(tls_cert_pem=certificate, tls_key_pem=key) as gateway:
        url = gateway.url()
        assert url.startswith("wss://")
        async with RealtimeClient(url, ca_pem=certificate, only_own_ca=True) as client:
            await (await client.publish("chat", 1)).wait_for_ack()
        async with RealtimeClient(url, ca_pem=certificate.encode()) as client:
            assert client.connection
        stranger = RealtimeClient(url, backoff_min=0.01, backoff_max=0.02)
        with pytest.raises(RealtimeError) as caught:
            await stranger.connect(0.2)
        assert not isinstance(caught.value, ClosedError)
        await stranger.disconnect()
