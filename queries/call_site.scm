; Calls of a function by its name, and what may be one: the sites that bind its arguments.
;
; world/roles.py asks for the callers of an initialiser, and climbs from there to an entry on
; whose callers nothing depends.

; kvm_init_shadow_npt_mmu(vcpu, cr0, cr4, efer, nested_cr3)
(call_expression
  function: [
    (identifier) @call.function
    ; (kvm_init_mmu)(vcpu): parentheses keep a macro of the same name out
    (parenthesized_expression
      (identifier) @call.function)])

; if_nested(vcpu) kvm_init_mmu(vcpu): behind a macro a call looks like a declaration
(function_declarator
  declarator: (identifier) @call.function)
