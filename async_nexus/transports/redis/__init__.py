"""Redis Streams: a channel is a stream, a consumer a consumer group of it, a subscription one member of that group.

Needs the extra `async-nexus[redis]`, and Redis 7.0 or later, or Valkey.
"""

from .transport import RedisTransport

__all__ = ["RedisTransport"]
