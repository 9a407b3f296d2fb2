"""Who is calling: a customer, an agent, an admin or a service."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from support.domain.errors import InvalidTicket

_STAFF = frozenset({"agents", "admins"})


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated caller: the token's `sub` and the user pool groups it is in."""

    subject: str
    groups: frozenset[str]

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """The caller in an execution's input: `{"subject": str, "groups": str}`.

        Raises:
            InvalidTicket: there is no subject.
        """
        subject = document.get("subject")
        if not isinstance(subject, str) or not subject:
            raise InvalidTicket("caller.subject is missing.")
        return cls(subject, parse_groups(document.get("groups")))

    @classmethod
    def from_claims(cls, claims: Mapping[str, Any]) -> Self:
        """The caller that a Cognito ID token's claims name."""
        return cls(str(claims.get("sub", "")), parse_groups(claims.get("cognito:groups")))

    @property
    def is_staff(self) -> bool:
        """Whether the caller is an agent or an admin."""
        return bool(self.groups & _STAFF)

    @property
    def is_admin(self) -> bool:
        """Whether the caller is an admin."""
        return "admins" in self.groups

    def may_act_for_others(self, channel: str) -> bool:
        """Whether a `customerId` in the caller's submission counts: from staff, and from services."""
        return channel == "service" or self.is_staff

    def may_read_tickets_of(self, customer_id: str) -> bool:
        """Whether the caller may see this customer's tickets."""
        return self.is_staff or (bool(self.subject) and self.subject == customer_id)


def parse_groups(claim: object) -> frozenset[str]:
    """The groups in a `cognito:groups` claim, which API Gateway renders as `a,b`, `[a b]` or `[a, b]`."""
    return frozenset(re.findall(r"[^\s,\[\]]+", claim)) if isinstance(claim, str) else frozenset()
