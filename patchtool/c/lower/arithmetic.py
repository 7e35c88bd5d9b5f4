# SPDX-License-Identifier: GPL-2.0-only
"""C arithmetic on values that have been converted to one type."""

from __future__ import annotations

from patchtool.c.lower.records import Unsupported
from patchtool.c.memory import Int
from patchtool.c.syntax import Node
from patchtool.proof import bits
from patchtool.proof.bits import Bits, Cond

MAX_ROWS = 4


def ordered(operator: str, a: Int, b: Int) -> Cond:
    """Compare two values of one type."""
    signed = a.signed and b.signed
    x, y = a.bits.value, b.bits.value
    if x is not None and y is not None:
        if signed:
            width = a.bits.width
            x, y = (v - (1 << width) if v >> (width - 1) else v for v in (x, y))
        return {"<": x < y, ">": x > y, "<=": x <= y, ">=": x >= y}[operator]
    left, right = (a, b) if operator in ("<", ">=") else (b, a)
    less = bits.below(left.bits, right.bits, signed)
    return less if operator in ("<", ">") else bits.negate(less)


def arithmetic(operator: str, a: Int, b: Int, node: Node) -> Int:
    """Combine two values of one type; Unsupported where the result has no small term."""
    result = _combined(operator, a, b, node)
    if operator in ("+", "-", "*"):
        return Int(bits.tabulated(result.bits, (a.bits, b.bits)), result.signed)
    return result


def _combined(operator: str, a: Int, b: Int, node: Node) -> Int:
    signed = a.signed and b.signed
    width = a.bits.width
    if operator == "&":
        return Int(bits.bit_and(a.bits, b.bits), signed)
    if operator == "|":
        return Int(bits.bit_or(a.bits, b.bits), signed)
    if operator == "^":
        return Int(bits.bit_xor(a.bits, b.bits), signed)
    x, y = a.bits.value, b.bits.value
    if x is not None and y is not None:
        if signed:
            x, y = (v - (1 << width) if v >> (width - 1) else v for v in (x, y))
        if operator in ("/", "%"):
            if y == 0:
                raise Unsupported(node, "a division by zero")
            quotient = abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1)
            result = quotient if operator == "/" else x - quotient * y
        elif operator in ("+", "-", "*"):
            result = {"+": x + y, "-": x - y, "*": x * y}[operator]
        else:
            raise Unsupported(node, f"the operator {operator} is not understood")
        return Int(bits.constant(width, result), signed)
    if operator == "+":
        return Int(bits.add(a.bits, b.bits), signed)
    if operator == "-":
        return Int(bits.subtract(a.bits, b.bits), signed)
    if operator == "*" and (x is not None or y is not None):
        factor, open_side = (x, b) if x is not None else (y, a)
        assert factor is not None
        return Int(bits.multiply(open_side.bits, factor), signed)
    if operator == "*":
        return Int(_product(a.bits, b.bits, node), signed)
    if operator in ("/", "%") and y and not y & (y - 1) and _is_natural(a, signed):
        count = y.bit_length() - 1
        if operator == "/":
            return Int(bits.shift_right(a.bits, count, False), signed)
        return Int(bits.resize(bits.cut(a.bits, 0, count), width), signed)
    raise Unsupported(node, f"{operator} of two values that are not constant")


def _is_natural(a: Int, signed: bool) -> bool:
    """Tell whether a value has no sign, or a sign bit that is always clear."""
    return not signed or bits.cut(a.bits, a.bits.width - 1, 1).value == 0


def _product(a: Bits, b: Bits, node: Node) -> Bits:
    """Multiply two values, of which one has few bits that may be set."""
    rows = [[i for i, bit in enumerate(x.conditions()) if bit is not False] for x in (a, b)]
    few, many = (a, b) if len(rows[0]) <= len(rows[1]) else (b, a)
    places = min(rows, key=len)
    if len(places) > MAX_ROWS:
        raise Unsupported(node, "* of two values that are not constant")
    zero = bits.constant(a.width, 0)
    result = zero
    for place in places:
        row = bits.choose(few.conditions()[place], bits.shift_left(many, place), zero)
        result = bits.add(result, row)
    return result


def shift(operator: str, a: Int, b: Int) -> Int:
    """Shift a promoted value."""
    count = b.bits.value
    if count is not None:
        if operator == "<<":
            return Int(bits.shift_left(a.bits, count), a.signed)
        return Int(bits.shift_right(a.bits, count, a.signed), a.signed)
    result = a.bits
    for position, one in enumerate(b.bits.conditions()[: max(1, (a.bits.width - 1).bit_length())]):
        if operator == "<<":
            moved = bits.shift_left(result, 1 << position)
        else:
            moved = bits.shift_right(result, 1 << position, a.signed)
        result = bits.choose(one, moved, result)
    return Int(bits.tabulated(result), a.signed)
