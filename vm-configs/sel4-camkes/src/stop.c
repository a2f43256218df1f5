/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * A guest that does what it may not, say store into the other one's section, ends its VMM's loop (vm_run of libsel4vm),
 * and the VMM then halts the whole machine, or spins, and the other guest with it. So the VMM is kept inside: it says
 * what happened, leaves the fault unanswered, which stops the guest, and does nothing more. The linker puts these
 * functions in front of the library's (--wrap in CMakeLists.txt).
 */
#include <camkes.h>
#include <sel4vm/boot.h>
#include <sel4vm/guest_vcpu_fault.h>
#include <sel4vm/guest_vm.h>

#include "layout.h"

/* Of the four parts of the connections' memory (event page and dataport of `out`, then of `in`) the last. */
#define PEER_SECTION	(CONNECTIONS_BASE + 3 * SECTION_SIZE)

/* Of a data abort (Arm Architecture Reference Manual, ESR_ELx): ISV, the processor tells which access it was; WnR. */
#define IS_DESCRIBED(syndrome)	((syndrome) & BIT(24))
#define IS_WRITE(syndrome)	((syndrome) & BIT(6))

int __real_vm_run(vm_t *vm);
int __wrap_vm_run(vm_t *vm);
int __real_vm_guest_mem_abort_handler(vm_vcpu_t *vcpu);
int __wrap_vm_guest_mem_abort_handler(vm_vcpu_t *vcpu);

static void stop(vm_t *vm, const char *what, uintptr_t address, uintptr_t ip)
{
	bool is_peers = address >= PEER_SECTION && address - PEER_SECTION < SECTION_SIZE;
	seL4_Word badge;

	printf("ringway: stray %s by the guest %s at 0x%lx (%s), pc 0x%lx; the guest is stopped\n", what, guest_name,
	       (unsigned long)address, is_peers ? "the peer's section" : "nothing of its own", (unsigned long)ip);
	for (;;) {
		seL4_Recv(vm->host_endpoint, &badge);
	}
}

int __wrap_vm_run(vm_t *vm)
{
	vm_vcpu_t *vcpu = vm->vcpus[BOOT_VCPU];
	int result = __real_vm_run(vm);

	if (result < 0) {
		stop(vm, is_vcpu_read_fault(vcpu) ? "load" : "store", get_vcpu_fault_address(vcpu),
		     get_vcpu_fault_ip(vcpu));
	}
	return result;
}

/*
 * The library decodes the instruction of an access that the processor does not describe, a pair of registers for
 * instance, as memset and memcpy make them, knows only those of 32-bit guests, and asserts otherwise, which would end
 * this VMM. No emulated device is accessed in that way, so nothing is lost by stopping the guest here.
 */
int __wrap_vm_guest_mem_abort_handler(vm_vcpu_t *vcpu)
{
	seL4_Word syndrome = seL4_GetMR(seL4_VMFault_FSR);

	if (seL4_GetMR(seL4_VMFault_PrefetchFault)) {
		stop(vcpu->vm, "jump", seL4_GetMR(seL4_VMFault_Addr), seL4_GetMR(seL4_VMFault_IP));
	}
	if (!IS_DESCRIBED(syndrome)) {
		stop(vcpu->vm, IS_WRITE(syndrome) ? "store" : "load", seL4_GetMR(seL4_VMFault_Addr),
		     seL4_GetMR(seL4_VMFault_IP));
	}
	return __real_vm_guest_mem_abort_handler(vcpu);
}
