/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Runs the cut-out initialiser over the legal states and looks at every element of every field. The
 * lines above this file define the code under test and what is particular to the path:
 *
 *	VCPU, ENTRY(), KEYS(add), CONTEXTS(fill), HOMES(fill), PARTS(part), REGISTERS, POINTERS,
 *	CPUID_EVENT(), POISON, host(level), BITS, L1_BASE (-1 when the path has no second register
 *	file), FIELDS (how many)
 *
 * A full run on a context of zeros and one on a context of ones tell, bit by bit, what the run
 * stores: what comes out alike. An element of which only some bits come out alike keeps old bits.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PG, WP, PSE, PAE, LA57, SMEP, SMAP, PKE, LMA, NX, GUEST, SMM, WIDE, VENDOR, CAPABLE, EXTRA };
#define CPUID_BITS (1u << WIDE | 1u << VENDOR | 1u << CAPABLE)

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
	oracle_vendor = HAS(s, VENDOR);
	oracle_capable = HAS(s, CAPABLE);
	REGISTERS
}

static void prepare(int byte)
{
	struct kvm_vcpu *vcpu = VCPU;

	memset(&vcpu->arch, 0, sizeof(vcpu->arch));
#define FILL(context) memset(&(context), 0xff, sizeof(context));
	CONTEXTS(FILL)
#define REFILL(context) memset(&(context), byte, sizeof(context));
	HOMES(REFILL)
#define UNSET(key) memset(&(key), 0xff, sizeof(key));
	KEYS(UNSET)
	POINTERS
}

static void run(u32 s)
{
	registers(s);
	ENTRY();
}

/* -- elements ---------------------------------------------------------------------------------- */

#define MOST_ELEMENTS 256
static struct element { int field, part, index, offset, size; } elements[MOST_ELEMENTS];
static int element_count;

static void list_elements(void)
{
	struct kvm_vcpu *vcpu = VCPU;
	int part = 0;

#define PART(owner, lvalue, item)                                                              \
	for (unsigned i = 0; i < sizeof(lvalue) / sizeof(item); i++) {                         \
		struct element one = { owner, part, i,                                         \
				       (char *)&(lvalue) - (char *)&vcpu->arch + i * sizeof(item), \
				       sizeof(item) };                                         \
		if (element_count == MOST_ELEMENTS)                                            \
			exit(3);                                                               \
		elements[element_count++] = one;                                               \
	}                                                                                      \
	part++;
	PARTS(PART)
}

static u64 element_value(int number)
{
	u64 value = 0;

	memcpy(&value, (char *)&VCPU->arch + elements[number].offset, elements[number].size);
	return value;
}

static u64 element_mask(int number)
{
	return elements[number].size == 8 ? ~0ULL : (1ULL << 8 * elements[number].size) - 1;
}

struct outcome {
	u32 state;
	int refused;	/* the caller returned before the initialiser */
	u64 key;
	u64 *value, *mask;
};

static u64 key_of(void)
{
	struct kvm_vcpu *vcpu = VCPU;
	u64 key = 1469598103934665603ULL;

#define ADD(member) \
	for (unsigned i = 0; i < sizeof(member); i++) \
		key = (key ^ ((unsigned char *)&(member))[i]) * 1099511628211ULL;
	KEYS(ADD)
	return key;
}

static u64 blank_key;
static int partial[FIELDS], stored[FIELDS], unstored[FIELDS];

static void full(u32 s, struct outcome *out)
{
	int i;

	out->state = s;
	prepare(0);
	run(s);
	for (i = 0; i < element_count; i++)
		out->value[i] = element_value(i);
	prepare(0xff);
	run(s);
	out->key = key_of();
	out->refused = out->key == blank_key;
	for (i = 0; i < element_count; i++)
		out->mask[i] = ~(out->value[i] ^ element_value(i)) & element_mask(i);
}

/* What was found out about a state before. */
static struct outcome *table;
static u32 *slots, slot_count;
static u32 outcome_count, outcome_room;

static struct outcome *look_up(u32 s)
{
	u32 at = (s * 2654435761u) & (slot_count - 1);
	struct outcome *out;

	while (slots[at] && table[slots[at] - 1].state != s)
		at = (at + 1) & (slot_count - 1);
	if (slots[at])
		return &table[slots[at] - 1];
	if (outcome_count == outcome_room)
		exit(4);
	out = &table[outcome_count++];
	slots[at] = outcome_count;
	out->value = malloc(16 * element_count);
	out->mask = out->value + element_count;
	full(s, out);
	return out;
}

/* -- pairs ------------------------------------------------------------------------------------- */

static unsigned char snapshot[sizeof(((struct kvm_vcpu *)0)->arch)];

static void save(void) { memcpy(snapshot, &VCPU->arch, sizeof(snapshot)); }
static void restore(void) { memcpy(&VCPU->arch, snapshot, sizeof(snapshot)); }

#define MOST 512
static struct { u32 diff, a, b; int element; u64 stale, fresh; } minimal[FIELDS][MOST];
static int minimal_count[FIELDS];

static void record(int element, u32 a, u32 b, u64 stale, u64 fresh)
{
	int field = elements[element].field, i, kept = 0;
	u32 diff = a ^ b;

	for (i = 0; i < minimal_count[field]; i++)
		if ((minimal[field][i].diff & diff) == minimal[field][i].diff)
			return;
	for (i = 0; i < minimal_count[field]; i++)
		if ((minimal[field][i].diff & diff) != diff)
			minimal[field][kept++] = minimal[field][i];
	if (kept == MOST)
		exit(3);
	minimal[field][kept].diff = diff, minimal[field][kept].a = a, minimal[field][kept].b = b;
	minimal[field][kept].stale = stale, minimal[field][kept].fresh = fresh;
	minimal[field][kept].element = element;
	minimal_count[field] = kept + 1;
}

/* The state of the context after a is in the snapshot. */
static void pair(u32 a, const struct outcome *fresh)
{
	u32 s = fresh->state;
	int i;

	if (fresh->refused)
		return;
	restore();
	if ((a ^ s) & CPUID_BITS) {
		registers((a & ~CPUID_BITS) | (s & CPUID_BITS));
		CPUID_EVENT();
	}
	run(s);
	for (i = 0; i < element_count; i++) {
		u64 now = element_value(i);

		if ((now ^ fresh->value[i]) & fresh->mask[i])
			record(i, a, s, now & fresh->mask[i], fresh->value[i] & fresh->mask[i]);
	}
}

static void start(u32 a)
{
	prepare(0xa5);
	run(a);
	save();
}

static int by_key(const void *left, const void *right)
{
	const struct outcome *a = &table[*(const u32 *)left], *b = &table[*(const u32 *)right];

	if (a->key != b->key)
		return a->key < b->key ? -1 : 1;
	return a->state < b->state ? -1 : a->state > b->state;
}

static u32 seed = 1;
static u32 number(void)
{
	seed ^= seed << 13, seed ^= seed >> 17, seed ^= seed << 5;
	return seed;
}

static u32 sample(u32 mask)
{
	u32 s = number() & mask;

	if (number() & 1)	/* half of the samples in long mode */
		s |= 1u << PG | 1u << PAE | 1u << LMA;
	if (number() & 1 && L1_BASE >= 0)
		s |= (1u << PG | 1u << PAE | 1u << LMA) << (L1_BASE & 31);
	return s & mask;
}

static int alike(const struct outcome *a, const struct outcome *b)
{
	return a->refused == b->refused && a->key == b->key &&
	       !memcmp(a->value, b->value, 16 * element_count);
}

static u32 relevant(void)
{
	u32 mask = 0, all = BITS == 32 ? ~0u : (1u << BITS) - 1;
	struct outcome one, other;
	int tries, bit;

	one.value = malloc(16 * element_count), one.mask = one.value + element_count;
	other.value = malloc(16 * element_count), other.mask = other.value + element_count;
	for (tries = 0; tries < 4000 && mask != all; tries++) {
		u32 s = sample(all);

		if (!legal(s))
			continue;
		full(s, &one);
		for (bit = 0; bit < BITS; bit++) {
			if (HAS(mask, bit) || !legal(s ^ (1u << bit)))
				continue;
			full(s ^ (1u << bit), &other);
			if (!alike(&one, &other))
				mask |= 1u << bit;
		}
	}
	if (HAS(mask, LMA))	/* keep long mode reachable */
		mask |= 1u << PG | 1u << PAE;
	if (L1_BASE >= 0 && HAS(mask >> (L1_BASE & 31), LMA))
		mask |= (1u << PG | 1u << PAE) << (L1_BASE & 31);
	return mask;
}

#define SAMPLES 6000

static void decide(int *guarded, int *touched)
{
	int exhaustive, i;
	u32 mask, s = 0, count = 0, *order, at, from, j;

	prepare(0);
	blank_key = key_of();
	mask = relevant();
	exhaustive = __builtin_popcount(mask) <= 14;
	slot_count = 1u << 22;
	outcome_room = 1u << 21;
	slots = calloc(slot_count, sizeof(*slots));
	table = calloc(outcome_room, sizeof(*table));
	outcome_count = 0;
	if (exhaustive) {
		do {
			if (legal(s))
				look_up(s);
			s = (s - mask) & mask;
		} while (s);
	} else {
		for (i = 0; i < SAMPLES; i++) {
			s = sample(mask);
			if (legal(s))
				look_up(s);
		}
	}
	count = outcome_count;
	/* An element accumulates if what it stores of itself, bit by bit, depends on the state. */
	struct outcome *partly[MOST_ELEMENTS] = { 0 };

	for (at = 0; at < count; at++) {
		struct outcome *one = &table[at];
		struct kvm_vcpu *vcpu = VCPU;
		u32 a = one->state, first, second;

		if (one->refused)
			continue;
		*touched = 1;
		for (i = 0; i < element_count; i++) {
			if (one->mask[i] == element_mask(i))
				stored[elements[i].field] |= 1;
			else if (one->mask[i] && !partly[i])
				partly[i] = one;
			else if (one->mask[i] && (one->mask[i] != partly[i]->mask[i] ||
						  (one->value[i] ^ partly[i]->value[i]) & one->mask[i]))
				partial[elements[i].field]++;
			else if (one->mask[i])
				;
			else
				unstored[elements[i].field]++;
		}
		/* Is what the guard protects stored again by an equal run? */
		start(a);
		POISON(vcpu, ^=);
		save();
		run(a);
		if (!memcmp(snapshot, &vcpu->arch, sizeof(snapshot)))
			*guarded = 1;
		/* And which fields: what an equal run repairs is not cached. */
		start(a);
		for (i = 0; i < element_count; i++)
			((char *)&vcpu->arch)[elements[i].offset] ^= 0x5a;
		save();
		run(a);
		for (i = 0; i < element_count; i++)
			if (one->mask[i] == element_mask(i) &&
			    ((char *)&vcpu->arch)[elements[i].offset] ==
				    (char)snapshot[elements[i].offset])
				stored[elements[i].field] |= 2;
		start(a);
		for (first = mask; first; first &= first - 1) {
			u32 lone = first & -first;

			if (legal(a ^ lone))
				pair(a, look_up(a ^ lone)), one = &table[at];
			if (!exhaustive && at % 8)
				continue;
			for (second = first & (first - 1); second; second &= second - 1) {
				u32 b = a ^ lone ^ (second & -second);

				if (legal(b))
					pair(a, look_up(b)), one = &table[at];
			}
		}
	}

	order = malloc(outcome_count * sizeof(*order));
	count = outcome_count;
	for (at = 0; at < count; at++)
		order[at] = at;
	qsort(order, count, sizeof(*order), by_key);
	for (from = at = 0; at < count; at++) {
		if (table[order[at]].key != table[order[from]].key)
			from = at;
		if (table[order[at]].refused)
			continue;
		if (!exhaustive && (number() & 15))
			continue;
		start(table[order[at]].state);
		for (j = from; j < count && j < from + 400 &&
			       table[order[j]].key == table[order[at]].key; j++)
			if (memcmp(table[order[j]].value, table[order[at]].value, 16 * element_count))
				pair(table[order[at]].state, &table[order[j]]);
	}
	for (at = 0; at < outcome_count; at++)
		free(table[at].value);
	free(order);
	free(table);
	free(slots);
}

int main(void)
{
	int guarded = 0, touched = 0, i, level, field;

	list_elements();
	for (level = 4; level <= 5; level++) {
		host(level);
		decide(&guarded, &touched);
	}
	printf("guarded %d %d\n", guarded, touched);
	for (field = 0; field < FIELDS; field++) {
		printf("field %d %d %d %d\n", field, stored[field], partial[field], unstored[field]);
		for (i = 0; i < minimal_count[field]; i++) {
			struct element *one = &elements[minimal[field][i].element];

			printf("set %d %u %u %u %d %d %llx %llx\n", field, minimal[field][i].diff,
			       minimal[field][i].a, minimal[field][i].b, one->part, one->index,
			       minimal[field][i].stale, minimal[field][i].fresh);
		}
	}
	return 0;
}
