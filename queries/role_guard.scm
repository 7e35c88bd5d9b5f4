; Where a set-up is skipped: a comparison with the role that a context has stored.
;
; The comparison is what is located, not the statement around it: lowering follows
; its value into `if`, `?:`, conjunctions, locals and helpers, and the skipping side of
; the branch is the one that leaves the stored role alone.  Whether a captured member
; is a role is decided by its type, so the patterns name none.  A branch on a stored
; role that no pattern captures makes the verdict unknown.

; new_role.as_u64 == context->mmu_role.as_u64: the early return since v4.20; also
; context->mmu_role.as_u64 == new_role.as_u64, and each half of the conjunction that
; v5.19 introduced (cpu_role and root_role).
(binary_expression
  left: (field_expression)
  operator: "=="
  right: (_)) @guard.comparison

(binary_expression
  left: (_)
  operator: "=="
  right: (field_expression)) @guard.comparison

; new_role.as_u64 != context->mmu_role.as_u64: around a call (v5.8), around a block
; (the nested EPT initialiser since v5.19), or negated.
(binary_expression
  left: (field_expression)
  operator: "!="
  right: (_)) @guard.comparison

(binary_expression
  left: (_)
  operator: "!="
  right: (field_expression)) @guard.comparison
