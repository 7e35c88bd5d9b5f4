; Reads of a table of masks that has a column for each level of a walk, and two rows: the second
; is for entries that map a large page. The rule checks what chooses the row.

; rsvd_check->rsvd_bits_mask[bit7][level - 1]
(subscript_expression
  argument: (subscript_expression
    argument: (field_expression
      field: (field_identifier) @table.member)
    index: (_) @table.row)
  index: (binary_expression
    left: (identifier)
    operator: "-"
    right: (number_literal) @table.first)
  (#eq? @table.first "1"))
