; Expressions that read one bit of a register.
;
; repair/register_access.py asks for those that a small function returns; a repair then reads the bit as
; the tree does.

; regs->efer & EFER_LMA; vcpu->arch.efer & EFER_LMA
(binary_expression
  left: (field_expression
    argument: (_) @reader.holder
    field: (field_identifier) @reader.register)
  operator: "&"
  right: (identifier) @reader.flag) @reader.expression

; kvm_read_cr4_bits(vcpu, X86_CR4_LA57); kvm_is_cr0_bit_set(vcpu, X86_CR0_PG)
(call_expression
  function: (identifier) @reader.function
  arguments: (argument_list
    .
    (identifier) @reader.holder
    .
    (identifier) @reader.flag
    .)) @reader.expression
