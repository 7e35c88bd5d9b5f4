; Stores that may replace a whole stored role: the initialisers hold one.
;
; world/roles.py keeps those whose target is a role member of a context, or its word.

; context->mmu_role.as_u64 = new_role.as_u64; context->root_role.word = root_role.word;
; context->mmu_role = new_role; *(u64 *)&context->mmu_role = word; ROLE(context) = new_role;
(assignment_expression
  left: (_) @role.target
  operator: "=")

; memcpy(&context->mmu_role, &new_role, sizeof(new_role))
; WRITE_ONCE(context->mmu_role.as_u64, new_role.as_u64)
(call_expression
  function: (identifier) @role.copier
  arguments: (argument_list
    .
    (_) @role.target)
  (#any-of? @role.copier
    "memcpy" "memmove" "memset" "__builtin_memcpy" "__builtin_memmove" "__builtin_memset"
    "WRITE_ONCE" "smp_store_release" "swap" "xchg" "cmpxchg"))
