; Unions that are both a word and something finer: the shape of a role.
;
; A _ stands where the grammar allows one kind of node: a query with fewer kinds is
; compiled faster.

(union_specifier
  name: (type_identifier) @role.union
  body: (_
    (_
      type: (struct_specifier
        body: (_
          (_ [
            ; union kvm_mmu_page_role, union kvm_mmu_extended_role:
            ; { u32 word; struct { unsigned x:1; } }
            (bitfield_clause)
            ; union kvm_mmu_role, union kvm_cpu_role:
            ; { u64 as_u64; struct { union base; union ext; } }
            type: (union_specifier)
          ]))))))
