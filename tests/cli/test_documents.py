"""`async-nexus schema` and `graph`: which document goes where."""

import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import yaml
from command_line import Command, Program, environment

BODY = """
@nexus.on(Brew)
def brew(event: Brew) -> None: ...
"""


@pytest.mark.parametrize(
    "arguments, member, value",
    [
        ((), "$schema", "https://json-schema.org/draft/2020-12/schema"),
        (("--format", "asyncapi"), "asyncapi", "3.0.0"),
        (("--format", "asyncapi", "--asyncapi", "3.1"), "asyncapi", "3.1.0"),
        (("--asyncapi", "3.1"), "asyncapi", "3.1.0"),
        (("--format", "cloudevents"), "title", "CloudEvents"),
    ],
)
def test_schema_writes_json_to_stdout(
    arguments: tuple[str, ...], member: str, value: str, program: Program, command: Command
) -> None:
    """Without `-o` the document, and nothing else, goes to stdout as JSON."""
    done = command("schema", program(BODY), *arguments)
    assert (done.code, done.err) == (0, "")
    assert json.loads(done.out)[member] == value


@pytest.mark.parametrize("ending", ["yaml", "yml"])
def test_the_ending_says_the_format(ending: str, program: Program, command: Command) -> None:
    """YAML and JSON hold the same document; a file is written and stdout stays empty."""
    target = program(BODY)
    assert command("schema", target, "-o", f"events.{ending}").out == ""
    assert command("schema", target, "-o", "events.json").out == ""
    written = yaml.safe_load(Path(f"events.{ending}").read_text(encoding="utf-8"))
    assert written == json.loads(Path("events.json").read_text(encoding="utf-8"))


def test_asyncapi_is_told_what_it_cannot_know(program: Program, command: Command) -> None:
    """Title, version, servers and tags come from options; the title is that of the target unless given."""
    target = program(BODY)
    options = ("--title", "Tea", "--application-version", "2.1", "--server", "prod=nats://tea:4222", "--tag", "hot")
    document = json.loads(command("schema", target, "--format", "asyncapi", *options).out)
    assert (document["info"]["title"], document["info"]["version"]) == ("Tea", "2.1")
    assert document["servers"]["prod"]["host"] == "tea:4222"
    assert document["info"]["tags"] == [{"name": "hot"}]
    assert json.loads(command("schema", target, "--format", "asyncapi").out)["info"]["title"] == "nexus"


@pytest.mark.parametrize("server", ["prod", "=x", "prod=", "prod=nowhere"])
def test_a_server_has_a_name_and_an_address(server: str, program: Program, command: Command) -> None:
    """Anything else is an error of use."""
    done = command("schema", program(BODY), "--format", "asyncapi", "--server", server)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)


def test_a_type_that_no_schema_describes(program: Program, command: Command) -> None:
    """The event is named, on one line."""
    done = command("schema", program("class Odd: ...\nnexus.declare('odd', Odd)\n"))
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert "odd" in done.err


@pytest.mark.parametrize("ending, begin", [("mmd", "flowchart LR"), ("dot", 'digraph "nexus"'), ("svg", "<?xml")])
def test_graph_draws_by_the_ending(ending: str, begin: str, program: Program, command: Command) -> None:
    """`-o` sets the language of the picture; nothing is written elsewhere."""
    done = command("graph", program(BODY), "-o", f"picture.{ending}")
    assert (done.code, done.out, done.err) == (0, "", "")
    assert Path(f"picture.{ending}").read_text(encoding="utf-8").startswith(begin)


def test_a_picture_names_what_it_shows(program: Program, command: Command) -> None:
    """The SVG is well-formed and has the names of nexus, event and handler; other nexuses have theirs."""
    body = (
        BODY
        + "office = AsyncEventNexus()\nb = AsyncEventBoundary()\nnexus.add_handler(Pour, b)\noffice.add_producer(b)"
    )
    command("graph", program(body), "-o", "picture.svg")
    shown = set(ET.parse("picture.svg").getroot().itertext())
    assert shown >= {"nexus", "Brew", "brew", "Pour", "AsyncEventBoundary", "office"}


@pytest.mark.parametrize(
    "package, arguments", [("yaml", ("schema", "-o", "a.yaml")), ("pygraphviz", ("graph", "-o", "a.svg"))]
)
def test_without_the_extra_it_says_what_to_install(
    package: str, arguments: tuple[str, ...], program: Program, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package that is missing is an error of use that names the extra."""
    monkeypatch.setitem(sys.modules, package, None)
    name, *options = arguments
    done = command(name, program(BODY), *options)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "pip install 'async-nexus[cli]'" in done.err


def test_a_reader_that_has_gone_is_no_traceback(program: Program, here: Path) -> None:
    """`async-nexus schema … | head -1` ends quietly."""
    target = program(BODY)
    pipeline = f"{sys.executable} -m async_nexus schema {target} | true"
    done = subprocess.run(
        ["sh", "-c", pipeline], cwd=here, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
