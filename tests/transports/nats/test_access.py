"""Where NATS is found, and what it is shown to be let in."""

import ssl
from collections.abc import Iterator

import pytest

from async_nexus.testing.conformance import SECRET
from async_nexus.transports.nats import NatsTransport
from async_nexus.transports.nats.access import Secrets, find_access


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Nothing of NATS in the environment, but what the test sets."""
    for name in ("NATS_URL", "NATS_CREDS", "NATS_USER", "NATS_PASSWORD", "NATS_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch  # type: ignore[return-value] # a generator is what a fixture may be


@pytest.mark.parametrize(
    "url, servers",
    [
        (None, ("nats://127.0.0.1:4222",)),
        ("nats://a", ("nats://a:4222",)),
        ("a:1", ("nats://a:1",)),
        ("nats://a:1, tls://b:2", ("nats://a:1", "tls://b:2")),
        (["nats://a:1", "b"], ("nats://a:1", "nats://b:4222")),
        ("nats://[::1]:1", ("nats://[::1]:1",)),
        ("nats://a/", ("nats://a:4222",)),
    ],
)
def test_addresses(url: str | list[str] | None, servers: tuple[str, ...]) -> None:
    """One, several with commas or in a list, with or without scheme and port; loopback, if nothing is said."""
    assert find_access(url, None, None).servers == servers


def test_the_environment_says_where_it_is_not_given(environment: pytest.MonkeyPatch) -> None:
    """`NATS_URL` comes after the argument."""
    environment.setenv("NATS_URL", "nats://env:1")
    assert find_access(None, None, None).servers == ("nats://env:1",)
    assert find_access("nats://given:1", None, None).servers == ("nats://given:1",)


@pytest.mark.parametrize(
    "url, secrets",
    [
        ("nats://h", Secrets()),
        ("nats://me:p%40ss%2F@h", Secrets("me", "p@ss/")),
        ("nats://me:@h", Secrets("me", "")),
        ("nats://t0ken@h", Secrets(token="t0ken")),
        ("nats://me:p@a,nats://b,nats://me:p@c", Secrets("me", "p")),
    ],
)
def test_credentials_in_the_address(url: str, secrets: Secrets) -> None:
    """A name with a password, or a token, percent-encoded; they do not stay in the addresses."""
    access = find_access(url, None, None)
    assert access.secrets == secrets
    assert not any("@" in server for server in access.servers)


def test_credentials_in_the_environment(environment: pytest.MonkeyPatch) -> None:
    """Of several the strongest; they come after those of the address, and these after a file that was given."""
    environment.setenv("NATS_TOKEN", "t")
    assert find_access("h", None, None).secrets == Secrets(token="t")
    environment.setenv("NATS_USER", "u")
    assert find_access("h", None, None).secrets == Secrets("u", "")
    environment.setenv("NATS_PASSWORD", "p")
    assert find_access("h", None, None).secrets == Secrets("u", "p")
    environment.setenv("NATS_CREDS", "/a.creds")
    assert find_access("h", None, None).secrets == Secrets(file="/a.creds")
    assert find_access("me:pw@h:1", None, None).secrets == Secrets("me", "pw")
    assert find_access("me:pw@h:1", "/b.creds", None).secrets == Secrets(file="/b.creds")


def test_tls_follows_from_the_scheme() -> None:
    """One address with `tls` is enough; a context that is given is the one that is used."""
    assert find_access("nats://a", None, None).tls is None
    context = find_access("nats://a,tls://b", None, None).tls
    assert context is not None
    assert context.verify_mode is ssl.CERT_REQUIRED
    own = ssl.create_default_context()
    assert find_access("tls://a", None, own).tls is own


@pytest.mark.parametrize(
    "url",
    [
        f"http://me:{SECRET}@h",
        f"nats://me:{SECRET}@",
        f"nats://me:{SECRET}@h:port",
        f"nats://me:{SECRET}/@h",
        f"nats://me:12/{SECRET}@h",
        f"nats://me:{SECRET}@h:0",
        f"nats://me:{SECRET}@[::1",
        f"nats://me:{SECRET}\u2100@h",
        f"nats://h?password={SECRET}",
        f"nats://me:{SECRET}@a,nats://me:other@b",
    ],
)
def test_what_cannot_be_an_address_is_refused_without_being_shown(url: str) -> None:
    """Neither the text nor what it was raised from has a credential in it."""
    with pytest.raises(ValueError, match="address") as caught:
        NatsTransport(url)
    error: BaseException | None = caught.value
    while error is not None:
        assert SECRET not in str(error)
        assert error.__suppress_context__ or error.__context__ is None
        error = error.__cause__


def test_a_transport_shows_no_credentials() -> None:
    """Its `repr` is the addresses."""
    transport = NatsTransport(f"nats://me:{SECRET}@a:1,b:2")
    assert repr(transport) == "<NatsTransport at nats://a:1, nats://b:2>"
    assert SECRET not in repr(find_access(f"me:{SECRET}@h", None, None))


@pytest.mark.parametrize(
    "options, complaint",
    [
        ({"timeout": 0}, "timeout"),
        ({"timeout": 121}, "up to 120"),
        ({"ack_wait": 0}, "ack_wait"),
        ({"ack_wait": float("inf")}, "ack_wait"),
        ({"max_age": -1}, "max_age"),
        ({"max_bytes": 0}, "max_bytes"),
        ({"replicas": 0}, "replicas"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(options: dict[str, float], complaint: str) -> None:
    """Each is named."""
    with pytest.raises(ValueError, match=complaint):
        NatsTransport(**options)  # type: ignore[arg-type] # that is the point
