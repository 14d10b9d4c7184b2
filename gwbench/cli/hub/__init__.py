"""`gwbench hub`: finished runs on a Hugging Face hub."""

from __future__ import annotations

import click

from gwbench.cli.hub.pull import pull
from gwbench.cli.hub.push import push


@click.group()
def hub() -> None:
    """Publish a finished run on a Hugging Face hub, and fetch one.

    HF_ENDPOINT names another hub than huggingface.co, HF_TOKEN a token.
    """


for command in (push, pull):
    hub.add_command(command)
