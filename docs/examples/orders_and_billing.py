"""Orders and billing: two domains in two processes, and an engine between them that keeps what is under way.

Run it by `python docs/examples/orders_and_billing.py`. It ends by itself after a few seconds. The first process takes
orders, and starts the second, which bills them; that is killed at the worst moment, and started again. One line,
`open_transport = …`, chooses what carries the events: a SQLite file, which needs no server, or NATS.
"""

import asyncio
import logging
import os
import secrets
import signal
import sys
import tempfile
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, PositiveInt

from async_nexus import AsyncEventNexus, NamedEvent, TransportBoundary
from async_nexus.transports import Transport
from async_nexus.transports.envelope import decode
from async_nexus.transports.sqlite import SqliteTransport

CRASH_AT: Final = 6
TEAS: Final = ("Assam", "Darjeeling", "Earl Grey", "Assam", "Assam", "Darjeeling", "Assam", "Darjeeling")


class Order(BaseModel):
    """What a customer wants: the shop takes orders for any tea."""

    number: int
    tea: str
    pots: PositiveInt


class Invoice(BaseModel):
    order: int
    total: Decimal


class OrderPlaced(NamedEvent[Order], type="order-placed"): ...


class Invoiced(NamedEvent[Invoice], type="invoiced"): ...


class BillableOrder(BaseModel):
    """What billing reads of an order: it has prices of two teas."""

    number: int
    tea: Literal["Assam", "Darjeeling"]
    pots: PositiveInt


class OrderToBill(NamedEvent[BillableOrder], type="order-placed"): ...


def over_sqlite(directory: Path) -> Transport:
    """By a file, for processes of one machine."""
    return SqliteTransport(directory / "shop.db")


def over_nats(directory: Path) -> Transport:
    """By the server of `NATS_URL`, which is on loopback if that is not set; needs the extra `nats`."""
    from async_nexus.transports.nats import NatsTransport

    return NatsTransport(ack_wait=1.0)


open_transport = over_sqlite  # or `over_nats`; each process opens the engine for itself


# The shop


class Shop:
    """Takes orders and files the invoices, one an order, however often they come."""

    def __init__(self, transport: Transport, run: str) -> None:
        self.nexus: AsyncEventNexus[OrderPlaced | Invoiced] = AsyncEventNexus()
        self.invoices: dict[int, Invoice] = {}
        self._changed = asyncio.Condition()
        self.nexus.add_handler(OrderPlaced, TransportBoundary[OrderPlaced](transport, f"orders-{run}"))
        self.nexus.add_producer(TransportBoundary[Invoiced](transport, f"invoices-{run}", consumer="shop"))
        self.nexus.on(Invoiced)(self.file)

    async def take_orders(self) -> None:
        """Place the orders. Each is with the engine when `emit` returns, whether billing is there or not."""
        for number, tea in enumerate(TEAS, start=1):
            await self.nexus.emit(OrderPlaced, Order(number=number, tea=tea, pots=number))
            print(f"order {number}: {number} of {tea}")

    async def file(self, event: Invoiced) -> None:
        """Know what came before: at least once means that it may come twice."""
        invoice = event.payload
        if invoice.order in self.invoices:
            print(f"order {invoice.order} was invoiced again, which changes nothing")
            return
        self.invoices[invoice.order] = invoice
        print(f"order {invoice.order} is invoiced: {invoice.total}")
        async with self._changed:
            self._changed.notify_all()

    async def invoiced(self, number: int) -> None:
        """Wait until an order is; half a minute says that billing does not work."""
        async with asyncio.timeout(30), self._changed:
            await self._changed.wait_for(lambda: number in self.invoices)


async def run_shop(directory: Path, run: str) -> None:
    async with open_transport(directory) as transport:
        shop = Shop(transport, run)
        async with shop.nexus:
            shop.nexus.start()
            await shop.take_orders()

            async with billing_process(directory, run, crash_at=CRASH_AT) as process:
                await shop.invoiced(CRASH_AT)
                print(f"billing ended with {signal.Signals(-await process.wait()).name}, and is started again")
            async with billing_process(directory, run):
                await shop.invoiced(len(TEAS))

        dead = 0
        async for message, reason in transport.dead_letters(f"orders-{run}", "billing"):
            order = shop.nexus.catalog.parse_json(decode(message).event, OrderPlaced).payload
            print(f"order {order.number} is a dead letter: {reason}")
            dead += 1
        missing = len(TEAS) - len(shop.invoices) - dead
        print(f"{len(TEAS)} orders: {len(shop.invoices)} invoiced, {dead} put aside, {missing} missing")


@asynccontextmanager
async def billing_process(directory: Path, run: str, *, crash_at: int = 0) -> AsyncGenerator[Process]:
    """Run billing until the block ends, and let it finish then."""
    process = await asyncio.create_subprocess_exec(sys.executable, __file__, "billing", directory, run, str(crash_at))
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


# Billing


async def run_billing(directory: Path, run: str, crash_at: int) -> None:
    """Bill orders until the process is told to end, with SIGTERM; the order under way is finished then."""
    logging.basicConfig(filename=directory / "billing.log")
    prices = {"Assam": Decimal("3.50"), "Darjeeling": Decimal("4.20")}

    async with open_transport(directory) as transport:
        nexus: AsyncEventNexus[OrderToBill | Invoiced] = AsyncEventNexus()
        nexus.add_producer(TransportBoundary[OrderToBill](transport, f"orders-{run}", consumer="billing"))
        nexus.add_handler(Invoiced, TransportBoundary[Invoiced](transport, f"invoices-{run}"))

        @nexus.on(OrderToBill)
        async def bill(event: OrderToBill) -> None:
            order = event.payload
            await nexus.emit(Invoiced, Invoice(order=order.number, total=order.pots * prices[order.tea]))
            if order.number == crash_at:
                os.kill(os.getpid(), signal.SIGKILL)  # the invoice is sent, the order is not acknowledged

        async with nexus:
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, nexus.stop)
            await nexus.loop_forever()


def main() -> None:
    match sys.argv[1:]:
        case ["billing", directory, run, crash_at]:
            asyncio.run(run_billing(Path(directory), run, int(crash_at)))
        case arguments:
            # Engines keep their channels: a name of its own keeps what one run left from the next.
            run = arguments[0] if arguments else secrets.token_hex(4)
            with tempfile.TemporaryDirectory() as directory:
                asyncio.run(run_shop(Path(directory), run))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        raise SystemExit(130) from None
