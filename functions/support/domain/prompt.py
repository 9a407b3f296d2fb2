"""The prompt. To change it, edit prompt.txt, taxonomy.json or analysis.schema.json."""

import json
import secrets
from hashlib import sha256
from importlib.resources import files
from typing import Any

from support.domain.analysis_schema import TOOL_SCHEMA
from support.domain.ticket import Ticket

INSTRUCTIONS = files("support.domain").joinpath("prompt.txt").read_text("utf-8").strip()


def version(tool_schema: Any) -> str:
    """The version of the prompt with this tool. A hash cannot be forgotten in an edit."""
    return sha256((INSTRUCTIONS + json.dumps(tool_schema)).encode()).hexdigest()[:12]


# Stored with every analysis, to compare answers across versions.
VERSION = version(TOOL_SCHEMA)


def ticket_block(ticket: Ticket) -> str:
    """The ticket as a delimited block of text.

    The tag contains a random number, so that the ticket's text cannot close the block.
    """
    tag = f"ticket-{secrets.token_hex(4)}"
    subject = f"Subject: {ticket.subject}\n\n" if ticket.subject else ""
    return f"<{tag}>\n{subject}{ticket.content}\n</{tag}>"
