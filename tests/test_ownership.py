"""What counts of references say: whether anybody else holds an object."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

import pytest

from async_nexus.ownership import ALONE, count_references


async def is_only_an_argument(given: object) -> bool:
    """Tell whether nobody but this call holds what it was given."""
    return count_references(given) == ALONE


def test_what_is_made_in_the_call_is_only_an_argument() -> None:
    """V1: an object that nobody holds is recognised."""

    async def main() -> bool:
        return await is_only_an_argument(object())

    assert asyncio.run(main())


async def by_a_variable(held: object) -> bool:
    """Ask of what a variable holds."""
    return await is_only_an_argument(held)


async def by_a_container(held: object) -> bool:
    """Ask of what only a list holds."""
    holder = [held]
    del held
    return await is_only_an_argument(holder[0])


async def by_arguments(held: object) -> bool:
    """Ask of what was given as one of any number of arguments."""

    async def ask(*given: object) -> bool:
        return await is_only_an_argument(*given)

    return await ask(held)


async def by_a_partial(held: object) -> bool:
    """Ask by a callable that holds it."""
    return await partial(is_only_an_argument, held)()


async def in_a_task(held: object) -> bool:
    """Ask in a task, while the one that made it holds it."""
    answer = await asyncio.create_task(is_only_an_argument(held))
    assert held is not None
    return answer


@pytest.mark.parametrize("ask", [by_a_variable, by_a_container, by_arguments, by_a_partial, in_a_task])
def test_what_anybody_holds_is_not(ask: Callable[[object], Awaitable[bool]]) -> None:
    """V1: whoever holds it, and be it the caller's variable."""

    async def main() -> bool:
        return await ask(object())

    assert not asyncio.run(main())


def test_what_a_variable_alone_holds_is_ones_own() -> None:
    """T3: a queue that nobody kept is recognised, and one that somebody kept is not."""
    own = object()
    assert count_references(own) == ALONE
    kept = [own]
    assert count_references(own) != ALONE
    kept.clear()
    assert count_references(own) == ALONE
