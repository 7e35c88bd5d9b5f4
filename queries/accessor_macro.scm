; Macros that define functions by pasting their parameters into a name.
;
; In: one #define.  The macro is a builder when its body pastes tokens and opens a
; function body; c/index.py expands its uses at file scope.

; BUILD_MMU_ROLE_REGS_ACCESSOR(reg, name, flag), BUILD_MMU_ROLE_ACCESSOR(...),
; BUILD_KVM_GPR_ACCESSORS(lname, uname); first seen in v5.14 for the MMU role.
(preproc_function_def
  name: (identifier) @macro.name
  parameters: (preproc_params) @macro.parameters
  value: (preproc_arg) @macro.body
  (#match? @macro.body "##")
  (#match? @macro.body "\\{"))
