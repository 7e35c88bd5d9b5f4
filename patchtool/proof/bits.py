# SPDX-License-Identifier: GPL-2.0-only
"""Boolean terms, and bit-vectors made of them.

A kernel word is mostly constants and single register bits, so a vector is kept as runs
of constant bits, runs of untouched input bits, and single terms; masks, shifts and
bit-fields cut it without building anything.  Terms are shared and folded while they
are built, and know which symbols they mention.  Measured on a 6.12 tree, building the
same terms through z3's Python interface took forty times as long; z3 gets the few
terms that a question needs (see ``coverage``).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple


class Term:
    """A boolean term: a symbol (see below), or ``not``, ``and``, ``ite`` of other terms.

    Terms are unique: equal terms are the same object.
    """

    __slots__ = ("_symbols", "args", "mask", "number", "op")

    def __init__(self, op: str, args: tuple[Term, ...], mask: int = 0) -> None:
        self.op, self.args = op, args
        self.number = next(_NUMBERS)
        for one in args:
            if one.mask != mask:  # numbers as long as these are shared where they can be
                mask = mask | one.mask if mask else one.mask
        self.mask: int = mask
        """The words that are read, a bit for one or for some; terms have none in common where
        their masks have none."""
        self._symbols: frozenset[Symbol] | None = None

    @property
    def symbols(self) -> frozenset[Symbol]:
        """All symbols in the term, which keeps them for the next one who asks."""
        if self._symbols is None:
            self._symbols = _met([self])
        return self._symbols

    def __repr__(self) -> str:
        return f"({self.op} {' '.join(map(repr, self.args))})"


class Symbol(Term):
    """A boolean that is open: one bit of a word, or a copy of one that belongs to a run.

    ``original`` is the bit that a copy was made of, and itself for any other one, whose
    ``run`` is "".  Symbols are sorted by ``name``.
    """

    __slots__ = ("_copies", "_name", "original", "position", "run", "word")

    def __init__(self, word: Word, position: int, run: str, original: Symbol | None) -> None:
        super().__init__("symbol", (), word.mask)
        self.word, self.position, self.run = word, position, run
        self.original = original or self
        # Most bits of a word are never copied, nor read by a person.
        self._copies: dict[str, Symbol] | None = None
        self._name = ""

    @property
    def name(self) -> str:
        """How a person reads it."""
        if not self._name:
            self._name = f"{self.word.name}#{self.position}" + (f"@{self.run}" if self.run else "")
        return self._name

    def copy(self, run: str) -> Symbol:
        """Return the copy that belongs to a run, always the same one."""
        if self._copies is None:
            self._copies = {}
        found = self._copies.get(run)
        if found is None:
            found = self._copies[run] = Symbol(self.word, self.position, run, self.original)
        return found

    def __lt__(self, other: Symbol) -> bool:
        return self.name < other.name

    def __repr__(self) -> str:
        return self.name


class Word:
    """A number of any width whose bits are open: an input, or what was not understood.

    ``name`` is how a person reads it, ``about`` what its maker knows of it, at which no
    proof looks.  A word that is ``opaque`` may have another value each time.  No two words
    are the same, whatever their names.
    """

    __slots__ = ("_bits", "about", "mask", "name", "opaque")

    def __init__(self, name: str, about: object = None, opaque: bool = False) -> None:
        self.name, self.about, self.opaque = name, about, opaque
        self.mask = 1 << next(_WORDS) % MASK
        self._bits: dict[int, Symbol] = {}

    def bit(self, position: int = 0) -> Symbol:
        """Return one bit of the word, always the same symbol."""
        found = self._bits.get(position)
        if found is None:
            found = self._bits[position] = Symbol(self, position, "", None)
        return found

    def __lt__(self, other: Word) -> bool:
        return self.name < other.name

    def __repr__(self) -> str:
        return self.name


Cond = bool | Term
"""A condition: decided, or a term."""

MASK = 256
"""How many words are told apart by their masks alone."""


def _met(terms: Iterable[Term]) -> frozenset[Symbol]:
    """Return all symbols in some terms."""
    todo = list(terms)
    seen = set(todo)
    found: set[Symbol] = set()
    while todo:
        here = todo.pop()
        if not here.args:
            assert isinstance(here, Symbol)
            found.add(here)
        elif here._symbols is not None:
            found |= here._symbols
        else:
            for one in here.args:
                if one not in seen:
                    seen.add(one)
                    todo.append(one)
    return frozenset(found)


_OPPOSITES: dict[Term, Term] = {}
_TERMS: dict[str, dict[tuple[Term, ...], Term]] = {"and": {}, "ite": {}}
_NUMBERS = itertools.count()
_WORDS = itertools.count()


def forget() -> None:
    """Drop the table of shared terms; terms in use stay valid, but are no longer unique."""
    for known in _tables():
        known.clear()


def mark() -> tuple[int, ...]:
    """Return how many terms are shared by now."""
    return tuple(map(len, _tables()))


def forget_since(marked: tuple[int, ...]) -> None:
    """Drop the shared terms that were made since; what was said of ``forget`` holds for them."""
    for known, count in zip(_tables(), marked, strict=True):
        while len(known) > count:
            known.popitem()


def _tables() -> tuple[dict[Any, Any], ...]:
    return (_OPPOSITES, _DECIDED, *_TERMS.values())


def _make(op: str, *args: Term) -> Term:
    allowed = _ALLOWED
    allowed[1] -= 1
    known = _TERMS[op]
    found = known.get(args)
    if found is None:
        allowed[0] -= 1
        found = known[args] = Term(op, args)
    if allowed[0] < 0 or allowed[1] < 0:
        raise Outgrown
    return found


class Outgrown(Exception):
    """More terms are made than were allowed."""


_ENDLESS = 1 << 62
_ALLOWED = [_ENDLESS, _ENDLESS]
"""How many more terms may be made, and how often one may be asked for."""
ASKED_PER_TERM = 10


def allow(count: int) -> None:
    """Allow so many more terms from now on; one more raises Outgrown."""
    _ALLOWED[:] = count, ASKED_PER_TERM * count


def allow_all() -> None:
    """Set no limit to what is made."""
    _ALLOWED[:] = _ENDLESS, _ENDLESS


# -- conditions --------------------------------------------------------------------------


def negate(a: Cond) -> Cond:
    """Return the opposite of a condition."""
    if isinstance(a, bool):
        return not a
    if a.op == "not":
        return a.args[0]
    found = _OPPOSITES.get(a)
    if found is None:
        _ALLOWED[0] -= 1
        found = _OPPOSITES[a] = Term("not", (a,))
        if _ALLOWED[0] < 0:
            raise Outgrown
    return found


def both(a: Cond, b: Cond) -> Cond:
    """Return the conjunction of two conditions."""
    if isinstance(a, bool):
        return b if a else False
    if isinstance(b, bool):
        return a if b else False
    if a is b:
        return a
    if (a.op == "not" and a.args[0] is b) or (b.op == "not" and b.args[0] is a):
        return False
    if a.op == "and" and (a.args[0] is b or a.args[1] is b):
        return a
    if b.op == "and" and (b.args[0] is a or b.args[1] is a):
        return b
    return _make("and", a, b) if a.number <= b.number else _make("and", b, a)


def either(a: Cond, b: Cond) -> Cond:
    """Return the disjunction of two conditions."""
    return negate(both(negate(a), negate(b)))


def choose_cond(c: Cond, a: Cond, b: Cond) -> Cond:
    """Return ``c ? a : b`` over conditions."""
    if isinstance(c, bool):
        return a if c else b
    if a is b or (isinstance(a, bool) and a == b):
        return a
    if c.op == "not":
        return choose_cond(c.args[0], b, a)
    if isinstance(a, bool):
        return either(c, b) if a else both(negate(c), b)
    if isinstance(b, bool):
        return either(negate(c), a) if b else both(c, a)
    if a is c:
        return either(c, b)
    if b is c:
        return both(c, a)
    return _make("ite", c, a, b)


def same(a: Cond, b: Cond) -> Cond:
    """Return whether two conditions agree."""
    return choose_cond(a, b, negate(b))


def every(conditions: Iterable[Cond]) -> Cond:
    """Return the conjunction of some conditions."""
    result: Cond = True
    for one in conditions:
        result = both(result, one)
        if result is False:
            return False
    return result


MAX_CONJUNCTS = 256
"""How many are told apart at once: conjunctions may share most of what they are made of."""


def conjuncts(term: Term) -> list[Term]:
    """Return terms whose conjunction a term is; the last ones may be conjunctions again."""
    found: list[Term] = []
    todo = [term]
    while todo:
        here = todo.pop()
        if here.op == "and" and len(found) + len(todo) < MAX_CONJUNCTS:
            todo.extend(reversed(here.args))
        else:
            found.append(here)
    return found


def symbols(conditions: Iterable[Cond]) -> frozenset[Symbol]:
    """Return all symbols in some conditions."""
    return _met(dict.fromkeys(c for c in conditions if isinstance(c, Term)))


class Among:
    """Some symbols, to be looked for in conditions."""

    def __init__(self, some: Iterable[Symbol]) -> None:
        self._some = frozenset(some)
        self._mask = 0
        for one in self._some:
            self._mask |= one.mask

    def read_by(self, condition: Cond) -> set[Symbol]:
        """Return those that are in a condition."""
        todo = [condition] if isinstance(condition, Term) else []
        seen = set(todo)
        found: set[Symbol] = set()
        while todo:
            here = todo.pop()
            if isinstance(here, Symbol) and here in self._some:
                found.add(here)
            for one in here.args:
                if one.mask & self._mask and one not in seen:
                    seen.add(one)
                    todo.append(one)
        return found


class Substitution:
    """A replacement of terms, outermost first, that remembers what it has replaced."""

    def __init__(self, known: Mapping[Term, Cond]) -> None:
        self._done: dict[Term, Cond] = dict(known)
        self._domain = 0
        for one in known:
            self._domain |= one.mask

    def learn(self, term: Term, held: Cond) -> None:
        """Replace one more term, which was not met before."""
        self._done[term] = held
        self._domain |= term.mask

    def __call__(self, condition: Cond) -> Cond:
        """Return a condition with the terms replaced."""
        domain, done = self._domain, self._done
        if isinstance(condition, bool) or not domain & condition.mask:
            return condition
        if condition in done:
            return done[condition]
        todo = [condition]
        while todo:
            here = todo[-1]
            if here in done:
                todo.pop()
                continue
            parts: list[Cond] = []
            waiting = False
            for one in here.args:
                if not domain & one.mask:
                    parts.append(one)
                elif one in done:
                    parts.append(done[one])
                else:
                    todo.append(one)
                    waiting = True
            if waiting:
                continue
            todo.pop()
            if not parts:
                done[here] = here
            elif here.op == "not":
                done[here] = negate(parts[0])
            elif here.op == "and":
                done[here] = both(parts[0], parts[1])
            else:
                done[here] = choose_cond(parts[0], parts[1], parts[2])
        return done[condition]

    def vector(self, value: Bits) -> Bits:
        """Return a vector with the terms in it replaced."""
        domain = self._domain
        for _, atom in value.pieces:
            if not isinstance(atom, int):
                mask = atom[0].mask if isinstance(atom, tuple) else atom.mask
                if mask & domain:
                    return value.map(self)
        return value


def substitute(condition: Cond, known: Mapping[Term, Cond]) -> Cond:
    """Replace terms, outermost first."""
    return Substitution(known)(condition) if known else condition


def dependence(condition: Cond, symbol: Symbol, known: dict[Term, Cond]) -> Cond:
    """Return when a condition depends on a symbol; KNOWN remembers it for one symbol.

    It is read off the term, so that what is stored under one condition bit by bit depends
    on what was there before under one as well.
    """
    if isinstance(condition, bool):
        return False
    todo = [condition]
    while todo:
        here = todo[-1]
        if here in known:
            todo.pop()
            continue
        if here is symbol:
            known[here] = True
        elif not here.args or not here.mask & symbol.mask:
            known[here] = False
        elif waiting := [one for one in here.args if one not in known]:
            todo.extend(waiting)
            continue
        elif here.op == "not":
            known[here] = known[here.args[0]]
        elif here.op == "ite" and known[here.args[0]] is False:
            known[here] = choose_cond(here.args[0], known[here.args[1]], known[here.args[2]])
        elif here.op == "and" and False in (parts := [known[one] for one in here.args]):
            at = parts.index(False)
            known[here] = both(here.args[at], parts[1 - at])
        else:
            clear, filled = (substitute(here, {symbol: side}) for side in (False, True))
            known[here] = negate(same(clear, filled))
        todo.pop()
    return known[condition]


class Environment:
    """What symbols stand for: other symbols, or claims such as what an earlier run left."""

    def __init__(self, meaning: Callable[[Symbol], Claim]) -> None:
        self.meaning = meaning
        self._met: frozenset[Symbol] = frozenset()
        self._written = Substitution({})

    def write_out(self, condition: Cond) -> Cond:
        """Return a condition with its symbols replaced by what they stand for."""
        new = symbols([condition]) - self._met
        self._met |= new
        for one in new:
            self._written.learn(one, write_out(self.meaning(one)))
        return self._written(condition)


class Under(NamedTuple):
    """A condition in an environment."""

    condition: Cond
    environment: Environment


class Alike(NamedTuple):
    """Whether some conditions, all of them, agree in two environments."""

    conditions: tuple[Cond, ...]
    one: Environment
    other: Environment
    alike: bool = True
    """False claims the opposite."""


class Stale(NamedTuple):
    """Whether one of some bits is stored, and is not what was there before.

    ``rows`` hold when a bit is stored, what it is then, both as read ``now``, and what it
    was, as read ``before``.
    """

    rows: tuple[tuple[Cond, Cond, Cond], ...]
    now: Environment
    before: Environment


class Denied(NamedTuple):
    """That some claims do not hold all of them."""

    claims: tuple[Claim, ...]


Claim = Cond | Under | Alike | Stale | Denied
"""A condition, and how its symbols are to be read.

Nothing need be written out: the diagram of a term is built with its symbols read so.
"""


def write_out(claim: Claim) -> Cond:
    """Return a claim as one term."""
    if isinstance(claim, Under):
        return claim.environment.write_out(claim.condition)
    if isinstance(claim, Alike):
        one, other = claim.one.write_out, claim.other.write_out
        agree = every(same(one(c), other(c)) for c in claim.conditions)
        return agree if claim.alike else negate(agree)
    if isinstance(claim, Stale):
        now, before = claim.now.write_out, claim.before.write_out
        fine = (negate(both(now(a), negate(same(now(b), before(c))))) for a, b, c in claim.rows)
        return negate(every(fine))
    if isinstance(claim, Denied):
        return negate(every(map(write_out, claim.claims)))
    return claim


def evaluate(condition: Cond, values: Mapping[Symbol, bool]) -> bool:
    """Evaluate a condition concretely; a symbol without a value is false."""
    return evaluate_all([condition], values)[0]


def evaluate_all(conditions: Sequence[Cond], values: Mapping[Symbol, bool]) -> list[bool]:
    """Evaluate conditions concretely, what they share but once."""
    done: dict[Term, bool] = {}
    todo = [c for c in conditions if isinstance(c, Term)]
    while todo:
        here = todo[-1]
        if isinstance(here, Symbol):
            done[here] = values.get(here, False)
        elif here not in done:
            waiting = [a for a in here.args if a not in done]
            if waiting:
                todo.extend(waiting)
                continue
            parts = [done[a] for a in here.args]
            if here.op == "not":
                done[here] = not parts[0]
            elif here.op == "and":
                done[here] = parts[0] and parts[1]
            else:
                done[here] = parts[1] if parts[0] else parts[2]
        todo.pop()
    return [c if isinstance(c, bool) else done[c] for c in conditions]


def facts(condition: Cond) -> dict[Term, Cond]:
    """Return what is known of terms where a condition holds."""
    known: dict[Term, Cond] = {}
    todo = [condition]
    while todo:
        here = todo.pop()
        if isinstance(here, bool):
            continue
        if here.op == "and":
            todo.extend(here.args)
        elif here.op == "not":
            known[here.args[0]] = False
        else:
            known[here] = True
    return known


# -- vectors -----------------------------------------------------------------------------

Atom = int | Term | tuple[Word, int]
"""One piece: constant bits, one term, or bits of a word from some bit on."""


class Bits:
    """A vector as pieces of (width, atom), least significant first."""

    __slots__ = ("_symbols", "pieces")

    def __init__(self, pieces: tuple[tuple[int, Atom], ...]) -> None:
        self.pieces = pieces
        self._symbols: frozenset[Symbol] | None = None

    @property
    def width(self) -> int:
        """Number of bits."""
        total = 0
        for width, _ in self.pieces:
            total += width
        return total

    @property
    def value(self) -> int | None:
        """The constant that this vector is, None where a bit is open."""
        result = shift = 0
        for width, atom in self.pieces:
            if not isinstance(atom, int):
                return None
            result |= atom << shift
            shift += width
        return result

    def identical(self, other: Bits) -> bool:
        """Tell whether two vectors are built alike."""
        return self.pieces == other.pieces or self.conditions() == other.conditions()

    @property
    def symbols(self) -> frozenset[Symbol]:
        """All symbols in the vector, which keeps them for the next one who asks."""
        if self._symbols is None:
            met = _met(atom for _, atom in self.pieces if isinstance(atom, Term))
            runs = [(width, atom) for width, atom in self.pieces if isinstance(atom, tuple)]
            bits = (word.bit(low + i) for width, (word, low) in runs for i in range(width))
            self._symbols = met.union(bits)
        return self._symbols

    def conditions(self) -> list[Cond]:
        """Return the vector bit by bit."""
        found: list[Cond] = []
        for width, atom in self.pieces:
            if isinstance(atom, int):
                found.extend(bool(atom >> i & 1) for i in range(width))
            elif isinstance(atom, tuple):
                found.extend(atom[0].bit(atom[1] + i) for i in range(width))
            else:
                found.append(atom)
        return found

    def map(self, change: Callable[[Cond], Cond]) -> Bits:
        """Return the vector with every term of it changed."""
        found: list[tuple[int, Atom]] = []
        for width, atom in self.pieces:
            if isinstance(atom, int):
                found.append((width, atom))
                continue
            old = [atom] if isinstance(atom, Term) else _bit_by_bit(width, atom)
            new = [change(c) for c in old]
            if new == old:
                found.append((width, atom))
            else:
                found += [(1, int(c) if isinstance(c, bool) else _run(c)) for c in new]
        return Bits(_merged(found))

    def evaluate(self, values: Mapping[Symbol, bool]) -> int:
        """Evaluate the vector concretely."""
        return sum(on << i for i, on in enumerate(evaluate_all(self.conditions(), values)))


def constant(width: int, value: int) -> Bits:
    """Return a constant vector."""
    return Bits(((width, value & ((1 << width) - 1)),)) if width else Bits(())


def low_bits(width: int, word: Word) -> Bits:
    """Return the low bits of a word."""
    return Bits(((width, (word, 0)),))


def from_cond(c: Cond, width: int = 1) -> Bits:
    """Return 0 or 1 in a vector."""
    if width == 1:
        return Bits(((1, _atom(c)),))
    return join((Bits(((1, _atom(c)),)), constant(width - 1, 0)))


def _atom(c: Cond) -> Atom:
    return int(c) if isinstance(c, bool) else c


def from_conditions(conditions: Iterable[Cond]) -> Bits:
    """Return a vector of some conditions, the first one least significant."""
    pieces: list[tuple[int, Atom]] = []
    width = number = 0
    for one in conditions:
        if isinstance(one, bool):
            number |= one << width
            width += 1
            continue
        if width:
            pieces.append((width, number))
            width = number = 0
        pieces.append((1, one))
    if width:
        pieces.append((width, number))
    return Bits(tuple(pieces))


def _cut(width: int, atom: Atom, low: int, count: int) -> Atom:
    if count == width:
        return atom
    if isinstance(atom, int):
        return (atom >> low) & ((1 << count) - 1)
    assert isinstance(atom, tuple)
    return (atom[0], atom[1] + low)


def join(parts: Iterable[Bits]) -> Bits:
    """Concatenate vectors, the first one least significant, merging neighbours."""
    return Bits(_merged(piece for part in parts for piece in part.pieces))


def _merged(pieces: Iterable[tuple[int, Atom]]) -> tuple[tuple[int, Atom], ...]:
    """Return pieces with neighbours made one where they can be."""
    merged: list[tuple[int, Atom]] = []
    before, last = 0, None
    for width, atom in pieces:
        if isinstance(atom, int):
            if isinstance(last, int):
                before, last = before + width, last | atom << before
                merged[-1] = (before, last)
                continue
        elif (
            isinstance(atom, tuple)
            and isinstance(last, tuple)
            and last[0] is atom[0]
            and last[1] + before == atom[1]
        ):
            before += width
            merged[-1] = (before, last)
            continue
        before, last = width, atom
        merged.append((width, atom))
    return tuple(merged)


def cut(a: Bits, low: int, count: int) -> Bits:
    """Return COUNT bits from bit LOW on."""
    result: list[tuple[int, Atom]] = []
    at = 0
    for width, atom in a.pieces:
        start, end = max(low, at), min(low + count, at + width)
        if start < end:
            result.append((end - start, _cut(width, atom, start - at, end - start)))
        at += width
    return Bits(tuple(result))


def put(a: Bits, low: int, value: Bits) -> Bits:
    """Return the vector with the bits from LOW on replaced by VALUE."""
    high = low + value.width
    return join((cut(a, 0, low), value, cut(a, high, a.width - high)))


def resize(a: Bits, width: int, signed: bool = False) -> Bits:
    """Truncate, or extend by zeros or by the sign."""
    have = a.width
    if width <= have:
        return cut(a, 0, width)
    if not signed:
        return join((a, constant(width - have, 0)))
    sign = cut(a, have - 1, 1).conditions()[0]
    return join((a, from_conditions([sign] * (width - have))))


def _paired(a: Bits, b: Bits) -> Iterable[tuple[int, Atom, Atom]]:
    """Cut two vectors of one width at the boundaries of both."""
    if [width for width, _ in a.pieces] == [width for width, _ in b.pieces]:
        for (width, x), (_, y) in zip(a.pieces, b.pieces, strict=True):
            yield width, x, y
        return
    i = j = 0
    left, right = list(a.pieces), list(b.pieces)
    while i < len(left) and j < len(right):
        (w, x), (v, y) = left[i], right[j]
        n = min(w, v)
        yield n, _cut(w, x, 0, n), _cut(v, y, 0, n)
        if w > n:
            left[i] = (w - n, _cut(w, x, n, w - n))
        else:
            i += 1
        if v > n:
            right[j] = (v - n, _cut(v, y, n, v - n))
        else:
            j += 1


def _single(atom: Atom) -> Cond:
    """Return the bit that a piece of one bit is."""
    if isinstance(atom, Term):
        return atom
    return atom[0].bit(atom[1]) if isinstance(atom, tuple) else bool(atom)


def _bit_by_bit(width: int, atom: Atom) -> list[Cond]:
    return Bits(((width, atom),)).conditions()


def _bitwise(
    a: Bits, b: Bits, on_cond: Callable[[Cond, Cond], Cond], on_const: Callable[[int, int], int]
) -> Bits:
    result: list[tuple[int, Atom]] = []
    for width, x, y in _paired(a, b):
        if isinstance(x, int) and isinstance(y, int):
            result.append((width, on_const(x, y)))
        elif (
            isinstance(y, int)
            and y in (0, (1 << width) - 1)
            and on_cond(True, bool(y)) != on_cond(False, bool(y))
        ):
            keep = on_cond(True, bool(y)) is True
            result += [(width, x)] if keep else invert(Bits(((width, x),))).pieces
        elif width == 1:
            result.append((1, _atom(on_cond(_single(x), _single(y)))))
        else:
            pairs = zip(_bit_by_bit(width, x), _bit_by_bit(width, y), strict=True)
            result += [(1, _atom(on_cond(p, q))) for p, q in pairs]
    return _runs(Bits(tuple(result)))


def bit_and(a: Bits, b: Bits) -> Bits:
    """Return ``a & b``."""
    return _bitwise(a, b, both, lambda x, y: x & y)


def bit_or(a: Bits, b: Bits) -> Bits:
    """Return ``a | b``."""
    return _bitwise(a, b, either, lambda x, y: x | y)


def bit_xor(a: Bits, b: Bits) -> Bits:
    """Return ``a ^ b``."""
    return _bitwise(a, b, lambda x, y: negate(same(x, y)), lambda x, y: x ^ y)


def _runs(a: Bits) -> Bits:
    """Turn single symbol bits back into runs of their word."""
    return Bits(
        _merged((width, _run(one) if isinstance(one, Term) else one) for width, one in a.pieces)
    )


def _run(term: Term) -> Atom:
    """Return a term as a piece: a symbol bit as a run of its word."""
    return (term.word, term.position) if isinstance(term, Symbol) and not term.run else term


def invert(a: Bits) -> Bits:
    """Return ``~a``."""
    return from_conditions(negate(c) for c in a.conditions())


def nonzero(a: Bits) -> Cond:
    """Return whether any bit is set."""
    result: Cond = False
    for width, atom in a.pieces:
        if isinstance(atom, int):
            if atom:
                return True
            continue
        for one in _bit_by_bit(width, atom):
            result = either(result, one)
            if result is True:
                return True
    return result


def equal(a: Bits, b: Bits) -> Cond:
    """Return whether two vectors of one width are equal."""
    result: Cond = True
    for width, x, y in _paired(a, b):
        if x is y or (not isinstance(x, Term) and x == y):
            continue
        if isinstance(x, int) and isinstance(y, int):
            return False
        for p, q in zip(_bit_by_bit(width, x), _bit_by_bit(width, y), strict=True):
            result = both(result, same(p, q))
            if result is False:
                return False
    return result


def choose(c: Cond, a: Bits, b: Bits) -> Bits:
    """Return ``c ? a : b`` over vectors of one width."""
    if isinstance(c, bool):
        return a if c else b
    if a is b or a.pieces == b.pieces:
        return a
    result: list[tuple[int, Atom]] = []
    for width, x, y in _paired(a, b):
        if x is y or (not isinstance(x, Term) and x == y):
            result.append((width, x))
            continue
        if width == 1:
            result.append((1, _atom(choose_cond(c, _single(x), _single(y)))))
            continue
        pairs = zip(_bit_by_bit(width, x), _bit_by_bit(width, y), strict=True)
        result += [(1, _atom(choose_cond(c, p, q))) for p, q in pairs]
    return Bits(_merged(result))


def add(a: Bits, b: Bits, carry: Cond = False) -> Bits:
    """Return ``a + b + carry``, truncated."""
    result: list[Cond] = []
    for x, y in zip(a.conditions(), b.conditions(), strict=True):
        differ = negate(same(x, y))
        result.append(negate(same(differ, carry)))
        carry = choose_cond(differ, carry, x)
    return from_conditions(result)


MAX_TABULATED = 8


def tabulated(a: Bits, operands: Iterable[Bits] = ()) -> Bits:
    """Return a vector of few symbols with each bit as a tree of decisions on these.

    Arithmetic makes terms that are long and say little: whether a bit lies above a number
    is a comparison, and the circuit that shifts a one there and takes one away is not.  Of
    many symbols the decisions are on the terms that the OPERANDS consist of: a loop that
    counts down from one of a few numbers has as many decisions at its last turn as at its first.
    """
    read = sorted(a.symbols, key=lambda one: (one.word.name, -one.position))
    order: tuple[Term, ...] = tuple(read)
    if len(order) > MAX_TABULATED:
        order = _decided_by(operands)
    if not order:
        return a
    count = 1 << len(order)
    everything = (1 << count) - 1
    tables: dict[Term, int] = {}
    for level, one in enumerate(order):
        half = 1 << (len(order) - 1 - level)  # blocks of so many states have it clear, then set
        tables[one] = everything // ((1 << 2 * half) - 1) * ((1 << half) - 1) << half
    trees: dict[tuple[int, int], Cond] = {}

    def tree(table: int, level: int) -> Cond:
        size = 1 << (len(order) - level)
        if not table:
            return False
        if table == (1 << size) - 1:
            return True
        key = (table, level)
        if key not in trees:
            half = size >> 1
            low, high = table & ((1 << half) - 1), table >> half
            trees[key] = choose_cond(order[level], tree(high, level + 1), tree(low, level + 1))
        return trees[key]

    def drawn(condition: Cond) -> Cond:
        if isinstance(condition, (bool, Symbol)):
            return condition
        table = _table(condition, tables, everything)
        if table is None:
            return condition
        found = tree(table, 0)
        if isinstance(found, Term) and found.args:
            _DECIDED.setdefault(found, order)
        return found

    return a.map(drawn)


_DECIDED: dict[Term, tuple[Term, ...]] = {}
"""What the trees that were drawn decide on."""


def _decided_by(operands: Iterable[Bits]) -> tuple[Term, ...]:
    """Return the few terms that some vectors are trees of decisions on, nothing where many."""
    found: dict[Term, None] = {}
    for one in operands:
        for bit in one.conditions():
            if isinstance(bit, Term):
                plain = bit.args[0] if bit.op == "not" else bit
                found |= dict.fromkeys(_DECIDED.get(bit, _DECIDED.get(plain, (plain,))))
            if len(found) > MAX_TABULATED:
                return ()
    return tuple(found)


def _table(condition: Term, tables: dict[Term, int], everything: int) -> int | None:
    """Return in which of all states a condition holds, a bit for each; None if others decide."""
    todo = [condition]
    while todo:
        here = todo[-1]
        if here in tables:
            todo.pop()
            continue
        waiting = [one for one in here.args if one not in tables]
        if waiting:
            todo.extend(waiting)
            continue
        if not here.args:
            return None
        todo.pop()
        parts = [tables[one] for one in here.args]
        if here.op == "not":
            tables[here] = everything ^ parts[0]
        elif here.op == "and":
            tables[here] = parts[0] & parts[1]
        else:
            tables[here] = parts[0] & parts[1] | (everything ^ parts[0]) & parts[2]
    return tables[condition]


def subtract(a: Bits, b: Bits) -> Bits:
    """Return ``a - b``, truncated."""
    return add(a, invert(b), True)


def multiply(a: Bits, factor: int) -> Bits:
    """Return the product with a constant, truncated."""
    result = constant(a.width, 0)
    for i in range(a.width):
        if factor >> i & 1:
            result = add(result, shift_left(a, i))
    return result


def below(a: Bits, b: Bits, signed: bool = False) -> Cond:
    """Return ``a < b``."""
    left, right = a.conditions(), b.conditions()
    if signed:
        left[-1], right[-1] = negate(left[-1]), negate(right[-1])
    result: Cond = False
    for x, y in zip(left, right, strict=True):
        result = choose_cond(same(x, y), result, y)
    return result


def shift_left(a: Bits, count: int) -> Bits:
    """Return ``a << count`` for a constant count."""
    count = min(count, a.width)
    return join((constant(count, 0), cut(a, 0, a.width - count)))


def shift_right(a: Bits, count: int, signed: bool = False) -> Bits:
    """Return ``a >> count`` for a constant count."""
    count = min(count, a.width - 1 if signed else a.width)
    return resize(cut(a, count, a.width - count), a.width, signed)
