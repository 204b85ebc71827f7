"""A connection to NATS that comes back by itself."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from nats.aio.msg import Msg

from ...errors import TransportUnavailable
from .access import Access
from .failures import NoResponders
from .session import Session

T = TypeVar("T")

logger: Final = logging.getLogger("async_nexus")

_FIRST_DELAY: Final = 0.05
_LONGEST_DELAY: Final = 5.0
_ATTEMPTS: Final = 4
"""How often something is asked within the time that there is for it, if no answer comes."""


class Link:
    """Holds one session after another: when one is lost the next is made, again and again until it succeeds.

    `timeout` is how many seconds whoever asks for something waits for its answer, through losses and reconnections.
    """

    def __init__(self, access: Access, timeout: float) -> None:
        self.access: Final = access
        self.timeout: Final = timeout
        self._session: Session | None = None
        self._back = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._trouble = ""
        self.is_closed: bool = False
        self.max_payload: int = 0
        """How many bytes the server takes in one message, with its headers."""

    async def open(self) -> None:
        """Connect, once. Raises `TransportError`."""
        session = await self._connect()
        self._keeper = asyncio.create_task(self._keep(session), name=f"connection to NATS at {self.access}")

    async def close(self) -> None:
        """Let go of the connection, and make no other. Who waits for an answer gets `TransportUnavailable`."""
        self.is_closed = True
        self._back.set()
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
        if self._session is not None:
            await self._session.close()

    async def session(self, seconds: float) -> Session:
        """Return the present session, or wait for the next one. Raises `TransportUnavailable`."""
        while self._session is None:
            if self.is_closed:
                raise TransportUnavailable(f"the connection to NATS at {self.access} was closed here")
            try:
                async with asyncio.timeout(seconds):
                    await self._back.wait()
            except TimeoutError:
                raise TransportUnavailable(
                    f"there has been no connection to NATS at {self.access} for {self.timeout:g} s{self._trouble}"
                ) from None
        return self._session

    async def request(self, subject: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Msg:
        """Ask, repeatedly if need be, and return the answer.

        Raises `TransportUnavailable` if there is none in time, `NoResponders` at once, and `TransportError` if we may
        not ask.
        """
        return await self._persist(lambda session: session.request(subject, body, headers, self.timeout / _ATTEMPTS))

    async def publish(self, subject: str, body: bytes) -> None:
        """Send, without waiting for an answer. Raises `TransportUnavailable` if there is no connection in time."""
        await self._persist(lambda session: session.publish(subject, body))

    async def tell(self, subject: str, body: bytes) -> None:
        """Send what is of use at once, or not at all. Raises `TransportUnavailable` if there is no connection."""
        session = self._session or await self.session(0)
        await session.publish(subject, body)

    async def _persist(self, attempt: Callable[[Session], Awaitable[T]]) -> T:
        """Attempt something with one session after another, as long as there is time."""
        clock = asyncio.get_running_loop().time
        deadline = clock() + self.timeout
        while True:
            session = self._session or await self.session(deadline - clock())
            try:
                return await attempt(session)
            except NoResponders:
                raise
            except TransportUnavailable:
                if self.is_closed or clock() + _FIRST_DELAY >= deadline:
                    raise
                await asyncio.sleep(_FIRST_DELAY)

    async def _connect(self) -> Session:
        session = await Session.connect(self.access)
        self._session, self.max_payload = session, session.max_payload
        self._back.set()
        session.lost.add_done_callback(self._let_go)
        return session

    def _let_go(self, _: object) -> None:
        self._session = None
        self._back.clear()

    async def _keep(self, session: Session) -> None:
        clock, delay = asyncio.get_running_loop().time, _FIRST_DELAY
        # What connects may hide that it was cancelled, as `wait_for` does on 3.11 when something comes at that moment.
        while not self.is_closed:
            since = clock()
            await asyncio.wait([session.lost])
            logger.warning("the connection to NATS at %s is lost, and is made again", self.access)
            if clock() - since > _LONGEST_DELAY:  # one that is lost as soon as it is made is no success
                delay = _FIRST_DELAY
            session, delay = await self._come_back(delay)
            logger.info("the connection to NATS at %s is there again", self.access)

    async def _come_back(self, delay: float) -> tuple[Session, float]:
        """Connect until it succeeds, more and more seldom; return the delay that this has come to, too."""
        while True:
            await asyncio.sleep(delay * random.uniform(0.5, 1.0))
            delay = min(delay * 2, _LONGEST_DELAY)
            try:
                session = await self._connect()
            except Exception as error:  # whatever it is: nobody else would try again
                if self.is_closed:
                    raise asyncio.CancelledError from error
                logger.log(logging.DEBUG if str(error) in self._trouble else logging.WARNING, "%s", error)
                self._trouble = f": {error}"
            else:
                self._trouble = ""
                return session, delay
