; Calls that are given a pointer and leave alone what it is to, of macros and functions that the
; kernel has for all of its parts: they compare it, keep it, free it, or take its type.
;
; world/accounts/holders.py asks for the names alone, and for those of reading_macro.

; container_of(vcpu, struct vcpu_vmx, vcpu), kfree(vcpu), smp_call_function_single(cpu, f, vcpu, 1)
(call_expression
  function: (identifier) @callee
  (#any-of? @callee
    "IS_ERR" "IS_ERR_OR_NULL" "PTR_ERR" "anon_inode_getfd"
    "anon_inode_getfile" "anon_inode_getfile_fmode" "TP_printk" "container_of" "debugfs_create_file" "do_div" "from_timer" "kfree"
    "kmem_cache_free" "kvfree" "list_for_each_entry" "list_for_each_entry_safe" "offsetof"
    "per_cpu_ptr"
    "sizeof" "smp_call_function_single"
    "timer_container_of" "vfree" "xfer_to_guest_mode_handle_work"))
