"""Clicks through the console of a gateway that is in use."""

import json
import os
import subprocess
import threading
import unittest
import urllib.request

from browser import Browser

PUBSUB = os.environ["REALTIME_PUBSUB"]
PICTURES = os.environ["PICTURES"]
# Whatever clients send must be shown as text. If it were markup, this would leave a mark.
EVIL = '<img src=x onerror="window.pwned=1"><script>window.pwned=1</script>'


class Gateway:
    def __init__(self, *arguments):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("REALTIME_")}
        command = [PUBSUB, "gateway", "--json", "--console", "--until-stdin-closes", *arguments]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True)
        self.ready = json.loads(self.process.stdout.readline())
        self.subscribers = []

    def subscribe(self, *topics):
        command = [PUBSUB, "sub", *topics]
        environment = {**os.environ, "REALTIME_URL": self.ready["url"]}
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment, text=True)
        self.subscribers.append(process)
        for line in process.stderr:
            if line.startswith("subscribed: "):
                return process
        raise RuntimeError("not subscribed")

    def publish(self, topic, message, kind="broadcast"):
        """Over REST."""
        body = json.dumps({"topic": topic, "message": message, "messageType": kind}).encode()
        headers = {"authorization": f"Bearer {self.ready['admin_token']}"}
        url = f"http://{self.ready['address']}/api/topics/{self.ready['app']}/publish"
        with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=60) as answer:
            return json.load(answer)["delivered"]

    def send(self, topic, payload, kind):
        """As a client does, which has a subject."""
        environment = {**os.environ, "REALTIME_URL": self.ready["url"]}
        subprocess.run([PUBSUB, "pub", topic, payload, "--type", kind], env=environment, check=True, stderr=subprocess.DEVNULL)

    def close(self):
        if self.process.returncode is not None:
            return
        for process in self.subscribers:
            process.kill()
            process.wait()
            process.stderr.close()
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


class Console(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.browser = Browser()
        cls.addClassCleanup(cls.browser.close)

    def setUp(self):
        self.gateway = Gateway("--app", "chat")
        self.addCleanup(self.gateway.close)
        self.page = f"http://{self.gateway.ready['address']}/console"

    def counted(self, tile):
        return self.browser.text(f"#{tile} .value")

    def test_a_token_opens_it_and_everything_can_be_clicked(self):
        browser, gateway = self.browser, self.gateway
        browser.open(self.page)
        self.assertTrue(browser.shown("#sign-in"))
        self.assertFalse(browser.shown("#console"))
        browser.type("#token", "nonsense")
        browser.click("#sign-in button")
        browser.until(lambda: browser.shown("#refused") and browser.text("#refused"), "why it is refused")
        browser.type("#token", gateway.ready["admin_token"], clear=True)
        self.assertEqual(browser.run("return document.querySelector('#app-name').value"), "chat", "the token says its app")
        browser.click("#sign-in button")
        browser.until(lambda: browser.shown("#console"), "the console opens")
        self.assertEqual(browser.text("#app"), "chat")
        self.assertEqual(browser.run("return document.querySelector('#token').value"), "")

        # Connections and topics appear, the evil one as what it is.
        gateway.subscribe("orders/eu", "orders/us", EVIL)
        gateway.subscribe("orders/eu")
        browser.until(lambda: self.counted("tile-connections") == "2", "two connections")
        topics = browser.until(lambda: (t := browser.rows("#topics")) and len(t) == 4 and t, "the topics")
        self.assertEqual(topics, [["main", "2"], ["orders/eu", "2"], [EVIL, "1"], ["orders/us", "1"]])
        connections = browser.rows("#connections")
        self.assertEqual([row[0] for row in connections], ["developer", "developer"])

        # A filter narrows both down.
        browser.type("#find", "orders/")
        browser.until(lambda: [row[0] for row in browser.rows("#topics")] == ["orders/eu", "orders/us"], "the filter")
        browser.until(lambda: browser.rows("#connections") == [], "no connection of that name")
        browser.type("#find", " ", clear=True)
        browser.until(lambda: len(browser.rows("#connections")) == 2, "all of them again")

        # A click on a topic follows it.
        browser.click("#topics tbody tr:nth-child(2) td")
        browser.until(lambda: "Waiting" in browser.text("#no-messages"), "it follows")
        self.assertEqual(browser.run("return document.querySelector('#topic').value"), "orders/eu")
        browser.until(lambda: gateway.publish("orders/eu", {"n": 0}) == 2 and browser.rows("#messages"), "the first message")
        gateway.publish("orders/us", "not followed")
        gateway.publish("orders/eu", EVIL, EVIL)
        gateway.send("orders/eu", "Order 7", "placed")
        rows = browser.until(lambda: (r := browser.rows("#messages")) and r[0][2] == "placed" and r, "the newest first")
        self.assertEqual(rows[0][1:], ["orders/eu", "placed", "developer", "9", '"Order 7"'])
        self.assertEqual(rows[1][1:4], ["orders/eu", EVIL, "REST"])
        self.assertEqual(json.loads(rows[1][5]), EVIL)
        self.assertNotIn("orders/us", [row[1] for row in rows])

        # Stop and clear; then all topics of a beginning.
        browser.click("#stop")
        browser.click("#clear")
        self.assertEqual(browser.rows("#messages"), [])
        browser.type("#topic", "orders/*", clear=True)
        browser.click("#tail .primary")
        seen = lambda: {row[1] for row in browser.rows("#messages")}
        browser.until(lambda: gateway.publish("orders/us", 1) and gateway.publish("orders/eu", 1) and seen() == {"orders/us", "orders/eu"}, "both")
        self.assertFalse(browser.run("return 'pwned' in window"))
        self.assertEqual(browser.run("return document.querySelectorAll('table img, table script').length"), 0)

        # A reload keeps the session; signing out ends it.
        browser.open(self.page)
        browser.until(lambda: browser.shown("#console"), "the session was kept")
        browser.click("#sign-out")
        browser.until(lambda: browser.shown("#sign-in"), "signed out")
        browser.open(self.page)
        self.assertFalse(browser.shown("#console"))
        # That the nonsense was refused is told by the browser itself; it names no app, so the page asked for `local`.
        self.assertEqual([entry for entry in browser.log() if "/api/console/local - " not in entry], [])

    def test_the_link_of_a_development_gateway_opens_it_and_leaves_no_token_in_the_address(self):
        browser = self.browser
        browser.open(self.gateway.ready["console"])
        browser.until(lambda: browser.shown("#console"), "it opens")
        self.assertEqual(browser.run("return location.href"), self.page)
        self.assertEqual(browser.run("return performance.getEntriesByType('resource').filter(e => e.name.includes('eyJ')).length"), 0)

    def test_it_shows_rates_as_they_are_and_that_the_gateway_is_gone(self):
        browser, gateway = self.browser, self.gateway
        for n in range(6):
            gateway.subscribe("prices", *[f"room/{m}" for m in range(n, 12)])
        browser.open(gateway.ready["console"])
        browser.until(lambda: browser.shown("#console"), "it opens")
        browser.type("#topic", "*", clear=True)
        browser.click("#tail .primary")
        done = threading.Event()

        def traffic():
            n = 0
            while not done.is_set():
                n += 1
                gateway.publish("prices", {"symbol": ["ACME", "INIT", "NULL"][n % 3], "price": round(100 + n % 17 * 0.35, 2), "seq": n}, "tick")
                if n % 5 == 0:
                    gateway.publish(f"room/{n % 12}", {"text": f"Hello, room {n % 12}!"}, "text-message")
                done.wait(0.01 + 0.02 * (n // 60 % 3))

        worker = threading.Thread(target=traffic)
        worker.start()
        try:
            points = "return document.querySelector('#tile-out polyline').getAttribute('points')?.split(' ').length ?? 0"
            browser.until(lambda: browser.run(points) >= 12, "a plot of twelve seconds")
            rate = float(self.counted("tile-out").replace(",", ""))
            self.assertGreater(rate, 0)
            browser.until(lambda: len(browser.rows("#messages")) > 30, "messages")
            browser.picture(os.path.join(PICTURES, "console.png"))
            for name, value in {"dark": "dark", "light": "light"}.items():
                command = {"cmd": "Emulation.setEmulatedMedia", "params": {"features": [{"name": "prefers-color-scheme", "value": value}]}}
                browser.call("POST", "/goog/cdp/execute", command)
                browser.picture(os.path.join(PICTURES, f"console-{name}.png"))
        finally:
            done.set()
            worker.join()
        gateway.close()
        browser.until(lambda: browser.text("#status") == "the gateway does not answer", "it says that it is gone")
        browser.log()


if __name__ == "__main__":
    unittest.main()
