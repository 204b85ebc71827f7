"""How Sphinx builds the documentation: `make docs`, offline, every warning an error."""

import re
import tomllib
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

# autodoc writes into the annotations of pydantic's classes; after that no model can be made that allows extra fields.
import async_nexus.transports.nats  # noqa: F401

_PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"

project = "async_nexus"
author = "The async_nexus developers"
release = tomllib.loads(_PYPROJECT.read_text(encoding="utf-8"))["project"]["version"]
version = release

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"async_nexus {release}"
html_copy_source = False

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "exclude-members": "model_config", "show-inheritance": True}
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 90

# A single-backquoted span that is no role, and the letter that may follow: `Event`s.
_CODE = re.compile(r"(?<![`:\w])`([^`\n]+)`(?!`)(?=(\w?))")


def _read_code_spans(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Make what docstrings write in single backquotes code, also where a plural follows at once."""
    lines[:] = [_CODE.sub(lambda span: f"``{span[1]}``" + ("\\ " if span[2] else ""), line) for line in lines]


def _skip_parametrised(app: Sphinx, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    """Leave out `Event[Any]` and its like, which pydantic keeps as attributes of the module."""
    return True if "[" in name else None


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", _read_code_spans)
    app.connect("autodoc-skip-member", _skip_parametrised)
