# SPDX-License-Identifier: GPL-2.0-only
"""Find the role unions of a tree, the contexts that store one, and who sets them up.

In: an index.  Out: the shape of the roles, the initialisers, and the entry points from
which a run reaches them.  Everything is told from types and stores: a role is a union
of a word and bit-fields, a context is a struct that holds one and is part of the host.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from patchtool.c import library, syntax
from patchtool.c.index import Index, calls
from patchtool.c.layout import ArrayType, CType, PointerType, RecordType, Types, settled
from patchtool.c.lower import RoleShape
from patchtool.c.scan import Definition, before, may_define, places, strip_comments
from patchtool.errors import InputError
from patchtool.model import Place
from patchtool.outside.top import require
from patchtool.world.closure import Closure
from patchtool.world.effects import PATH, Effects, given_addresses

MAX_CALLS = 8
"""How many calls above the store of a role a guard is looked for."""

_POINTED = re.compile(r"\b(\w+)\s*=\s*&\s*([\w>.-]+)\s*;")
"""A pointer that is made to point to something, and to what."""
_ROLE_MEMBER = re.compile(rb"\b((?:union|struct)\s+\w+)\s+(\w+)\s*;")
_STRUCT_MEMBER = re.compile(rb"\bstruct\s+(\w+)\s+\w+\s*(?:\[[^\]]*\]\s*)?;")
_ARGUMENTS = re.compile(rb"\s*\(")
_PROTOTYPE = re.compile(rb"^[A-Za-z_][\w \t\n*]*[ \t\n*](\w+)\s*\([^;{}]*\)[^;{}()]*;", re.M)


class Roles(NamedTuple):
    """The role machinery of one tree."""

    shape: RoleShape
    contexts: dict[str, RecordType]
    here: str
    """The file from which names are looked up: the one with the initialisers."""

    def type_of(self, member: str) -> RecordType | None:
        """Return the record that a member of the contexts is, None where it is none."""
        for record in self.contexts.values():
            known = record.by_name.get(member)
            if known is not None and isinstance(known[1], RecordType):
                return known[1]
        return None


def require_target(index: Index, label: str) -> None:
    """Refuse a folder that is no kernel tree with what is to be checked."""
    target = index.target
    require(index.text, label, target)
    if not index.own_files:
        raise InputError(
            f"{label} is a kernel tree without {target.name}: no C files in {target.folder}"
        )


def find_roles(index: Index, types: Types) -> Roles:
    """Return the role unions and the contexts of a tree.

    Whatever header declares them: but a context is one that the target itself declares, and holds
    more than roles: what holds nothing else is a key of several parts.
    """
    header = index.target.header
    unions: dict[bytes, bool] = {}
    contexts: dict[str, RecordType] = {}
    members: dict[str, tuple[str, ...]] = {}
    for tag, definitions in _embedded(index, index.target.host).items():
        for definition in definitions:
            names = []
            plain = strip_comments(definition.text)
            for key, name in _ROLE_MEMBER.findall(plain):
                if key not in unions:
                    unions[key] = _is_role(index, types, key.decode())
                names += [name.decode()] if unions[key] else []
            if names and tag != index.target.host and definition.file.startswith(index.target.ours):
                context = types.record(f"struct {tag}", header)
                # A role in a record that is defined within this one is no member of it.
                is_context = isinstance(context, RecordType) and context.by_name.keys() > {*names}
                if isinstance(context, RecordType) and is_context:
                    contexts[tag] = context
                    members[tag] = tuple(names)
    return Roles(RoleShape(members), contexts, _main_file(index, members))


def _is_role(index: Index, types: Types, tag: str, is_part: bool = False) -> bool:
    """Tell whether a union is a word over bit-fields, or a struct is made of such unions alone."""
    header = index.target.header
    record = types.record(tag, header)
    if not isinstance(record, RecordType):
        return False
    if tag.startswith("struct"):
        parts = [one for _, one in record.by_name.values()]
        return (
            not is_part
            and bool(parts)
            and all(
                isinstance(one, RecordType)
                and bool(one.tag)
                and _is_role(index, types, f"union {one.tag}", True)
                for one in parts
            )
        )
    return record.is_word and any(
        syntax.captures("role_union", index.node(one)) for one in index.record(tag, header)
    )


def _embedded(index: Index, tag: str) -> dict[str, tuple[Definition, ...]]:
    """Return the structs that are part of one of them by value, itself included."""
    header = index.target.header
    found: dict[str, tuple[Definition, ...]] = {tag: index.record(f"struct {tag}", header)}
    todo = [tag]
    for here in todo:
        for definition in found[here]:
            for name in _STRUCT_MEMBER.findall(strip_comments(definition.text)):
                inner = name.decode()
                if inner not in found:
                    found[inner] = index.record(f"struct {inner}", header)
                    todo.append(inner)
    return found


def _main_file(index: Index, members: dict[str, tuple[str, ...]]) -> str:
    """Return the file that mentions stored roles most often."""
    words = [name.encode() for names in members.values() for name in names]
    best = (0, index.target.main)
    for path in index.own_files:
        if path.endswith(".c"):
            held = index.words_in(path).intersection(words)
            data = index.raw(path) or b""
            count = sum(data.count(word) for word in held)
            if count > best[0]:
                best = (count, path)
    return best[1]


def initialisers(index: Index, roles: Roles) -> list[Definition]:
    """Return the functions that store a whole role into a context."""
    names = {name for members in roles.shape.contexts.values() for name in members}
    words = [name.encode() for name in names]
    near_store = re.compile(
        rb"\b(?:%s)\b[^;{}]*?(?<![=!<>])=(?!=)|mem\w+\s*\(|WRITE_ONCE|_release\b|\bswap\b|xchg"
        rb"|=\s*&\s*[\w>.-]*\b(?:%s)\s*;" % ((b"|".join(words),) * 2)
    )
    found: list[Definition] = []
    for path in index.own_files:
        if not path.endswith(".c"):
            continue
        held = index.words_in(path).intersection(words)
        file = index.file(path) if held else None
        if file is None:
            continue
        near = [at for word in held for at in places(file.data, word)]
        for inside in dict.fromkeys(map(file.function_at, near)):
            for definition in file.functions.get(inside or "", ()):
                if near_store.search(definition.text) and _stores_role(
                    index, definition, roles, names
                ):
                    found.append(definition)
    return sorted(found, key=lambda d: (d.file, d.start))


def _stores_role(index: Index, definition: Definition, roles: Roles, names: set[str]) -> bool:
    """Tell whether a function stores a role, or a whole word of one; zero only clears it."""
    pointers = dict(_POINTED.findall(definition.text.decode("utf-8", "replace")))
    for match in syntax.matches("role_store", index.node(definition)):
        for target in match.get("role.target", ()):
            value = target.parent.child_by_field_name("right") if target.parent else None
            if value is not None and re.fullmatch(r"0(?:[uU]?[lL]{0,2})", syntax.text(value)):
                continue
            words = re.findall(r"\w+", syntax.text(target))
            if words and words[0] in pointers:
                words[:1] = re.findall(r"\w+", pointers[words[0]])
            at = next((i for i, w in enumerate(words) if w in names and i), None)
            if at is not None and _is_whole(roles, words[at], ".".join(words[at + 1 :])):
                return True
    return False


def _is_whole(roles: Roles, member: str, rest: str) -> bool:
    """Tell whether a path below a role names the role, a part of it, or a word over bits."""
    for record in roles.contexts.values():
        known = record.by_name.get(member)
        if known is None or not isinstance(known[1], RecordType):
            continue
        slot = known[1].slots.get(rest)
        if not rest or slot is None or isinstance(slot[2], RecordType):
            return True
        low, width, _ = slot
        return any(
            low <= at and at + count <= low + width and count < width
            for at, count, _ in known[1].slots.values()
        )
    return False


class SetUp(NamedTuple):
    """What the set-ups of a tree store: members of the contexts, and of records in these."""

    fields: frozenset[str]
    inner: frozenset[str]


def set_up_members(index: Index, roles: Roles, starts: list[Definition]) -> SetUp:
    """Return the members that may be stored where a context is set up.

    Looked at are the initialisers, those whom they hand a context or a part of one, who calls
    an initialiser with one, and whom initialisers alone call.  What a run stores tells which
    of them are fields.
    """
    keys = {name for held in roles.shape.contexts.values() for name in held}
    names: set[str] = set()
    parts: dict[str, tuple[RecordType, ...]] = {}
    strangers = {index.target.host, index.target.handle, index.target.shared, *roles.contexts}
    for record in roles.contexts.values():
        for name in record.by_name:
            if name in keys:
                continue
            names.add(name)
            ctype = record.by_name[name][1]
            if isinstance(ctype, PointerType) and ctype.target is not None:
                ctype = settled(ctype.target)
            parts[name] = tuple(one for one in _records_in(ctype) if one.tag not in strangers)
    below = (part.tag for some in parts.values() for part in some if part.tag)
    tags = "|".join({*roles.contexts, *below})
    takes = re.compile(rf"\bstruct\s+(?:{tags})\s*\*".encode())
    stores = re.compile(
        rb"(?:->|\.)\s*(\w+)\b" + PATH + rb"\s*(?:[-+|&^]|<<|>>)?=(?!=)"
        rb"|&\s*[\w>.-]*(?:->|\.)\s*(\w+)\b"
        rb"|\b(?:" + library.FILLERS + rb")\s*\([\s\w>.-]*(?:->|\.)\s*(\w+)\s*,"
    )
    given = re.compile(given_addresses(sorted(name.encode() for name in _addresses(roles))))
    found: set[str] = set()
    closure = Closure(index, lambda _: ())
    todo, seen = list(starts), set()
    for start in starts:
        todo += [d for d in callers(index, start.name, start.file) if takes.search(d.text)]
    while todo:
        here = todo.pop()
        if here.key in seen:
            continue
        seen.add(here.key)
        body = strip_comments(here.text.partition(b"{")[2])
        for match in stores.finditer(body):
            found.update(name.decode() for name in match.groups() if name is not None)
        found.update(name.decode() for name in given.findall(body))
        found |= closure.stored_in(here, frozenset(names))
        for name in calls(body):
            for one in index.functions(name, here.file):
                if takes.search(one.text.partition(b"{")[0]):
                    todo.append(one)
    for one in _helpers(index, starts):
        if one.key not in seen:
            found |= closure.stored_in(one, frozenset(names))
    fields = frozenset(found & names)
    inner = {n for field in fields for part in parts[field] for n in part.by_name}
    return SetUp(fields, frozenset(inner))


def _records_in(ctype: CType) -> Iterator[RecordType]:
    """Yield the records that lie in something by value, those in arrays included."""
    while isinstance(ctype, ArrayType):
        ctype = ctype.element
    if isinstance(ctype, RecordType) and not ctype.is_word:
        yield ctype
        for _, inner in ctype.by_name.values():
            yield from _records_in(inner)


def _helpers(index: Index, starts: list[Definition]) -> Iterator[Definition]:
    """Yield the functions that nobody calls but initialisers, and such functions."""
    own = {one.name for one in starts}
    fresh = list(starts)
    while fresh:
        here = fresh.pop()
        for name in calls(here.text.partition(b"{")[2]) - own:
            if all(user.name in own for _, user in index.users(name) if user.name != name):
                own.add(name)
                helpers = index.functions(name, here.file)
                fresh += helpers
                yield from helpers


def compares_roles(index: Index, roles: Roles, starts: list[Definition]) -> bool:
    """Tell whether an initialiser, or who calls it, reads a stored role or has it compared.

    Broader than the guards that the queries know: whatever reads a role may skip by it.
    """
    names = "|".join(sorted({n for held in roles.shape.contexts.values() for n in held}))
    compare = r"(?:==|!=|\^|-(?![>-]))"
    pattern = re.compile(
        rf"\b(?:{names})\b(?:\s*(?:\.|->)\s*\w+)*[\s)]*{compare}"
        rf"|{compare}[\s(!~&*]*(?:\w+\s*(?:\.|->)\s*)*(?:{names})\b"
        rf"|\bmemcmp\s*\([^;]*\b(?:{names})\b".encode()
    )
    read = re.compile(
        rf"(?:->|\.)\s*(?:{names})\b(?:\s*(?:\.|->)\s*\w+)*\s*(?!\s|=(?!=)|\w|\.|->)".encode()
    )
    near = {d.key: d for d in starts}
    for start in starts:
        near.update({d.key: d for d in callers(index, start.name, start.file)})
    seen = dict(near)
    fresh = list(near.values())
    for _ in range(MAX_CALLS):  # a guard may stand any number of calls above the store
        if any(read.search(strip_comments(d.text)) for d in fresh):
            return True
        above = [d for one in fresh for d in callers(index, one.name)]
        fresh = [d for d in {one.key: one for one in above}.values() if d.key not in seen]
        seen.update({d.key: d for d in fresh})
    if any(_undefined_calls(index, d) for d in near.values()):
        return True
    for one in list(near.values()):
        for name in calls(one.text.partition(b"{")[2]):
            near.update({d.key: d for d in index.visible(name, one.file)})
    return any(pattern.search(strip_comments(d.text)) for d in near.values())


def callers(index: Index, name: str, only: str | None = None) -> list[Definition]:
    """Return the functions of the target, or those of one file, that call a function."""
    found: list[Definition] = []
    for _, definition in index.users(name, only):
        if definition.name != name and _calls(index.node(definition), name):
            found.append(definition)
    return found


def _calls(node: syntax.Node, name: str) -> bool:
    """Tell whether a function calls another one, or could where it is not parsed."""
    called = (m["call.function"][0] for m in syntax.matches("call_site", node))
    if any(syntax.text(one) == name for one in called):
        return True
    body = (node.text or b"").partition(b"{")[2]
    return (node.has_error or b"#" in body) and name in calls(body)


def relevant_members(roles: Roles, fields: frozenset[str]) -> frozenset[str]:
    """Return the member names that a call must not write without being followed."""
    names = {name for held in roles.shape.contexts.values() for name in held}
    return frozenset(names | fields)


_DIRECT = re.compile(rb"(?<![\w.>])([a-z_]\w*)\s*\(")


def _undefined_calls(index: Index, definition: Definition) -> list[str]:
    """Return what a function calls that is neither a function nor a macro of the kernel's."""
    body = strip_comments(definition.text.partition(b"{")[2])
    names = {m.group(1).decode() for m in _DIRECT.finditer(body)} & calls(body)
    return sorted(
        name
        for name in names
        if not index.functions(name, definition.file)
        and not index.macros(name, definition.file)
        and not library.is_builtin(name, index.target)
        and not re.search(rb"\b" + name.encode() + rb"\b(?!\s*\()", definition.text)
    )


def _bound_at(text: bytes, pointer: bytes) -> Iterator[int]:
    """Yield where a member that is a pointer is made to point to something named."""
    for match in re.finditer(pointer + rb"\s*=\s*&", text):
        at = match.start()
        if before(text, at).endswith((b"->", b".")):
            yield at


def undefined_set_ups(index: Index, roles: Roles) -> list[tuple[str, Place]]:
    """Return what is called, and defined nowhere, where a host's contexts are chosen."""
    target = index.target
    host = b"".join(d.text for d in index.record(f"struct {target.host}", target.header))
    tags = b"|".join(tag.encode() for tag in roles.contexts)
    pointers = re.findall(rb"\bstruct\s+(?:" + tags + rb")\s*\*\s*(\w+)\s*;", strip_comments(host))
    if not pointers:
        return []
    found: dict[str, Place] = {}
    for path in index.own_files:
        if not path.endswith(".c") or index.words_in(path).isdisjoint(pointers):
            continue
        data = index.text(path) or b""
        chosen = [at for word in pointers for at in _bound_at(data, word)]
        file = index.file(path) if chosen else None
        if file is None:
            continue
        names = dict.fromkeys(map(file.function_at, chosen))
        near = [d for name in names for d in file.functions.get(name or "", ())]
        for one in list(near):
            for name in calls(one.text.partition(b"{")[2]):
                near.extend(file.functions.get(name, ()))
        for one in near:
            for name in _undefined_calls(index, one):
                if name.startswith(target.calls):
                    found.setdefault(name, Place(one.file, one.line, 1, one.name))
    return list(found.items())


def missing_functions(index: Index, entries: set[str]) -> list[tuple[str, Place]]:
    """Return functions declared beside an entry that the target calls and nobody defines."""
    found: list[tuple[str, Place]] = []
    wanted = [entry.encode() for entry in entries]
    for path in index.own_files:
        if path.endswith(".c") or index.words_in(path).isdisjoint(wanted):
            continue
        names = [m.group(1) for m in _PROTOTYPE.finditer(index.text(path) or b"")]
        if not any(entry in names for entry in wanted):
            continue
        for name in dict.fromkeys(names):
            place = None if index.is_seen(name.decode()) else _undefined(index, name)
            if place is not None:
                found.append((name.decode(), place))
    return found


def _undefined(index: Index, name: bytes) -> Place | None:
    """Return where a function is called that no file of the target defines."""
    called: Place | None = None
    for file in index.files_with(name):
        if name.decode() in file.functions or name.decode() in file.defines:
            return None
        if may_define(file.data, name):
            return None
        if called is None and file.path.endswith(".c"):
            for at in places(file.data, name):
                if _ARGUMENTS.match(file.data, at + len(name)):
                    line = file.line(at)
                    called = Place(file.path, line, 1, file.function_at(at) or "")
                    break
    return called


def make_effects(
    index: Index,
    roles: Roles,
    fields: frozenset[str],
    starts: Iterable[Definition] = (),
    types: Types | None = None,
) -> Effects:
    """Return what calls may write, for the roles and some fields of a tree.

    STARTS are the functions that set a context up, and TYPES those that have been looked up,
    where they are known.
    """
    names = frozenset(start.name for start in starts)
    members = relevant_members(roles, fields)
    held = members & frozenset(_addresses(roles))
    return Effects(index, members, frozenset(roles.contexts), names, types, held)


def _addresses(roles: Roles) -> Iterator[str]:
    """Yield the members of contexts whose value is an address: of an array, or of an object."""
    for context in roles.contexts.values():
        for record in _records_in(context):
            for name, (_, ctype) in record.by_name.items():
                is_object = isinstance(ctype, PointerType) and ctype.target is not None
                if isinstance(ctype, ArrayType) or is_object:
                    yield name
