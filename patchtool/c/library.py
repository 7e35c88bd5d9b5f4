# SPDX-License-Identifier: GPL-2.0-only
"""What the kernel's own functions and macros do, told by their names.

Their definitions are assembler, or depend on the build, or are not among the files of the
target; so what is known of them stands here, by what it is known for: what changes nothing
(``is_silent``), what is run by its meaning (``is_builtin``), what answers by its arguments alone
(``answers_by_what_it_is_given``), what reads, fills or keeps what it is given.  Each list says
what is harmless: a name in none of them is not known.  What a target defines itself is what its
text says, whatever its name; that is for the caller to ask.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import NamedTuple

from patchtool.target.record import Target

# -- what changes nothing --------------------------------------------------------------------

_SILENT = (
    r"trace_\w+|pr_\w+|printk\w*|dump_stack|BUILD_BUG_ON\w*|static_assert|lockdep_\w+|might_sleep"
    r"|RCU_LOCKDEP_WARN|(?!BUILD_)\w+_(?:WARN|BUG)_ON(?:_ONCE)?|cond_resched|EXPORT_SYMBOL\w*|smp_[rw]?mb|smp_mb__\w+|barrier|instrumentation_\w+|preempt_\w+"
)
"""What says something, checks something or orders accesses."""
AT_BUILD = re.compile(r"BUILD_BUG(?:_ON\w*)?|static_assert|EXPORT_SYMBOL\w*")
"""What evaluates nothing when it runs."""
HEARD = re.compile(r"trace_\w+|printk|pr_(?:emerg|alert|crit|err|warn|warning|notice|info|cont)")
"""What of it always evaluates its arguments; the others perhaps."""
LOCKS = re.compile(
    r"(?:raw_)?(?:spin|read|write|mutex|rwlock)_(?:un)?lock(?:_(?!irqsave)\w+)?|(?:down|up)_(?:read|write)"
    r"|s?rcu_read_(?:un)?lock(?:_\w+)?|synchronize_s?rcu|guard|local_irq_(?:restore|enable|disable)"
)
"""What only takes or drops a lock that its argument leads to."""
GUARDS = re.compile(
    r"mutex|(?:raw_)?spinlock(?:_nested|_bh|_irq|_irqsave)?|(?:read|write)_lock(?:_irq|_irqsave)?"
    r"|rwsem_(?:read|write)|srcu(?:_fast(?:_notrace)?)?|rcu(?:_tasks_trace)?"
    r"|preempt(?:_notrace)?|irq|irqsave|migrate|cpus_read_lock"
)
"""The classes of the kernel's own guards, which only take a lock and drop it.

Those that may come back without it (``mutex_intr``, ``spinlock_try``) are none of them.
"""
TRIES = re.compile(rf"(?:{GUARDS.pattern})_(?:try|intr|kill)")
"""The classes of guards that take a lock if they can, and do no more."""
LOCKING = re.compile(
    rb"DEFINE_GUARD\(\s*\w+\s*,\s*struct\s+\w+\s*\*\s*"
    + rb",\s*(\w+)\(\s*&?_T(?:(?:->|\.)\w+)*\s*\)\s*" * 2
    + rb"\)"
)
"""A class of guards that calls a function to take a lock, and one to drop it."""
PATHS = frozenset({"TRACE_INCLUDE_PATH", "TRACE_INCLUDE_FILE"})
"""Macros of which trace/define_trace.h makes the path of a file, and nothing else."""
PURE = re.compile(
    r"is_power_of_2|ilog2|fls(?:64|_long)?|ffs|__ffs|__fls|ffz|roundup_pow_of_two|IS_ERR\w*|PTR_ERR"
)
"""What takes numbers and only returns one."""
FREEING = rb"(?:kv?free(?:_sensitive)?|vfree|bitmap|fput|mmput|put_(?:task|pid|cred|device))"
"""What ``__free()`` hands an object back to, where a variable that points to it ends."""
_WARN = r"(?:WARN|BUG)_ON(?:_ONCE)?|WARN(?:_ONCE|_RATELIMIT)?"
_PRINTS = re.compile("trace_|pr_|printk|seq_printf|WARN")


@cache
def _compiled(*patterns: str) -> re.Pattern[str]:
    """Return what names match that match one of some patterns."""
    return re.compile("|".join(patterns))


def is_silent(name: str, target: Target) -> bool:
    """Tell whether a call of a name changes nothing."""
    quiet = _compiled(_SILENT, target.silent).fullmatch(name) or LOCKS.fullmatch(name)
    return bool(quiet or PURE.fullmatch(name))


def is_check(name: str, target: Target) -> bool:
    """Tell whether a name is that of a macro that yields its first argument, and may warn."""
    return _compiled(_WARN, target.checking).fullmatch(name) is not None


def is_printing(name: str, target: Target) -> bool:
    """Tell whether what a name is given is only printed, or counted by who traces."""
    return _PRINTS.match(name) is not None or re.fullmatch(target.silent, name) is not None


# -- what is run by its meaning --------------------------------------------------------------

SAVING = re.compile(
    r"local_irq_save|local_save_flags|(?:raw_)?(?:spin|read|write)_lock_irqsave(?:_nested)?"
)
"""What sets the variable that is its last argument to the processor's flags."""
SAME = frozenset({"READ_ONCE", "ACCESS_ONCE", "rcu_dereference", "data_race"})
"""What yields its first argument."""
LIKELY = frozenset({"likely", "unlikely", "__builtin_expect"})
"""What yields its first argument as a long, or, but for the last one, whether it is true."""
POPULATION = {
    "hweight8": 8, "hweight16": 16, "hweight32": 32, "hweight64": 64, "hweight_long": 64,
    "__builtin_popcount": 32, "__builtin_popcountl": 64, "__builtin_popcountll": 64,
}  # fmt: skip
"""What counts the bits that are set, and among how many."""


class Search(NamedTuple):
    """What finds the first or the last bit that is set in a number of so many bits.

    It yields an int or, ``is_long``, a long: the place counted from ``base`` on, and 0 where none
    is set if that is 1; else what it yields then is not defined.
    """

    width: int
    is_last: bool
    base: int
    is_long: bool = False


SEARCHES = {
    "ffs": Search(32, False, 1), "fls": Search(32, True, 1), "fls64": Search(64, True, 1),
    "__ffs": Search(64, False, 0, True), "__fls": Search(64, True, 0, True),
}  # fmt: skip
"""Those whose types are the same in every release."""
BIT_OPERATIONS = {
    "test_bit": None, "set_bit": "1", "__set_bit": "1", "clear_bit": "0", "__clear_bit": "0",
    "change_bit": "!", "__change_bit": "!", "test_and_set_bit": "1", "__test_and_set_bit": "1",
    "test_and_clear_bit": "0", "__test_and_clear_bit": "0", "assign_bit": "?", "__assign_bit": "?",
    "arch_test_bit": None, "arch___test_bit": None,
}  # fmt: skip
"""What becomes of a bit: nothing, set, cleared, turned round, or made another value."""
EXTREMA = {"min": False, "max": True, "min_t": False, "max_t": True, "umin": False, "umax": True}
"""What yields the least of its arguments, or the greatest."""
CLAMPS = {"clamp": 3, "clamp_t": 4, "clamp_val": 3}
"""What yields a value between two bounds, and how much it is given."""
COUNTERS = {
    f"{lead}{kind}_read": (f"{kind}_t", width)
    for lead in ("", "raw_", "arch_")
    for kind, width in (("atomic", 32), ("atomic64", 64))
}
"""What yields the counter that its argument points to: of which type, and how wide it is."""
LOCKED = frozenset({"mutex_is_locked", "rwsem_is_locked", "spin_is_locked", "raw_spin_is_locked"})
"""What tells whether a lock is held, and changes nothing."""
KEYS = frozenset({"static_branch_likely", "static_branch_unlikely"})
"""What tells whether a static key is enabled, which an object of file scope is."""
CONFIGURED = frozenset({"IS_ENABLED", "IS_BUILTIN", "IS_MODULE", "IS_REACHABLE"})
"""What tells whether a build option is set."""
_READING = frozenset(
    {"ARRAY_SIZE", "FIELD_GET", "FIELD_PREP", "GENMASK", "GENMASK_ULL", "REPEAT_BYTE",
     "container_of", "memcmp", "offsetof", "sizeof", "smp_load_acquire", "typecheck",
     *SAME, *LIKELY, *EXTREMA, *CLAMPS, *POPULATION, *CONFIGURED, *COUNTERS, *LOCKED, *KEYS,
     *(name for name, change in BIT_OPERATIONS.items() if change is None)}
)  # fmt: skip
"""What is taken by its meaning, and stores nothing."""
_BUILTIN = _READING | frozenset(
    {"WRITE_ONCE", "cmpxchg", "memcpy", "memset", "rcu_assign_pointer", "smp_store_release",
     "static_call", "swap", "try_cmpxchg", "xchg", *BIT_OPERATIONS}
)  # fmt: skip
KEYED = frozenset({"static_call", "static_call_cond", "static_call_mod"})
"""What calls the function that a static call of a name is aimed at."""


def dispatchers(target: Target) -> frozenset[str]:
    """Return what calls the operation that it is given by name."""
    return target.dispatchers | KEYED


def is_builtin(name: str, target: Target) -> bool:
    """Tell whether a name is taken by its meaning, not by its definition."""
    return (
        name in _BUILTIN
        or name in target.dispatchers
        or is_check(name, target)
        or is_silent(name, target)
        or SAVING.fullmatch(name) is not None
    )


def stores_nothing(name: str, target: Target) -> bool:
    """Tell whether a call of a name is known to store nothing that it is given, anywhere."""
    return (
        name in _READING
        or is_silent(name, target)
        or is_check(name, target)
        or ONLY_READS.fullmatch(name) is not None
    )


# -- what answers by its arguments -----------------------------------------------------------

_ASKING = (
    r"(?:un)?likely|__builtin_\w+|WARN\w*|BUILD_BUG\w*|sizeof|ARRAY_SIZE|min\w*|max\w*"
    r"|BIT\w*|\w*test_bit"
)
_ANSWERING = (
    r"typeof|__typeof__|offsetof|IS_ERR\w*|(?:ERR_)?PTR(?:_ERR)?\w*"
    r"|W?WARN\w*|BUG\w*|MMU_WARN\w*|IS_ENABLED|GENMASK\w*|struct_size"
    r"|array\w*_size|array_index_nospec|pr_\w+|printk|dev_\w+|clamp\w*|abs\w*|do_div|div\w*"
    r"|mul_\w+|round\w*|ALIGN\w*|PAGE_ALIGN\w*|IS_ALIGNED|is_power_of_2|order_base_2|ilog2|lower_32_bits"
    r"|upper_32_bits|swap|READ_ONCE|WRITE_ONCE|ACCESS_ONCE|data_race|smp_\w*mb\w*|smp_load_acquire"
    r"|smp_store_\w+|barrier\w*|(?:try_)?(?:cmp)?xchg\w*|atomic\w*|refcount_\w+|kref_\w+|\w*_bit(?:_\w+)?"
    r"|bitmap_\w+|hweight\w*|_?_?ffs\w*|fls\w*|(?:raw_|__)?(?:this|raw)_cpu_\w+|per_cpu\w*|get_cpu\w*"
    r"|put_cpu\w*|\w*smp_processor_id|s?rcu_\w+|(?:boot|static|this)_cpu_has\w*|cpu_feature_enabled"
    r"|static_branch_\w+|static_key_\w+|_*copy_(?:from|to)_user\w*|_*(?:get|put)_user|access_ok|u64_to_user_ptr"
    r"|\w*memdup\w*|\w*alloc\w*|\w*free\w*|__get_free_page\w*"
    r"|\w*xfer_to_\w+_mode\w*|cond_resched\w*|preempt_\w+|local_(?:irq|bh)_\w+|(?:raw_)?spin_(?!try)\w+|mutex_(?!try)\w+"
    r"|(?:read|write)_(?:un)?lock\w*|(?:down|up)_(?!\w*try)\w+|lockdep_\w+|(?:scoped_)?guard|smp_call_function\w*|on_each_cpu\w*"
    r"|mem(?:cmp|cpy|set|move|zero\w*)|str\w+|memchr\w*|ktime_\w+|rdtsc\w*|get_online_cpus|for_each_\w+"
    r"|list_\w+|hlist_\w+|container_of|INIT_\w+|fallthrough|defined|__pa|__va|\w*_pages?(?:_\w+)?|page_\w+|set_memory_\w+|virt_to_\w+|pfn_\w+"
    r"|(?:cpu|node)mask_\w+|cpumask_\w+|housekeeping_\w+|pvclock_\w+|hypervisor_\w+|kmem_cache_\w+"
    r"|__user|__attribute__|asm|volatile|module_\w+|u_?int\w*|call_once|k(?:un)?map\w*|sched_info_on|cpu_to_node"
    r"|\w*canonical_address|__sme_\w+|cr4_read_shadow|(?:__|native_)?read_cr[0-8]"
)


def answers_by_arguments(name: str, target: Target) -> bool:
    """Tell whether a name answers by the values of its arguments, or by the CPU of the host."""
    return (
        _compiled(_ASKING, target.registers.host_queries).fullmatch(name) is not None
        or is_silent(name, target)
        or is_check(name, target)
    )


def answers_by_what_it_is_given(name: str, target: Target) -> bool:
    """Tell whether a name answers by what its arguments lead to, or by the machine and the task.

    That is nothing that one set-up could leave for the next, but where it is kept in what the
    arguments lead to.
    """
    own = (target.silent, target.checking, target.asked)
    return (
        name in dispatchers(target)
        or _compiled(_ASKING, _ANSWERING, *own).fullmatch(name) is not None
    )


# -- what is done with an address ------------------------------------------------------------

READING: Mapping[str, tuple[int, ...]] = {
    "memcmp": (0, 1), "bcmp": (0, 1), "__builtin_memcmp": (0, 1), "ARRAY_SIZE": (0,),
    "memcpy": (1,), "__builtin_memcpy": (1,), "memmove": (1,), "__builtin_memmove": (1,),
    "copy_to_user": (1,), "__copy_to_user": (1,), "test_bit": (1,), "OFFSET": (2,),
    "offsetof": (1,), "offsetofend": (1,), "static_branch_likely": (0,),
    "static_branch_unlikely": (0,), "static_key_count": (0,), "static_key_enabled": (0,),
    "atomic_read": (0,), "atomic_long_read": (0,), "atomic64_read": (0,), "refcount_read": (0,),
}  # fmt: skip
"""The arguments behind which only is read."""


def keeps_nothing(name: str, number: int) -> bool:
    """Tell whether a function is known to do no more behind an argument than to fill or read that.

    NUMBER is that of the argument, from 0.
    """
    return (
        (name in FILLING and FILLING[name][0] == number)
        or OF_ONE.fullmatch(name) is not None
        or number in READING.get(name, ())
    )


GIVING_BACK = frozenset({"kfree", "kvfree", "kfree_sensitive", "kvfree_sensitive", "vfree"})
"""What gives memory back, and leaves the pointer to it as it is."""
_SHOWING = re.compile(r"debugfs_create_(?:u8|u16|u32|u64|x8|x16|x32|x64|ulong|size_t|bool)")
_UNWRITABLE = re.compile(r"0[0145]{3}|S_IRUGO|S_IRUSR")


def only_shows(name: str, number: int, given: Sequence[str]) -> bool:
    """Tell whether a function makes a file to read what it is given, which nobody may write."""
    is_shown = _SHOWING.fullmatch(name) is not None and len(given) == 4 and number == 3
    return is_shown and _UNWRITABLE.fullmatch(given[1].strip()) is not None


FILLING: Mapping[str, tuple[int, int]] = {
    "memset": (0, 2), "__builtin_memset": (0, 2), "memcpy": (0, 2), "__builtin_memcpy": (0, 2),
    "memmove": (0, 2), "__builtin_memmove": (0, 2), "memzero_explicit": (0, 1),
    "copy_from_user": (0, 2), "__copy_from_user": (0, 2), "get_random_bytes": (0, 1),
}  # fmt: skip
"""The argument behind which as many bytes are filled as another one says."""
FILLERS = "|".join(sorted(FILLING)).encode()
"""The same names, as a part of an expression for bytes."""
OF_ITS_KIND = re.compile(
    r"(?:raw_)?spin_(?:lock|unlock|trylock)\w*|mutex_(?:lock|unlock|trylock|init|acquire|release)\w*"
    r"|(?:read|write)_(?:lock|unlock|trylock)\w*|rwlock_init|lockdep_\w+|list_(?:add|del|first|last"
    r"|empty|move|splice)\w*|INIT_LIST_HEAD|preempt_notifier_\w+|(?:prepare_to|finish)_\w*wait\w*"
    r"|rcuwait_\w+|swa(?:it|ke)_\w+|swq_\w+|init_swait_\w+"
)
"""What takes a record of some type by its address, and no size."""
OF_ONE = re.compile(
    r"(?:try_)?(?:cmp)?xchg(?:64)?(?:_\w+)?|smp_(?:store_release|load_acquire|store_mb)"
    r"|rdmsr[lq]?_safe|get_user|put_user|atomic\w*|refcount_\w+|static_(?:branch|key)_\w+"
)
"""What loads or stores one object of the type behind the pointer that it is given first."""
OF_BIT = re.compile(
    r"(?:arch_)?_{0,3}(?:set|clear|change|test)(?:_and_(?:set|clear|change))?_bit\w*"
)
"""What changes one bit, the first argument, of what it is given second."""

ONLY_READS = re.compile(
    r"(?:atomic\w*|refcount|kref|percpu_counter)_read\w*|list_empty\w*|\w+_is_locked|this_cpu_read"
    r"|raw_cpu_read|ktime_get\w*|static_key_enabled|cpumask_(?:test_cpu|empty|weight)|work_pending"
    r"|signal_pending\w*|capable|rdmsr\w*"
)
"""What tells something of the machine, or of what it is given, and keeps nothing."""

# -- what is done with a pointer -------------------------------------------------------------

OF_TYPES = frozenset(
    {b"offsetof", b"offsetofend", b"sizeof", b"sizeof_field", b"FIELD_SIZEOF", b"typeof",
     b"__typeof__", b"typeof_member", b"__field", b"__alignof__", b"OFFSET", b"BLANK",
     b"static_assert", b"BUILD_BUG_ON"}
)  # fmt: skip
"""What takes a type, and has a number or a type for value."""
KEEPING: Mapping[str, int] = {
    "WRITE_ONCE": 1, "__this_cpu_write": 1, "cmpxchg": 2, "rcu_assign_pointer": 1,
    "smp_store_mb": 1, "smp_store_release": 1, "this_cpu_write": 1, "try_cmpxchg": 2, "xchg": 1,
}  # fmt: skip
"""What keeps an argument, by its number, in its first."""
FILLING_ARRAY = frozenset(
    {"xa_destroy", "xa_empty", "xa_init", "xa_init_flags", "xa_insert", "xa_release", "xa_reserve",
     "xa_store"}
)  # fmt: skip
"""What fills an array by index, and yields none of its elements."""
YIELDING = frozenset(
    {"READ_ONCE", "__this_cpu_read", "likely", "per_cpu", "raw_cpu_read", "rcu_dereference",
     "rcu_dereference_check", "rcu_dereference_protected", "srcu_dereference", "this_cpu_read",
     "unlikely", "xchg", "smp_load_acquire", "__per_cpu", "data_race"}
)  # fmt: skip
"""What yields the pointer that it is given."""


ATTRIBUTES = frozenset(
    b"access address_space aligned always_inline alloc_size artificial assume_aligned bitwise"
    b" btf_type_tag cold const counted_by deprecated designated_init error externally_visible"
    b" fallthrough flatten force format gnu_inline hot leaf malloc may_alias naked noclone"
    b" noderef noinline nonnull nonstring noreturn no_caller_saved_registers"
    b" no_instrument_function no_profile_instrument_function no_sanitize no_sanitize_address"
    b" no_stack_protector optimize packed pure regparm returns_nonnull safe sentinel section"
    b" transparent_union unused used vector_size visibility warn_unused_result warning weak".split()
)
"""Attributes, without underscores, that leave what is named, and its type, as the text says."""


def attributes(listed: bytes) -> Iterator[bytes]:
    """Yield the names of some attributes, what each is given aside."""
    depth = 0
    for part in re.findall(rb'"(?:[^"\\]|\\.)*"|[()]|\w+', listed):
        depth += (part == b"(") - (part == b")")
        if depth == 2 and part[:1] not in b'()"':
            yield part.strip(b"_")
