"""What the model is told. To change it, edit prompt.txt, taxonomy.json or analysis.schema.json."""

import json
import secrets
from hashlib import sha256

from support.domain.analysis import SCHEMA
from support.domain.instructions import INSTRUCTIONS
from support.domain.ticket import Ticket

# Stored with every analysis, so that answers can be compared across changes. Derived: nobody can forget it.
VERSION = sha256((INSTRUCTIONS + json.dumps(SCHEMA)).encode()).hexdigest()[:12]


def ticket_block(ticket: Ticket) -> str:
    """The ticket as a delimited block of text.

    The tag carries a random number, so that no ticket text can close its own block.
    """
    tag = f"ticket-{secrets.token_hex(4)}"
    subject = f"Subject: {ticket.subject}\n\n" if ticket.subject else ""
    return f"<{tag}>\n{subject}{ticket.content}\n</{tag}>"
