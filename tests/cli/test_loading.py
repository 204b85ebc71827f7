"""Targets: what `module:attribute` finds, and what is said where it finds nothing."""

import sys
from pathlib import Path

import pytest
from command_line import Command, Program


def test_a_nexus_is_found_in_the_current_directory(program: Program, command: Command) -> None:
    """The current directory is put on `sys.path`."""
    assert command("graph", program()).out.startswith("flowchart LR\n")


@pytest.mark.parametrize(
    "body, attribute",
    [
        ("def make(): return nexus", "make"),
        ("class Box:\n  inner = nexus", "Box.inner"),
        ("make = lambda size=1: nexus", "make"),
        ("Made = AsyncEventNexus", "Made"),
    ],
)
def test_a_function_or_a_dotted_attribute_will_do(
    body: str, attribute: str, program: Program, command: Command
) -> None:
    """What returns a nexus without arguments is called; attributes may be nested."""
    assert command("graph", program(body, attribute=attribute)).code == 0


@pytest.mark.parametrize(
    "target, culprit",
    [
        ("nocolon", "'nocolon'"),
        (":nexus", "':nexus'"),
        (".relative:nexus", "'.relative:nexus'"),
        ("no_such_module:nexus", "'no_such_module'"),
        ("no_such.module:nexus", "'no_such.module'"),
        ("app.py:nexus", "write app"),
        ("json:nothing", "'nothing'"),
        ("json:dumps", "json:dumps cannot be called without arguments"),
        ("json:decoder", "'module'"),
        ("os:getcwd", "'str'"),
        ("gc:collect.__self__", "'module'"),
    ],
)
def test_what_cannot_be_loaded_is_one_line_and_2(target: str, culprit: str, command: Command) -> None:
    """Errors of use name the culprit, on one line of stderr, without a traceback."""
    done = command("graph", target)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("async-nexus: error: ")
    assert done.err.count("\n") == 1
    assert culprit in done.err


def test_a_coroutine_function_returns_no_nexus(program: Program, command: Command) -> None:
    """An `async` factory is refused, and leaves no coroutine that nobody awaited."""
    done = command("graph", program("async def make(): return nexus", attribute="make"))
    assert (done.code, "coroutine" in done.err) == (2, True)


@pytest.mark.parametrize(
    "body, last",
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("import no_such_package", "ModuleNotFoundError: No module named 'no_such_package'"),
        ("def nexus():\n    raise OSError('dark')", "OSError: dark"),
        ("nexus = (", "SyntaxError: '(' was never closed"),
        ("nexus.on(True)", "TypeError: an event type is an int or a str, not True (bool)"),
        ("class Own(BaseException): ...\nraise Own('dark')", ".Own: dark"),
        ("del nexus\ndef __getattr__(name): raise OSError('dark')", "OSError: dark"),
    ],
)
def test_what_the_users_module_raises_keeps_its_traceback(
    body: str, last: str, program: Program, command: Command
) -> None:
    """The user's own mistake is shown where it was made, without the frames of the command line."""
    target = program(body)
    done = command("graph", target)
    assert (done.code, done.out) == (2, "")
    assert done.err.splitlines()[-1].endswith(last)
    assert f"{target.partition(':')[0]}.py" in done.err
    assert "loading.py" not in done.err
    assert "importlib" not in done.err


@pytest.mark.parametrize("arguments", [("graph",), ("schema",), ("check", "--json")])
def test_what_the_users_module_prints_is_not_in_the_document(
    arguments: tuple[str, ...], program: Program, command: Command
) -> None:
    """The document, and nothing else, is on stdout; what is printed on import or by a factory is on stderr."""
    body = "print('loading')\ndef make():\n  print('making')\n  return nexus"
    target = program(body, attribute="make")
    plain = command(*arguments, program("def make(): return nexus", attribute="make"))
    done = command(*arguments, target)
    assert (done.code, done.out, done.err) == (0, plain.out, "loading\nmaking\n")


def test_what_a_running_program_prints_is_its_own(program: Program, command: Command) -> None:
    """`run` has no document: stdout is the program's, from its import on."""
    done = command("run", program("print('loading')"), "--until-complete")
    assert (done.code, done.out, done.err) == (0, "loading\n", "")


def test_the_path_is_extended_once(here: Path, program: Program, command: Command) -> None:
    """A second load changes nothing."""
    target = program()
    for _ in range(2):
        command("graph", target)
    assert sys.path.count(str(here)) == 1


@pytest.mark.parametrize("arguments", [("run",), ("run", "--stdin"), ("fuzz",), ("replay", "no.db")])
def test_a_nexus_that_has_ended_on_import(arguments: tuple[str, ...], program: Program, command: Command) -> None:
    """L1: it cannot run once more; that is said of the target, in one line."""
    name, *rest = arguments
    target = program("nexus.stop()")
    done = command(name, target, *rest)
    assert (done.code, done.out) == (2, "")
    assert done.err == (
        f"async-nexus: error: {target} cannot be run, it is STOPPED already: "
        "its module must neither start nor stop it on import\n"
    )


def test_what_a_property_raises_keeps_its_traceback(program: Program, command: Command) -> None:
    """Also an attribute on the way to the nexus may be the user's own code, and fail as that."""
    body = "class Kitchen:\n  @property\n  def nexus(self): raise OSError('dark')\nkitchen = Kitchen()"
    done = command("graph", program(body, attribute="kitchen.nexus"))
    assert (done.code, done.out) == (2, "")
    assert done.err.splitlines()[-1] == "OSError: dark"
    assert "loading.py" not in done.err
