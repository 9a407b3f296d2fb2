"""Whether what the model wrote stands on the ticket: it may not bring in addresses, nor quote its orders.

A ticket can talk the model into anything, so its words are compared with the ticket's. An address is what a
person could follow: a link, a domain, an e-mail or IP address, a telephone number, an account or wallet.
What a mail client would make a link of is one (`logs.zip`, as `zip` is a top-level domain, but not
`report.pdf`): a doubt costs no more than a person's glance at the draft.

Every pattern either is bounded or never gives back what it has matched: no text takes more than linear time.
"""

import re
import unicodedata
from collections.abc import Iterator
from importlib.resources import files
from ipaddress import ip_address
from urllib.parse import unquote

from support.domain.instructions import INSTRUCTIONS

# As many words in a row as chance does not repeat.
_QUOTED_WORDS = 7

# Space, brackets, and quotation marks; and the marks that end a clause in Chinese and Japanese.
_NOT_IN_LINKS = r"\s<>\"'`()\[\]{}|\\^\u2018-\u201f\xab\xbb\u3001\u3002\uff0c\uff1b"
_ADDRESS = re.compile(
    # the tag that delimits a ticket
    r"(?P<delimiter>ticket-[0-9a-f]{8}(?![0-9a-f]))"
    # a URI, whether or not it has an authority
    r"|(?P<uri>(?<![\w+-])(?:[a-z][a-z0-9+-]{1,30}+://"
    r"|(?:mailto|javascript|data|skype|whatsapp|bitcoin|ethereum|lightning|magnet):(?=\S))"
    rf"[^{_NOT_IN_LINKS}]++)"
    # an e-mail address
    r"|(?P<email>(?<![\w.+%-])[\w.+%-]++@[\w-]++(?:\.[\w-]++)++)"
    # a host name or an IPv4 address, with what follows it
    rf"|(?P<host>(?<![\w-])[\w-]++(?:\.[\w-]++)++(?:(?::\d{{1,5}}+)?[/?#][^{_NOT_IN_LINKS}]*+)?)"
    # what may be an IPv6 address
    r"|(?P<ipv6>(?<![\w:])[0-9a-f:]{2,39}+(?![\w:]))"
    # what may be a wallet, an account or a secret
    r"|(?P<token>(?<!\w)[a-z0-9]{25,}+)"
)
# As IBANs are written: in groups of four, each but the second with a digit.
_ACCOUNT = re.compile(
    r"(?<!\w)[a-z]{2}\d{2} ?[a-z0-9]{4}"
    r"(?: ?(?=[a-z]{0,3}\d)[a-z0-9]{4}){1,6}+(?: ?(?=[a-z]{0,3}\d)[a-z0-9]{1,4}(?!\w))?+"
)
_TELEPHONE = re.compile(r"(?<![\w#.-])[+(]?\d[\d ().\-/\u2010-\u2015]{5,30}+")
_CALL = re.compile(r"(?:call|dial|phone|ring|tel|telefon|teléfono|téléphone|telefono|whatsapp|sms)\W{1,3}+$")
_DATE_TIME_OR_PRICE = re.compile(
    r"(?<![\w.+-])(?:\d{4}[-./]\d{1,2}[-./]\d{1,2}|\d{1,2}[-./ ]\d{1,2}[-./ ]\d{4})(?![\d-])"
    r"|(?<!\d)\d{1,2}:\d{2}(?::\d{2})?(?!\d)"
    r"|[$€£¥₹] ?\d[\d.,']{0,20}"
    r"|(?<![\w+])\d{1,3}(?:[.,' ]?\d{3}){0,4}(?:[.,]\d{1,2})? ?(?:[$€£¥₹]|(?:eur|usd|gbp|chf|jpy|inr)\b)"
)
_UNSEEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
_OTHER_DIGIT = re.compile(r"[^\D0-9]")
_VERSION = re.compile(r"(?:\bv|version|release|build) ?$")
_WORD = re.compile(r"[^\W_]+")

_DOTS = re.compile(
    r"[ \t]{0,3}[\[({<][ \t]{0,3}(?:\.|dot|punkt|punto|point)[ \t]{0,3}[\])}>][ \t]{0,3}"
    r"|&#0{0,5}46;|&#x0{0,5}2e;|&period;|(?<=[a-z0-9])。(?=[a-z0-9])"
    # In running text "dot" is a word, unless the end of a domain follows.
    r"|[ \t]{1,3}(?:dot|punkt|punto|point)[ \t]{1,3}"
    r"(?=(?:com|net|org|info|biz|io|co|app|dev|me|ru|cn|top|xyz|shop|site|online|club|live|example|test)\b)"
)
_ATS = re.compile(r"[ \t]{0,3}[\[({<][ \t]{0,3}(?:@|at)[ \t]{0,3}[\])}>][ \t]{0,3}")
_COLONS = re.compile(r"\[(:|://)\]")
_SCHEME = re.compile(r"(?<!\w)h(?:xx|tx|xt|\*\*)p(s?)(?=://|:\\\\|\[:)")

# Ends of the names of files and frameworks that are no top-level domains: nothing makes a link of them.
_NO_DOMAIN = frozenset(files("support.domain").joinpath("file_endings.txt").read_text("utf-8").split())


def is_grounded(written: str, ticket_text: str) -> bool:
    """Whether every address in what the model wrote is in the ticket, and none of its orders is quoted.

    Both texts are compared in compatibility form (NFKC), without case and without invisible characters. An
    address that the ticket holds only in a defused form (`evil[.]example`) may be repeated in that form.
    """
    ours = _folded(written)
    if _quotes_instructions(ours):
        return False
    live, any_form, numbers = set(_addresses(ours)), set(_addresses(_armed(ours))), {*_numbers(ours)}
    if not live | any_form | numbers:
        return True  # as with most replies: the ticket need not be read
    theirs = _folded(ticket_text)
    known_numbers = re.sub(r"[^a-z0-9]++", "", theirs)
    return (
        live <= set(_addresses(theirs, with_hosts=True))
        and any_form <= set(_addresses(_armed(theirs), with_hosts=True))
        and all(number in known_numbers for number in numbers)
    )


def _folded(text: str) -> str:
    """The text in compatibility form, without case and invisible characters, its digits as 0 to 9."""
    if text.isascii():
        return text.lower()
    seen = _UNSEEN.sub("", unicodedata.normalize("NFKC", text)).casefold()
    return _OTHER_DIGIT.sub(lambda digit: str(unicodedata.decimal(digit[0])), seen)


def _armed(text: str) -> str:
    """The text with defused addresses as a reader would type them."""
    if "%" in text:
        text = unquote(text).lower()
    for pattern, meaning in ((_SCHEME, r"http\1"), (_COLONS, r"\1"), (_DOTS, "."), (_ATS, "@")):
        text = pattern.sub(meaning, text)
    return text


def _addresses(text: str, *, with_hosts: bool = False) -> Iterator[str]:
    """The addresses in a folded text; `with_hosts` adds the host of each link, which is part of it."""
    for found in _ADDRESS.finditer(text):
        kind, address = str(found.lastgroup), found[0].rstrip(".,;:!?*_~")
        if not _is_address(kind, address, text[max(0, found.start() - 8) : found.start()]):
            continue
        plain = _canonical(address)
        yield plain
        if with_hosts and kind in ("uri", "host"):
            yield re.split(r"[/?#]", plain, maxsplit=1)[0]


def _is_address(kind: str, text: str, before: str) -> bool:
    match kind:
        case "delimiter" | "uri" | "email":
            return True
        case "host":
            host = re.split(r"[/?#:]", text, maxsplit=1)[0]
            return _is_domain(host, followed=host != text) or (_is_ip(host) and not _VERSION.search(before))
        case "ipv6":
            return text.count(":") > 1 and _is_ip(text)
        case _:
            return _is_mixed(text)


def _is_domain(name: str, *, followed: bool) -> bool:
    *labels, top = name.split(".")
    is_top = (top.isalpha() and len(top) > 1) or top.startswith("xn--")
    # A list item or a date without its space, such as "1.open" or "3.january".
    is_numbered = len(labels) == 1 and labels[0].isdecimal() and len(labels[0]) < 3 and not followed
    return is_top and top not in _NO_DOMAIN and not is_numbered


def _is_ip(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _is_mixed(text: str) -> bool:
    return not text.isalpha() and not text.isdecimal()


def _canonical(address: str) -> str:
    bare = re.sub(r"^(?:https?://|mailto:)", "", address).rstrip("/")
    return re.sub(r"xn--[a-z0-9-]++", lambda label: _unicode(label[0]), bare)


def _unicode(label: str) -> str:
    try:
        return label.removeprefix("xn--").encode("ascii").decode("punycode")
    except UnicodeError:
        return label


def _numbers(text: str) -> Iterator[str]:
    yield from _telephones(text)
    yield from _accounts(text)


def _telephones(text: str) -> Iterator[str]:
    """The digits of what looks like a telephone number, without its international prefix."""
    text = _DATE_TIME_OR_PRICE.sub(" ; ", text)
    for found in _TELEPHONE.finditer(text):
        shown = found[0].rstrip(" .-/(")
        digits = re.sub(r"\D", "", shown)
        is_called = _CALL.search(text[max(0, found.start() - 14) : found.start()])
        if 7 <= len(digits) <= 15 and (is_called or _is_written_as_telephone(shown)):
            yield digits.lstrip("0")


def _is_written_as_telephone(text: str) -> bool:
    groups = re.findall(r"\d+", text)
    return text.startswith(("+", "(", "00")) or len(groups) > 2 or (len(groups) > 1 and text.startswith("0"))


def _accounts(text: str) -> Iterator[str]:
    for found in _ACCOUNT.finditer(text):
        account = found[0].replace(" ", "")
        if len(account) > 14 and sum(map(str.isdecimal, account)) > 8:
            yield account


def _runs(text: str) -> set[tuple[str, ...]]:
    words = _WORD.findall(text)
    return {tuple(words[start : start + _QUOTED_WORDS]) for start in range(len(words) - _QUOTED_WORDS + 1)}


_INSTRUCTIONS = _runs(_folded(INSTRUCTIONS))


def _quotes_instructions(text: str) -> bool:
    return not _INSTRUCTIONS.isdisjoint(_runs(text))
