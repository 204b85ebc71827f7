"""Cutting a stream into lines, however its chunks fall."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_nexus.cli.lines import MAX_LINE, Line, LineSplitter


def split(chunks: list[bytes], max_line: int = MAX_LINE) -> list[Line]:
    """All lines of a stream."""
    splitter = LineSplitter(max_line)
    return [*(line for chunk in chunks for line in splitter.feed(chunk)), *splitter.finish()]


@given(st.lists(st.lists(st.sampled_from(b"a\n\r"), max_size=9).map(bytes)))
def test_lines_do_not_depend_on_chunks(chunks: list[bytes]) -> None:
    """However a stream is cut, its lines are those between line feeds, numbered from 1; a last one needs no end."""
    whole = b"".join(chunks).split(b"\n")
    expected = whole if whole[-1] else whole[:-1]
    assert split(chunks) == [Line(number, content) for number, content in enumerate(expected, 1)]


@pytest.mark.parametrize("size, kept", [(10, True), (11, False)])
def test_a_line_has_a_bound(size: int, kept: bool) -> None:
    """A line that is too long has no content; the lines around it do, and its end may come later or never."""
    long = b"x" * size
    expected = long if kept else None
    assert split([b"a\n" + long[:5], long[5:], b"\nb\n"], 10) == [Line(1, b"a"), Line(2, expected), Line(3, b"b")]
    assert split([long], 10) == [Line(1, expected)]


def test_what_is_held_is_bounded() -> None:
    """Of an endless line nothing is kept."""
    splitter = LineSplitter(10)
    for _ in range(100):
        assert list(splitter.feed(b"x" * 8)) == []
    assert len(splitter._held) <= 10
