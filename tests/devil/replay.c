// SPDX-License-Identifier: GPL-2.0-only
/* Run the set-up in some order of states, and once more from nothing: is the field the same? */
#include <linux/kvm_host.h>
#include "mmu.h"

extern bool tdp_enabled;

void kvm_configure_mmu();
void devil_entry(struct kvm_vcpu *vcpu);

static void set(struct kvm_vcpu *vcpu, int state)
{
	int paging = state & 3;

	vcpu->arch.cr0 = paging ? X86_CR0_PG : 0;
	vcpu->arch.cr4 = paging > 1 ? X86_CR4_PAE : 0;
	if (state & 4)
		vcpu->arch.cr4 |= X86_CR4_LA57;
	vcpu->arch.efer = paging > 2 ? EFER_LMA : 0;
	vcpu->arch.hflags = (state >> 3) << 30;
}

static void begin(struct kvm_vcpu *vcpu)
{
	memset(vcpu, 0, sizeof(*vcpu));
	INIT
}

static void run(struct kvm_vcpu *vcpu)
{
	ENTRY;
}

int main(void)
{
	void (*event)(struct kvm_vcpu *vcpu) = EVENT;
	struct kvm_vcpu used, fresh;
	int a, between, b, last;

	for (a = 0; a < 16; a++) {
		for (between = 0; between < 16; between++) {
			for (b = 0; b < 16; b++) {
				for (last = 0; last < 16; last += event ? 1 : 16) {
					begin(&used);
					set(&used, a);
					run(&used);
					set(&used, between);
					run(&used);
					if (event) {
						set(&used, last);
						event(&used);
					}
					set(&used, b);
					run(&used);
					begin(&fresh);
					set(&fresh, b);
					run(&fresh);
					if (used.FIELD != fresh.FIELD) {
						printf("stale\n");
						return 0;
					}
				}
			}
		}
	}
	printf("harmless\n");
	return 0;
}
