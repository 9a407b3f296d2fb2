"""A labelled ticket, and a set of them."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from support.domain.ticket import Ticket
from support.domain.ticket_types import Status

# The category that the prompt names for everything else. A foreign set's out-of-scope class is renamed to it.
OTHER = "OTHER"


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A ticket and its labels; those that are None or empty were not given.

    `language` is a primary language subtag, such as `pt`. `must_contain` and `must_not_promise` say what a
    person has to look for in the reply.
    """

    id: str
    content: str
    category: str
    subject: str | None = None
    urgency: str | None = None
    language: str | None = None
    traits: tuple[str, ...] = ()
    reason: str = ""
    must_contain: tuple[str, ...] = ()
    must_not_promise: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The subject, if there is one, and the content."""
        return f"{self.subject}\n{self.content}" if self.subject else self.content

    @property
    def digest(self) -> str:
        """A hash of the text."""
        return hashlib.sha256(self.text.encode("utf-8", "surrogatepass")).hexdigest()[:16]

    def ticket(self) -> Ticket:
        """The ticket as Classify gets it."""
        return Ticket(
            ticket_id=self.id,
            customer_id="eval",
            content=self.content,
            subject=self.subject,
            channel="web",
            status=Status.RECEIVED,
            created_at="",
            updated_at="",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Labelled tickets. `categories` has the description, or an empty text, of each category, incl. OTHER.

    The report shows no text of tickets that are held out: a prompt must not be tuned on them.
    """

    name: str
    examples: Sequence[Example]
    categories: Mapping[str, str]
    is_foreign: bool = False
    is_held_out: bool = False

    def limited_to(self, limit: int) -> "Dataset":
        """At most `limit` tickets, always the same, spread over the set."""
        chosen = sorted(self.examples, key=lambda example: hashlib.sha256(example.id.encode()).digest())
        return Dataset(
            name=f"{self.name}, {min(limit, len(chosen))} tickets of {len(chosen)}",
            examples=chosen[:limit],
            categories=self.categories,
            is_foreign=self.is_foreign,
            is_held_out=self.is_held_out,
        )
