# SPDX-License-Identifier: GPL-2.0-only
"""C that mentions a member of an object, and what it does with it.

``{}`` stands for the member.  READS leave it as it is; the others store to it, or let
somebody else do so.  None of them is taken from what the program knows: they are C's.
"""

READS = (
    "x = 3 - {};",
    "x = {} - 3;",
    "x = !{};",
    "x = -{};",
    "x = {} ? 1 : 2;",
    "x = y ? {} : 2;",
    "x = y ? 2 : {};",
    "x = table[{}];",
    "x = {};",
    "x += {};",
    "int z = {};",
    "struct pair z = {{ .a = {} }};",
    "struct pair z = {{ {}, 2 }};",
    "return {};",
    "if ({}) return 1;",
    "if (({}) > 2 && x) return 1;",
    "while ({}) x--;",
    "do x--; while ({});",
    "for (; {}; ) x--;",
    "for (x = {}; x; x--) ;",
    "switch ({}) {{ case 1: return 1; }}",
    "{};",
    "(void){};",
    "x = ({}, 2);",
    "x = (2, {});",
    "x = sizeof({});",
    "x = (u64){};",
    "x = ({});",
    "x = ({{ {}; }});",
    "helper(x, {});",
    "ops->helper({}, x);",
    "get(x)(x, {});",
    "x = READ_ONCE({});",
    "WARN_ON_ONCE({} > 5);",
    "x = max_t(int, {}, 4);",
    "trace_set_up({});",
    'pr_debug("%d\\n", {});',
    'snprintf(buffer, 8, "%d", {});',
    "x = TWICE({});",
    "x = IGNORED({});",
)
"""Where the value is used and that is all."""

STORES = (
    "{} = 3;",
    "{} |= 1;",
    "{} <<= 1;",
    "{} %= 3;",
    "{}++;",
    "--{};",
    "({}) = 3;",
    "x = {} = 3;",
    "if (({} = 3)) return 1;",
    "for ({} = 0; x; x--) ;",
)
"""Where it is stored to by its name."""

OTHERS = (
    'sprintf({}, "%d", x);',
    "p = &{};",
    "p = &({});",
    "fill(&{});",
    "*&{} = 3;",
    "x = *(u8 *)&{};",
    "swap({}, x);",
    "x = xchg(&{}, 3);",
    "WRITE_ONCE({}, 3);",
    "smp_store_release(&{}, 3);",
    "memset(&{}, 0, sizeof({}));",
    "memcpy(&{}, &x, sizeof(x));",
    "if (copy_from_user(&{}, p, 1)) return 1;",
    "__set_bit(1, &{});",
    'asm volatile("movb $3, %0" : "=m" ({}));',
    "return &{};",
    "ops->slot = &{};",
    "struct pair z = {{ .p = &{} }};",
    "x = min(unheard_of({}), 3);",
    "SET({}, 3);",
    "x = READ_ONCE(SET({}, 3));",
    "for (p = &{}; x; x--) ;",
    "x = y ? *(p = &{}) : 1;",
    "typeof({}) *z = &{};",
)
"""Where somebody else may store to it, or nobody knows."""
