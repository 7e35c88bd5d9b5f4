# SPDX-License-Identifier: GPL-2.0-only
"""Each construct of C means what gcc says it means; what is not understood is never dropped."""

import shutil
import subprocess

import pytest
from edited import Files
from symbols import symbol, word

from patchtool.c.index import Index
from patchtool.c.layout import (
    ArrayType,
    IntType,
    Member,
    PointerType,
    RecordType,
    Types,
    UnknownType,
    VoidType,
)
from patchtool.c.lower import Lowering, RoleShape
from patchtool.c.memory import (
    Choice,
    Fact,
    Function,
    Int,
    Loc,
    Opaque,
    Pointer,
    Record,
    Root,
    member_of,
)
from patchtool.proof import bits
from patchtool.target.kvm import KVM
from patchtool.world.effects import Effects

FILE = "arch/x86/kvm/mmu/mmu.c"
HEADER = "arch/x86/kvm/mmu.h"
OUT = Loc(Root("box", "pointee"), ("out",))

PRELUDE = b"""\
#define _BITUL(x)	(1UL << (x))
#define BIT(nr)		(1UL << (nr))
#define BIT_ULL(nr)	(1ULL << (nr))
#define CR_PG_BIT	31
#define CR_PG		_BITUL(CR_PG_BIT)
#define CR_LA		BIT(12)
#define OUT(box) ((box)->out)
#define INNER(box) (*&(box)->inner)
#define LIMIT(n)	((n) + 1)
#define WIDE	(3)
#define SAME(x, y)	((x).whole == (y).whole)
#define TWICE(v) ({ u64 __v = (v); __v + __v; })

enum level { NONE, ONE, FOUR = 4, FIVE, MASKED = FIVE | 8 };
enum mood { GLUM = -1, EVEN, GLAD };

struct moods {
	enum mood on : 1;
	enum level up : 1;
};

union flags {
	u32 word;
	struct {
		unsigned level : 4;
		unsigned direct : 1;
		unsigned : 3;
		unsigned access : 3;
	};
};

union role {
	u64 whole;
	struct {
		union flags base;
		union flags ext;
	};
};

struct regs {
	const unsigned long cr0;
	const u64 efer;
};

struct counted {
	int counter;
};

struct inner {
	u64 value;
	u16 half;
};

struct nibbles {
	u32 lo : 4, hi : 4;
};

struct box {
	u64 out;
	u64 in;
	union role role;
	struct inner inner;
	int list[4];
	struct box *next;
	bool flag;
	s8 tiny;
};

#define BUILD_TEST(reg, name, mask)					\\
static inline bool test_##reg##_##name(struct regs *regs)		\\
{									\\
	return !!(regs->reg & mask);					\\
}
BUILD_TEST(cr0, pg, CR_PG);
BUILD_TEST(efer, lma, BIT_ULL(10));

static const u8 pairs[2][WIDE] = { { 1 } };
static const u8 primes[] = { 2, 3, 5, 7 };

static inline bool same(u64 x, u64 y)
{
	return x == y;
}

static inline u64 plus(u64 v, u64 more)
{
	if (v > 100)
		return 7;
	return v + more;
}

static u64 *self(u64 *p)
{
	return p;
}

static void put(struct box *box, u64 v)
{
	box->out = v;
}

static struct regs collect(u64 a, u64 b)
{
	struct regs regs = { .cr0 = a, .efer = b };

	return regs;
}

static union role calc(u64 a)
{
	union role role = { 0 };

	role.base.level = a;
	role.ext.direct = !!(a & 2);
	return role;
}

static int clamp_level(int level)
{
	if (level > FIVE)
		return FIVE;
	else if (level < 0)
		return NONE;
	return level;
}
"""

KERNEL = b"""\
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <stdio.h>
typedef unsigned char u8; typedef unsigned short u16;
typedef unsigned int u32; typedef unsigned long long u64; typedef signed char s8;
typedef long long s64;
#define container_of(p, type, member) ((type *)((char *)(p) - offsetof(type, member)))
#define min(a, b) ((a) < (b) ? (a) : (b))
#define max(a, b) ((a) > (b) ? (a) : (b))
#define min_t(t, a, b) min((t)(a), (t)(b))
#define max_t(t, a, b) max((t)(a), (t)(b))
static inline int fls(unsigned int v) { return v ? 32 - __builtin_clz(v) : 0; }
static inline int fls64(u64 v) { return v ? 64 - __builtin_clzll(v) : 0; }
#define ffs(v) __builtin_ffs(v)
#define __ffs(v) ((unsigned long)__builtin_ctzl(v))
#define __fls(v) (63ul - __builtin_clzl(v))
#define is_power_of_2(v) (__builtin_popcountl(v) == 1)
#define GENMASK_ULL(h, l) ((~0ULL << (l)) & (~0ULL >> (63 - (h))))
#define clamp(v, lo, hi) min(max(v, lo), hi)
#define clamp_t(t, v, lo, hi) clamp((t)(v), (t)(lo), (t)(hi))
#define clamp_val(v, lo, hi) clamp_t(typeof(v), v, lo, hi)
#define BUILD_BUG_ON_ZERO(e) ((int)(sizeof(struct { int : (-!!(e)); })))
#define sizeof_field(t, m) sizeof(((t *)0)->m)
#define ARRAY_SIZE(t) (sizeof(t) / sizeof((t)[0]))
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define hweight8(w) __builtin_popcount((w) & 0xff)
#define hweight16(w) __builtin_popcount((w) & 0xffff)
#define hweight32(w) __builtin_popcount(w)
#define hweight64(w) __builtin_popcountll(w)
#define READ_ONCE(x) (x)
#define WRITE_ONCE(x, v) ((x) = (v))
#define WARN_ON(x) (x)
#define WARN_ON_ONCE(x) (x)
#define swap(a, b) do { __typeof__(a) __t = (a); (a) = (b); (b) = __t; } while (0)
#define xchg(p, v) ({ __typeof__(*(p)) __o = *(p); *(p) = (v); __o; })
#define cmpxchg(p, o, n) ({ __typeof__(*(p)) __o = *(p); if (__o == (o)) *(p) = (n); __o; })
#define try_cmpxchg(p, o, n) ({ bool __s = *(p) == *(o); if (__s) *(p) = (n); \\
	else *(o) = *(p); __s; })
#define smp_load_acquire(p) (*(p))
#define atomic_read(p) ((p)->counter)
#define smp_store_release(p, v) (*(p) = (v))
#define test_bit(n, p) (*(p) >> (n) & 1)
#define set_bit(n, p) (*(p) |= 1ull << (n))
#define __clear_bit(n, p) (*(p) &= ~(1ull << (n)))
#define __assign_bit(n, p, v) ((v) ? set_bit(n, p) : __clear_bit(n, p))
#define __test_and_set_bit(n, p) ({ bool __b = test_bit(n, p); set_bit(n, p); __b; })
#define pr_debug(...) ({ (void)0, ##__VA_ARGS__; })
#define WARN(c, f, ...) ({ bool __c = (c); if (__c) ((void)0, ##__VA_ARGS__); __c; })
#define mutex_lock(l) ((void)(l))
#define for_each_set_bit(i, m, n) for ((i) = 0; (i) < (n); (i)++) if (*(m) >> (i) & 1)
#define scoped_guard(c, l) if (1)
#define CONFIG_X86_64 1
"""

# Bodies of void f(struct box *box, u64 a, u32 b, int x): what they leave in box->out counts.
BODIES = {
    "likely bits": "box->out = likely(a & 6) + (unlikely(b & 12) << 4);"
    " box->out += (likely(a) == likely(b)) * 64;",
    "expected": "box->out = __builtin_expect(a & 6, 0) + (__builtin_expect(x, 1) < 0) * 16;",
    "population of a width": "box->out = hweight8(a) + hweight16(b) * 16 + hweight32(a << 30) * 256"
    " + hweight64(x) * 4096 + __builtin_popcount(b << 28) * 65536;",
    "a mask between variables": "box->out = GENMASK_ULL(40 + (a & 7), b & 15)"
    " ^ GENMASK_ULL(63, b & 31) ^ GENMASK_ULL(a & 63, 0) ^ GENMASK_ULL(9, 3);",
    "known to gcc": "box->out = __builtin_constant_p(4) ? a : b;"
    " if (__builtin_constant_p(a)) box->out = 1;",
    "signed enumeration": "enum { LOW = -1, NO, YES } e = a & 1;"
    " box->out = e > LOW; box->out += (e - 1 < 0) * 2;",
    "bits of enumerations": "struct moods k = { 0 }; k.on = a & 1; k.up = b & 1;"
    " box->out = (k.on > 0) + (k.on < 0) * 2 + (k.up > 0) * 4;",
    "order": "u64 t = a; t += 1; box->out = t; t = 9; box->out += t;",
    "if": "box->out = 1; if (a & 4) box->out = 2;",
    "else": "if (a & 4) box->out = 2; else if (b & 1) box->out = 3; else box->out = 5;",
    "nested if": "box->out = 0; if (a) { if (b) box->out = 1; else box->out = 2; }",
    "early return": "box->out = 1; if (a & 1) return; box->out = 2; if (b) return; box->out = 3;",
    "switch": "switch (x) { case 0: box->out = 4; break; case 1: case 2: box->out = 5;"
    " break; default: box->out = 6; }",
    "switch falls through": "box->out = 0; switch (b) { case 1: box->out += 1; case 2:"
    " box->out += 2; break; case 3: box->out = 9; }",
    "switch returns": "switch (b) { case 0: box->out = 1; return; default: break; } box->out = 8;",
    "case ranges": "switch (b & 15) { case 0: box->out = 1; break; case 2 ... 5: box->out = a;"
    " break; case 7 ... 9: default: box->out = 3; }",
    "open loop": "u64 t = 0; while (a & 1) { t = 5; break; } box->out = t;",
    "bit-fields of one declaration": "struct { u64 lo : 10, la : 1, rest : 53; } f = { 0 };"
    " memcpy(&f, &a, sizeof(f)); box->out = f.la + 4 * f.rest;",
    "copy of a part": "u64 t = a; u32 s = b; memcpy(&t, &s, 2); box->out = t;",
    "copy of a number into a word": "union role r = { 0 }; memcpy(&r, &a, sizeof(a));"
    " box->out = r.base.level;",
    "bit-field as wide as a macro": "struct { unsigned int t : WIDE; } f = { 0 }; f.t = a;"
    " box->out = f.t;",
    "table": "static const u8 t[] = { 2, 3, 5, 7 }; box->out = t[a & 3];",
    "table of tables": "static const u8 t[2][2] = { { 1, 2 }, { 3 } };"
    " box->out = t[a & 1][!!(b & 4)];",
    "table with designators": "const u16 t[8] = { [1] = 5, [3 ... 5] = 300, 9 };"
    " box->out = t[b & 7];",
    "table without a length": "const u8 t[] = { [2 ... 3] = 4, [0] = 1 }; box->out = t[a & 3];",
    "table of the file": "box->out = primes[a & 3] + primes[2];",
    "length of a table of the file": "box->out = ARRAY_SIZE(pairs) + 8 * ARRAY_SIZE(pairs[0]);",
    "array partly initialised": "int t[3] = { 1 }; box->out = t[0] + t[2];",
    "places of bits": "box->out = fls(a) + ffs(b & 0x30) * 64 + fls64(x) * 4096;"
    " box->out += __ffs(b | 64) << 28; box->out += (u64)(fls(x | 1 << 31) > -1) << 20;"
    " box->out += __fls(8) << 36; box->out += (u64)is_power_of_2(a) << 42;",
    "size of a member": "box->out = a & (1 << sizeof_field(struct inner, half))"
    " & (1 << sizeof(((struct box *)0)->inner.value)); box->out += sizeof(a);",
    "clamped to the type of the value": "box->out = clamp_val(box->inner.half, 7, 0x10009);"
    " box->out += clamp_t(u8, b, 3, 0x107) * 65536 + clamp(x, -3, 4);",
    "type of its value": "__auto_type t = box->inner.half; t += a; __auto_type p = &box->inner;"
    " __auto_type s = b + 1u; __auto_type r = box->role; p->value = 7;"
    " box->out = t + s + r.whole + box->inner.value;",
    "member of a literal": "box->out = (union role){ .base = { .level = a } }.whole"
    " + (struct inner){ .value = b }.half;",
    "nothing, when it is built": "box->out = a + BUILD_BUG_ON_ZERO(sizeof(a) != 8);",
    "typeof": "typeof(a) t = b; __typeof__(x) s = a; typeof(u8) v = b;"
    " box->out = t + s + v;",
    "local enumeration": "enum { HERE = 3, THERE }; box->out = HERE * a + THERE;",
    "product of flags": "box->out = (a & 3) * (b & 0xff);",
    "division by a power of two": "box->out = a / 1024 + b % 8;",
    "population": "box->out = __builtin_popcountll(a & 0xf0f);",
    "conditional": "box->out = a & 8 ? b : 3;",
    "conditional chain": "box->out = a & 1 ? 2 : b & 1 ? 3 : 4;",
    "elvis": "box->out = b ?: 7;",
    "and": "box->out = a && (b & 1);",
    "or": "box->out = !a || b == 3;",
    "short circuit": "u64 t = 0; if ((a & 1) && (t = 5) && b) t++; box->out = t;",
    "not": "box->out = !a + !!b;",
    "locals shadow": "u64 t = a; { u64 t = b; t++; box->out = t; } box->out += t;",
    "comma": "u64 t = (b, a); box->out = t;",
    "increments": "u64 t = a; box->out = t++; box->out += ++t; t--; box->out += t;",
    "compound assignment": "u64 t = a; t |= 1; t &= 0xff; t ^= b; t <<= 2; t >>= 1; t -= 3;"
    " box->out = t;",
    "arithmetic": "box->out = a + b * 5 - (a << 3) + (a >> 2);",
    "constant division": "box->out = (u64)(100 / 7) + 100 % 7;",
    "variable shift": "box->out = a << (b & 15);",
    "complement": "box->out = ~a & ~b;",
    "truncation": "u8 t = a; u16 s = a; box->out = t + s;",
    "truncation to bool": "bool t = a; box->out = t + (bool)(a & 0x100);",
    "value of an assignment": "u8 t; bool f; box->out = (t = a) + ((f = b) << 9);"
    " box->out += (t += 200);",
    "promoted bit-field": "union flags f = { 0 }; f.level = a; box->out = f.level - 8 < 0;",
    "signed bit-field": "struct { int t : 3; } f = { 0 }; f.t = a;"
    " box->out = f.t < 0 ? 1 : f.t + 2;",
    "negative numbers": "box->out = (x == -1) + 2 * (-1 < 0u) + 4 * (-7 / 2 == -3);",
    "cast that reads like a difference": "box->out = (u32)-1 + a;",
    "types of a constant choice": "box->out = (1 ? -1 : 0u) > 0;",
    "narrow view of a number": "u64 t = a; box->out = *(u8 *)&t + *(u16 *)&t * 256;",
    "narrow store to a number": "u64 t = a; *(u16 *)&t = 7; *(u8 *)&t |= 8; box->out = t;",
    "bytes of a number": "u64 t = a; u8 *p = (u8 *)&t; p[1] = 3; box->out = t + p[2];",
    "narrow view behind a pointer to void": "u64 t = a; void *p = &t; box->out = *(u8 *)p;",
    "halves of a word": "union role r = calc(a); ((u32 *)&r)[1] = 0; box->out = r.whole;",
    "function in a table": "u64 (*f[])(u64, u64) = { plus, plus }; box->out = f[1](a, b);",
    "sign extension": "box->out = (u64)(s64)x;",
    "signed char": "s8 t = a; box->out = t;",
    "signed comparison": "box->out = x < 0 ? 1 : x > 5 ? 2 : 3;",
    "unsigned comparison": "box->out = b < 0xfffffff0u ? 1 : 2;",
    "mixed comparison": "box->out = x < 5u;",
    "cast": "box->out = (u8)a + (u64)(u16)b;",
    "bit-field": "union flags f = { 0 }; f.level = a; f.direct = b; f.access = a >> 3;"
    " box->out = f.word;",
    "bit-field truncates": "union flags f = { .word = 0 }; f.level = a; box->out = f.level == a;",
    "word over bit-fields": "union flags f; f.word = b; box->out = f.level + 16 * f.access;",
    "word masked by a mask's word": "union flags m = { 0 }, f; m.level = 15; m.access = 5;"
    " f.word = b; f.word &= m.word; box->out = f.word;",
    "word of words": "union role r = { 0 }; r.base.level = a; r.ext.access = b;"
    " box->out = r.whole;",
    "union assigned whole": "union role r = calc(a), s; s = r; s.base.direct = 1;"
    " box->out = s.whole;",
    "member of a context": "box->role.base.level = 5; box->role.ext.direct = a;"
    " box->out = box->role.base.level + box->role.ext.direct;",
    "pointer to a context": "struct box *p = box; p->in = a; box->out = box->in + 1;",
    "pointer to a member": "struct inner *p = &box->inner; p->value = b; p->half = a;"
    " box->out = box->inner.value + box->inner.half;",
    "addresses of members": "box->out = (&box->in == &box->out) + 2 * (&box->out == &box->out)"
    " + 4 * (&box->inner.value == &box->in);",
    "addresses of elements": "u64 t[2] = { a, b }; box->out = &t[0] == &t[1] ? 1 : &t[1] == &t[1];",
    "pointer to a local": "u64 t = 1; u64 *p = &t; *p = a; box->out = t;",
    "pointer to a local struct": "struct inner i = { 0 }; struct inner *p = &i; p->value = a;"
    " box->out = i.value + i.half;",
    "struct copy": "struct inner i = { .value = a, .half = b }, j; j = i; i.value = 0;"
    " box->out = j.value + j.half;",
    "designated initialiser": "struct inner i = { .half = a }; box->out = i.half + i.value;",
    "positional initialiser": "struct inner i = { a, b }; box->out = i.half + i.value;",
    "initialiser behind a named member": "struct { u64 p, q, r; } i = { .q = a, b };"
    " box->out = i.p + 2 * i.q + 4 * i.r;",
    "initialiser behind a named element": "u64 t[4] = { [2] = a, b }; box->out = t[2] - t[3];",
    "members of one view of a union": "union flags f = { .level = a, .access = b };"
    " box->out = f.word;",
    "view of a union that is named again": "union role r = { .base.level = a, .ext.level = b,"
    " .base.level = 3 }; box->out = r.whole;",
    "whole behind its members": "struct { struct inner i; } s = { .i.half = 5, .i = { a } };"
    " box->out = s.i.value + s.i.half;",
    "bits that are copied into a record": "struct nibbles f = { a, b };"
    " struct { struct nibbles g; u32 z; } s = { f, 7 }; box->out = s.g.hi + 16 * s.z;",
    "initialiser of an own kind": "struct inner i = { a, b }; struct { struct inner j; u64 k; }"
    " s = { i, 3 }; box->out = s.j.value + s.j.half + s.k;",
    "nested initialiser": "union role r = { .base = { .level = 5 }, .ext.direct = 1 };"
    " box->out = r.whole + a;",
    "compound literal": "box->inner = (struct inner){ .value = a }; box->out = box->inner.value"
    " + box->inner.half;",
    "literal that reads itself": "union role r = calc(a); r = (union role){ .base = r.base,"
    " .ext = r.ext }; box->out = r.whole;",
    "literal that swaps its own members": "struct inner i = { a, b }; i = (struct inner)"
    "{ .value = i.half, .half = i.value }; box->out = i.value + 3 * i.half;",
    "array in a struct that is copied": "struct { int t[2]; u8 n; } s = { { 1, a }, 5 }, r;"
    " r = s; s.t[0] = 9; box->out = r.t[0] + r.t[1] + r.n;",
    "array": "int t[3] = { 1, 2 }; t[2] = b; box->out = t[0] + t[1] + t[2];",
    "array element of a context": "box->list[2] = a; box->out = box->list[2];",
    "element that an input selects": (
        "box->list[1] = 7; box->list[2] = 5; box->list[3] = 1; box->list[0] = 0;"
        " box->list[a & 3] += a; box->out = box->list[1] + 16 * box->list[2];"),
    "loop from a number that an input selects": (
        "int i; box->list[0] = box->list[1] = box->list[2] = box->list[3] = 9;"
        " for (i = a & 3; --i >= 0;) box->list[i] &= ~b;"
        " box->out = box->list[0] + 16 * box->list[1] + 256 * box->list[2];"),
    "bits repeated in each byte": (
        "\n#ifndef REPEAT_BYTE\n#define REPEAT_BYTE(x) ((~0ul / 0xff) * (x))\n#endif\n"
        "box->out = REPEAT_BYTE(a & 5);"),
    "inlined call": "box->out = plus(a, 3) + plus(b, 4);",
    "call that stores": "put(box, a + 1);",
    "call in a condition": "box->out = 0; if (plus(a, 1) == 7) box->out = 1;",
    "call that returns a struct": "struct regs r = collect(a, b); box->out = r.cr0 + r.efer;",
    "call that returns a union": "box->out = calc(a).whole;",
    "call with else-if returns": "box->out = clamp_level(x);",
    "generated accessor": "struct regs r = { .cr0 = a, .efer = b };"
    " box->out = test_cr0_pg(&r) + 2 * test_efer_lma(&r);",
    "macro constant": "box->out = (a & CR_PG) ? CR_LA : 1;",
    "macro with arguments": "box->out = LIMIT(b);",
    "macro that is an object": "OUT(box) = a; OUT(box) += b;",
    "macro that is a part of an object": "INNER(box).value = a; box->out = box->inner.value;",
    "address of a macro": "struct inner *p = &INNER(box); p->half = b; box->out = box->inner.half;",
    "macro that is counted": "OUT(box) = a; OUT(box)++;",
    "macro with a statement expression": "box->out = TWICE(a);",
    "bit macros": "box->out = a & (BIT(3) | _BITUL(5) | BIT_ULL(33));",
    "enumerators": "box->out = NONE + ONE * 2 + FOUR + FIVE + MASKED + b;",
    "literals": "box->out = 0x1fUL + 010 + 1u + 0xffffffff + 'a' + a;",
    "known option": "#ifdef CONFIG_X86_64\nbox->out = a;\n#else\nbox->out = 2;\n#endif\n",
    "unknown to the compiler": "#if 0\nbox->out = 2;\n#else\nbox->out = b;\n#endif\n",
    "for loop": "u64 t = 0; int i; for (i = 0; i < 5; i++) t += a >> i; box->out = t;",
    "for loop with declaration": "u64 t = 0; for (int i = 3; i > 0; i--) t = t * 2 + i;"
    " box->out = t + a;",
    "while loop": "int i = 0; box->out = 0; while (i < 3) { box->out += b; i++; }",
    "do loop": "int i = 0; box->out = 0; do { box->out += i; i++; } while (i < 4);",
    "break": "int i; box->out = 0; for (i = 0; i < 8; i++) { if (i == 3) break; box->out += i; }",
    "break on an input": "int i; box->out = 0; for (i = 0; i < 3; i++) { if (a >> i & 1) break;"
    " box->out += 1; }",
    "continue": "int i; box->out = 0; for (i = 0; i < 4; i++) { if (i & 1) continue;"
    " box->out += i; }",
    "goto out": "box->out = 1; if (a & 1) goto out; box->out = 2; if (b & 1) goto out;"
    " box->out = 3; out: box->out += 10;",
    "goto over else": "if (a) goto one; else goto two; one: box->out = 1; return; two:"
    " box->out = 2;",
    "statement expression": "box->out = ({ u64 t = a; t += b; t; });",
    "min and max": "box->out = min(a, (u64)b) + max(a, (u64)9);",
    "min_t and max_t": "box->out = min_t(u8, a, b) + max_t(int, x, 3);",
    "container_of": "struct inner *p = &box->inner; struct box *q ="
    " container_of(p, struct box, inner); q->in = a; box->out = box->in;",
    "annotated": "if (unlikely(a & 1)) box->out = READ_ONCE(b); else WRITE_ONCE(box->out, 4);",
    "warnings": "if (WARN_ON_ONCE(b == 2)) { box->out = 1; return; } box->out = 3;",
    "memset": "struct inner i; memset(&i, 0, sizeof(i)); i.half = a; box->out = i.value + i.half;",
    "memcpy": "struct inner i = { .value = a }, j; memcpy(&j, &i, sizeof(j)); box->out = j.value;",
    "memcpy of an array": "u32 i[3] = { a, b, 7 }, j[3] = { 1 }; memcpy(j, i, sizeof(i));"
    " i[0] = 9; box->out = j[0] + 4 * j[1] + 16 * j[2];",
    "memcpy of an array of arrays": "u32 i[2][2] = { { a, b }, { 5, x } }, j[2][2];"
    " memcpy(j, i, sizeof(j)); box->out = j[0][0] + 4 * j[0][1] + 16 * j[1][0] + j[1][1];",
    "memset to ones": "u32 t = b; memset(&t, 0xff, sizeof(t)); box->out = t;",
    "memset of the first bytes": "union role r = calc(a); memset(&r, 0, 4); box->out = r.whole;",
    "memset of the size of a pointer": "u32 t[4] = { a, b, 3, 4 }, *p = t;"
    " memset(&t[0], 0, sizeof(*p)); box->out = t[0] + t[1];",
    "size of an array": "u16 t[6]; box->out = sizeof(t) + sizeof(t[0]) + sizeof(box->list) + a;",
    "size of an expression": "u8 t = a; box->out = sizeof(t + 1) + sizeof(t++) + t;",
    "offset of a member": "box->out = offsetof(union role, ext) + a;",
    "pointer that moves": "int t[3] = { 1, a, b }, *p = t; p++; box->out = *p; p += 1;"
    " box->out += *p + *(p - 1) + p[-2];",
    "parts in brackets": "u64 t = a; u64 *p = &(t); *(p) += 2; box->out = (t);",
    "loop that ends through a pointer": "u64 t = a, *p = &t; while (b & *p) *p = 0; box->out = t;",
    "elvis evaluated once": "u64 t = a & 1; box->out = (t++ ?: 9) + 0; box->out += t;",
    "exchange": "u64 t = a; box->out = xchg(&t, b); box->out += t * 2;",
    "swap": "u64 t = a, s = b; swap(t, s); box->out = t + 3 * s;",
    "compare and exchange": "u64 t = a & 3; box->out = cmpxchg(&t, 2, b); box->out += t * 4;",
    "try to exchange": "u64 t = a & 3, o = 1; box->out = try_cmpxchg(&t, &o, 7) ? 5 : o;"
    " box->out += t;",
    "ordered access": "u64 t; smp_store_release(&t, a); box->out = smp_load_acquire(&t);",
    "counter": "struct counted t = { a }; t.counter -= b; box->out = atomic_read(&t);",
    "bits of a word": "unsigned long t = a; set_bit(3, &t); __clear_bit(0, &t);"
    " __assign_bit(5, &t, b & 1); box->out = __test_and_set_bit(9, &t); box->out += test_bit(2, &t)"
    " + t;",
    "argument of a message": "u64 t = a; WARN(a & 1, \"%d\", t = 5); box->out = t;",
    "condition of a warning": "u64 t = a; if (WARN(t++ & 1, \"x\")) t += 2; box->out = t;",
    "lock": "u64 t = a; mutex_lock(&box->inner); t += b; box->out = t;",
    "bit-field beside a pointer": "struct { unsigned int t : 4; void *p; } f = { a, 0 };"
    " f.t += b; box->out = f.t;",
    "bits that are set": "unsigned long m = b & 0x85; int i; u64 t = 0; for_each_set_bit(i, &m, 8)"
    " t = t * 3 + i; box->out = t;",
    "break at a bit that is set": "unsigned long m = a; int i; for_each_set_bit(i, &m, 6) {"
    " if (i == 3) break; } box->out = i == 3;",
    "scope of a lock": "u64 t = a; scoped_guard(mutex, &box->inner) { t++; if (b & 1) return; }"
    " box->out = t;",
    "type of an expression": "typeof(box->inner.half) t = a; typeof(&box->inner) p = &box->inner;"
    " p->value = t; box->out = box->inner.value + sizeof(t);",
    "element of a number": "u64 t = a; 0[&t] = b; box->out = t;",
    "address in a struct": "u64 t = a; struct { u64 *p; } s = { &t }; *s.p += b; box->out = t;",
    "address from a call": "u64 t = a; *self(&t) = b; box->out = t;",
    "sizeof": "box->out = sizeof(u32) + sizeof(struct inner *) + a;",
    "comments": "/* one */ box->out /* two */ = a /* three */; // four\n",
    "bool field": "box->flag = a & 0x10; box->out = box->flag;",
    "signed field": "box->tiny = a; box->out = box->tiny < 0;",
    "assignment as a value": "u64 t, s; t = s = (u8)a; box->out = t + s;",
    "assignment in a condition": "u64 t; box->out = 0; if ((t = b & 3)) box->out = t;",
    "empty statements": ";; box->out = a; ;",
    "constant condition": "if (0) box->out = 1; else box->out = a; if (1) box->out++;",
    "a local of an outer block": "u64 t; if (a) t = 1; else t = 2; box->out = t;",
}  # fmt: skip

INPUTS = [
    (0, 0, 0), (1, 1, 1), (2, 3, 2), (4, 2, -1), (5, 0, 7), (0x1F, 1, -128), (0x80000000, 9, 3),
    (0xFFF0_1234_5678_9ABC, 0xFFFFFFFF, 2147483647), (0x101, 0x80000001, -2147483648),
    (0x90, 2, 6), ((1 << 64) - 1, 0x1234567, 4), (0x1400, 0x400, 5),
]  # fmt: skip


def functions(bodies):
    """Spell bodies as functions f0, f1 and so on."""
    return "".join(
        f"\nvoid f{i}(struct box *box, u64 a, u32 b, int x)\n{{\n{body}\n}}\n"
        for i, body in enumerate(bodies)
    ).encode()


def lowered(source, name, contexts=(), extra=None):
    """Lower one function of a tree that consists of one file."""
    index = Index(Files({FILE: source, **(extra or {})}), KVM)
    effects = Effects(index, frozenset({"out"}), frozenset({"box"}))
    shape = RoleShape(dict.fromkeys(contexts, ("role",)))
    lowering = Lowering(index, Types(index), shape, effects)
    (definition,) = index.functions(name, FILE)
    return lowering.run(definition)


def evaluated(out, name, inputs):
    """Evaluate what a run leaves in box->out."""
    world = {}
    for argument, number in zip(("a", "b", "x"), inputs, strict=True):
        given = out.word(Fact("argument", name, argument))
        world |= {given.bit(i): bool(number >> i & 1) for i in range(64)}
    value = out.memory[OUT]
    assert isinstance(value, Int)
    return value.bits.evaluate(world)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """What gcc's program leaves in box->out, by function and inputs."""
    if shutil.which("gcc") is None:
        pytest.skip("needs gcc")
    rows = ", ".join(f"{{{a}ULL, {b}u, {x}LL}}" for a, b, x in INPUTS)
    names = ", ".join(f"f{i}" for i in range(len(BODIES)))
    main = f"""
int main(void)
{{
	static void (*const all[])(struct box *, u64, u32, int) = {{ {names} }};
	static const struct {{ u64 a; u32 b; long long x; }} in[] = {{ {rows} }};
	for (int i = 0; i < {len(BODIES)}; i++)
		for (int j = 0; j < {len(INPUTS)}; j++) {{
			struct box box = {{ 0 }};
			all[i](&box, in[j].a, in[j].b, in[j].x);
			printf("%llu\\n", box.out);
		}}
	return 0;
}}
"""
    folder = tmp_path_factory.mktemp("gcc")
    (folder / "all.c").write_bytes(KERNEL + PRELUDE + functions(BODIES.values()) + main.encode())
    options = ["-std=gnu11", "-O0", "-w", "-fwrapv", "-fno-strict-aliasing"]
    subprocess.run(["gcc", *options, "all.c", "-o", "all"], cwd=folder, check=True)
    done = subprocess.run([folder / "all"], capture_output=True, check=True, text=True)
    numbers = [int(line) for line in done.stdout.split()]
    size = len(INPUTS)
    return [numbers[i * size : (i + 1) * size] for i in range(len(BODIES))]


@pytest.mark.parametrize("number", range(len(BODIES)), ids=list(BODIES))
def test_constructs(number, compiled):
    """A function computes what the same C computes when gcc compiles it."""
    body = list(BODIES.values())[number]
    name = f"f{number}"
    out = lowered(PRELUDE + functions([body]).replace(b"f0(", f"{name}(".encode()), name)
    assert not out.troubles
    assert not out.opaque
    found = [evaluated(out, name, inputs) for inputs in INPUTS]
    assert found == compiled[number]


REGISTERS = {
    "context member": ("box->out = box->in;", {f"box->in#{i}" for i in range(64)}),
    "one bit": ("box->out = !!(box->in & BIT(10));", {"box->in#10"}),
    "through a pointer": ("box->out = box->next->in & 3;", {"box->next->in#0", "box->next->in#1"}),
    "old value": ("if (a & 1) box->out = 0;", {f"box->out#{i}" for i in range(64)} | {"f0(a)#0"}),
    "old bit-field": ("box->out = box->role.base.direct;", {"box->role#4"}),
    "only a used input": ("u64 t = a; box->out = b & 1;", {"f0(b)#0"}),
    "null pointer": ("if (box->next) box->out = 1; else box->out = 2;", {"box->next != NULL#0"}),
}


@pytest.mark.parametrize(("body", "symbols"), REGISTERS.values(), ids=REGISTERS)
def test_what_is_read(body, symbols):
    """A value mentions just the inputs that it is made of, under their C names."""
    out = lowered(PRELUDE + functions([body]), "f0")
    assert not out.troubles
    assert {one.name for one in out.memory[OUT].bits.symbols} == symbols


UNKNOWN = {
    "check that a build leaves out": ("VM_WARN_ON((box->out = a) > 1);", "VM_WARN_ON() evaluates"),
    "check that stops, left out": ("VM_BUG_ON(!(box->out = a));", "VM_BUG_ON() evaluates"),
    "enumerator that is no int": ("enum { HIGH = 0x80000000 }; box->out = HIGH < 0;", "HIGH"),
    "variable of another mode": (
        "int __attribute__((mode(QI))) t = a << 8; box->out = t != 0;", "mode"),
    "variable of another mode, told behind it": (
        "int t __attribute__((__mode__(__QI__))) = a << 8; box->out = t != 0;", ""),
    "addresses in one variable": (
        "union flags t = { 0 }; box->out = (void *)&t.word == (void *)&t;", "one variable"),
    "least of what is not known": ("box->out = min(NOWHERE, 0);", "NOWHERE"),
    "enumeration by the value of another": (
        "enum { LESS = GLUM } e = a & 1; box->out = e > 0;", "negative"),
    "enumeration that is nowhere": ("enum nowhere e = a & 1; box->out = e > 0;", "enum nowhere"),
    "enumeration by what is nowhere": (
        "enum { MORE = NOWHERE } e = a & 1; box->out = e > 0;", "negative"),
    "enumeration with a large value beside a negative one": (
        "enum { LEAST = -1, MOST = 0xffffffff } e = a & 1; box->out = e > 0;", "large"),
    "packed enumeration": ("enum { SMALL } __packed e = a; box->out = e;", "packed"),
    "place of no bit": ("box->out = __ffs(a);", "__ffs(0)"),
    "bounds that are perhaps none": ("box->out = clamp_val(b, a & 7, x & 3);", "bounds"),
    "logarithm": ("box->out = ilog2(x) == 31;", "ilog2()"),
    "population of its own": (
        "\n#define hweight64(w) missing(w)\nbox->out = hweight64(a);\n", "missing()"),
    "clamped by its own": (
        "\n#define clamp_val(v, lo, hi) missing(v)\nbox->out = clamp_val(a, 1, 2);\n", "missing()"),
    "size of a member of what is nowhere": (
        "box->out = sizeof_field(struct nowhere, x);", "unknown target"),
    "types of two values": ("__auto_type t = a, s = b; box->out = t + s;", "__auto_type"),
    "unknown function": ("box->out = missing(a);", "missing() was not found"),
    "unknown function that gets the context": ("box->out = 1; missing(box);", "missing()"),
    "unknown name": ("box->out = a & NOWHERE;", "NOWHERE was not found"),
    "unknown member": ("box->out = box->nowhere;", "no member nowhere"),
    "unknown type": ("struct nowhere *p = (void *)box; box->out = p->x;", "another type"),
    "another struct": ("struct inner *p = (struct inner *)box; p->value = a;", "another type"),
    "byte of a struct": ("*((u8 *)box + 1) = a;", ""),
    "pointer to one of two functions": (
        "void (*f)(struct box *, u64) = a & 1 ? put : 0; f(box, 1);", "unknown target"),
    "table that ends": (
        "static const u8 t[] = { 1, 2, 3 }; box->out = t[a & 3];", "beyond its end"),
    "table that is written": ("box->list[a & 7] = 3; box->out = box->list[0];", "beyond its end"),
    "redefinition": (
        "\n#undef LIMIT\n#define LIMIT(n) 3\nbox->out = LIMIT(a);\n", "redefined"),
    "assembly": ('asm volatile("mov %1, %0" : "=r"(box->out) : "r"(a));', "asm"),
    "assembly on a local": ('u64 t = a; asm("" : "+r"(t)); box->out = t;', "asm"),
    "goto backwards": ("again: box->out = a; if (a & 1) goto again;", "goto"),
    "computed goto": ("void *p = &&out; goto *p; out: box->out = 1;", ""),
    "loop of unknown length": ("int i; for (i = 0; i < x; i++) box->out = i;", "not constant"),
    "loop without an end": ("for (;;) box->out = a;", "more than"),
    "array indexed by an input": ("box->list[x] = 1; box->out = box->list[0];", "beyond its end"),
    "product of inputs": ("box->out = a * b;", "not constant"),
    "quotient of inputs": ("box->out = a / (b | 1);", "not constant"),
    "division by zero": ("box->out = 1 / 0;", "division by zero"),
    "pointer arithmetic": ("u64 *p = &box->in; box->out = *(p + 1);", ""),
    "function pointer": ("u64 (*f)(u64) = (void *)a; box->out = f(a);", ""),
    "statement before the cases": ("switch (b) { box->out = 1; case 2: box->out = 2; }",
                                   "outside its cases"),
    "recursion": ("if (a) f0(box, 0, b, x); box->out = 1;", "calls itself"),
    "string": ('box->out = "text"[0];', ""),
    "read before it is set": ("u64 t; box->out = t;", "read before it is set"),
    "static local": ("static u64 t; t += a; box->out = t;", "between calls"),
    "memset of a context to ones": ("memset(box, 0xff, sizeof(*box));", "memset"),
    "memset by the size of a pointer": ("memset(box, 0, sizeof(box));", "memset"),
    "address to one of two objects": (
        "u64 t = a, s = b, *p = a & 1 ? &t : &s; *p = 3; box->out = t;", "unknown target"),
    "address given on a condition": (
        "u64 t = a; missing(a & 1 ? &t : NULL); box->out = t;", "missing()"),
    "address kept in a struct": (
        "u64 t = a; struct { u64 *p; } s; s.p = &t; missing(&s); box->out = t;", "missing()"),
    "address kept in a context": (
        "u64 t = a; box->next = (void *)&t; other(); box->out = t;", "other()"),
    "address as a number": (
        "u64 t = a; missing((unsigned long)&t); box->out = t;", "missing()"),
    "loop through a pointer": (
        "u64 t = a, *p = &t; while (b & *p) *p -= 1; box->out = t;", "not constant"),
    "loop through a pointer that moves": (
        "u64 t[2] = { 3, 3 }, *p = t; while (b & *p) *p++ = a; box->out = t[1];", ""),
    "quotient through a pointer": (
        "u64 t = a, *p = &t; *p = 64 / (b + 1); box->out = t;", "not constant"),
    "assembly through a pointer": (
        'u64 t = a, *p = &t; asm("x" : : "r"(p) : "memory"); box->out = t;', "asm"),
    "function where a variable ends": (
        "u64 t = a; { __attribute__((cleanup(drop))) u64 *p = &t; } box->out = t;", "ends"),
    "function where a variable ends, behind its name": (
        "u64 t = a; { u64 *p __attribute__((cleanup(drop))) = &t; } box->out = t;", ""),
    "store that orders": ("u64 t = a; smp_store_mb(t, 0); box->out = t;", "smp_store_mb()"),
    "loop of another macro": ("int i; each_for_each_one(i) box->out = i;", "macro"),
    "variable that a loop sets": (
        "u64 t = a; int i; for_each_one(i, t) kick(); box->out = t;", "macro"),
    "variable that a loop over a list sets": (
        "u64 t = a; xa_for_each(&box->out, b, t) { if (t == 1) break; } box->out = t;", "macro"),
    "argument of a debug message": (
        'u64 t = a; pr_debug("%d", t = 5); box->out = t;', "whether pr_debug()"),
    "number without an end": ("box->out = a + " + "9" * 5000 + ";", "the number 9999"),
    "union of other types": (
        "union { u64 v; struct box *p; } u; u.v = a; u.p = box; box->out = u.v;", "shares"),
    "two views of a union": (
        "union role r = { .whole = a, .ext.level = 3 }; box->out = r.whole;", "two of its members"),
    "two views of a union in a struct": (
        "struct { union role r; } s = { .r = { .whole = a }, .r.ext.level = 3 };"
        " box->out = s.r.whole;", "two of its members"),
    "two views without a name": (
        "struct { union { u64 v; struct { u32 lo, hi; }; }; } s = { .v = a, .hi = b };"
        " box->out = s.v;", "two of its members"),
    "braces that are left out": (
        "struct { struct inner i; u64 v; } s = { a, b, 3 }; box->out = s.v;",
        "a record is stored"),
    "braces that are left out of bits": (
        "struct { struct { u32 lo : 4, hi : 4; } f; u32 z; } s = { a, b };"
        " box->out = s.f.hi;", "by a number"),
    "value behind a member of a member": (
        "struct { struct inner i; u64 v; } s = { .i.value = a, b, 3 }; box->out = s.i.half;",
        "behind a member"),
    "range below a member": (
        "struct { u64 t[4]; } s = { .t[0 ... 2] = a }; box->out = s.t[1];", ""),
    "more values than elements": ("u64 t[2] = { 1, 2, a }; box->out = t[1];", "more values"),
    "more values than views": ("union role r = { a, { 3 } }; box->out = r.whole;", "more values"),
    "memset of a part": ("memset(box, 0, 8);", "memset"),
    "memcpy from elsewhere": ("memcpy(&box->out, (void *)a, 8);", ""),
    "union member of other types": ("box->out = (u64)__builtin_frobnicate(a);", "frobnicate"),
    "store through an unknown pointer": ("u64 *p = (u64 *)a; *p = 1; box->out = 1;", "pointer"),
    "vararg": ("__builtin_va_list l; box->out = __builtin_va_arg(l, u64);", ""),
    "operands in no order": ("u64 t = a; box->out = t++ + ++t;", "which operand comes first"),
    "arguments in no order": ("u64 t = a; box->out = plus(t++, t);", "which argument"),
}  # fmt: skip


@pytest.mark.parametrize(("body", "reason"), UNKNOWN.values(), ids=UNKNOWN)
def test_what_is_not_understood(body, reason):
    """An unknown construct spoils its paths or shows up in the value, with file and line."""
    source = PRELUDE + functions([body])
    out = lowered(source, "f0")
    value = out.memory.get(OUT)
    words = (
        {one.word for one in value.bits.symbols}
        if isinstance(value, Int)
        else {getattr(value, "word", None)}
    )
    notes = [(t.place, t.reason) for t in out.troubles]
    notes += [word.about[:2] for word in words & set(out.opaque)]
    assert notes, "the construct was dropped"
    first = source.count(b"\n", 0, source.index(b"void f0")) + 1
    assert all(place.file == FILE for place, _ in notes)
    assert any(reason in words for _, words in notes), notes
    assert any(place.line >= first for place, _ in notes)


def test_a_free_option_stays_open():
    """A build option that a kernel may or may not have leaves both values."""
    body = "#ifdef CONFIG_KVM_SMM\nbox->out = 1;\n#else\nbox->out = 2;\n#endif\n"
    out = lowered(PRELUDE + functions([body]), "f0")
    value = out.memory[OUT].bits
    (option,) = value.symbols
    assert option.word.about == Fact("option", "CONFIG_KVM_SMM")
    assert [value.evaluate({option: on}) for on in (True, False)] == [1, 2]


@pytest.mark.parametrize(
    ("condition", "values"),
    [
        ("#ifdef CONFIG_KVM", {1, 2}),
        ("#if !defined(CONFIG_KVM)", {1, 2}),
        ("#if IS_ENABLED(CONFIG_KVM)", {1}),
        ("#if !IS_ENABLED(CONFIG_KVM) || defined(CONFIG_X86_32)", {2}),
    ],
)
def test_what_is_checked_may_be_a_module(condition, values):
    """It is enabled in every build that is of interest, and not defined by its name in each."""
    body = f"{condition}\nbox->out = 1;\n#else\nbox->out = 2;\n#endif\n"
    value = lowered(PRELUDE + functions([body]), "f0").memory[OUT].bits
    found = {value.evaluate(dict.fromkeys(value.symbols, on)) for on in (True, False)}
    assert found == values


def test_a_header_of_its_own():
    """Constants and functions of a header that the file includes are found there."""
    extra = {HEADER: b"#define SEVEN 7\nstatic inline int eight(void)\n{\n\treturn SEVEN + 1;\n}\n"}
    source = b'#include "mmu.h"\n' + PRELUDE + functions(["box->out = SEVEN * 10 + eight();"])
    out = lowered(source, "f0", extra=extra)
    assert out.memory[OUT].bits.value == 78
    assert {c.file for c in out.consulted} == {FILE, HEADER}


GUARDS = {
    "return": ("if (box->role.whole == calc(a).whole) return; box->out = 1;", True),
    "swapped": ("union role r = calc(a); if (r.whole == box->role.whole) return; box->out = 1;",
                True),
    "block": ("if (box->role.whole != calc(a).whole) { box->out = 1; }", False),
    "negated": ("if (!(box->role.whole == calc(a).whole)) box->out = 1;", True),
    "local": ("bool same = box->role.whole == calc(a).whole; if (same) return; box->out = 1;",
              True),
    "copied": ("union role old = box->role; if (old.whole == calc(a).whole) return; box->out = 1;",
               True),
    "words of a function": ("if (same(box->role.whole, calc(a).whole)) return; box->out = 1;",
                            True),
    "macro": ("if (SAME(box->role, calc(a))) return; box->out = 1;", True),
    "memcmp": ("union role new = calc(a); if (!memcmp(&new, &box->role, sizeof(new))) return;"
               " box->out = 1;", True),
    "memcmp of a half": ("union role new = calc(a); if (!memcmp(&new, &box->role, 4)) return;"
                         " box->out = 1;", True),
    "view": ("union role new = calc(a); if (*(u32 *)&box->role == new.base.word) return;"
             " box->out = 1;", True),
    "exclusive or": ("if (!(box->role.whole ^ calc(a).whole)) return; box->role = calc(a);"
                     " box->out = 1;", False),
    "difference": ("u64 d = box->role.whole - calc(a).whole; if (d) { box->role = calc(a);"
                   " box->out = 1; }", False),
    "or else": ("if (box->role.whole == calc(a).whole || b) return; box->role = calc(a);"
                " box->out = 1;", True),
    "stored alone": ("if (box->role.base.word) return; box->role = calc(a); box->out = 1;", True),
    "order": ("u64 n = calc(a).whole; if (box->role.whole <= n && n <= box->role.whole) return;"
              " box->role = calc(a); box->out = 1;", True),
    "loop": ("while (box->role.whole == calc(a).whole) return; box->out = 1;", True),
    "two": ("if (box->role.base.word == b && box->role.ext.word == a) return; box->out = 1;",
            True),
}  # fmt: skip


@pytest.mark.parametrize(("body", "skips"), GUARDS.values(), ids=GUARDS)
def test_guards(body, skips):
    """A branch on a stored role becomes one free boolean, its meaning kept beside."""
    out = lowered(PRELUDE + functions([body]), "f0", contexts=("box",))
    (guard,) = out.guards
    assert not out.troubles
    assert guard.symbol in out.memory[OUT].bits.symbols
    assert guard.context == Loc(Root("box", "pointee"))
    assert any(one.word.name == "box->role" for one in guard.condition.symbols)
    assert guard.skips in (skips, not skips)


def test_a_strange_comparison_is_not_passed_over():
    """A branch on a stored role that no query knows spoils its path."""
    body = "switch (box->role.whole | 1) { case 5: return; } box->out = 1;"
    out = lowered(PRELUDE + functions([body]), "f0", contexts=("box",))
    assert not out.guards
    assert any("no query recognises" in trouble.reason for trouble in out.troubles)


def test_members_beside_each_other():
    """Members of a union share their place with all others of it, and with none of a structure."""
    number = IntType(32, False)

    def named(*names):
        return tuple(Member(name, lambda: number, None) for name in names)

    inner = RecordType("struct", "", named("a", "b"))
    outer = RecordType("union", "", (Member(None, lambda: inner, None), *named("c", "d")))
    whole = RecordType("struct", "x", (Member(None, lambda: outer, None), *named("e")))
    beside = {name: set(whole.beside(name)) for name in "abcde"}
    assert beside == {
        "a": {"c", "d"}, "b": {"c", "d"}, "c": {"a", "b", "d"}, "d": {"a", "b", "c"}, "e": set(),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("about", "name"),
    [
        (Loc(Root("flag", "global")), "flag"),
        (Loc(Root("flag", "local")), ""),
        (Loc(Root("box", "pointee"), ("arch", "efer")), "efer"),
        (Loc(Root("box", "global"), ("arch", "efer")), "efer"),
        (Fact("argument", "f", "level"), "level"),
        (Fact("call", "f", "level"), ""),
    ],
)
def test_what_a_word_is_called(about, name):
    """By its member, an object of file scope by its own name, and an argument by its."""
    assert member_of(bits.Word("w", about)) == name


ALIKE = [
    lambda: Function("x"),
    lambda: Opaque(word("?0")),
    lambda: Int(SAME_BITS),
    lambda: Pointer(OUT, VoidType()),
    lambda: Record(VoidType(), ()),
    VoidType,
    lambda: UnknownType("x"),
    lambda: PointerType(None),
    lambda: PointerType(VoidType()),
    lambda: IntType(64, False),
    lambda: ArrayType(VoidType(), None),
    lambda: RecordType("struct", "x", ()),
    lambda: RecordType("union", "x", ()),
]
SAME_BITS = bits.constant(32, 0)


def test_equality_tells_classes_apart():
    """A value or a type equals another that is built alike, and none of another class."""
    for number, build in enumerate(ALIKE):
        assert [other() == build() for other in ALIKE] == [i == number for i in range(len(ALIKE))]


def test_a_choice_is_what_it_chooses():
    """The terms of a merged integer are those of its sides, however deep they are nested."""
    sides = [Int(bits.low_bits(8, word(name))) for name in "abc"]
    first, second = symbol("first"), symbol("second")
    nested = Choice(first, Choice(second, sides[0], sides[1], False), sides[2], True)
    assert (nested.width, nested.signed) == (8, True)
    inner = bits.choose(second, sides[0].bits, sides[1].bits)
    assert nested.bits.identical(bits.choose(first, inner, sides[2].bits))
    assert nested.bits is nested.bits
    deep = sides[0]
    for number in range(5000):
        deep = Choice(first, deep, Int(bits.constant(8, number % 2)), False)
    assert deep.bits.width == 8


CHAIN = "static u64 twice0(u64 v) { return v; }\n" + "".join(
    f"static u64 twice{i}(u64 v) {{ return twice{i - 1}(v) + twice{i - 1}(v + 1); }}\n"
    for i in range(1, 25)
)
TOO_MUCH = {
    "calls that double": (CHAIN, "box->out = twice24(a);"),
    "cases": ("", "switch (b) {" + "".join(
        f"case {i}: box->out = box->out * 3 + {i}; break;" for i in range(1500)) + "}"),
    "braces": ("", "if (a) {" * 3000 + "box->out = 1;" + "}" * 3000),
}  # fmt: skip


@pytest.mark.parametrize(("helper", "body"), TOO_MUCH.values(), ids=TOO_MUCH)
def test_what_has_no_end_is_given_up(helper, body):
    """A run that outgrows its work is a trouble with its place, and decides nothing."""
    out = lowered(PRELUDE + helper.encode() + functions([body]), "f0")
    assert out.troubles
    assert all(trouble.place.file == FILE and trouble.path is True for trouble in out.troubles)
    assert not isinstance(out.memory.get(OUT), Int)


BY_OPTION = {
    "macro": ("#ifdef CONFIG_A\n#define N 1\n#else\n#define N 2\n#endif\n", "box->out = N;",
              {"A": 1, "": 2}),
    "macro of a chain": (
        "#if defined(CONFIG_A) && !defined(CONFIG_B)\n#define N(x) (x)\n#elif defined(CONFIG_B)\n"
        "#define N(x) 5\n#else\n#define N(x) 7\n#endif\n", "box->out = N(3);",
        {"A": 3, "B": 5, "AB": 5, "": 7}),
    "macro of two files": ("#ifdef CONFIG_A\n#define N 4\n#else\n#define N 4\n#endif\n",
                           "box->out = N;", {"A": 4, "": 4}),
    "function": ("#ifdef CONFIG_A\nstatic int n(void) { return 1; }\n#else\n"
                 "static int n(void) { return 2; }\n#endif\n", "box->out = n();", {"A": 1, "": 2}),
    "enumerators": ("enum e {\n#ifdef CONFIG_A\nFIRST,\n#endif\nSECOND, THIRD = SECOND + 2 };\n",
                    "box->out = SECOND * 10 + THIRD;", {"A": 13, "": 2}),
    "enumeration": ("#ifdef CONFIG_A\nenum e { N = 1 };\n#else\nenum e { N = 6 };\n#endif\n",
                    "box->out = N;", {"A": 1, "": 6}),
    "macro or enumeration": ("#ifdef CONFIG_A\n#define N 3\n#else\nenum { N = 8 };\n#endif\n",
                             "box->out = N;", {"A": 3, "": 8}),
    "macro or constant": ("#ifndef CONFIG_A\n#define N 3\n#else\n"
                          "static const u64 n[] = { 4, 5 };\n#define N n[1]\n#endif\n",
                          "box->out = N;", {"A": 5, "": 3}),
    "statements of a chain": ("", "\n#if defined(CONFIG_A)\nbox->out = 1;\n#elif CONFIG_B\n"
                              "box->out = 2;\n#else\nbox->out = 3;\n#endif\n",
                              {"A": 1, "B": 2, "AB": 1, "": 3}),
    "nested": ("", "\n#ifdef CONFIG_A\n#ifndef CONFIG_B\nbox->out = 1;\n#else\n"
               "box->out = 2;\n#endif\n#else\nbox->out = 3;\n#endif\n", {"A": 1, "AB": 2, "B": 3}),
    "one option in two ways": ("#ifdef CONFIG_A\n#define N 1\n#else\n#define N 2\n#endif\n",
                               "box->out = IS_ENABLED(CONFIG_A) ? N : 10 * N;",
                               {"A": 1, "": 20}),
    "either of two": ("", "\n#if (defined(CONFIG_X86_64) || defined(CONFIG_A)) && "
                      "defined(CONFIG_B)\nbox->out = 1;\n#else\n"
                      "box->out = 2;\n#endif\n", {"B": 1, "": 2}),
}  # fmt: skip


@pytest.mark.parametrize(("head", "body", "values"), BY_OPTION.values(), ids=BY_OPTION)
def test_build_options(head, body, values):
    """What build options decide has the value of each build."""
    out = lowered(PRELUDE + head.encode() + functions([body]), "f0")
    assert not out.troubles
    value = out.memory[OUT]
    assert isinstance(value, Int)
    for options, number in values.items():
        world = {
            symbol: symbol.word.name.removeprefix("CONFIG_") in options
            for symbol in value.bits.symbols
        }
        assert value.bits.evaluate(world) == number, options


@pytest.mark.parametrize("declared", ["static u64 lean;", "extern u64 lean;"])
@pytest.mark.parametrize("is_first", [True, False])
def test_a_macro_that_is_an_object_in_other_builds(declared, is_first):
    """Where no option defines the macro, the object of its name is meant."""
    macro = "#define lean 7"
    first, second = (macro, declared) if is_first else (declared, macro)
    head = f"#ifdef CONFIG_A\n{first}\n#else\n{second}\n#endif\n"
    out = lowered(PRELUDE + head.encode() + functions(["box->out = lean;"]), "f0")
    value = out.memory[OUT]
    assert isinstance(value, Int) and not out.troubles
    for is_set in (False, True):
        world = {
            one: is_set if one.word.name == "CONFIG_A" else False for one in value.bits.symbols
        }
        assert value.bits.evaluate(world) == (7 if is_set is is_first else 0)
    assert {one.word.name for one in value.bits.symbols} == {"CONFIG_A", "lean"}


@pytest.mark.parametrize("body", ["o.v = a; box->out = o.v;", "o.w = a; box->out = o.w;"])
def test_a_record_that_an_option_chooses(body):
    """What its definitions have in common has its type, and no place; the rest is not known."""
    head = (
        "#ifdef CONFIG_A\nstruct odd { u8 v; u32 w; };\n#else\n"
        "struct odd { u16 v; u32 w; };\n#endif\n"
    )
    out = lowered(PRELUDE + head.encode() + functions([f"struct odd o; {body}"]), "f0")
    reasons = [t.reason for t in out.troubles] + [word.about.reason for word in out.opaque]
    is_known = any("depends on a build option" in reason for reason in reasons)
    assert is_known is ("o.v" in body)


def test_a_member_that_an_option_decides_is_not_understood():
    """Of a member that two builds declare in two ways, nothing is known."""
    head = "struct odd {\n#ifdef CONFIG_A\n\tu8 v;\n#else\n\tu16 v;\n#endif\n};\n"
    body = "struct odd o; o.v = a; box->out = o.v;"
    out = lowered(PRELUDE + head.encode() + functions([body]), "f0")
    reasons = [t.reason for t in out.troubles] + [word.about.reason for word in out.opaque]
    assert any("depends on a build option" in reason for reason in reasons)


UNSEEN = {
    "helper": ("static void turn(struct box *b) { b->in += b->tiny; }", "turn(box);"),
    "helper of a helper": ("static void turn(struct box *b) { b->in += b->tiny; }\n"
                           "static void round(struct box *b) { turn(b); }", "round(box);"),
    "through a pointer": ("static void turn(struct box *b) { u64 *p = &b->in; *p = b->tiny; }",
                          "turn(box);"),
    "exchange": ("", "xchg(&box->in, b);"),
    "unknown function": ("", "fill(&box->in);"),
}  # fmt: skip


@pytest.mark.parametrize(("helper", "call"), UNSEEN.values(), ids=UNSEEN)
def test_an_input_may_change_between_two_reads(helper, call):
    """What a call may set is not read for the same before and behind it."""
    body = f"u64 t = box->in; {call} box->out = t - box->in;"
    out = lowered(PRELUDE + helper.encode() + functions([body]), "f0")
    value = out.memory[OUT]
    unknown = not isinstance(value, Int) or any(s.word.opaque for s in value.bits.symbols)
    assert unknown or value.bits.value != 0
