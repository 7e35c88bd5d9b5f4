; Stores that may replace a whole stored role: the initialisers hold one.
;
; roles.py keeps those whose target is a role member of a context, or its word.

; context->mmu_role.as_u64 = new_role.as_u64; context->root_role.word = root_role.word;
; context->mmu_role = new_role;
(assignment_expression
  left: (field_expression) @role.target
  operator: "=")

; memcpy(&context->mmu_role, &new_role, sizeof(new_role))
; WRITE_ONCE(context->mmu_role.as_u64, new_role.as_u64)
(call_expression
  function: (identifier) @role.copier
  arguments: (argument_list
    .
    [
      (pointer_expression
        argument: (field_expression) @role.target)
      (field_expression) @role.target
    ])
  (#any-of? @role.copier "memcpy" "memset" "WRITE_ONCE"))
