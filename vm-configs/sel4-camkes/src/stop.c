/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * A guest that does what it may not, say store into the other one's section, ends its VMM's loop (vm_run of libsel4vm),
 * and the VMM then halts the whole machine, or spins, and the other guest with it. So the VMM is kept inside: it says
 * what happened, leaves the fault unanswered, which stops the guest, and does nothing more. The linker puts this
 * function in front of the library's (--wrap in CMakeLists.txt).
 */
#include <camkes.h>
#include <sel4vm/boot.h>
#include <sel4vm/guest_vcpu_fault.h>
#include <sel4vm/guest_vm.h>

#include "layout.h"

/* Of the four parts of the connections' memory (event page and dataport of `out`, then of `in`) the last. */
#define PEER_SECTION	(CONNECTIONS_BASE + 3 * SECTION_SIZE)

int __real_vm_run(vm_t *vm);
int __wrap_vm_run(vm_t *vm);

int __wrap_vm_run(vm_t *vm)
{
	vm_vcpu_t *vcpu = vm->vcpus[BOOT_VCPU];
	int result = __real_vm_run(vm);
	seL4_Word badge;

	if (result >= 0) {
		return result;
	}
	uintptr_t address = get_vcpu_fault_address(vcpu);
	bool is_peers = address >= PEER_SECTION && address - PEER_SECTION < SECTION_SIZE;

	printf("ringway: stray %s by the guest %s at 0x%lx (%s), pc 0x%lx; the guest is stopped\n",
	       is_vcpu_read_fault(vcpu) ? "load" : "store", guest_name, (unsigned long)address,
	       is_peers ? "the peer's section" : "nothing of its own", (unsigned long)get_vcpu_fault_ip(vcpu));
	for (;;) {
		seL4_Recv(vm->host_endpoint, &badge);
	}
}
