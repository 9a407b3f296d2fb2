"""Mapping templates: Velocity (VTL) as API Gateway renders it.

AWS renders the templates of an integration with Apache Velocity 1.x and the variables `$input`, `$context`
and `$util`. The emulator supports a small subset (no `#if`, no string methods). This module renders them with
the VTL engine `airspeed`, patched where it differs from AWS:

- a string literal has no backslash escapes; a doubled quote is an escaped quote;
- `&&` and `||` are evaluated from left to right and short-circuit, and a null operand is not an error;
- only null and false are false, so the condition of `#if("")` is true;
- `#set` with null has no effect, and a `$context.responseOverride` can be set only once;
- a string has the methods of Java's String, not those of Python's;
- a reference to a missing value renders as an empty string, and so does a whole map of `$context`;
- an inserted value is never parsed as a template.

An unsupported method raises MappingTemplateError: a plausible wrong result would go unnoticed.

Source: API Gateway developer guide, "Mapping template transformations for REST APIs"; Apache Velocity 1.7
user guide.
"""

import importlib.util
import json
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache, reduce
from typing import Any

from devtools.emulator import patch

_MISSING = object()


class MappingTemplateError(Exception):
    """The template is not valid VTL, or uses something that this renderer does not support."""


@dataclass(frozen=True)
class Parameters:
    """The parameters of a request in which `$input.params(name)` looks up a name; the last value of each.

    Names are case-sensitive, including those of headers, which have the case that the client sent.
    """

    path: Mapping[str, str] = field(default_factory=dict)
    querystring: Mapping[str, str] = field(default_factory=dict)
    header: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Rendering:
    """The text of a rendered template, and what it set in `$context.responseOverride`."""

    text: str
    status: int | None
    headers: Mapping[str, str]


def render(template: str, *, body: str, parameters: Parameters, context: Mapping[str, Any]) -> Rendering:
    """Render a mapping template.

    `body` is the request's for a request template, the integration's for a response template; `parameters`
    are always the request's. Raises MappingTemplateError.
    """
    override = _Override(header=_Override())
    namespace = {
        "input": _input(body, parameters),
        "context": _Opaque({**_opaque(context), "responseOverride": override}),
        "util": _UTIL,
    }
    try:
        text = _compiled(template).merge(namespace)
    except _engine().TemplateError as error:
        raise MappingTemplateError(str(error)) from error
    status = override.get("status")
    headers = {name: _text(value) for name, value in override["header"].items()}
    return Rendering(text, None if status is None else int(status), headers)


# --- $input, $context and $util ---


class _Opaque(dict[str, Any]):
    """A map that is null itself although its members can be read, as the maps of `$context` are on AWS."""


class _Override(_Opaque):
    """`$context.responseOverride` or its headers. On AWS, setting a value twice is an error."""

    def __setitem__(self, name: str, value: Any) -> None:
        if name in self:
            raise ValueError(f"$context.responseOverride sets {name} twice")
        super().__setitem__(name, value)


def _opaque(value: Any) -> Any:
    return _Opaque({k: _opaque(v) for k, v in value.items()}) if isinstance(value, Mapping) else value


def _input(body: str, parameters: Parameters) -> _Opaque:
    document = _parsed(body)

    def params(name: str) -> str:
        values = (parameters.path.get(name), parameters.querystring.get(name), parameters.header.get(name))
        return next((value for value in values if value is not None), "")

    def json_text(path: str) -> str:
        value = _at(document, path)
        return '""' if value is _MISSING else _json(value)

    def value_at(path: str) -> Any:
        value = _at(document, path)
        return None if value is _MISSING else value

    return _Opaque(body=body, json=json_text, path=value_at, params=params)


def _parsed(body: str) -> Any:
    """The JSON document in a body, or _MISSING. AWS reads an empty body as `{}`."""
    if not body:
        return {}
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return _MISSING


_STEP = re.compile(r"\.([\w-]+)|\[\s*(\d+)\s*\]|\[\s*'([^']*)'\s*\]|\[\s*\"([^\"]*)\"\s*\]")


def _at(document: Any, path: str) -> Any:
    """The value at a JSON path (`$`, `$.a.b`, `$['a']`, `$.a[0]`), or _MISSING."""
    position = len("$")
    while position < len(path):
        step = _STEP.match(path, position)
        if step is None:
            raise ValueError(f"this renderer does not support the JSON path {path!r}")
        key = int(step[2]) if step[2] else next(name for name in step.group(1, 3, 4) if name is not None)
        document = _member(document, key, _MISSING)
        position = step.end()
    return document


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


_JAVASCRIPT_ESCAPES = {c: "\\" + c for c in "'\"\\/"} | {
    "\b": "\\b",
    "\n": "\\n",
    "\t": "\\t",
    "\f": "\\f",
    "\r": "\\r",
}


def _escape_javascript(value: Any) -> str | None:
    """Escape as Apache Commons Lang does: also an apostrophe, which is not valid in JSON, but not DEL."""
    if value is None:
        return None
    return re.sub(r"['\"\\/]|[^ -\x7f]", lambda match: _escaped(match[0]), _text(value))


def _escaped(character: str) -> str:
    if character in _JAVASCRIPT_ESCAPES:
        return _JAVASCRIPT_ESCAPES[character]
    units = character.encode("utf-16-be", "surrogatepass").hex().upper()
    return "".join(f"\\u{units[i : i + 4]}" for i in range(0, len(units), 4))


_UTIL = _Opaque(escapeJavaScript=_escape_javascript)


# --- Java's values and methods ---


def _text(value: Any) -> str:
    """A value as Java's toString renders it: a list as JSON, a map as `{name=value}`."""
    match value:
        case None | _Opaque():
            return ""
        case bool():
            return str(value).lower()
        case str() | int() | float():
            return str(value)
        case dict():
            return "{" + ", ".join(f"{name}={_text(member)}" for name, member in value.items()) + "}"
        case list():
            return _json(value)
    raise TypeError(f"a {type(value).__name__} cannot be rendered")


def _member(value: Any, name: Any, default: Any = None) -> Any:
    if isinstance(value, str):
        return default
    try:
        return value[name]
    except (KeyError, IndexError, TypeError):
        return default


def _utf16_length(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _regex(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.ASCII)  # in Java, \d, \s and \w match ASCII only


def _replace_all(text: str, pattern: str, replacement: str) -> str:
    """Java's replaceAll: in the replacement, `$1` is a group and a backslash escapes the next character."""

    def expand(match: re.Match[str]) -> str:
        return re.sub(
            r"\\(.)|\$(\d)",
            lambda part: part[1] if part[1] is not None else match[int(part[2])] or "",
            replacement,
            flags=re.DOTALL,
        )

    return _regex(pattern).sub(expand, text)


_STRING_METHODS: Mapping[str, Callable[..., Any]] = {
    "contains": operator.contains,
    "endsWith": str.endswith,
    "equals": operator.eq,
    "isEmpty": operator.not_,
    "length": _utf16_length,
    "matches": lambda text, pattern: _regex(pattern).fullmatch(text) is not None,
    "replaceAll": _replace_all,
    "startsWith": str.startswith,
    "toLowerCase": str.lower,
    "toUpperCase": str.upper,
}


def _call(target: Any, name: str, arguments: list[Any]) -> Any:
    if target is None:
        return None
    member = _member(target, name)
    if callable(member):
        return member(*arguments)
    if isinstance(target, str) and name in _STRING_METHODS:
        return _STRING_METHODS[name](target, *arguments)
    raise TypeError(f"this renderer does not support the method {name}() of a {type(target).__name__}")


# --- Operators: they get their operands as functions, so that && and || can short-circuit ---

_Operand = Callable[[], Any]


def _truthy(value: Any) -> bool:
    return value is not None and value is not False


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _equal(left: Any, right: Any) -> bool:
    """Velocity compares values of different types as strings."""
    if left is None or right is None or type(left) is type(right) or (_is_number(left) and _is_number(right)):
        return bool(left == right)
    return _text(left) == _text(right)


def _plus(left: Any, right: Any) -> Any:
    if isinstance(left, str) or isinstance(right, str):
        return _text(left) + _text(right)
    return left + right if _is_number(left) and _is_number(right) else None


def _numeric(compute: Callable[[Any, Any], Any], otherwise: Any) -> Callable[[_Operand, _Operand], Any]:
    def apply(left: _Operand, right: _Operand) -> Any:
        a, b = left(), right()
        return compute(a, b) if _is_number(a) and _is_number(b) else otherwise

    return apply


_BINARY: dict[str, Callable[[_Operand, _Operand], Any]] = {
    "&&": lambda left, right: _truthy(left()) and _truthy(right()),
    "||": lambda left, right: _truthy(left()) or _truthy(right()),
    "==": lambda left, right: _equal(left(), right()),
    "!=": lambda left, right: not _equal(left(), right()),
    "+": lambda left, right: _plus(left(), right()),
    "-": _numeric(operator.sub, None),
    "*": _numeric(operator.mul, None),
    "/": _numeric(operator.floordiv, None),
    "%": _numeric(operator.mod, None),
    ">": _numeric(operator.gt, False),
    ">=": _numeric(operator.ge, False),
    "<": _numeric(operator.lt, False),
    "<=": _numeric(operator.le, False),
}
_WORDS = {"and": "&&", "or": "||", "eq": "==", "ne": "!=", "gt": ">", "ge": ">=", "lt": "<", "le": "<="}


# --- The engine ---


@lru_cache(maxsize=256)
def _compiled(template: str) -> Any:
    compiled = _engine().Template(template)
    compiled.ensure_compiled()
    return compiled


@cache
def _engine() -> Any:
    """A copy of airspeed that is patched for API Gateway; other users of airspeed are not affected."""
    spec = importlib.util.find_spec("airspeed")
    if spec is None or spec.loader is None:
        raise patch.EmulatorChangedError("airspeed is not installed: mapping templates cannot be rendered.")
    engine = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(engine)
    for owner, name, new in (
        (engine.Text, "PLAIN", re.compile(engine.Text.PLAIN.pattern[:-1] + r"|\\$)", re.S | re.I)),
        (engine.StringLiteral, "STRING", re.compile(r"'((?:[^']|'')*)'", re.S)),
        (engine.StringLiteral, "parse", _parse_string),
        (engine.InterpolatedStringLiteral, "STRING", re.compile(r'"((?:[^"]|"")*)"', re.S)),
        (engine.InterpolatedStringLiteral, "parse", _interpolated_string_parser(engine)),
        (engine.NameOrCall, "NAME", re.compile(r"([a-z_][a-z0-9_-]*)", re.I)),
        (engine.NameOrCall, "calculate", _calculate_name_or_call),
        (engine.SubExpression, "calculate", _sub_expression_calculator(engine)),
        (engine.FormalReference, "parse", _reference_parser(engine.FormalReference.parse)),
        (engine.FormalReference, "evaluate_raw", _write_reference),
        (engine.SetDirective, "PLACE", _PLACE),
        (engine.SetDirective, "parse", _set_parser(engine)),
        (engine.SetDirective, "evaluate_raw", _set),
        (engine.Condition, "parse", _condition_parser(engine.Condition.parse)),
        (engine.ElseBlock, "START", re.compile(r"#(?:else|\{else\})(?:[ \t\r]*\n)?", re.S | re.I)),
        (engine.UnaryOperatorValue, "calculate", _calculate_not),
        (engine.BinaryOperator, "OPERATORS", _BINARY | {word: _BINARY[op] for word, op in _WORDS.items()}),
        (engine.Expression, "calculate", _calculate_expression),
    ):
        patch.replace(owner, name, new)
    return engine


def _parse_string(self: Any) -> None:
    (literal,) = self.identity_match(self.STRING)
    self.value = literal.replace("''", "'")


def _interpolated_string_parser(engine: Any) -> Callable[[Any], None]:
    def parse(self: Any) -> None:
        (literal,) = self.identity_match(self.STRING)
        value = literal.replace('""', '"')
        dynamic = "$" in value or "#" in value
        self.block = engine.TemplateBody(self.filename, value, 0) if dynamic else _Literal(value)

    return parse


@dataclass(frozen=True)
class _Literal:
    """A string without references, which Velocity does not parse."""

    value: str

    def evaluate(self, stream: Any, _namespace: Any, _loader: Any) -> None:
        """Write the string."""
        stream.write(self.value)


def _calculate_name_or_call(self: Any, current: Any, loader: Any, namespace: Any) -> Any:
    if self.parameters is not None:
        return _call(current, self.name, self.parameters.calculate(namespace, loader))
    value = _member(current, self.name)
    if self.index is not None:
        return _member(value, self.index.calculate(namespace, loader))
    return value


def _sub_expression_calculator(engine: Any) -> Callable[..., Any]:
    def calculate(self: Any, current: Any, loader: Any, namespace: Any) -> Any:
        if not isinstance(self.expression, engine.ArrayIndex):
            return self.expression.calculate(current, loader, namespace)
        value = _member(current, self.expression.calculate(namespace, loader))
        if self.subexpression is None:
            return value
        return self.subexpression.calculate(value, loader, namespace)

    return calculate


def _reference_parser(original: Callable[[Any], None]) -> Callable[[Any], None]:
    def parse(self: Any) -> None:
        original(self)
        if self.expression is None:
            return

        def calculate(namespace: Any, loader: Any) -> Any:
            value = self.expression.calculate(namespace, loader)
            return None if isinstance(value, _Opaque) else value

        self.calculate = calculate

    return parse


def _write_reference(self: Any, stream: Any, namespace: Any, loader: Any) -> None:
    if self.expression is None:  # a dollar sign that does not start a reference
        stream.write(self.my_text())
        return
    value = self.calculate(namespace, loader)
    if value is None and self.alternate is not None:
        value = self.alternate.calculate(namespace, loader)
    stream.write(_text(value))


_NAME = r"[A-Za-z_][\w-]*"
_PLACE = re.compile(rf"""\s*\$({_NAME}(?:\.{_NAME}|\[(?:'[^']*'|"[^"]*")\])*)""")


def _set_parser(engine: Any) -> Callable[[Any], None]:
    def parse(self: Any) -> None:
        self.identity_match(self.START)
        (place,) = self.require_match(self.PLACE, "place")
        self.terms = [name or key for name, key in re.findall(rf"""({_NAME})|\[['"]([^'"]*)""", place)]
        self.require_match(self.EQUALS, "=")
        self.value = self.require_next_element(engine.Expression, "expression")
        self.require_match(self.END, "closing paren")

    return parse


def _set(self: Any, _stream: Any, namespace: Any, loader: Any) -> None:
    value = self.value.calculate(namespace, loader)
    if value is None:
        return
    *owners, name = self.terms
    if owners:
        reduce(operator.getitem, owners, namespace)[name] = value
    else:
        namespace.set_inherited(name, value)


def _condition_parser(original: Callable[[Any], None]) -> Callable[[Any], None]:
    def parse(self: Any) -> None:
        original(self)
        calculate = self.calculate
        self.calculate = lambda namespace, loader: _truthy(calculate(namespace, loader))

    return parse


def _calculate_not(self: Any, namespace: Any, loader: Any) -> bool:
    return not _truthy(self.value.calculate(namespace, loader))


def _calculate_expression(self: Any, namespace: Any, loader: Any) -> Any:
    return _evaluate(self.expression, lambda operand: operand.calculate(namespace, loader))


def _evaluate(terms: list[Any], value_of: Callable[[Any], Any]) -> Any:
    """The value of `operand (operator operand)*`, split at the last operator of the lowest precedence."""
    if len(terms) == 1:
        return value_of(terms[0])
    split = max(range(1, len(terms), 2), key=lambda i: (terms[i].precedence, i))
    return terms[split].apply_to(
        lambda: _evaluate(terms[:split], value_of),
        lambda: _evaluate(terms[split + 1 :], value_of),
    )
