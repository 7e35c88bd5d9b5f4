; Unions that are both a word and something finer: the shape of a role.

; union kvm_mmu_page_role, union kvm_mmu_extended_role { u32 word; struct { unsigned x:1; } }
(union_specifier
  name: (type_identifier) @role.union
  body: (field_declaration_list
    (field_declaration
      type: (struct_specifier
        body: (field_declaration_list
          (field_declaration
            (bitfield_clause)))))))

; union kvm_mmu_role, union kvm_cpu_role { u64 as_u64; struct { union base; union ext; } }
(union_specifier
  name: (type_identifier) @role.union
  body: (field_declaration_list
    (field_declaration
      type: (struct_specifier
        body: (field_declaration_list
          (field_declaration
            type: (union_specifier)))))))
