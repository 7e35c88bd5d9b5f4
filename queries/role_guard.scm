; Where a set-up is skipped: a comparison with the role that a context has stored.
;
; The comparison is what is located, not the statement around it: lowering follows
; its value into `if`, `?:`, conjunctions, locals and helpers, and the skipping side of
; the branch is the one that leaves the stored role alone.  Whether an operand holds the
; bits of a stored role is decided by its value, so the patterns name none and a copy in
; a local, an argument or a macro is found as well.  A branch on a stored role that no
; pattern captures makes the verdict unknown.

; One operator after the other, each with the C that it is for.
(binary_expression
  operator: _ @guard.operator
  (#any-of? @guard.operator
    ; new_role.as_u64 == context->mmu_role.as_u64: the early return since v4.20; also
    ; context->mmu_role.as_u64 == new_role.as_u64, and each half of the conjunction that
    ; v5.19 introduced (cpu_role and root_role).
    "=="
    ; new_role.as_u64 != context->mmu_role.as_u64: around a call (v5.8), around a block
    ; (the nested EPT initialiser since v5.19), or negated.
    "!="
    ; !(new_role.as_u64 ^ context->mmu_role.as_u64): a difference that is tested for zero.
    "^" "-"
    ; context->mmu_role.as_u64 <= new_role.as_u64 && context->mmu_role.as_u64 >= ...: equal, or
    ; on one side of it, which decides nothing where both sides are asked for.
    "<" ">" "<=" ">=")) @guard.comparison

; !memcmp(&new_role, &context->mmu_role, sizeof(new_role))
(call_expression
  function: (identifier) @guard.function
  (#any-of? @guard.function "memcmp" "__builtin_memcmp" "bcmp")) @guard.comparison

; if (!context->mmu_role.ext.valid): a role that was never computed, tested beside the
; comparison.
(unary_expression
  operator: "!"
  argument: (field_expression)) @guard.comparison

; if (context->mmu_role.ext.valid) return;: on what is stored alone, whatever the new role.
(parenthesized_expression
  .
  (field_expression)
  .) @guard.comparison
