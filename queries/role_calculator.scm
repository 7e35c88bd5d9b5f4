; Where the members of a role are computed: one assignment each.
;
; repair/edit_sites.py looks for them in the functions that a verdict rests on, and puts the assignment
; of a missing bit beside those of its siblings.

; ext.cr4_pae = !!is_pae(vcpu); role.base.level = level; new_role->ext.valid = 1;
(expression_statement
  (assignment_expression
    left: (field_expression
      argument: (_) @calculator.holder
      operator: _ @calculator.operator
      field: (field_identifier) @calculator.member)
    operator: "="
    right: (_) @calculator.value)) @calculator.statement
