; Where a pointer of the vCPU is made to select one of its contexts.
;
; An initialiser that works on vcpu->arch.mmu sets up whatever that points to; the rule
; climbs to the callers that bind it.  Whether the member is such a pointer is decided by
; what the run has read, so the pattern names none.  A _ with a field can only be a member
; access: a query with fewer kinds of nodes is compiled faster.

; vcpu->arch.mmu = &vcpu->arch.guest_mmu; first seen in v5.0
(assignment_expression
  left: (_
    field: (field_identifier) @binding.pointer)
  operator: "="
  right: (pointer_expression
    argument: (_
      field: (field_identifier) @binding.context))) @binding
