/* SPDX-License-Identifier: GPL-2.0-only */
/* The few types that a cut-out of the MMU code needs, in a form that any C parser reads. */
#ifndef ORACLE_LINUX_TYPES_H
#define ORACLE_LINUX_TYPES_H

#define bool _Bool
#define true 1
#define false 0
#define NULL ((void *)0)

typedef signed char s8;
typedef unsigned char u8;
typedef short s16;
typedef unsigned short u16;
typedef int s32;
typedef unsigned int u32;
typedef long long s64;
typedef unsigned long long u64;
typedef u8 __u8;
typedef u16 __u16;
typedef u32 __u32;
typedef u64 __u64;
typedef unsigned int uint;
typedef unsigned long ulong;
typedef unsigned long size_t;
typedef unsigned short uint16_t;
typedef unsigned int uint32_t;
typedef unsigned long long uint64_t;
typedef u64 gpa_t;
typedef u64 gva_t;
typedef u64 gfn_t;
typedef u64 hpa_t;
typedef u64 natural_width;

#endif
