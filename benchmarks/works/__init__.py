"""The works, by name: one file each."""

from types import MappingProxyType
from typing import Final

from benchmarks.works import (
    imports,
    w1,
    w2,
    w3,
    w4,
    w5,
    w6,
    w7,
    w8,
    w9,
    w10,
    w11_sqlite,
    w12_nats,
    w12_rabbitmq,
    w12_redis,
)

WORKS: Final = MappingProxyType(
    {
        work.name: work
        for work in (
            w1.WORK,
            w2.WORK,
            w3.WORK,
            w3.REGISTRATION,
            w3.MEMORY,
            w4.WORK,
            w5.WORK,
            w6.WORK,
            w7.WORK,
            w8.WORK,
            w9.WORK,
            w10.WORK,
            w11_sqlite.PROCESS,
            w11_sqlite.POWER,
            w12_nats.PUBLISHING,
            w12_nats.CONSUMING,
            w12_redis.PUBLISHING,
            w12_redis.CONSUMING,
            w12_rabbitmq.PUBLISHING,
            w12_rabbitmq.CONSUMING,
            imports.WORK,
        )
    }
)
