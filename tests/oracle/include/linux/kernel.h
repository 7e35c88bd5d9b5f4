/* SPDX-License-Identifier: GPL-2.0-only */
/* Macros of the kernel whose meaning is fixed, reduced to that meaning. */
#ifndef ORACLE_LINUX_KERNEL_H
#define ORACLE_LINUX_KERNEL_H

#include <linux/types.h>

#define CONFIG_X86_64 1

#define __always_inline inline
#define __init
#define __initdata
#define __maybe_unused
#define __read_mostly
#define __ro_after_init
#define noinline

#define likely(x) (x)
#define unlikely(x) (x)
#define EXPORT_SYMBOL(name) extern int exported_##name
#define EXPORT_SYMBOL_GPL(name) extern int exported_##name
#define EXPORT_SYMBOL_FOR_KVM_INTERNAL(name) extern int exported_##name

#define WARN_ON(x) (!!(x))
#define WARN_ON_ONCE(x) (!!(x))
#define MMU_WARN_ON(x) ((void)0)
#define KVM_MMU_WARN_ON(x) ((void)0)
#define KVM_BUG_ON(x, kvm) (!!(x))
#define KVM_BUG(x, kvm, ...) (!!(x))
#define BUILD_BUG_ON(x) ((void)0)
#define lockdep_assert_held(x) ((void)0)
#define lockdep_is_held(x) 1
#define in_task() 1
#define in_nmi() 0
#define lockdep_assert_once(x) ((void)0)
#define might_sleep() ((void)0)

#define boot_cpu_has(feature) 1
#define cpu_feature_enabled(feature) 1
#define fallthrough ((void)0)
#define ARRAY_SIZE(x) (sizeof(x) / sizeof((x)[0]))
#define REPEAT_BYTE(x) ((~0UL / 0xff) * (x))
#define GENMASK_ULL(high, low) ((~0ULL << (low)) & (~0ULL >> (63 - (high))))
#define BIT(n) (1UL << (n))
#define BIT_ULL(n) (1ULL << (n))
#define READ_ONCE(x) (x)
#define WRITE_ONCE(x, value) ((x) = (value))
#define min(a, b) ((a) < (b) ? (a) : (b))
#define max(a, b) ((a) > (b) ? (a) : (b))
#define min_t(type, a, b) ((type)(a) < (type)(b) ? (type)(a) : (type)(b))
#define max_t(type, a, b) ((type)(a) > (type)(b) ? (type)(a) : (type)(b))
#define test_bit(nr, addr) ((*(addr) >> (nr)) & 1)
#define offsetof(type, member) ((unsigned long)&((type *)0)->member)
#define container_of(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))

#endif
