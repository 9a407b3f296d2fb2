"""Masks addresses and numbers in what people wrote. Names are not found.

The finders are those of the pipeline's output checks. They find no card, customer or order numbers, which are
harmless in a reply; here every number of six digits or more is masked.
"""

import re
from collections.abc import Iterable

from support.domain.addresses import find_addresses
from support.domain.normalization import normalize, refang
from support.domain.phone_and_account_numbers import find_numbers

_ADDRESS, _NUMBER = "[address]", "[number]"
_BETWEEN_DIGITS = r"[ ().\-/\u2010-\u2015]*"
_LONG_NUMBER = r"\d(?:[ \-\u2010-\u2015]?\d){5,}"


class NotMaskedError(Exception):
    """The text has an address or a number that could not be masked, such as one that was written in words."""


def mask(text: str) -> str:
    """The text with placeholders for the addresses and numbers.

    Raises:
        NotMaskedError: the text cannot be masked completely.
    """
    normalized = normalize(text)
    # Longer ones first: an address may contain another.
    addresses = sorted(find_addresses(normalized), key=len, reverse=True)
    masked = _replace(text, (rf"(?:https?://|mailto:)?{re.escape(one)}/?" for one in addresses), _ADDRESS)
    numbers = sorted(find_numbers(normalized), key=len, reverse=True)
    account_numbers = [r"[+(0]*" + _BETWEEN_DIGITS.join(one) for one in numbers]
    masked = _replace(masked, [*account_numbers, _LONG_NUMBER], _NUMBER)
    if any(_findings(masked)):
        raise NotMaskedError
    return masked


def _replace(text: str, patterns: Iterable[str], placeholder: str) -> str:
    """The text with a placeholder for what the patterns match in its normalized form."""
    for pattern in patterns:
        normalized = [normalize(character) for character in text]
        # The index in `text` of each character of the normalized form, which may be longer or shorter.
        origins = [index for index, part in enumerate(normalized) for _ in part]
        for match in reversed([*re.finditer(pattern, "".join(normalized))]):
            start, end = origins[match.start()], origins[match.end() - 1] + 1
            text = text[:start] + placeholder + text[end:]
    return text


def _findings(text: str) -> Iterable[str]:
    normalized = normalize(text)
    yield from find_addresses(normalized)
    yield from find_addresses(refang(normalized))
    yield from find_numbers(normalized)
