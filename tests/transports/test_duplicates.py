"""What was handled is remembered, for a while, and two that are the same are kept apart."""

import asyncio

from async_nexus.testing import run
from async_nexus.transports.duplicates import Handled


def test_the_last_keys_are_remembered() -> None:
    """As many as the window holds; one that is added again counts once."""
    handled = Handled(2)
    for key in (b"1", b"2", b"2", b"3"):
        handled.add(key)
    assert [key in handled for key in (b"1", b"2", b"3")] == [False, True, True]


def test_of_one_key_one_begins_at_a_time() -> None:
    """The others follow one by one, in order; other keys go on."""

    async def main() -> None:
        handled, begun = Handled(2), list[tuple[float, str]]()

        async def handle(key: bytes, name: str) -> None:
            await handled.begin(key)
            begun.append((asyncio.get_running_loop().time(), name))
            await asyncio.sleep(10)
            handled.end(key)

        await asyncio.gather(*(handle(b"1", str(number)) for number in range(3)), handle(b"2", "other"))
        assert begun == [(0, "0"), (0, "other"), (10, "1"), (20, "2")]

    run(main())
