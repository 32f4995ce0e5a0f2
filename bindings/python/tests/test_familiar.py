"""Programs written for the published package: they run with another import, and no other change."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap


def run_with_our_import(program, realtime_gateway):
    """Runs a program of the published package. Its URL is in the environment, as there."""
    url = realtime_gateway.url("familiar")
    base, token = url.split("?access_token=")
    source = textwrap.dedent(program)
    assert "from realtime_pubsub_client import" in source
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", source.replace("realtime_pubsub_client", "realtime_pubsub")],
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
        env={**os.environ, "APP_URL": base, "ACCESS_TOKEN": token},
    )
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout.splitlines()


def test_connecting_with_a_logger_and_a_coroutine_function_for_the_url(realtime_gateway):
    assert run_with_our_import(
        """
        import asyncio
        import logging
        import os
        from realtime_pubsub_client import RealtimeClient

        async def main():
            async def get_url():
                return f"{os.environ.get('APP_URL')}?access_token={os.environ.get('ACCESS_TOKEN')}"

            client = RealtimeClient({
                'logger': logging.getLogger('RealtimeClient'),
                'websocket_options': {'url_provider': get_url},
            })
            subscribed = asyncio.Event()

            async def on_session_started(connection_info):
                print(len(connection_info['id']), connection_info['appId'], connection_info['remoteAddress'][:10])
                await client.subscribe_remote_topic('topic1')
                await client.subscribe_remote_topic('topic2')
                subscribed.set()

            client.on('session.started', on_session_started)
            await client.connect()
            await client.wait_for('session.started')
            await subscribed.wait()
            await client.disconnect()

        asyncio.run(main())
        """,
        realtime_gateway,
    ) == ["32 local 127.0.0.1:"]


def test_publishing_replying_and_waiting(realtime_gateway):
    assert run_with_our_import(
        """
        import asyncio
        import os
        from realtime_pubsub_client import RealtimeClient, wait

        def get_url():
            return f"{os.environ['APP_URL']}?access_token={os.environ['ACCESS_TOKEN']}"

        async def main():
            client = RealtimeClient({'websocket_options': {'url_provider': get_url}})
            heard = asyncio.Event()

            async def handle_message(message, reply_fn):
                print(message['topic'], message['messageType'], message['data']['payload'], message['compression'])
                await reply_fn('Message received!', 'ok')

            def handle_any(message, reply_fn):
                heard.set()

            client.on('topic1.text-message', handle_message)
            client.on('topic1.*', handle_any)
            client.on('error', lambda error: print('error', error))
            client.on('close', lambda event: print('close'))
            await client.connect()
            await client.wait_for('session.started')
            await client.subscribe_remote_topic('topic1')
            await wait(10)

            waiter = await client.publish('topic1', 'Hello, world!', message_type='text-message', compress=True,
                                          message_id='my-id')
            await waiter.wait_for_ack()
            response, = await waiter.wait_for_reply(timeout=5)
            print(response['data'], response['status'], response['id'])
            await heard.wait()

            waiting = asyncio.ensure_future(client.wait_for('topic1.broadcast', timeout=5))
            await asyncio.sleep(0)
            await client.publish('topic1', {'a': [1, 2]})
            message, reply_fn = await waiting
            print(message['data']['payload']['a'][1], message['data']['client']['subject'])

            client.off('topic1.*', handle_any)
            waiter = await client.send({'action': 'create'}, message_type='create')
            await waiter.wait_for_ack(timeout=5)
            await client.unsubscribe_remote_topic('topic1')
            await client.disconnect()

        asyncio.run(main())
        """,
        realtime_gateway,
    ) == ["topic1 text-message Hello, world! True", "Message received! ok my-id", "2 familiar", "close"]


def test_a_url_that_is_a_string_and_answers_to_what_was_sent(realtime_gateway):
    assert run_with_our_import(
        """
        import asyncio
        import os
        from realtime_pubsub_client import RealtimeClient

        async def main():
            url = f"{os.environ['APP_URL']}?access_token={os.environ['ACCESS_TOKEN']}"
            backend = RealtimeClient({'websocket_options': {'url_provider': url}})
            client = RealtimeClient({'websocket_options': {'url_provider': url}})
            for each in (backend, client):
                await each.connect()
                await each.wait_for('session.started')
            await backend.subscribe_remote_topic('secure/inbound')
            backend.on('secure/inbound.create', lambda message, reply_fn: asyncio.ensure_future(
                reply_fn({'created': message['data']['payload']['name']}, 'ok')))

            waiter = await client.send({'name': 'x'}, message_type='create')
            response, = await waiter.wait_for_reply(timeout=5)
            print(response['data']['created'], response['status'])

            waiter = await client.publish('nobody', 1)
            try:
                await waiter.wait_for_reply(timeout=0.01)
            except asyncio.TimeoutError:
                print('timed out')
            for each in (backend, client):
                await each.disconnect()

        asyncio.run(main())
        """,
        realtime_gateway,
    ) == ["x ok", "timed out"]
