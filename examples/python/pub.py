"""Publishes one message: `python pub.py URL [TOPIC [TEXT [TYPE]]]`."""

import sys

from realtime_pubsub import BlockingClient


def main(url: str, topic: str = "chat", text: str = "Hello!", message_type: str = "text-message") -> None:
    with BlockingClient(url) as client:
        client.publish(topic, text, message_type).wait_for_ack()
        print("Acknowledged")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(*sys.argv[1:])
