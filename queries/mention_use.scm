; What may be done with a mention of a member so that the member stays as it is.
;
; world/accounts/mentions.py asks, from the mention outwards, for the pattern that takes it: @read, its
; value is used and that is all; @value, its value is that of a larger expression, of which
; the same is asked; @argument, it goes to whatever the function of @callee is.  What no pattern
; takes is open: nothing is listed here as a danger.

; -- the value is used --------------------------------------------------------------------

; level - mmu->root_level, mmu->root_level >= PT64_ROOT_4LEVEL, a && mmu->root_role.direct
(binary_expression
  (_) @read)

; !mmu->root_role.direct, -mmu->root_level
(unary_expression
  argument: (_) @read)

; mmu->direct_map ? a : b
(conditional_expression
  condition: (_) @read)

; table[mmu->root_level]
(subscript_expression
  index: (_) @read)

; role = mmu->cpu_role: a copy; the target is a mention of its own
(assignment_expression
  right: (_) @read)

; int level = mmu->root_level; { .level = mmu->root_level }
(init_declarator
  value: (_) @read)
(initializer_list
  (_) @read)
(initializer_pair
  value: (_) @read)

; return mmu->root_level;
(return_statement
  (_) @read)

; switch (mmu->root_level), while (mmu->root_level); for (...; mmu->root_level; )
(switch_statement
  condition: (_) @read)
(if_statement
  condition: (_) @read)
(while_statement
  condition: (_) @read)
(do_statement
  condition: (_) @read)
(for_statement
  condition: (_) @read)

; mmu->root_level; (void)mmu->root_level;
(expression_statement
  (_) @read)

; (mmu->root_level, 0)
(comma_expression
  left: (_) @read)

; sizeof(mmu->root_level): not evaluated
(sizeof_expression
  value: (_) @read)

; mmu->gva_to_gpa(vcpu, mmu, ...): a call through a member
(call_expression
  function: (_) @read)

; -- the value is passed on -----------------------------------------------------------------

; (mmu->root_level)
(parenthesized_expression
  (_) @value)

; c ? mmu->root_level : 0, which is no object in C
(conditional_expression
  consequence: (_) @value)
(conditional_expression
  alternative: (_) @value)

; (a, mmu->root_level)
(comma_expression
  right: (_) @value)

; (u64)mmu->root_level
(cast_expression
  value: (_) @value)

; -- the value is an argument -----------------------------------------------------------------

; level_of(mmu->root_level), WARN_ON_ONCE(mmu->root_level < 3)
(call_expression
  function: (identifier) @callee
  arguments: (argument_list
    (_) @argument))

; kvm_x86_ops->load(vcpu, mmu->root_level), kvm_x86_call(load)(vcpu, mmu->root_level): what is
; called through a pointer is a function, which takes its arguments by value
(call_expression
  function: [(field_expression) (call_expression)]
  arguments: (argument_list
    (_) @read))

; memcpy(&copy, &mmu->cpu_role, sizeof(copy)), copy_to_user(address, &mmu->cpu_role, size)
(call_expression
  function: (identifier) @callee
  (#any-of? @callee "memcpy" "__builtin_memcpy" "memmove" "copy_to_user" "__copy_to_user")
  arguments: (argument_list
    .
    (_)
    .
    (pointer_expression
      operator: "&"
      argument: (_) @read)))
