"""One connection to NATS, as long as it lasts, and what is asked over it."""

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable, Coroutine
from importlib.util import find_spec
from typing import Any, Final, Protocol

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from ...errors import TransportError, TransportUnavailable
from .access import Access
from .failures import NoResponders, unconnected

logger: Final = logging.getLogger("async_nexus")

_CONNECT_SECONDS: Final = 3
_PING_SECONDS: Final = 10
"""After three of them without an answer a connection counts as lost."""
ENDING_SECONDS: Final = 3.0
"""How long to wait for the server when something ends."""
_FAILED_SECONDS: Final = 0.5
"""How long to wait for the end of a connection that has not come about: with TLS, asyncio may wait for ever."""
_NO_RESPONDERS: Final = "503"


class Interest(Protocol):
    """What is sent to an inbox comes here."""

    def drain(self) -> Coroutine[Any, Any, None]:
        """Let it come no more, and return when what was on its way has been taken."""
        ...


class _Wire(Protocol):
    """What is used of nats-py's client, whose own annotations leave types open."""

    @property
    def max_payload(self) -> int: ...

    @property
    def last_error(self) -> Exception | None: ...

    async def publish(
        self, subject: str, payload: bytes = ..., reply: str = ..., headers: dict[str, str] | None = ...
    ) -> None: ...

    async def subscribe(
        self,
        subject: str,
        *,
        cb: Callable[[Msg], Awaitable[None]],
        pending_msgs_limit: int,
        pending_bytes_limit: int,
    ) -> Interest: ...

    def new_inbox(self) -> str: ...

    async def close(self) -> None: ...


class _Client(Client):
    """nats-py's client, mended in two places that can only be reached from inside."""

    _is_ours_to_close: bool = False

    async def close(self) -> None:
        self._is_ours_to_close = True
        await super().close()

    async def _close(self, status: int, do_cbs: bool = True) -> None:
        """Have a lost connection reported: writing what it still had to send would fail, and end this before that."""
        if not self._is_ours_to_close:
            self._pending.clear()
            self._pending_data_size = 0
        await super()._close(status, do_cbs)

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        """Send no credentials without encryption, where that was asked for: a server says first whether it has it."""
        if initial_connection and "tls" in self.options and not info.get("tls_required"):
            raise nats.errors.SecureConnWantedError
        await super()._process_info(info, initial_connection)


class Session:
    """A connection. It does not come back when it is lost: that is the link's to see to."""

    def __init__(self, access: Access, client: _Wire) -> None:
        self._access = access
        self._client = client
        self._inbox = ""
        self._last_error: Exception | None = None
        self._forbidden = ""
        self._tokens = itertools.count()
        self._answers: dict[str, tuple[str, asyncio.Future[Msg]]] = {}
        self.lost: Final[asyncio.Future[None]] = asyncio.get_running_loop().create_future()
        """Done when there is no connection any more."""

    @classmethod
    async def connect(cls, access: Access) -> "Session":
        """Connect to one of the servers. Raises `TransportError`, and `ImportError` if it needs nkeys."""
        if access.secrets.file is not None and find_spec("nkeys") is None:
            raise ImportError("a file with credentials for NATS needs nkeys: pip install 'nats-py[nkeys]'")
        client = _Client()
        session = cls(access, client)
        try:
            await session._connect(client)
        except (OSError, nats.errors.Error, TimeoutError) as error:
            # Taken before closing, when nats-py also reports that the server has reset the connection: one that does
            # not let us in often does so after it has said why, as it has not read all that we sent.
            cause = session._last_error or error
            await session.close(_FAILED_SECONDS)
            raise unconnected(access, cause) from error
        except BaseException:
            await session.close(_FAILED_SECONDS)
            raise
        return session

    @property
    def max_payload(self) -> int:
        """How many bytes the server takes in one message, with its headers."""
        return self._client.max_payload

    async def publish(self, subject: str, body: bytes, reply: str = "", headers: dict[str, str] | None = None) -> None:
        """Send, without waiting for anything. Raises `TransportUnavailable` if the connection is lost."""
        try:
            await self._client.publish(subject, body, reply, headers)
        except nats.errors.Error as error:
            if isinstance(error, nats.errors.ConnectionClosedError):
                self._lose()
            raise self._failed(error) from error

    async def request(self, subject: str, body: bytes, headers: dict[str, str] | None, seconds: float) -> Msg:
        """Send, and return the answer.

        Raises `TransportUnavailable` if none comes in time, `NoResponders` if nobody can give one, and
        `TransportError` if we may not ask.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Msg] = loop.create_future()
        token = str(next(self._tokens))
        timer = loop.call_later(seconds, self._give_up, subject, answer)
        self._answers[token] = subject, answer
        try:
            await self.publish(subject, body, f"{self._inbox}.{token}", headers)
            return await answer
        finally:
            timer.cancel()
            del self._answers[token]
            if answer.done() and not answer.cancelled():
                answer.exception()  # retrieved, also if sending had failed before

    def new_inbox(self) -> str:
        """Return a subject for answers that nobody else has."""
        return self._client.new_inbox()

    async def subscribe(self, inbox: str, take: Callable[[Msg], Awaitable[None]]) -> Interest:
        """Have what is sent to an inbox taken, one after another. Raises `TransportUnavailable`."""
        try:
            # How much may come is limited by what is asked for: never drop any of it.
            return await self._client.subscribe(inbox, cb=take, pending_msgs_limit=0, pending_bytes_limit=0)
        except nats.errors.Error as error:
            raise self._failed(error) from error

    async def let_go(self, task: asyncio.Task[None]) -> None:
        """Await the end of an interest, which a lost connection is, too; and no longer than makes sense."""
        await asyncio.wait((task, self.lost), timeout=ENDING_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        task.cancel()
        await asyncio.wait((task,))
        if not task.cancelled() and not isinstance(task.exception(), nats.errors.Error):
            task.result()

    async def close(self, seconds: float = ENDING_SECONDS) -> None:
        """Send what was not sent yet, and let go of the connection."""
        try:
            async with asyncio.timeout(seconds):
                await self._client.close()
        except (OSError, nats.errors.Error, TimeoutError) as error:
            logger.debug("the connection to NATS at %s did not close as it should: %s", self._access, error)
        self._lose()

    async def _connect(self, client: _Client) -> None:
        secrets = self._access.secrets
        async with asyncio.timeout(_CONNECT_SECONDS * (1 + len(self._access.servers))):
            await client.connect(
                list(self._access.servers),
                name="async_nexus",
                error_cb=self._note,
                closed_cb=self._note_closed,
                allow_reconnect=False,
                # Each server twice, at once: what comes after that is up to the link.
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                connect_timeout=_CONNECT_SECONDS,
                ping_interval=_PING_SECONDS,
                # Nobody waits for room in the buffer, which would go on after the connection is lost. It needs no
                # bound, as whoever publishes waits for the answer.
                pending_size=0,
                flusher_queue_size=0,
                tls=self._access.tls,
                user=secrets.user,
                password=secrets.password,
                token=secrets.token,
                user_credentials=secrets.file,
            )
        self._inbox = client.new_inbox()
        await self.subscribe(f"{self._inbox}.*", self._take_answer)

    async def _take_answer(self, message: Msg) -> None:
        _, answer = self._answers.get(message.subject[len(self._inbox) + 1 :], (None, None))
        if answer is None or answer.done():
            return
        if message.headers and message.headers.get("Status") == _NO_RESPONDERS:
            answer.set_exception(NoResponders(f"NATS at {self._access}: nobody answered"))
        else:
            answer.set_result(message)

    def _give_up(self, subject: str, answer: asyncio.Future[Msg]) -> None:
        if answer.done():
            return
        if self._forbidden:
            answer.set_exception(self._not_allowed())
        else:
            answer.set_exception(TransportUnavailable(f"NATS at {self._access} did not answer in time on {subject}"))

    def _not_allowed(self) -> TransportError:
        return TransportError(f"NATS at {self._access} does not allow what is needed: {self._forbidden}")

    async def _note(self, error: Exception) -> None:
        """Take what nats-py reports; of what the server does not allow hears who waits for an answer."""
        self._last_error = error
        text = str(error) or type(error).__name__
        logger.log(logging.WARNING if self._inbox else logging.DEBUG, "NATS at %s: %s", self._access, text)
        if "permissions violation" in text:  # nats-py gives the server's words in lower case
            self._forbidden = text
            for subject, answer in self._answers.values():
                if f'"{subject.lower()}"' in text and not answer.done():
                    answer.set_exception(self._not_allowed())

    async def _note_closed(self) -> None:
        self._lose()

    def _lose(self) -> None:
        if not self.lost.done():
            self.lost.set_result(None)
        for _, answer in self._answers.values():
            if not answer.done():
                answer.set_exception(self._failed(self._client.last_error))

    def _failed(self, error: Exception | None) -> TransportError:
        reason = f": {error}" if error is not None and str(error) else ""
        return TransportUnavailable(f"the connection to NATS at {self._access} is lost{reason}")
