"""The programs of README and docs, as a reader would copy them."""

import re
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).parents[1]
PAGES = [CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").rglob("*.md"))]

# After the comment `<!-- continues -->` a block goes on where the block before it ended. A block marked `text`
# that follows at once is what the program prints.
BLOCK = re.compile(
    r"^(<!-- continues -->\n+)?```python\n(.*?)^```$(?:\n+```text\n(.*?)^```$)?", re.MULTILINE | re.DOTALL
)


@dataclass
class Program:
    """A program of a page, each line at its number on the page, for the sake of tracebacks."""

    source: str
    output: str

    @property
    def first_line(self) -> int:
        """The line of the page where it begins."""
        return len(self.source) - len(self.source.lstrip("\n")) + 1


def programs(page: str) -> list[Program]:
    """The programs of a page."""
    found: list[Program] = []
    for block in BLOCK.finditer(page):
        if not block[1]:
            found.append(Program("", ""))
        program = found[-1]
        lines_above = page.count("\n", 0, block.start(2))
        program.source += "\n" * (lines_above - program.source.count("\n")) + block[2]
        program.output += block[3] or ""
    return found


def page_programs() -> dict[str, Program]:
    """Every program under the page and line where it begins: `docs/tutorial/index.md:12`."""
    return {
        f"{page.relative_to(CHECKOUT).as_posix()}:{program.first_line}": program
        for page in PAGES
        for program in programs(page.read_text(encoding="utf-8"))
    }
