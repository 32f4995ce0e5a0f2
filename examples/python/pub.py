"""Publishes one message: `python pub.py URL TOPIC TEXT [TYPE]`."""

import sys

from realtime_pubsub import BlockingClient


def main(url: str, topic: str, text: str, message_type: str = "text-message") -> None:
    with BlockingClient(url) as client:
        client.publish(topic, text, message_type).wait_for_ack()
        print("Acknowledged")


if __name__ == "__main__":
    main(*sys.argv[1:])
