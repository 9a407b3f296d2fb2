"""Checks of what the model wrote: it must add no addresses and must not quote its instructions.

A ticket can make the model write anything, so the model's text is compared with the ticket's.
"""

import re

from support.domain.addresses import find_addresses
from support.domain.normalization import normalize, refang
from support.domain.phone_and_account_numbers import find_numbers
from support.domain.prompt import INSTRUCTIONS

# Unrelated texts do not share this many consecutive words.
_QUOTED_WORDS = 7
_WORD = re.compile(r"[^\W_]+")


def passes_output_checks(model_text: str, ticket_text: str) -> bool:
    """Whether every address in the model's text is in the ticket, and no instruction is quoted.

    An address that the ticket contains only defanged (`evil[.]example`) may be repeated only defanged.
    """
    written = normalize(model_text)
    if _quotes_instructions(written):
        return False
    addresses, refanged = set(find_addresses(written)), set(find_addresses(refang(written)))
    numbers = set(find_numbers(written))
    if not addresses | refanged | numbers:
        return True  # The common case: there is no need to scan the ticket.
    ticket = normalize(ticket_text)
    ticket_characters = re.sub(r"[^a-z0-9]++", "", ticket)
    return (
        addresses <= set(find_addresses(ticket, with_hosts=True))
        and refanged <= set(find_addresses(refang(ticket), with_hosts=True))
        and all(number in ticket_characters for number in numbers)
    )


def _word_sequences(text: str) -> set[tuple[str, ...]]:
    words = _WORD.findall(text)
    return {tuple(words[start : start + _QUOTED_WORDS]) for start in range(len(words) - _QUOTED_WORDS + 1)}


_INSTRUCTION_SEQUENCES = _word_sequences(normalize(INSTRUCTIONS))


def _quotes_instructions(text: str) -> bool:
    return not _INSTRUCTION_SEQUENCES.isdisjoint(_word_sequences(text))
