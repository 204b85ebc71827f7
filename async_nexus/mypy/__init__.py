"""The mypy plugin: literal keys on a declared domain are as strict as event classes.

It is switched on in mypy's configuration, before or after pydantic's own: `plugins = pydantic.mypy, async_nexus.mypy`.
A domain that is not declared, `AsyncEventNexus()`, is left alone, and so is all that the plugin does not understand.
Its errors have the codes `nexus-key`, `nexus-handler`, `nexus-payload` and `nexus-duplicate`.
"""

from ._plugin import NexusPlugin

# The rest is private by its names: what mypy calls is mypy's business, and nobody else's to type-check.


def plugin(version: str) -> type[object]:
    """Give mypy the plugin, whichever its version."""
    return NexusPlugin
