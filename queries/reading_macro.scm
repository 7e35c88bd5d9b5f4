; Calls that leave their arguments as they are, of macros and functions that the kernel has for
; all of its parts.
;
; world/accounts/mentions.py asks only where the target and its headers define no macro of the name:
; then it is the kernel's own.  world/closure.py and
; world/accounts/holders.py ask for the names alone.

; READ_ONCE(mmu->root_level), WARN_ON_ONCE(mmu->root_level < 3), min_t(int, mmu->root_level, 4)
(call_expression
  function: (identifier) @callee
  (#any-of? @callee
    "READ_ONCE" "ACCESS_ONCE" "data_race" "likely" "unlikely" "__builtin_expect"
    "WARN" "WARN_ONCE" "WARN_ON" "WARN_ON_ONCE" "BUG_ON"
    "BUILD_BUG_ON" "static_assert" "typeof" "__typeof__" "__builtin_constant_p"
    "min" "max" "min_t" "max_t" "clamp" "clamp_t" "clamp_val" "ARRAY_SIZE"
    "BIT" "BIT_ULL" "GENMASK" "GENMASK_ULL" "FIELD_GET" "FIELD_PREP" "hweight32" "hweight64"
    "ffs" "fls" "fls64" "__ffs" "__ffs64" "__fls" "ilog2" "order_base_2" "roundup_pow_of_two"
    "is_power_of_2" "test_bit"
    "printk" "pr_err" "pr_err_ratelimited" "pr_warn" "pr_warn_ratelimited" "pr_info" "pr_debug"
    "printk_ratelimited" "seq_printf" "lockdep_assert" "lockdep_assert_once" "RCU_LOCKDEP_WARN"
    "VM_WARN_ON" "VM_WARN_ON_ONCE" "VM_BUG_ON" "WARN_RATELIMIT" "BUILD_BUG_ON_MSG"
    "pr_notice" "pr_err_once" "pr_warn_once" "pr_info_once" "pr_debug_ratelimited")
  arguments: (argument_list
    (_) @read))

; scnprintf(buffer, size, "%d", mmu->root_level): what stands first is written to
(call_expression
  function: (identifier) @callee
  (#match? @callee "^(s|sn|scn)printf$|^sysfs_emit(_at)?$")
  arguments: (argument_list
    (_)
    (_) @read))

; trace_kvm_mmu_get_page(mmu->root_level): an event is called by value
(call_expression
  function: (identifier) @callee
  (#match? @callee "^trace_")
  arguments: (argument_list
    (_) @read))

; memcmp(&new_role, &mmu->cpu_role, sizeof(new_role)): through a pointer, to const
(call_expression
  function: (identifier) @callee
  (#any-of? @callee "memcmp" "__builtin_memcmp" "bcmp")
  arguments: (argument_list
    (pointer_expression
      operator: "&"
      argument: (_) @read)))

; put_user(mmu->root_level, address): what stands first is read
(call_expression
  function: (identifier) @callee
  (#any-of? @callee "put_user" "__put_user")
  arguments: (argument_list
    .
    (_) @read))
