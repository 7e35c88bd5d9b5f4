/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Runs the cut-out initialiser over the legal states. The lines above this file define the code
 * under test and what is particular to the path:
 *
 *	VCPU, ENTRY(), FIELD, KEYS(add), CONTEXTS(fill), REGISTERS, POINTERS, CPUID_EVENT(),
 *	POISON, LEVELS(n), BITS, L1_BASE (-1 when the path has no second register file)
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PG, WP, PSE, PAE, LA57, SMEP, SMAP, PKE, LMA, NX, GUEST, SMM, WIDE, EXTRA };

#define HAS(s, bit) (((s) >> (bit)) & 1UL)

static ulong cr0_of(u32 s) { return HAS(s, PG) << 31 | HAS(s, WP) << 16; }
static ulong cr4_of(u32 s)
{
	return HAS(s, PSE) << 4 | HAS(s, PAE) << 5 | HAS(s, LA57) << 12 | HAS(s, SMEP) << 20 |
	       HAS(s, SMAP) << 21 | HAS(s, PKE) << 22;
}
static u64 efer_of(u32 s) { return HAS(s, LMA) << 8 | HAS(s, LMA) << 10 | HAS(s, NX) << 11; }

static int legal(u32 s)
{
	if (HAS(s, LMA) && !(HAS(s, PG) && HAS(s, PAE)))
		return 0;
	if (L1_BASE >= 0) {
		u32 l1 = s >> (L1_BASE & 31);

		if (HAS(l1, LMA) && !(HAS(l1, PG) && HAS(l1, PAE)))
			return 0;
	}
	return 1;
}

static void registers(u32 s)
{
	struct kvm_vcpu *vcpu = VCPU;
	u32 l1 = L1_BASE >= 0 ? s >> (L1_BASE & 31) : 0;
	u32 extra = s >> EXTRA;

	(void)l1, (void)extra;
	oracle_wide = HAS(s, WIDE);
	REGISTERS
}

static void prepare(void)
{
	struct kvm_vcpu *vcpu = VCPU;

	memset(&vcpu->arch, 0, sizeof(vcpu->arch));
#define FILL(context) memset(&(context), 0xff, sizeof(context));
	CONTEXTS(FILL)
	POINTERS
}

static void run(u32 s)
{
	registers(s);
	ENTRY();
}

struct outcome {
	u64 key;
	long field;
	u32 state;
	int refused;	/* the caller returned before the initialiser */
};

static struct outcome blank;

static struct outcome look(u32 s)
{
	struct kvm_vcpu *vcpu = VCPU;
	struct outcome out = { 1469598103934665603ULL, FIELD, s, 0 };

#define ADD(member) \
	for (unsigned i = 0; i < sizeof(member); i++) \
		out.key = (out.key ^ ((unsigned char *)&(member))[i]) * 1099511628211ULL;
	KEYS(ADD)
	return out;
}

static struct outcome full(u32 s)
{
	struct outcome out;

	prepare();
	run(s);
	out = look(s);
	out.refused = out.key == blank.key && out.field == blank.field;
	return out;
}

static unsigned char snapshot[sizeof(((struct kvm_vcpu *)0)->arch)];

static void save(void) { memcpy(snapshot, &VCPU->arch, sizeof(snapshot)); }
static void restore(void) { memcpy(&VCPU->arch, snapshot, sizeof(snapshot)); }

#define MOST 4096
static struct { u32 diff, a, b; long stale, fresh; u64 key; } minimal[MOST];
static int minimal_count;

static void record(u32 a, u32 b, long stale, struct outcome fresh)
{
	u32 diff = a ^ b;
	int i, kept = 0;

	for (i = 0; i < minimal_count; i++)
		if ((minimal[i].diff & diff) == minimal[i].diff)
			return;
	for (i = 0; i < minimal_count; i++)
		if ((minimal[i].diff & diff) != diff)
			minimal[kept++] = minimal[i];
	if (kept == MOST)
		exit(3);
	minimal[kept].diff = diff, minimal[kept].a = a, minimal[kept].b = b;
	minimal[kept].stale = stale, minimal[kept].fresh = fresh.field;
	minimal[kept].key = fresh.key;
	minimal_count = kept + 1;
}

/* The state of the context after a is in the snapshot. */
static void pair(u32 a, struct outcome fresh)
{
	struct kvm_vcpu *vcpu = VCPU;

	if (fresh.refused)
		return;
	restore();
	if (HAS(a ^ fresh.state, WIDE)) {
		registers((a & ~(1u << WIDE)) | (fresh.state & (1u << WIDE)));
		CPUID_EVENT();
	}
	run(fresh.state);
	if (FIELD != fresh.field)
		record(a, fresh.state, FIELD, fresh);
}

static int by_key(const void *left, const void *right)
{
	const struct outcome *a = left, *b = right;

	if (a->key != b->key)
		return a->key < b->key ? -1 : 1;
	if (a->field != b->field)
		return a->field < b->field ? -1 : 1;
	return a->state < b->state ? -1 : a->state > b->state;
}

static u32 relevant(void)
{
	u32 mask = 0, seed = 1, bits = (1u << BITS) - 1;
	int tries, bit;

	for (tries = 0; tries < 20000 && mask != bits; tries++) {
		u32 s;
		struct outcome out;

		seed = seed * 1664525u + 1013904223u;
		s = (seed >> 5) & bits;
		if (tries & 1)	/* half of the samples in long mode */
			s |= 1u << PG | 1u << PAE | 1u << LMA;
		if (tries & 2 && L1_BASE >= 0)
			s |= (1u << PG | 1u << PAE | 1u << LMA) << (L1_BASE & 31);
		if (!legal(s))
			continue;
		out = full(s);
		for (bit = 0; bit < BITS; bit++) {
			struct outcome other;

			if (HAS(mask, bit) || !legal(s ^ (1u << bit)))
				continue;
			other = full(s ^ (1u << bit));
			if (out.refused != other.refused || other.key != out.key || other.field != out.field)
				mask |= 1u << bit;
		}
	}
	if (HAS(mask, LMA))	/* keep long mode reachable */
		mask |= 1u << PG | 1u << PAE;
	if (L1_BASE >= 0 && HAS(mask >> (L1_BASE & 31), LMA))
		mask |= (1u << PG | 1u << PAE) << (L1_BASE & 31);
	return mask;
}

static void decide(int *guarded, int *touched)
{
	u32 mask, s = 0, count = 0, i, j, from;
	struct outcome *all, *found = malloc(sizeof(*found) << BITS);

	prepare();
	blank = look(0);
	mask = relevant();
	all = malloc(sizeof(*all) << BITS);
	do {
		struct kvm_vcpu *vcpu = VCPU;

		if (legal(s)) {
			all[s] = full(s);
			if (all[s].refused)
				goto next;
			found[count++] = all[s];
			*touched = 1;
			/* Is what the guard protects stored again by an equal run? */
			POISON(vcpu, ^=);
			save();
			run(s);
			if (!memcmp(snapshot, &vcpu->arch, sizeof(snapshot)))
				*guarded = 1;
		}
next:
		s = (s - mask) & mask;
	} while (s);

	for (i = 0; i < count; i++) {
		u32 a = found[i].state, first, second;

		full(a);
		save();
		for (first = mask; first; first &= first - 1) {
			u32 one = first & -first;

			if (legal(a ^ one))
				pair(a, all[a ^ one]);
			for (second = first & (first - 1); second; second &= second - 1) {
				u32 b = a ^ one ^ (second & -second);

				if (legal(b))
					pair(a, all[b]);
			}
		}
	}

	qsort(found, count, sizeof(*found), by_key);
	for (from = i = 0; i < count; i++) {
		if (found[i].key != found[from].key)
			from = i;
		for (j = from; j < count && found[j].key == found[i].key; j++) {
			if (j - from > 4000)
				break;
			if (found[j].field == found[i].field)
				continue;
			full(found[i].state);
			save();
			pair(found[i].state, found[j]);
		}
	}
	free(all);
	free(found);
}

int main(void)
{
	int guarded = 0, touched = 0, i, level;

	for (level = 4; level <= 5; level++) {
		LEVELS(level);
		decide(&guarded, &touched);
	}
	printf("guarded %d %d\n", guarded, touched);
	for (i = 0; i < minimal_count; i++)
		printf("set %u %u %u %ld %ld %llx\n", minimal[i].diff, minimal[i].a, minimal[i].b,
		       minimal[i].stale, minimal[i].fresh, minimal[i].key);
	return 0;
}
