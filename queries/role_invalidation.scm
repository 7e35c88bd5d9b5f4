; Stores that make a stored role one that no calculation yields: an input may change
; without a bit of its own where every writer of it passes through such a store.
;
; The rule checks that the constant differs from what the calculators store there.

; vcpu->arch.root_mmu.mmu_role.ext.valid = 0; root_role.invalid = 1; base.level = 0;
; root_mmu.root_role.invalid = guest_mmu.root_role.invalid = true
(assignment_expression
  left: (field_expression) @role.target
  operator: "="
  right: [(number_literal) (true) (false) (assignment_expression)] @role.value)
