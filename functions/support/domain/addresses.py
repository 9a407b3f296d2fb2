"""Finds addresses in a normalized text: whatever a reader could follow.

An address is a link, a domain, an e-mail or IP address, or a long token such as a wallet. Anything that a
mail client turns into a link counts (`logs.zip`, because `zip` is a top-level domain, but not `report.pdf`):
a false positive costs an agent one look at the draft.

Every pattern is either bounded or possessive (it never backtracks), so every text takes linear time.
"""

import re
from collections.abc import Iterator
from importlib.resources import files
from ipaddress import ip_address

# White space, brackets and quotation marks; and the marks that end a clause in Chinese and Japanese.
_NOT_IN_LINKS = r"\s<>\"'`()\[\]{}|\\^\u2018-\u201f\xab\xbb\u3001\u3002\uff0c\uff1b"
_ADDRESS = re.compile(
    # the tag around a ticket in the prompt
    r"(?P<delimiter>ticket-[0-9a-f]{8}(?![0-9a-f]))"
    # a URI, with or without an authority
    r"|(?P<uri>(?<![\w+-])(?:[a-z][a-z0-9+-]{1,30}+://"
    r"|(?:mailto|javascript|data|skype|whatsapp|bitcoin|ethereum|lightning|magnet):(?=\S))"
    rf"[^{_NOT_IN_LINKS}]++)"
    # an e-mail address
    r"|(?P<email>(?<![\w.+%-])[\w.+%-]++@[\w-]++(?:\.[\w-]++)++)"
    # a host name or an IPv4 address, with a port and a path
    rf"|(?P<host>(?<![\w-])[\w-]++(?:\.[\w-]++)++(?:(?::\d{{1,5}}+)?[/?#][^{_NOT_IN_LINKS}]*+)?)"
    # a candidate for an IPv6 address
    r"|(?P<ipv6>(?<![\w:])[0-9a-f:]{2,39}+(?![\w:]))"
    # a candidate for a wallet, an account or a secret
    r"|(?P<token>(?<!\w)[a-z0-9]{25,}+)"
)
_VERSION_BEFORE = re.compile(r"(?:\bv|version|release|build) ?$")
# Suffixes of files and frameworks that are not top-level domains: no mail client links them.
_FILE_ENDINGS = frozenset(files("support.domain").joinpath("file_endings.txt").read_text("utf-8").split())


def find_addresses(text: str, *, with_hosts: bool = False) -> Iterator[str]:
    """The addresses in a normalized text, in canonical form; `with_hosts` adds the host of each link."""
    for match in _ADDRESS.finditer(text):
        kind, address = str(match.lastgroup), match[0].rstrip(".,;:!?*_~")
        if not _is_address(kind, address, preceding=text[max(0, match.start() - 8) : match.start()]):
            continue
        canonical = _canonical(address)
        yield canonical
        if with_hosts and kind in ("uri", "host"):
            yield re.split(r"[/?#]", canonical, maxsplit=1)[0]


def _is_address(kind: str, text: str, *, preceding: str) -> bool:
    match kind:
        case "delimiter" | "uri" | "email":
            return True
        case "host":
            host = re.split(r"[/?#:]", text, maxsplit=1)[0]
            is_version = bool(_VERSION_BEFORE.search(preceding))
            return _is_domain(host, has_path=host != text) or (_is_ip(host) and not is_version)
        case "ipv6":
            return text.count(":") > 1 and _is_ip(text)
        case _:
            return _mixes_letters_and_digits(text)


def _is_domain(name: str, *, has_path: bool) -> bool:
    *labels, last = name.split(".")
    is_top_level = (last.isalpha() and len(last) > 1) or last.startswith("xn--")
    # A list item or a date without its space, such as "1.open" or "3.january".
    is_numbered = len(labels) == 1 and labels[0].isdecimal() and len(labels[0]) < 3 and not has_path
    return is_top_level and last not in _FILE_ENDINGS and not is_numbered


def _is_ip(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _mixes_letters_and_digits(text: str) -> bool:
    return not text.isalpha() and not text.isdecimal()


def _canonical(address: str) -> str:
    without_scheme = re.sub(r"^(?:https?://|mailto:)", "", address).rstrip("/")
    return re.sub(r"xn--[a-z0-9-]++", lambda label: _decode_punycode(label[0]), without_scheme)


def _decode_punycode(label: str) -> str:
    try:
        return label.removeprefix("xn--").encode("ascii").decode("punycode")
    except UnicodeError:
        return label
