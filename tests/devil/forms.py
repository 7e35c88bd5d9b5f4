# SPDX-License-Identifier: GPL-2.0-only
"""How C and the kernel change an object.  The list is that of the language, not of the engine.

In a form ``$L`` is the member to change, ``$V`` its new value, ``$W`` the smallest object
around it that has an address, of type ``$T``, with the new value ``$N``; ``$O`` is the record
around it, ``$R`` its type, ``$A`` a pointer to it, ``$M`` the path of ``$W`` and ``$P`` that of
``$L`` in it, ``$B`` the number of the bit in the word, ``$U`` a suffix that is used once.
"""

from typing import NamedTuple


class Form(NamedTuple):
    """One way to change an object.

    ``text`` are the statements, ``above`` what has to be defined before the function.
    ``effect`` tells what happens to the member: ``set``, ``wipe`` (the word is 0), ``step``
    (one more, or one less) or ``none``.  ``only`` limits it to members of a kind.
    """

    name: str
    text: str
    above: str = ""
    effect: str = "set"
    only: str = ""
    kind: str = "plain C"


def _forms(kind, *rows):
    """Make forms of one kind out of rows: a name, its text, and what else differs."""
    return tuple(Form(*row[:2], **(row[2] if len(row) > 2 else {}), kind=kind) for row in rows)


# fmt: off
ASSIGNMENTS = _forms(
    "assignments",
    ("=", "$L = $V;"),
    ("= in parentheses", "($L) = ($V);"),
    ("^=", "$L ^= $L ^ $V;"),
    ("-=", "$L -= $L - $V;"),
    ("*= and +=", "$L *= 0;\n$L += $V;"),
    ("&= and |=", "$L &= 0;\n$L |= $V;"),
    ("<<= and |=", "$W = $N;\n$L <<= 0;"),
    ("%= and +=", "$L %= 1;\n$L += $V;"),
    ("++ of the word", "$W++;", {"effect": "step", "only": "scalar"}),
    ("-- of the word", "--$W;", {"effect": "step", "only": "scalar"}),
    ("chain", "int last$U;\nlast$U = $L = $V;\n(void)last$U;"),
    ("chain to the left", "int first$U;\n$L = first$U = $V;\n(void)first$U;"),
    ("*&", "*&$W = $N;"),
    ("(&)[0]", "(&$W)[0] = $N;"),
    ("0[&]", "0[&$W] = $N;"),
    ("through parentheses", "((($W))) = $N;"),
    ("record in parentheses", "($O).$P = $V;"),
    ("pointer to the record", "($A)->$P = $V;"),
    ("member of *", "(*($A)).$P = $V;"),
    ("member of [0]", "($A)[0].$P = $V;"),
)

EXPRESSIONS = _forms(
    "inside an expression",
    ("comma", "(void)0, $L = $V;"),
    ("comma in a condition", "if ($L = $V, vcpu)\n\t;"),
    ("condition", "if (($L = $V))\n\t;"),
    ("&&", "if (vcpu && (($L = $V), 1))\n\t;"),
    ("|| ", "if (!vcpu || (($L = $V), 1))\n\t;"),
    ("?:", "vcpu ? (void)($L = $V) : (void)0;"),
    ("?: of addresses", "*(vcpu ? &$W : NULL) = $N;"),
    ("initialiser", "int seen$U = ($L = $V);\n\n(void)seen$U;"),
    ("element of an initialiser", "int seen$U[] = { 0, $L = $V };\n\n(void)seen$U;"),
    ("argument", "devil_nop$U($L = $V);",
     {"above": "static inline void devil_nop$U(int n)\n{\n}"}),
    ("index", "(void)devil_few$U[($L = $V) & 1];", {"above": "static int devil_few$U[2];"}),
    ("for, first", "for ($L = $V; 0; )\n\t;"),
    ("for, condition", "for (; $L = $V, 0; )\n\t;"),
    ("for, step", "for (int i$U = 0; i$U < 1; i$U++, $L = $V)\n\t;"),
    ("for, body", "for (int i$U = 0; i$U < 1; i$U++)\n\t$L = $V;"),
    ("while, condition", "while (($L = $V), 0)\n\t;"),
    ("do", "do\n\t$L = $V;\nwhile (0);"),
    ("do, condition", "do {\n} while (($L = $V), 0);"),
    ("switch", "switch ($L = $V) {\ndefault:\n\tbreak;\n}"),
    ("case", "switch (!vcpu) {\ncase 0:\n\t$L = $V;\n}"),
    ("case range", "switch (!vcpu) {\ncase 0 ... 3:\n\t$L = $V;\n}"),
    ("behind a jump", "goto devil$U;\ndevil$U:\n$L = $V;"),
    ("computed jump", "void *to$U = &&devil$U;\n\ngoto *to$U;\ndevil$U:\n$L = $V;"),
    ("statement expression", "({ $L = $V; });"),
    ("value of a statement expression", "(void)({ $L = $V; 0; });"),
    ("address of a statement expression", "*({ &$W; }) = $N;"),
    ("typeof of another", "typeof($W) *p$U = &$W;\n\n*p$U = $N;"),
    ("__auto_type", "__auto_type p$U = &$W;\n\n*p$U = $N;"),
    ("_Generic", "*_Generic($W, default: &$W) = $N;"),
    ("__builtin_choose_expr", "*__builtin_choose_expr(1, &$W, NULL) = $N;"),
)

POINTERS = _forms(
    "through a pointer",
    ("pointer", "$T *p$U = &$W;\n\n*p$U = $N;"),
    ("pointer, later", "$T *p$U;\n\np$U = &$W;\n*p$U = $N;"),
    ("pointer, ++", "$T *p$U = &$W;\n\n(*p$U)++;", {"effect": "step", "only": "scalar"}),
    ("pointer as an array", "$T *p$U = &$W;\n\np$U[0] = $N;"),
    ("pointer, moved", "$T *p$U = &$W - 1;\n\n*++p$U = $N;"),
    ("pointer to a pointer", "$T *p$U = &$W, **pp$U = &p$U;\n\n**pp$U = $N;"),
    ("pointer to the record, kept", "$R *p$U = $A;\n\np$U->$P = $V;"),
    ("pointer of a typedef", "devil_ptr$U p$U = $A;\n\np$U->$P = $V;",
     {"above": "typedef $R *devil_ptr$U;"}),
    ("pointer in an array", "$T spare$U, *ps$U[] = { &spare$U, &$W };\n\n*ps$U[1] = $N;"),
    ("pointer in an array, chosen",
     "$T spare$U, *ps$U[] = { &spare$U, &$W };\n\n*ps$U[!!vcpu] = $N;"),
    ("pointer in a record", "struct { $T *w; } box$U = { .w = &$W };\n\n*box$U.w = $N;"),
    ("pointer in a record of another type",
     "struct { $T *w; } box$U = { .w = &$W };\nvoid *any$U = &box$U;\n"
     "struct { $T *v; } *twin$U = any$U;\n\n*twin$U->v = $N;"),
    ("pointer in a record, read as a number",
     "struct { $T *w; } box$U = { .w = &$W };\nunsigned long *any$U = (void *)&box$U;\n\n"
     "*($T *)*any$U = $N;"),
    ("pointer in an array, read as another",
     "$T *few$U[2] = { NULL, &$W };\nvoid *any$U = few$U;\n"
     "$T **each$U = any$U;\n\n*each$U[1] = $N;"),
    ("pointer in a record, later", "struct { $T *w; } box$U;\n\nbox$U.w = &$W;\n*box$U.w = $N;"),
    ("pointer in a union", "union { $T *w; unsigned long n; } pun$U;\n\n"
     "pun$U.n = (unsigned long)&$W;\n*pun$U.w = $N;"),
    ("pointer in a compound literal", "*((struct { $T *w; }){ .w = &$W }).w = $N;"),
    ("pointer in an array literal", "*(($T *[]){ &$W })[0] = $N;"),
    ("pointer as a number", "unsigned long n$U = (unsigned long)&$W;\n\n*($T *)n$U = $N;"),
    ("pointer to void", "void *p$U = &$W;\n\n*($T *)p$U = $N;"),
    ("pointer to char", "char *p$U = (char *)&$W;\n\n*($T *)p$U = $N;"),
    ("pointer parked in a global", "devil_parked$U = &$W;\ndevil_unpark$U($N);",
     {"above": "static $T *devil_parked$U;\n\nstatic void devil_unpark$U($T n)\n{\n"
               "\t*devil_parked$U = n;\n}"}),
    ("pointer parked in a record", "devil_desk$U.w[1] = &$W;\ndevil_unpark$U($N);",
     {"above": "static struct {\n\t$T *w[2];\n} devil_desk$U;\n\n"
               "static void devil_unpark$U($T n)\n{\n\t*devil_desk$U.w[1] = n;\n}"}),
    ("offset", "*($T *)((char *)($A) + offsetof($R, $M)) = $N;"),
    ("__builtin_offsetof", "*($T *)((void *)($A) + __builtin_offsetof($R, $M)) = $N;"),
    ("offset as a number",
     "*($T *)((unsigned long)($A) + (unsigned long)&(($R *)0)->$M) = $N;"),
    ("container_of", "$T *p$U = &$W;\n\ncontainer_of(p$U, $R, $M)->$P = $V;"),
    ("restrict", "$T *restrict p$U = &$W;\n\n*p$U = $N;"),
    ("const taken away", "const $T *p$U = &$W;\n\n*($T *)p$U = $N;"),
    ("volatile", "*(volatile $T *)&$W = $N;"),
)

COPIES = _forms(
    "copies of bytes and records",
    ("memcpy", "$T v$U = $N;\n\nmemcpy(&$W, &v$U, sizeof(v$U));"),
    ("__builtin_memcpy", "$T v$U = $N;\n\n__builtin_memcpy(&$W, &v$U, sizeof(v$U));"),
    ("__memcpy", "$T v$U = $N;\n\n__memcpy(&$W, &v$U, sizeof(v$U));"),
    ("memmove", "$T v$U = $N;\n\nmemmove(&$W, &v$U, sizeof(v$U));"),
    ("memcpy, its value used",
     "$T v$U = $N;\n\nif (!memcpy(&$W, &v$U, sizeof(v$U)))\n\tbarrier();"),
    ("memcpy of the whole", "$R v$U = $O;\n\nv$U.$P = $V;\nmemcpy($A, &v$U, sizeof(v$U));"),
    ("memset", "memset(&$W, 0, sizeof($W));", {"effect": "wipe"}),
    ("__builtin_memset", "__builtin_memset(&$W, 0, sizeof($W));", {"effect": "wipe"}),
    ("memset of the pointee",
     "$T *p$U = &$W;\n\nmemset(p$U, 0, sizeof(*p$U));", {"effect": "wipe"}),
    ("bytes, one by one", "$T v$U = $N;\n\nfor (unsigned int i$U = 0; i$U < sizeof(v$U); i$U++)\n"
     "\t((u8 *)&$W)[i$U] = ((u8 *)&v$U)[i$U];"),
    ("record", "$R t$U = $O;\n\nt$U.$P = $V;\n$O = t$U;"),
    ("record through pointers", "$R t$U = *($A), *p$U = $A;\n\nt$U.$P = $V;\n*p$U = t$U;"),
    ("record from a function", "$O = devil_made$U($O, $V);",
     {"above": "static $R devil_made$U($R r, int v)\n{\n\tr.$P = v;\n\treturn r;\n}"}),
    ("sprintf", "sprintf((char *)&$W, \"%c\", 7);", {"effect": "set7", "only": "byte"}),
)

KERNEL = _forms(
    "accessors of the kernel",
    ("WRITE_ONCE", "WRITE_ONCE($W, $N);"),
    ("smp_store_release", "smp_store_release(&$W, $N);"),
    ("smp_store_mb", "smp_store_mb($W, $N);"),
    ("xchg", "(void)xchg(&$W, $N);"),
    ("xchg_relaxed", "(void)xchg_relaxed(&$W, $N);"),
    ("cmpxchg", "(void)cmpxchg(&$W, $W, $N);"),
    ("try_cmpxchg", "$T old$U = $W;\n\nif (try_cmpxchg(&$W, &old$U, $N))\n\tbarrier();"),
    ("swap", "$T v$U = $N;\n\nswap($W, v$U);"),
    ("swap, the other way", "$T v$U = $N;\n\nswap(v$U, $W);"),
    ("atomic_set", "atomic_set((atomic_t *)&$W, $N);", {"only": "u32"}),
    ("atomic_and", "atomic_and(~(1u << $B), (atomic_t *)&$W);", {"only": "bit"}),
    ("atomic_inc", "atomic_inc((atomic_t *)&$W);", {"only": "int", "effect": "step"}),
    ("atomic64_set", "atomic64_set((atomic64_t *)&$W, $N);", {"only": "u64"}),
    ("__assign_bit", "__assign_bit($B, (unsigned long *)&$W, $V);", {"only": "bit"}),
    ("assign_bit", "assign_bit($B, (unsigned long *)&$W, $V);", {"only": "bit"}),
    ("__clear_bit", "__clear_bit($B, (unsigned long *)&$W);", {"only": "bit"}),
    ("clear_bit", "clear_bit($B, (unsigned long *)&$W);", {"only": "bit"}),
    ("test_and_clear_bit", "(void)test_and_clear_bit($B, (unsigned long *)&$W);",
     {"only": "bit"}),
    ("bitmap_clear", "bitmap_clear((unsigned long *)&$W, $B, 1);", {"only": "bit"}),
    ("__set_bit and __change_bit", "__set_bit($B, (unsigned long *)&$W);\n"
     "__change_bit($B, (unsigned long *)&$W);", {"only": "bit"}),
    ("asm, output", "asm(\"mov %1, %0\" : \"=m\" ($W) : \"r\" (($T)($N)));"),
    ("asm, in and out", "$T v$U = $N;\n\n"
     "asm volatile(\"xchg %1, %0\" : \"+m\" ($W), \"+r\" (v$U));"),
    ("asm, memory",
     "asm volatile(\"mov %1, (%0)\" : : \"r\" (&$W), \"r\" (($T)($N)) : \"memory\");"),
    ("copy_from_user", "$T v$U = $N;\n\nif (copy_from_user(&$W, &v$U, sizeof($W)))\n\tbarrier();"),
    ("get_user", "$T v$U = $N;\n\nif (get_user($W, &v$U))\n\tbarrier();"),
    ("kvm_read_guest", "devil_guest = $N;\nif (kvm_read_guest(vcpu, 0, &$W, sizeof($W)))\n"
     "\tbarrier();"),
    ("check_add_overflow", "if (check_add_overflow(($T)0, ($T)($N), &$W))\n\tbarrier();"),
    ("__builtin_add_overflow", "(void)__builtin_add_overflow(($T)0, ($T)($N), &$W);"),
    ("do_div", "$W = 3 * ($N);\n(void)do_div($W, 3);", {"only": "u64"}),
    ("put_unaligned", "put_unaligned(($T)($N), &$W);"),
    ("kstrto", "if (kstrtou8(\"7\", 0, &$W))\n\tbarrier();", {"effect": "set7", "only": "byte"}),
    ("WARN_ON", "WARN_ON(($L = $V) > 4096);"),
    ("WARN_ON_ONCE", "if (WARN_ON_ONCE(($L = $V) > 4096))\n\tbarrier();"),
    ("WARN, condition", "WARN(($L = $V) > 4096, \"odd\");"),
    ("WARN, argument", "WARN(!!vcpu, \"%d\", $L = $V);"),
    ("WARN_ONCE, argument", "WARN_ONCE(!!vcpu, \"%d\", $L = $V);"),
    ("BUG_ON", "BUG_ON(($L = $V) > 4096);"),
    ("KVM_BUG_ON", "KVM_BUG_ON(($L = $V) > 4096, vcpu->kvm);"),
    ("pr_info", "pr_info(\"%d\", $L = $V);"),
    ("pr_debug", "pr_debug(\"%d\", $L = $V);"),
    ("pr_warn_ratelimited", "pr_warn_ratelimited(\"%d\", $L = $V);"),
    ("printk", "printk(\"%d\", $L = $V);"),
    ("kvm_debug_ratelimited", "kvm_debug_ratelimited(\"%d\", $L = $V);"),
    ("trace_*()", "trace_kvm_devil($L = $V);"),
    ("trace_*(), address", "trace_kvm_devil$U($A);",
     {"above": "static void trace_kvm_devil$U($R *r)\n{\n\tr->$P = 0;\n}", "effect": "zero"}),
    ("pr_*(), address", "pr_devil$U($A, $V);",
     {"above": "static void pr_devil$U($R *r, int v)\n{\n\tr->$P = v;\n}"}),
    ("likely", "if (likely(($L = $V) <= 4096))\n\t;"),
    ("READ_ONCE", "(void)READ_ONCE(*({ $L = $V; &$W; }));"),
    ("min", "(void)min($L = $V, 3);"),
    ("scoped_guard", "scoped_guard(mutex, vcpu->devil)\n\t$L = $V;"),
    ("__cleanup", "{\n\t$R *p$U __attribute__((cleanup(devil_clean$U))) = $A;\n\n\t(void)p$U;\n}",
     {"above": "static void devil_clean$U($R **r)\n{\n\t(*r)->$P = 0;\n}", "effect": "zero"}),
    ("do/while macro with __VA_ARGS__", "DEVIL_VA$U($L = $V);",
     {"above": "#define DEVIL_VA$U(...) do { __VA_ARGS__; } while (0)"}),
)

CALLS = _forms(
    "calls and macros",
    ("macro", "DEVIL_SET$U($L, $V);",
     {"above": "#define DEVIL_SET$U(x, v) do { (x) = (v); } while (0)"}),
    ("macro of a macro", "DEVIL_PUT$U($L, $V);",
     {"above": "#define DEVIL_SET$U(x, v) do { (x) = (v); } while (0)\n"
               "#define DEVIL_PUT$U(x, v) DEVIL_SET$U(x, v)"}),
    ("macro that is the store", "DEVIL_NOW$U;", {"above": "#define DEVIL_NOW$U ($L = $V)"}),
    ("macro that is the object", "DEVIL_THIS$U = $V;", {"above": "#define DEVIL_THIS$U $L"}),
    ("macro that names the member", "($A)->DEVIL_MEMBER$U = $V;",
     {"above": "#define DEVIL_MEMBER$U $P"}),
    ("macro given the member", "DEVIL_IN$U($A, $P, $V);",
     {"above": "#define DEVIL_IN$U(p, m, v) ((p)->m = (v))"}),
    ("macro that pastes the member", "DEVIL_PASTE$U($A, $X, $Y, $V);",
     {"above": "#define DEVIL_PASTE$U(p, a, b, v) ((p)->$Q a##b = (v))"}),
    ("macro given the operator", "DEVIL_OP$U($L, =, $V);",
     {"above": "#define DEVIL_OP$U(x, op, v) ((x) op (v))"}),
    ("macro given the statement", "DEVIL_DO$U($L = $V);",
     {"above": "#define DEVIL_DO$U(s) do { s; } while (0)"}),
    ("macro that takes the address", "*DEVIL_AT$U($W) = $N;",
     {"above": "#define DEVIL_AT$U(x) (&(x))"}),
    ("macro that declares a function", "devil_wipe$U($A, $V);",
     {"above": "#define DEVIL_BUILD$U(name, m) static void devil_##name##$U($R *r, int v)"
               " { r->m = v; }\nDEVIL_BUILD$U(wipe, $P)"}),
    ("out-parameter", "devil_put$U(&$W, $N);",
     {"above": "static void devil_put$U($T *w, $T n)\n{\n\t*w = n;\n}"}),
    ("out-parameter, its value used", "if (devil_put$U(&$W, $N))\n\tbarrier();",
     {"above": "static int devil_put$U($T *w, $T n)\n{\n\t*w = n;\n\treturn 0;\n}"}),
    ("out-parameter to void", "devil_put$U(&$W, $N);",
     {"above": "static void devil_put$U(void *w, $T n)\n{\n\t*($T *)w = n;\n}"}),
    ("out-parameter in a record", "devil_put$U((struct devil_box$U){ .w = &$W, .n = $N });",
     {"above": "struct devil_box$U {\n\t$T *w, n;\n};\n\n"
               "static void devil_put$U(struct devil_box$U box)\n{\n\t*box.w = box.n;\n}"}),
    ("out-parameter, variadic", "devil_put$U(1, &$W, $N);",
     {"above": "static void devil_put$U(int n, ...)\n{\n\t__builtin_va_list ap;\n\t$T *w;\n\n"
               "\t__builtin_va_start(ap, n);\n\tw = __builtin_va_arg(ap, $T *);\n"
               "\t*w = __builtin_va_arg(ap, int);\n\t__builtin_va_end(ap);\n}",
      "only": "narrow"}),
    ("record by reference", "devil_change$U($A, $V);",
     {"above": "static void devil_change$U($R *r, int v)\n{\n\tr->$P = v;\n}"}),
    ("record by reference in parentheses", "devil_change$U(($A), $V);",
     {"above": "static void devil_change$U($R *r, int v)\n{\n\tr->$P = v;\n}"}),
    ("record by reference, cast", "devil_change$U(($R *)$A, $V);",
     {"above": "static void devil_change$U($R *r, int v)\n{\n\tr->$P = v;\n}"}),
    ("record by reference, assigned", "$R *p$U;\n\ndevil_change$U(p$U = $A, $V);",
     {"above": "static void devil_change$U($R *r, int v)\n{\n\tr->$P = v;\n}"}),
    ("record by reference of a function", "devil_change$U(devil_same$U($A), $V);",
     {"above": "static $R *devil_same$U($R *r)\n{\n\treturn r;\n}\n\n"
               "static void devil_change$U($R *r, int v)\n{\n\tr->$P = v;\n}"}),
    ("record by reference, chosen", "devil_change$U(vcpu ? $A : NULL, $V);",
     {"above": "static void devil_change$U($R *r, int v)\n{\n\tr->$P = v;\n}"}),
    ("record by reference in a comma", "devil_change$U((0, $A), $V);",
     {"above": "static void devil_change$U($R *r, int v)\n{\n\tr->$P = v;\n}"}),
    ("address returned", "*devil_at$U($A) = $N;",
     {"above": "static $T *devil_at$U($R *r)\n{\n\treturn &r->$M;\n}"}),
    ("address returned, recursion", "devil_down$U($A, 2)->$P = $V;",
     {"above": "static $R *devil_down$U($R *r, int n)\n{\n"
               "\treturn n ? devil_down$U(r, n - 1) : r;\n}"}),
    ("function behind a pointer", "void (*f$U)($R *, int) = devil_change$U;\n\nf$U($A, $V);",
     {"above": "static void devil_change$U($R *r, int v)\n{\n\tr->$P = v;\n}"}),
    ("function in a table", "devil_table$U[0]($A, $V);",
     {"above": "static void devil_change$U($R *r, int v)\n{\n\tr->$P = v;\n}\n\n"
               "static void (*const devil_table$U[])($R *, int) = { devil_change$U };"}),
    ("function in a record", "devil_ops$U.change($A, $V);",
     {"above": "static void devil_change$U($R *r, int v)\n{\n\tr->$P = v;\n}\n\n"
               "static const struct {\n\tvoid (*change)($R *, int);\n} devil_ops$U = {\n"
               "\t.change = devil_change$U,\n};"}),
    ("function given to a function", "devil_each$U($A, devil_change$U);",
     {"above": "static void devil_change$U($R *r)\n{\n\tr->$P = 0;\n}\n\n"
               "static void devil_each$U($R *r, void (*f)($R *))\n{\n\tf(r);\n}",
      "effect": "zero"}),
    ("function of another name", "devil_alias$U($A, $V);",
     {"above": "static void devil_change$U($R *r, int v)\n{\n\tr->$P = v;\n}\n\n"
               "#define devil_alias$U devil_change$U"}),
    ("function in parentheses", "(devil_change$U)($A, $V);",
     {"above": "static void devil_change$U($R *r, int v)\n{\n\tr->$P = v;\n}"}),
    ("function, alias of the linker", "devil_alias$U($A, $V);",
     {"above": "__attribute__((used)) static void devil_change$U($R *r, int v)\n"
               "{\n\tr->$P = v;\n}\n\n"
               "static void devil_alias$U($R *r, int v) "
               "__attribute__((alias(\"devil_change$U\")));"}),
    ("function of old style", "devil_change$U($A, $V);",
     {"above": "static void devil_change$U(r, v)\n\t$R *r;\n\tint v;\n{\n\tr->$P = v;\n}"}),
    ("nested function", "{\n\tauto void nested$U(void);\n\tvoid nested$U(void) { $L = $V; }\n\n"
     "\tnested$U();\n}"),
    ("static_call", "static_call(devil_sc$U)($A, $V);",
     {"above": "static void devil_change$U($R *r, int v)\n{\n\tr->$P = v;\n}\n"
               "DEFINE_STATIC_CALL(devil_sc$U, devil_change$U);"}),
)

SPELLING = _forms(
    "spelling",
    ("spliced name", "$LS = $V;"),
    ("comment in the path", "$LC = $V;"),
    ("blanks in the path", "$LB = $V;"),
    ("digraphs", "<% $L = $V; %>"),
    ("behind a directive", "#pragma GCC diagnostic push\n$L = $V;\n#pragma GCC diagnostic pop"),
    ("behind a label", "devil$U: __attribute__((unused));\n$L = $V;"),
    ("on one line with others", "; ; { } $L = $V; ;"),
    ("behind a string with a quote", "(void)\"\\\"/*\"; $L = $V; (void)\"*/\";"),
    ("behind __extension__", "__extension__ ({ $L = $V; });"),
)

NONE = {"effect": "none"}
TWINS = _forms(
    "harmless twins",
    ("sizeof", "(void)sizeof($L = $V, 0);", NONE),
    ("typeof", "typeof($W = $N) v$U = 0;\n\n(void)v$U;", NONE),
    ("never", "if (0)\n\t$L = $V;", NONE),
    ("never, macro", "DEVIL_NEVER$U($L = $V);",
     {"above": "#define DEVIL_NEVER$U(x) do { if (0) { x; } } while (0)", **NONE}),
    ("macro that drops its argument", "DEVIL_DROP$U($L = $V);",
     {"above": "#define DEVIL_DROP$U(x) do { } while (0)", **NONE}),
    ("BUILD_BUG_ON", "BUILD_BUG_ON(sizeof($L = $V, 0) > 64);", NONE),
    ("in a comment", "/* $L = $V; */", NONE),
    ("in a string", "pr_info(\"$L = 0;\");", NONE),
    ("function that nobody calls", "barrier();",
     {"above": "static __attribute__((unused)) void devil_idle$U($R *r, int v)\n{\n"
               "\tr->$P = v;\n}", **NONE}),
    ("read", "int v$U = $L;\n\n(void)v$U;", NONE),
    ("read in a condition", "if ($L)\n\tbarrier();", NONE),
    ("READ_ONCE of it", "(void)READ_ONCE($W);", NONE),
    ("smp_load_acquire", "(void)smp_load_acquire(&$W);", NONE),
    ("argument by value", "devil_see$U($L);",
     {"above": "static inline void devil_see$U(int n)\n{\n}", **NONE}),
    ("record by value", "devil_see$U($O);",
     {"above": "static void devil_see$U($R r)\n{\n\tr.$P = 0;\n}", **NONE}),
    ("pointer to const", "const $R *p$U = $A;\n\nif (p$U->$P)\n\tbarrier();", NONE),
    ("function that reads", "if (devil_reads$U($A))\n\tbarrier();",
     {"above": "static int devil_reads$U(const $R *r)\n{\n\treturn r->$P;\n}", **NONE}),
    ("copy of the record", "$R t$U = $O;\n\nt$U.$P = $V;\n(void)t$U;", NONE),
    ("memcpy out of it", "$T v$U;\n\nmemcpy(&v$U, &$W, sizeof(v$U));\nv$U = 0;", NONE),
    ("memcmp", "$T v$U = 0;\n\nif (memcmp(&v$U, &$W, sizeof(v$U)))\n\tbarrier();", NONE),
    ("copy_to_user", "$T v$U;\n\nif (copy_to_user(&v$U, &$W, sizeof(v$U)))\n\tbarrier();", NONE),
    ("put_user", "$T v$U;\n\nif (put_user($W, &v$U))\n\tbarrier();", NONE),
    ("test_bit", "if (test_bit($B, (unsigned long *)&$W))\n\tbarrier();",
     {"only": "bit", **NONE}),
    ("WARN_ON_ONCE of a read", "WARN_ON_ONCE($L > 4096);", NONE),
    ("pr_debug of a read", "pr_debug(\"%d\", $L);", NONE),
    ("trace of a read", "trace_kvm_devil($L);", NONE),
    ("stored and put back", "$T v$U = $W;\n\n$W = $N;\n$W = v$U;", NONE),
    ("same value", "$L = $L;", NONE),
    ("pointer moved on", "$R *p$U = $A, spare$U;\n\np$U = &spare$U;\np$U->$P = $V;", NONE),
    ("of another record", "$R spare$U;\n\nspare$U.$P = $V;\n(void)spare$U;", NONE),
    ("of another record, by reference", "$R spare$U;\n\ndevil_change$U(&spare$U, $V);",
     {"above": "static void devil_change$U($R *r, int v)\n{\n\tr->$P = v;\n}", **NONE}),
    ("member of the name in another record", "struct { int $X$Y; } other$U;\n\n"
     "other$U.$X$Y = 1;\n(void)other$U;", NONE),
    ("guard(mutex)", "guard(mutex)(vcpu->devil);", NONE),
    ("scoped_guard of a read", "scoped_guard(mutex, vcpu->devil)\n\t(void)READ_ONCE($W);", NONE),
    ("mutex_lock", "mutex_lock(vcpu->devil);\nmutex_unlock(vcpu->devil);", NONE),
    ("lockdep_assert_held", "lockdep_assert_held(vcpu->devil);", NONE),
    ("static branch", "if (static_branch_unlikely(&devil_key$U))\n\tbarrier();",
     {"above": "static DEFINE_STATIC_KEY_FALSE(devil_key$U);", **NONE}),
    ("this_cpu_read", "if (this_cpu_read(devil_cpu$U))\n\tbarrier();",
     {"above": "static DEFINE_PER_CPU(int, devil_cpu$U);", **NONE}),
    ("this_cpu_inc", "this_cpu_inc(devil_cpu$U);",
     {"above": "static DEFINE_PER_CPU(int, devil_cpu$U);", **NONE}),
    ("kvm_make_request", "kvm_make_request(KVM_REQ_EVENT, vcpu);", NONE),
    ("kvm_check_request", "if (kvm_check_request(KVM_REQ_EVENT, vcpu))\n\tbarrier();", NONE),
    ("atomic counter", "atomic_inc(&devil_count$U);", {"above": "static atomic_t devil_count$U;",
                                                      **NONE}),
    ("preemption", "preempt_disable();\npreempt_enable();", NONE),
    ("might_sleep", "might_sleep();", NONE),
)

# fmt: on
FORMS = (
    *ASSIGNMENTS,
    *EXPRESSIONS,
    *POINTERS,
    *COPIES,
    *KERNEL,
    *CALLS,
    *SPELLING,
    *TWINS,
)  # fmt: skip
