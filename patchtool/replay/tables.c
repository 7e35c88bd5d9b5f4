/*
 * One set of page tables serves a walk of any depth.  In each of them ADDR has
 * its path, and each path ends at a page of its own, so that the address that
 * KVM_TRANSLATE returns tells how many levels KVM has walked:
 *
 *   2 levels, 4-byte entries:  ROOT[0] -> T1[0x203] -> LEAF + 2
 *   3 levels:                  ROOT[0] -> T1[1] -> T3[3] -> LEAF + 3
 *   4 levels:                  ROOT[0] -> T1[0] -> T2[1] -> T4[3] -> LEAF + 4
 *   5 levels:                  ROOT[0] -> T1[0] -> T2[0] -> T5[1] -> T6[3] -> LEAF + 5
 *
 * With 8-byte entries ADDR has index 3 in the lowest table, 1 in the one above
 * and 0 further up; with 4-byte entries it has 0x203 and 0.
 */
#define ADDR		0x203000ull

/* Flags of an entry; in a PDPTE that CR3 points to all but P are reserved. */
#define P		1ull
#define RWU		6ull
//<nested>

/* In the VMCB: L2 has nested paging. */
#define NP_ENABLE	1ull
//</nested>

enum {
	ROOT, T1, T2, T3, T4, T5, T6, NR_TABLES,
//<nested>
	VMCB12 = NR_TABLES,
	LEAF,
//</nested>
//<no_nested>
	LEAF = NR_TABLES,
//</no_nested>
	NR_LEAVES = 6,
	NR_PAGES = LEAF + NR_LEAVES,
};
