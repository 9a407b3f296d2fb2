"""The caller of the API: a customer, an agent, an admin or a service."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from support.domain.errors import InvalidTicket

_STAFF = frozenset({"agents", "admins"})


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated caller: the token's `sub` and the caller's user pool groups."""

    subject: str
    groups: frozenset[str]

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """The caller in an execution's input: `{"subject": str, "groups": str}`.

        Raises:
            InvalidTicket: the subject is missing.
        """
        subject = document.get("subject")
        if not isinstance(subject, str) or not subject:
            raise InvalidTicket("caller.subject is missing.")
        return cls(subject, parse_groups(document.get("groups")))

    @classmethod
    def from_claims(cls, claims: Mapping[str, Any]) -> Self:
        """The caller in the claims of a Cognito ID token."""
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
        """Whether the caller may submit a ticket for another customer: staff and services may."""
        return channel == "service" or self.is_staff

    def may_read_tickets_of(self, customer_id: str) -> bool:
        """Whether the caller may read this customer's tickets."""
        return self.is_staff or (bool(self.subject) and self.subject == customer_id)


def parse_groups(claim: object) -> frozenset[str]:
    """The groups in a `cognito:groups` claim, which API Gateway formats as `a,b`, `[a b]` or `[a, b]`."""
    return frozenset(re.findall(r"[^\s,\[\]]+", claim)) if isinstance(claim, str) else frozenset()
