# SPDX-License-Identifier: GPL-2.0-only
"""Objects of the host that are alike for all that they serve and at all times, and why."""

from __future__ import annotations

import re
from collections.abc import Iterator

from patchtool.c import library, syntax
from patchtool.c.index import is_static, parameter_names
from patchtool.c.layout import (
    GRANTED,
    ArrayType,
    CType,
    PointerType,
    RecordType,
    UnknownType,
    settled,
)
from patchtool.c.lower import Trouble
from patchtool.c.memory import Fact, Loc
from patchtool.c.scan import WORDS, Definition, before, strip_comments
from patchtool.c.syntax import text
from patchtool.proof.bits import Word
from patchtool.world.accounts.mentions import Mentions
from patchtool.world.accounts.sites import Mention
from patchtool.world.closure import macros_with
from patchtool.world.entries import Tree
from patchtool.world.inputs.births import Births
from patchtool.world.inputs.changes import Changes
from patchtool.world.inputs.features import may_change, unclear_use
from patchtool.world.inputs.loading import only_at_load
from patchtool.world.inputs.wholes import fillers
from patchtool.world.users import users

_TOLD_OF = re.compile(
    rb"(?:EXPORT_\w+|(?:core_|late_)?module_param\w*|MODULE_PARM_DESC"
    rb"|(?:DEFINE|DECLARE)_STATIC_KEY_\w+)\s*\([^;]*\Z"
)
_READABLE = re.compile(rb"0[0145]{0,3}|S_IR(?:UGO|USR|GRP|OTH)")
"""A mode, or a part of one, by which nobody writes."""
_LASTING = ("static", "extern")
"""What says of a variable of a function that it holds what it does from call to call."""
_WORD = re.compile(rb"[A-Za-z_]\w*")
_QUOTED = re.compile(rb'"(?:[^"\\\n]|\\.)*"')
_LINE_OF_CPP = re.compile(rb"^[ \t]*#.*$", re.M)
_CLEARED = re.compile(rb"\s*=\s*NULL\s*;")
"""What follows a pointer to a table through which nothing can be called from then on."""
_BY_NAME = re.compile(r"\(*[A-Za-z_]\w*\)*\s*\.")
"""What a member of an object begins with that has a name, and is followed through nothing."""
PARAMETER = re.compile(rb"module_param(\w*)\s*\(([^;]*)\)\s*;")
"""The declaration of a parameter of a module: of which kind, and what it is given."""


def host_constant(tree: Tree, word: Word) -> str | None:
    """Say why a word that all share is alike at all times; None where it may change."""
    known = tree.constants
    if word.name not in known:
        known[word.name] = _constant(tree, word)
    return known[word.name]


def _constant(tree: Tree, word: Word) -> str | None:
    if isinstance(word.about, Fact) and word.about.kind == "operation":
        if is_set_late(tree, word.about.name):
            return None
        each = tree.index.target.each
        return f"the vendor module is the same for all {each}s ({word.about.name})"
    fixed = tree.index.target.registers.fixed
    if isinstance(word.about, Fact) and word.about.kind == "host":
        if _changing_below(tree, word.about.name) is not None:
            return None
        if may_change(tree, word.name) or _is_capability_stored_late(tree):
            return None
        return f"the CPU of the host does not change ({word.name})"
    if isinstance(word.about, Loc) and word.about.root.name in fixed:
        if _is_stored_late(tree, word.about.root.name, word.about.path):
            return None
        return f"the host and its modules do not change ({word.name})"
    symbol = word.name
    name = re.match(r"\w+", symbol)
    if isinstance(word.about, Fact) and word.about.kind in ("option", "variant"):
        return f"{symbol} is a build option"
    if name is None:
        return None
    declared = tree.index.declaration(name.group(), tree.roles.here)
    where = f"{declared[0]}:{declared[1]}" if declared is not None else tree.roles.here
    mark = re.search(r"__read_mostly|__ro_after_init|\bconst\b", declared[2]) if declared else None
    writers, late = _writers(tree, name.group())
    if late or _is_writable_parameter(tree, name.group().encode()):
        return None
    if mark is not None:
        return f"{symbol} is set at module load ({mark.group()}, {where})"
    if not writers and not _is_defined(tree, name.group(), declared[2] if declared else None):
        return None  # what others define they store to
    if not writers:
        return f"{symbol} is never assigned to in {tree.index.target.short} ({where})"
    names = ", ".join(sorted({f"{writer.name}()" for writer in writers.values()}))
    return f"{symbol} is set at module load ({names}, {where})"


def is_set_late(tree: Tree, operation: str) -> bool:
    """Tell whether an operation may be given another function behind module load."""
    if operation not in tree.set_late:
        tree.set_late[operation] = _is_set_late(tree, operation)
    return tree.set_late[operation]


def _is_set_late(tree: Tree, operation: str) -> bool:
    tables: set[tuple[str, str]] = set()
    for name in tree.index.target.registers.fixed:
        types = tree.objects.of_file_scope(name, tree.roles.here)
        ways = [way for one in types for way in _ways_to(one, operation)]
        tables.update((tag, name) for _, tags in ways for tag in tags)
        for one in _writers(tree, name)[1] if ways else ():
            is_late = one.function is not None and any(_may_be(one.below, way) for way, _ in ways)
            if is_late and not _is_cleared(tree, one):
                return True
    filling = (one for tag, name in sorted(tables) for one in fillers(tree, tag, name))
    return any(
        one is None or not only_at_load(tree, one)
        for some in (tree.effects.setters(operation), filling)
        for one in some
    ) or any(tree.pasting.uses((operation,)))


def _ways_to(
    table: CType, operation: str, above: frozenset[str] = frozenset()
) -> Iterator[tuple[tuple[str, ...], frozenset[str]]]:
    """Yield the members that lead from an object to an operation, and the tables behind pointers.

    The members go no further than to the first pointer.  The tables, by their tags, are those
    with the operation in them: each is stored to as a whole by another way than by its object.
    """
    is_pointer = isinstance(table, PointerType)
    record = settled(table.target) if isinstance(table, PointerType) else table
    if not isinstance(record, RecordType) or record.tag in above:
        return
    for name, (_, ctype) in record.by_name.items():
        if name == operation:
            yield (name,), frozenset((record.tag,) if is_pointer else ())
        for way, tags in _ways_to(ctype, operation, above | {record.tag}):
            is_behind = isinstance(ctype, PointerType)
            around = {record.tag} if is_pointer and not is_behind else set[str]()
            yield (name,) if is_behind else (name, *way), tags | around


def _is_cleared(tree: Tree, mention: Mention) -> bool:
    """Tell whether a mention of a pointer is a store of NULL."""
    file, place = tree.index.file(mention.place.file), mention.place
    if file is None:
        return False
    end = file.offset(place.line, place.column) + len(mention.name)
    return _CLEARED.match(file.data, end) is not None


def _is_defined(tree: Tree, name: str, declared: str | None) -> bool:
    """Tell whether the text itself defines an object that is declared, or a macro declares."""
    word = name.encode()
    if declared is None:
        made = re.compile(rb"^(?:static\s+)?DEFINE_\w+\s*\((?:[^();]*,)?\s*%s\s*[,)]" % word, re.M)
        return any(made.search(data) is not None for _, data in tree.index.texts_with(word))
    if declared.split(maxsplit=1)[:1] != ["extern"]:
        return True
    defined = re.compile(
        rb"^(?!extern\b|[ \t#])[\w \t*]*[ \t*]%s\b[ \t]*(?:\[[^;=]*\][ \t]*)*(?:__\w+[ \t]*)*[=;]"
        % word,
        re.MULTILINE,
    )
    return any(defined.search(data) is not None for _, data in tree.index.texts_with(word))


def _may_be(below: tuple[str, ...], path: tuple[str, ...]) -> bool:
    """Tell whether one of two members of an object is, or is within, the other."""
    pairs = zip(below, path, strict=False)
    return all(one == other or (one[:1] == "[" and other[:1] == "[") for one, other in pairs)


def _changing_below(tree: Tree, name: str) -> str | None:
    """Return what may change, and by which a function of the text answers.

    That is an object, or what is not known to be none: a name that is neither a variable, nor a
    number, nor a function that is looked at here or answers by what it is given.
    """
    index, target = tree.index, tree.index.target
    todo, seen = [(name, target.main)], {(name, target.main)}
    while todo:
        one, here = todo.pop()
        found = [
            each
            for each in (*index.functions(one, here), *index.macros(one, here))
            if each.file.startswith(target.ours)
        ]
        for each in found:
            more = {(word, each.file) for word in _answered_by(tree, each)} - seen
            seen |= more
            todo += sorted(more)
        declared = index.declaration(one, here)
        if declared is not None and declared[0].startswith(target.ours):
            if "const" not in declared[2].split() and is_fixed(tree, one) is None:
                return one
        elif not found and one != name and not _is_number(tree, one, here):
            objects = index.objects(one, here)
            if not objects or not all(map(_is_const, objects)):
                return one
    return None


def _is_const(found: Definition) -> bool:
    """Tell whether an object that is initialised cannot be stored to."""
    _, _, own = found.text.partition(b"=")[0].rpartition(b"*")
    return b"const" in own.split()


def _answered_by(tree: Tree, found: Definition) -> set[str]:
    """Return the names by which a function or a macro answers: no variable, parameter or member.

    A variable that keeps what it holds is named all the same.
    """
    given = set(parameter_names(found))
    root = tree.index.node(found) if found.kind == "function" else None
    if root is None or root.has_error:
        spelt = _QUOTED.sub(b'""', strip_comments(found.text))
        words = {
            one[0].decode()
            for one in _WORD.finditer(spelt)
            if not before(spelt, one.start()).endswith((b".", b"->", b"##"))
            and not spelt[one.end() :].lstrip().startswith(b"##")
        }
        return words - given - GRANTED - {found.name}
    own, names = set(tree.objects.variables(root)), set[str]()
    for node in syntax.descendants(root):
        if node.type == "declaration" and any(text(one) in _LASTING for one in node.children):
            own -= set(re.findall(r"\w+", text(node)))
        elif node.type == "identifier" and not _is_of_macro(node):
            names.add(text(node))
    return names - own - given - GRANTED - {found.name}


def _is_of_macro(node: syntax.Node) -> bool:
    """Tell whether a word names a parameter of a macro that is defined within a function."""
    return node.parent is not None and node.parent.type == "preproc_params"


def _is_number(tree: Tree, name: str, here: str) -> bool:
    """Tell whether a name is a constant, or what answers by its arguments, or by the CPU alone."""
    index, registers = tree.index, tree.index.target.registers
    return (
        bool(index.enumerators(name, here))
        or name.isupper()
        or re.fullmatch(registers.tables.feature, name) is not None
        or re.fullmatch(registers.host_queries, name) is not None
        or library.is_builtin(name, index.target)
        or library.answers_by_arguments(name, index.target)
        or name in library.BIT_OPERATIONS
    )


def _is_capability_stored_late(tree: Tree) -> bool:
    """Tell whether the record in which all features of the host are may be another one later."""
    name, member = tree.index.target.registers.tables.capabilities
    return bool(name) and _is_stored_late(tree, name, (member,))


def is_fixed(tree: Tree, name: str) -> tuple[Definition, ...] | None:
    """Return what stores to an object of the host, None where that may run behind module load."""
    writers, late = _writers(tree, name)
    if late or _is_writable_parameter(tree, name.encode()):
        return None
    return tuple(writers.values())


def unclear_change(tree: Tree, word: Word) -> Mention | Trouble | None:
    """Return how an object of the host may change, where nothing is known to store to it.

    None where something is, or where nothing may change it.  Known is a store by its name, and
    one through a pointer to its type where its address is given away.
    """
    found = re.match(r"\w+", word.name)
    name = found.group() if found is not None else None
    if isinstance(word.about, Fact) and word.about.kind == "host":
        name = _changing_below(tree, word.about.name)
        if name is None:
            is_stored = _is_capability_stored_late(tree)
            return None if is_stored else unclear_use(tree, word.name)
    if name is None or _is_writable_parameter(tree, name.encode()):
        return None
    late = _writers(tree, name)[1]
    if any(one.kind == "store" for one in late) or _is_stored_through(tree, word):
        return None
    return next(iter(late), None)


def _is_stored_through(tree: Tree, word: Word) -> bool:
    """Tell whether a member of an object is stored to late, through a pointer to its record."""
    loc = word.about
    return isinstance(loc, Loc) and any(
        is_late for _, is_late in _through_pointers(tree, loc.root.name, loc.path)
    )


def _is_stored_late(tree: Tree, name: str, path: tuple[str, ...]) -> bool:
    """Tell whether a member of an object of the host may be stored to behind module load.

    That is by the name of the object, through a pointer to its record, or with all of that.
    """
    if any(
        one.function is not None
        and one.below
        and _may_be(one.below, path)
        and tree.index.target.owns(one.place.file)
        for one in _writers(tree, name)[1]
    ):
        return True
    return any(
        is_late
        or any(one is None or not only_at_load(tree, one) for one in fillers(tree, tag, name))
        for tag, is_late in _through_pointers(tree, name, path)
    )


def _through_pointers(tree: Tree, name: str, path: tuple[str, ...]) -> Iterator[tuple[str, bool]]:
    """Yield the record that holds a member of an object, and whether one is stored to late."""
    for here in tree.objects.of_file_scope(name, tree.roles.here):
        if isinstance(here, PointerType):
            here = settled(here.target)
        holder, member = None, ""
        for step in path:
            if isinstance(here, ArrayType) and step[:1] == "[":
                here = here.element
            elif isinstance(here, RecordType) and step in here.by_name:
                holder, member, here = here, step, here.by_name[step][1]
            else:
                break
        else:
            if holder is not None:
                book = Mentions(tree.index, tree.types, {member: frozenset((holder.tag,))})
                through = [
                    one.function
                    for one in book.of(member)
                    if _BY_NAME.match(one.what) is None and _may_store(tree, one)
                ]
                yield holder.tag, any(one is None or _runs_late(tree, one) for one in through)


def _may_store(tree: Tree, mention: Mention) -> bool:
    """Tell whether a member is stored to, or the text of the target does what may store to it.

    What an object is given to begin with is no store.
    """
    if mention.kind == "store":
        return mention.function is not None
    is_ours = mention.place.file.startswith(tree.index.target.built_from)
    if mention.kind != "open" or not is_ours:
        return False
    file = tree.index.file(mention.place.file) if mention.function is None else None
    return file is None or not any(
        file.objects_around(file.offset(mention.place.line, mention.place.column))
    )


def _runs_late(tree: Tree, function: Definition) -> bool:
    """Tell whether a function is known to run behind module initialisation too."""
    return not only_at_load(tree, function) and (
        not is_static(function) or any(users(tree.index, tree.objects.files, function))
    )


def _writers(tree: Tree, name: str) -> tuple[dict[tuple[str, str, int], Definition], list[Mention]]:
    """Return the functions that may store to an object, and the mentions that may run late."""
    writers: dict[tuple[str, str, int], Definition] = {}
    late: list[Mention] = []
    for mention in tree.objects.of(name):
        function = mention.function
        if mention.kind not in ("store", "open"):
            continue
        if function is None:
            if not _is_told_of(tree, mention):
                late.append(mention)
            continue
        users = [function]
        if function.kind == "macro":
            users = [user for _, user in tree.index.users(function.name)]
        writers.update((user.key, user) for user in users)
        if not all(only_at_load(tree, user) for user in users) or _is_kept(tree, mention):
            late.append(mention)
    for place, _, macro in tree.pasting.uses((name,)):
        late.append(Mention(place, name, "open", name, reason=f"{macro}() pastes its name"))
    if (where := tree.assembled.get(name.encode())) is not None:
        late.append(Mention(where, name, "open", name, reason="assembler text names it"))
    return writers, late


def _is_kept(tree: Tree, mention: Mention) -> bool:
    """Tell whether the address of an object goes where it may be used later.

    It does not where it is an argument of what is known to fill it, or of a function that no
    more than names members behind it.
    """
    function, file = mention.function, tree.index.file(mention.place.file)
    if mention.kind != "open" or function is None or function.kind != "function" or not file:
        return False
    at = file.offset(mention.place.line, mention.place.column) - function.start
    here = tree.index.node(function).descendant_for_byte_range(at, at + len(mention.name))
    while (
        here is not None
        and here.parent is not None
        and (
            here.parent.type in ("parenthesized_expression", "subscript_expression")
            or (here.parent.type == "field_expression" and here.parent.children[0] == here)
        )
    ):
        here = here.parent
    address = here.parent if here is not None else None
    if address is None or address.type not in ("pointer_expression", "argument_list"):
        return True
    listed = address.parent if address.type == "pointer_expression" else address
    if here is None or listed is None or listed.type != "argument_list" or not listed.parent:
        return True
    callee = listed.parent.child_by_field_name("function")
    name = text(callee) if callee is not None else ""
    given = address if address != listed else here
    number = syntax.inner(listed).index(given)
    called = tree.index.functions(name, function.file)
    ours = tree.index.target.ours
    if tree.index.macros(name, function.file) or not any(
        one.file.startswith(ours) for one in called
    ):
        return not (
            library.keeps_nothing(name, number)
            or (address == listed and not _is_array(tree, mention, given, function))
        )
    changes = Changes(tree, Births(tree))
    return not all(
        changes.follows(one, number, tree.objects)
        and not changes.gives_away(one, number, tree.objects)
        for one in called
    )


def _is_array(tree: Tree, mention: Mention, given: syntax.Node, function: Definition) -> bool:
    """Tell whether what is given is an array, or not known to be none: its value is an address."""
    if given.type == "identifier":
        types = tree.objects.of_file_scope(mention.name, function.file)
        return not types or any(isinstance(one, ArrayType) for one in types)
    ctype = tree.objects.type_of(given, tree.index.node(function), function.file)
    return isinstance(ctype, (ArrayType, UnknownType))


def _is_told_of(tree: Tree, mention: Mention) -> bool:
    """Tell whether an object is exported, or is a parameter, where it is named at file scope."""
    data = tree.index.text(mention.place.file) or b""
    start = 0
    for _ in range(mention.place.line - 1):
        start = data.find(b"\n", start) + 1
    lead = data[: start + mention.place.column - 1]
    begin = max(lead.rfind(b";"), lead.rfind(b"}")) + 1
    return _TOLD_OF.match(_LINE_OF_CPP.sub(b"", lead[begin:]).lstrip()) is not None


def _is_writable_parameter(tree: Tree, name: bytes) -> bool:
    """Tell whether an object is a parameter of a module that may be written at any time.

    It may be declared by a macro that stands for the object.
    """
    names, fresh = {name}, frozenset((name,))
    while fresh:
        more = macros_with(tree.index, tree.index.own_files, fresh)
        fresh = frozenset(one.name.encode() for one in more) - names
        names |= fresh
    for _, data in {one: None for word in names for one in tree.index.texts_with(word)}:
        for found in PARAMETER.finditer(data):
            *what, mode = found[2].split(b",")
            readable = all(_READABLE.fullmatch(one.strip()) for one in mode.split(b"|"))
            if not readable and any(
                not names.isdisjoint(one.translate(WORDS).split()) for one in what
            ):
                return True
    return False
