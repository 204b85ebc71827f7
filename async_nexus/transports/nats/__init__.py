"""Carries messages over NATS JetStream, with nats-py: `pip install 'async-nexus[nats]'`.

A channel is a stream in files, a consumer a durable pull consumer, and what a consumer puts aside a stream of its own.
What may happen: a message comes twice if its consumer, the server or the connection fails before the server knows of
its acknowledgement. With one in flight order is kept. What is confirmed survives the end of the server's process; what
its machine had not written yet is lost with its power, unless there are replicas.
"""

from .transport import NatsTransport

__all__ = ["NatsTransport"]
