"""Carries messages over RabbitMQ, with aio-pika: `pip install 'async-nexus[rabbitmq]'`; RabbitMQ is 3.10 or later.

A channel is a fanout exchange, a consumer a quorum queue that is bound to it, beside which stand a queue for what it
puts aside and queues for what waits to be tried again. What may happen: a message comes twice if its consumer, the
broker or the connection fails before the broker knows of its acknowledgement; one that is tried again comes after
later ones. What is confirmed is on the disks of most of the nodes that hold each queue.
"""

from .transport import RabbitTransport

__all__ = ["RabbitTransport"]
