"""The command line as a child process: the gateway, and the Rust client as a peer."""

import asyncio
import json
import os
import secrets
import urllib.request

BINARY = os.environ["REALTIME_PUBSUB"]
PATIENCE = 30


class Running:
    """A running command."""

    @classmethod
    async def start(cls, *args, url=None, env=None):
        running = cls()
        env = {**os.environ, **(env or {}), **({"REALTIME_URL": url} if url else {})}
        pipe = asyncio.subprocess.PIPE
        running.process = await asyncio.create_subprocess_exec(BINARY, *args, env=env, stdin=pipe, stdout=pipe, stderr=pipe)
        return running

    async def line(self):
        line = await asyncio.wait_for(self.process.stdout.readline(), PATIENCE)
        if not line:
            raise EOFError(f"it ended: {(await self.process.stderr.read()).decode()}")
        return line.decode().rstrip("\n")

    async def json(self):
        return json.loads(await self.line())

    async def says(self, beginning):
        while line := await asyncio.wait_for(self.process.stderr.readline(), PATIENCE):
            if line.decode().startswith(beginning):
                return
        raise EOFError(f"it never said {beginning}")

    async def output(self):
        """Its output, once it has ended with success."""
        out, err = await asyncio.wait_for(self.process.communicate(), PATIENCE)
        if self.process.returncode != 0:
            raise RuntimeError(f"exit code {self.process.returncode}: {err.decode()}")
        return out.decode().rstrip("\n")

    async def stop(self):
        if self.process.returncode is None:
            self.process.terminate()
        await asyncio.wait_for(self.process.communicate(), PATIENCE)


class Gateway:
    """A gateway of `realtime-pubsub gateway --json`."""

    @classmethod
    async def start(cls, *args, env=None):
        gateway = cls()
        gateway.running = await Running.start("gateway", "--json", "--until-stdin-closes", *args, env=env)
        ready = await gateway.running.json()
        gateway.url, gateway.address, gateway.app = ready["url"], ready["address"], ready["app"]
        gateway.admin_token = ready["admin_token"]
        return gateway

    @classmethod
    async def limited(cls):
        """A gateway whose URL has a token that may publish and not read secure topics."""
        env = {"INTEROP_KEY": secrets.token_hex(32)}
        gateway = await cls.start("--client-key", "env:INTEROP_KEY", env=env)
        maker = await Running.start("token", "--key", "env:INTEROP_KEY", "--publish", "*", env=env)
        gateway.url += "?access_token=" + await maker.output()
        return gateway

    async def run(self, *args):
        """Runs a command as a peer, to its end."""
        return await (await Running.start(*args, url=self.url)).output()

    async def peer(self, ready, *args):
        """Starts a command as a peer, and waits until it is ready."""
        peer = await Running.start(*args, url=self.url)
        await peer.says(ready)
        return peer

    async def publish(self, **body):
        """Publishes over REST."""
        request = urllib.request.Request(
            f"http://{self.address}/api/topics/{self.app}/publish",
            data=json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.admin_token}"},
        )
        await asyncio.to_thread(lambda: urllib.request.urlopen(request, timeout=PATIENCE).read())

    async def stop(self):
        await self.running.stop()
