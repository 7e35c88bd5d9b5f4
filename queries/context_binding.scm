; Where a pointer of the vCPU is made to select one of its contexts.
;
; An initialiser that works on vcpu->arch.mmu sets up whatever that points to; the rule
; climbs to the callers that bind it.  Whether the member is such a pointer is decided by
; what the run has read, so the pattern names none.

; vcpu->arch.mmu = &vcpu->arch.guest_mmu; first seen in v5.0
(assignment_expression
  left: (field_expression
    field: (field_identifier) @binding.pointer)
  operator: "="
  right: (pointer_expression
    argument: (field_expression
      field: (field_identifier) @binding.context))) @binding
