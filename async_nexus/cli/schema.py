"""`async-nexus schema`: writes the contract of a nexus's events."""

from pathlib import Path
from typing import Any, Final

import click

from .output import documents, output_option, write

JSON_SCHEMA: Final = "json-schema"
ASYNCAPI: Final = "asyncapi"
CLOUDEVENTS: Final = "cloudevents"


@click.command(short_help="Write the contract of its events: JSON Schema, AsyncAPI, CloudEvents.")
@click.argument("target")
@output_option
@click.option(
    "--format",
    "form",
    type=click.Choice([JSON_SCHEMA, ASYNCAPI, CLOUDEVENTS]),
    help="What to write; json-schema unless given.",
)
@click.option(
    "--asyncapi", "version", type=click.Choice(["3.0", "3.1"]), help="The version of AsyncAPI; 3.0 unless given."
)
@click.option("--title", help="AsyncAPI: the application's name.  [default: that of the target]")
@click.option("--application-version", help="AsyncAPI: the application's version.")
@click.option("--description", help="AsyncAPI: what the application is for.")
@click.option("--server", "servers", multiple=True, metavar="NAME=URL", help="AsyncAPI: a server; may be repeated.")
@click.option("--tag", "tags", multiple=True, metavar="NAME", help="AsyncAPI: a tag; may be repeated.")
def schema(target: str, output: Path | None, form: str | None, version: str | None, **about: Any) -> None:
    """Write a JSON Schema 2020-12 bundle, an AsyncAPI 3 document, or a schema of CloudEvents.

    JSON goes to stdout; a FILE ends in .json, .yaml or .yml.
    """
    form = form or (ASYNCAPI if version else JSON_SCHEMA)
    said = {name: value for name, value in about.items() if value}
    if form != ASYNCAPI and (said or version):
        raise click.UsageError("--asyncapi, --title, --server and their like need --format asyncapi")
    from .loading import load_to_describe

    loaded = load_to_describe(target)
    from ..schema import asyncapi, cloudevents, json_schema

    try:
        if form == ASYNCAPI:
            said["servers"] = dict(map(_server, said.get("servers", ())))
            said.setdefault("title", loaded.name)
            document = asyncapi(loaded.nexus, "3.1.0" if version == "3.1" else "3.0.0", **said)
        elif form == CLOUDEVENTS:
            document = cloudevents(loaded.nexus)
        else:
            document = json_schema(loaded.nexus)
    except (TypeError, ValueError) as error:
        raise click.ClickException(f"{target}: {error}") from error
    write(documents(document), output)


def _server(text: str) -> tuple[str, str]:
    name, equals, url = text.partition("=")
    if not (name and equals and url):
        raise click.UsageError(f"a server is NAME=URL, such as prod=nats://localhost:4222, not {text!r}")
    return name, url
