"""Metric math: expressions over the time series of metrics.

The emulator does not evaluate expressions. This module evaluates those that the template uses: numbers, the
ids of time series, `+ - * /`, `SUM([a, b])` and `MAX([a, b])`. Anything else is refused, rather than
evaluated in another way than on AWS. An operator has no result where one side has no data point or where it
divides by zero; SUM and MAX ignore missing data points. That AWS does the latter is an assumption
(docs/aws.md).

Source: Amazon CloudWatch user guide, "Using math expressions with CloudWatch metrics".
"""

import ast
import operator
from collections.abc import Callable, Iterable, Mapping

# The values by time.
type Series = dict[int, float]

_OPERATORS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_FUNCTIONS: dict[str, Callable[[Iterable[float]], float]] = {"SUM": sum, "MAX": max}


def evaluate(expression: str, series: Mapping[str, Series]) -> Series:
    """The time series of an expression, given the time series by id. Raises ValueError."""
    try:
        value = _value(ast.parse(expression, mode="eval").body, series)
    except (SyntaxError, KeyError) as error:
        raise ValueError(f"Invalid expression {expression!r}: {error}") from error
    if not isinstance(value, dict):
        raise ValueError(f"{expression!r} is not a time series.")  # noqa: TRY004 - the expression is invalid
    return value


def _value(node: ast.expr, series: Mapping[str, Series]) -> Series | float:
    match node:
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.Name(id=name):
            return series[name]
        case ast.BinOp(left=left, op=op, right=right):
            return _combined(_OPERATORS[type(op)], _value(left, series), _value(right, series))
        case ast.Call(func=ast.Name(id=name), args=[ast.List(elts=elements)], keywords=[]):
            operands = [_value(element, series) for element in elements]
            return _aggregated(_FUNCTIONS[name], [each for each in operands if isinstance(each, dict)])
    raise ValueError(f"{ast.unparse(node)} is not supported: see devtools/emulator/metric_math.py.")


def _combined(
    combine: Callable[[float, float], float], left: Series | float, right: Series | float
) -> Series | float:
    if not isinstance(left, dict) and not isinstance(right, dict):
        return combine(left, right)
    times = set.intersection(*(set(side) for side in (left, right) if isinstance(side, dict)))
    pairs = {time: (_at(left, time), _at(right, time)) for time in times}
    divides = combine is operator.truediv
    return {time: combine(a, b) for time, (a, b) in pairs.items() if b or not divides}


def _at(side: Series | float, time: int) -> float:
    return side[time] if isinstance(side, dict) else side


def _aggregated(aggregate: Callable[[Iterable[float]], float], operands: list[Series]) -> Series:
    times = {time for each in operands for time in each}
    return {time: aggregate(each[time] for each in operands if time in each) for time in times}
