"""Connections to NATS: who is let in, what is encrypted, what is allowed; and what of it is shown."""

import asyncio
import logging
import os
import shutil
import socket
import ssl
import struct
import subprocess
import traceback
from importlib.util import find_spec
from pathlib import Path

import pytest
from nats_servers import private_server

from async_nexus.errors import TransportError, TransportUnavailable
from async_nexus.testing.conformance import SECRET, free_port
from async_nexus.transports import Message
from async_nexus.transports.nats import NatsTransport

USERS = f"""
authorization {{ users: [
    {{ user: "us+er", password: "{SECRET}" }}
    {{ user: "reader", password: "r", permissions: {{ publish: {{ deny: ["sec=2Eret"] }} }} }}
    {{ user: "outsider", password: "o", permissions: {{ publish: {{ deny: ["$JS.API.>"] }} }} }}
    {{ user: "deaf", password: "d", permissions: {{ subscribe: {{ deny: ["_INBOX.>"] }} }} }}
] }}"""


async def publish(url: str, channel: str = "orders", **options: float) -> None:
    """Publish one message."""
    async with NatsTransport(url, **options) as transport:  # type: ignore[arg-type] # numbers only
        await transport.publish(channel, Message("1", b""))


async def test_who_is_let_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """By what the address says, or the environment."""
    with private_server(USERS) as server:
        await publish(f"nats://us%2Ber:{SECRET}@{server.host}")
        monkeypatch.setenv("NATS_USER", "us+er")
        monkeypatch.setenv("NATS_PASSWORD", SECRET)
        await publish(server.url)


async def test_a_token_lets_in() -> None:
    """In place of a name."""
    with private_server(f'authorization {{ token: "{SECRET}" }}') as server:
        await publish(f"nats://{SECRET}@{server.host}")


@pytest.mark.parametrize("credentials", ["", f"us%2Ber:{SECRET}x@", f"{SECRET}@"])
async def test_who_is_not_let_in_is_told_and_nothing_shown(credentials: str, caplog: pytest.LogCaptureFixture) -> None:
    """A `TransportError`, as trying again does not help; no credentials in it, nor in what is logged, at any level."""
    caplog.set_level(logging.DEBUG)
    refused = pytest.raises(TransportError, match="does not let us in, check the credentials")
    with private_server(USERS) as server, refused as caught:
        await publish(f"nats://{credentials}{server.host}")
    assert not isinstance(caught.value, TransportUnavailable)
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert SECRET not in caplog.text


async def test_a_refusal_is_told_if_the_connection_is_reset_after_it() -> None:
    """As a server does that has not read all that was sent to it."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"auth_required": true}\r\n')
        await reader.readline()
        no_lingering = struct.pack("ii", 1, 0)  # so that closing resets it
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, no_lingering)
        writer.write(b"-ERR 'Authorization Violation'\r\n")
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(TransportError, match="does not let us in, check the credentials") as caught:
            await NatsTransport(f"nats://{SECRET}@127.0.0.1:{port}").start()
    assert not isinstance(caught.value, TransportUnavailable)


@pytest.mark.skipif(find_spec("nkeys") is not None, reason="nkeys is installed: nothing is missing")
async def test_a_credentials_file_without_nkeys_says_what_is_missing(tmp_path: Path) -> None:
    """nats-py needs another package to read it."""
    transport = NatsTransport("nats://127.0.0.1:1", user_credentials=tmp_path / "none.creds")
    with pytest.raises(ImportError, match=r"pip install 'nats-py\[nkeys\]'"):
        await transport.start()


async def test_what_may_not_be_published_is_told() -> None:
    """At once, and the connection goes on."""
    with private_server(USERS) as server:
        async with NatsTransport(f"nats://reader:r@{server.host}") as transport:
            with pytest.raises(TransportError, match=r"does not allow .* publish to \"sec=2eret\"") as caught:
                await transport.publish("sec.ret", Message("1", b""))
            assert not isinstance(caught.value, TransportUnavailable)
            await transport.publish("orders", Message("1", b""))


@pytest.mark.parametrize("user", ["outsider:o", "deaf:d"])
async def test_who_may_not_use_jetstream_is_told(user: str) -> None:
    """By what the server said of it; also if no answer can come."""
    refused = pytest.raises(TransportError, match="does not allow what is needed")
    with private_server(USERS) as server, refused as caught:
        await publish(f"nats://{user}@{server.host}", timeout=4.0)
    assert not isinstance(caught.value, TransportUnavailable)


async def test_a_server_without_jetstream_is_told() -> None:
    """It can be reached, but keeps nothing."""
    with private_server(jetstream=False) as server:
        async with NatsTransport(server.url) as transport:
            with pytest.raises(TransportError, match=r"it has no JetStream; start it with -js") as caught:
                await transport.publish("orders", Message("1", b""))
            assert not isinstance(caught.value, TransportUnavailable)
            with pytest.raises(TransportError, match="JetStream"):
                await transport.subscribe("orders", "billing")


async def test_another_server_is_taken_if_one_does_not_answer() -> None:
    """Whichever of those that are named."""
    with private_server() as server:
        await publish(f"nats://127.0.0.1:{free_port()},{server.url}")


async def test_one_that_speaks_otherwise_is_unavailable() -> None:
    """Something else listens there: in bounded time, and no socket is left open."""

    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    other = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with other:
        port = other.sockets[0].getsockname()[1]
        with pytest.raises(TransportUnavailable, match="expecting INFO"):
            await NatsTransport(f"nats://127.0.0.1:{port}").start()


# Encryption


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of loopback that nobody has signed, and its key; without openssl the test says so."""
    openssl = shutil.which("openssl")
    if openssl is None:
        if os.environ.get("CI"):
            pytest.fail("openssl is not installed")
        pytest.skip("openssl is not installed, so TLS was NOT tested: on Debian, `apt install openssl`")
    directory = tmp_path_factory.mktemp("tls")
    request = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -keyout key.pem -out cert.pem"
    subprocess.run(
        [openssl, *request.split(), "-subj", "/CN=loopback", "-addext", "subjectAltName=IP:127.0.0.1"],
        cwd=directory,
        check=True,
        capture_output=True,
    )
    return directory


def tls(certificate: Path) -> str:
    """Lines that make a server encrypt."""
    return f'tls {{ cert_file: "{certificate}/cert.pem", key_file: "{certificate}/key.pem" }}'


async def test_a_connection_is_encrypted(certificate: Path) -> None:
    """With the context that is given, which trusts the server's certificate."""
    context = ssl.create_default_context(cafile=certificate / "cert.pem")
    with private_server(tls(certificate)) as server:
        async with NatsTransport(server.url, tls=context) as transport:
            await transport.publish("orders", Message("1", b"x"))
            delivery = await anext(aiter(await transport.subscribe("orders", "billing")))
            assert delivery.message.body == b"x"
        assert "TLS version" in server.log()


async def test_a_certificate_that_is_not_trusted_is_refused(certificate: Path) -> None:
    """By a context that does not know it, also by the usual one for `tls`."""
    with private_server(tls(certificate)) as server:
        with pytest.raises(TransportError, match=r"CERTIFICATE_VERIFY_FAILED") as caught:
            await NatsTransport(f"tls://{server.host}").start()
        assert not isinstance(caught.value, TransportUnavailable)


@pytest.mark.parametrize("scheme", ["nats", "tls"])
async def test_nothing_is_sent_to_a_server_that_does_not_encrypt(scheme: str) -> None:
    """Where encryption was asked for, the credentials least of all."""
    context = ssl.create_default_context() if scheme == "nats" else None
    with private_server(USERS) as server:
        with pytest.raises(TransportError, match="offers no TLS") as caught:
            await NatsTransport(f"{scheme}://us%2Ber:{SECRET}@{server.host}", tls=context).start()
        assert not isinstance(caught.value, TransportUnavailable)
        assert "CONNECT" not in server.log()
        await publish(f"nats://us%2Ber:{SECRET}@{server.host}")
        assert "CONNECT" in server.log()
