; What tells whether an entry of a page table maps a large page, as 0 or 1: bit 7, PT_PAGE_SIZE_MASK.

; (pte >> 7) & 1, (pte >> PT_PAGE_SIZE_SHIFT) & 1
((binary_expression
  left: (parenthesized_expression
    (binary_expression
      operator: ">>"
      right: [(number_literal) (identifier)] @large.bit))
  operator: "&"
  right: (number_literal) @large.one) @large
  (#any-of? @large.bit "7" "PT_PAGE_SIZE_SHIFT" "_PAGE_BIT_PSE")
  (#eq? @large.one "1"))

; !!(pte & PT_PAGE_SIZE_MASK), !!(pte & BIT_ULL(7))
((unary_expression
  operator: "!"
  argument: (unary_expression
    operator: "!"
    argument: (parenthesized_expression
      (binary_expression
        operator: "&"
        right: [(identifier) (call_expression)] @large.mask)))) @large
  (#any-of? @large.mask "PT_PAGE_SIZE_MASK" "_PAGE_PSE" "BIT(7)" "BIT_ULL(7)"))

; pte & PT_PAGE_SIZE_MASK, where a bool is made of it
((binary_expression
  operator: "&"
  right: [(identifier) (call_expression)] @large.mask) @large.truth
  (#any-of? @large.mask "PT_PAGE_SIZE_MASK" "_PAGE_PSE" "BIT(7)" "BIT_ULL(7)"))
