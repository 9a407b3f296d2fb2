"""The prompt. To change it, edit prompt.txt, taxonomy.json or analysis.schema.json."""

import json
import secrets
from hashlib import sha256
from importlib.resources import files

from support.domain.analysis_schema import TOOL_SCHEMA
from support.domain.ticket import Ticket

INSTRUCTIONS = files("support.domain").joinpath("prompt.txt").read_text("utf-8").strip()

# Stored with every analysis, to compare answers across versions. A hash cannot be forgotten in an edit.
VERSION = sha256((INSTRUCTIONS + json.dumps(TOOL_SCHEMA)).encode()).hexdigest()[:12]


def ticket_block(ticket: Ticket) -> str:
    """The ticket as a delimited block of text.

    The tag contains a random number, so that the ticket's text cannot close the block.
    """
    tag = f"ticket-{secrets.token_hex(4)}"
    subject = f"Subject: {ticket.subject}\n\n" if ticket.subject else ""
    return f"<{tag}>\n{subject}{ticket.content}\n</{tag}>"
