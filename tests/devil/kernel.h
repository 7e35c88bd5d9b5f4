/* SPDX-License-Identifier: GPL-2.0-only */
/* What the kernel's accessors do, for a program of one thread. */
#ifndef DEVIL_KERNEL_H
#define DEVIL_KERNEL_H

#include <linux/types.h>
#include <linux/kernel.h>

#define CONFIG_KVM_DEVIL 1
#define IS_ENABLED(option) (option)
#define IS_DISABLED_BY_DEVIL 0

#define barrier() asm volatile("" : : : "memory")
#define __user
#define __force
#define __init
#define module_init(function) void *module_init_of_##function = function
#define module_param(name, type, mode) void *parameter_##name = &name

extern int printf(const char *format, ...);
extern int sprintf(char *to, const char *format, ...);
extern void *memcpy(void *to, const void *from, size_t size);
extern void *memmove(void *to, const void *from, size_t size);
extern void *memset(void *to, int byte, size_t size);
extern int memcmp(const void *a, const void *b, size_t size);
#define __memcpy memcpy

#define smp_store_release(p, value) (*(p) = (value))
#define smp_load_acquire(p) (*(p))
#define smp_store_mb(x, value) ((x) = (value))
#define xchg(p, value) __atomic_exchange_n(p, value, __ATOMIC_SEQ_CST)
#define xchg_relaxed xchg
#define cmpxchg(p, old, new)						\
({									\
	__typeof__(*(p)) devil_old = (old);				\
									\
	__atomic_compare_exchange_n(p, &devil_old, new, 0, 5, 5);	\
	devil_old;							\
})
#define try_cmpxchg(p, old, new) __atomic_compare_exchange_n(p, old, new, 0, 5, 5)
#define swap(a, b)							\
	do { __typeof__(a) devil_swap = (a); (a) = (b); (b) = devil_swap; } while (0)

typedef struct { int counter; } atomic_t;
typedef struct { s64 counter; } atomic64_t;
#define atomic_set(a, value) ((a)->counter = (value))
#define atomic_and(value, a) ((a)->counter &= (value))
#define atomic_inc(a) ((a)->counter++)
#define atomic64_set(a, value) ((a)->counter = (value))

static inline void __set_bit(long nr, volatile unsigned long *at)
{
	((u32 *)at)[nr / 32] |= 1u << nr % 32;
}

static inline void __clear_bit(long nr, volatile unsigned long *at)
{
	((u32 *)at)[nr / 32] &= ~(1u << nr % 32);
}

static inline void __change_bit(long nr, volatile unsigned long *at)
{
	((u32 *)at)[nr / 32] ^= 1u << nr % 32;
}

#define set_bit __set_bit
#define clear_bit __clear_bit
#define change_bit __change_bit
#define __assign_bit(nr, at, value) ((value) ? __set_bit(nr, at) : __clear_bit(nr, at))
#define assign_bit __assign_bit
#define test_and_clear_bit(nr, at) (__clear_bit(nr, at), 0)
#define for_each_set_bit(nr, at, size) \
	for ((nr) = 0; (nr) < (size); (nr)++) \
		if (test_bit(nr, at))
#define bitmap_clear(at, first, count) __clear_bit(first, at)

static inline unsigned long copy_from_user(void *to, const void *from, unsigned long size)
{
	memcpy(to, from, size);
	return 0;
}

static u64 devil_guest;
#define kvm_read_guest(vcpu, gpa, to, size) (memcpy(to, &devil_guest, size), 0)
#define get_user(x, p) ((x) = *(p), 0)
#define put_user(x, p) (*(p) = (x), 0)
#define put_unaligned(value, p) (*(p) = (value))
#define check_add_overflow(a, b, d) __builtin_add_overflow(a, b, d)
#define kstrtou8(text, base, p) (*(p) = (text)[0] - '0', 0)
#define do_div(n, base)							\
({									\
	u32 devil_rest = (n) % (base);					\
									\
	(n) /= (base);							\
	devil_rest;							\
})

static inline void devil_say(const char *format, ...)
{
}

#define WARN(condition, ...)						\
({									\
	int devil_warn = !!(condition);					\
									\
	if (devil_warn)							\
		devil_say(__VA_ARGS__);					\
	devil_warn;							\
})
#define WARN_ONCE WARN
#define BUG_ON(condition) do { if (condition) __builtin_trap(); } while (0)
#define pr_info devil_say
#define pr_debug devil_say
#define pr_warn_ratelimited devil_say
#define printk devil_say
#define kvm_debug_ratelimited devil_say
#define trace_kvm_devil(value) devil_say("", value)

#define copy_to_user copy_from_user
#define mutex_lock(lock) ((void)(lock))
#define mutex_unlock(lock) ((void)(lock))
#define preempt_disable() barrier()
#define preempt_enable() barrier()
#define DEFINE_STATIC_KEY_FALSE(name) int name
#define static_branch_unlikely(key) (*(key))
#define static_branch_likely(key) (*(key))
#define DEFINE_PER_CPU(type, name) type name
#define this_cpu_read(name) (name)
#define this_cpu_inc(name) ((name)++)

#define scoped_guard(name, lock) for (void *devil_lock = lock, *devil_done = NULL; \
				      !devil_done; devil_done = (void *)1, (void)devil_lock)
#define guard(name) (void)
#define DEFINE_STATIC_CALL(name, function) static __typeof__(&function) static_call_##name = function
#define static_call(name) static_call_##name
#define static_call_kvm_x86_devil kvm_x86_ops.devil
#define kvm_x86_call(name) kvm_x86_ops.name

#endif /* DEVIL_KERNEL_H */
