/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * A guest's virtual timer may fire while the guest has its interrupt disabled: at boot, between setting the timer and
 * enabling the interrupt, if the guest loses the processor there. The VMM (vm_vppi_event_handler of libsel4vm) tries
 * to inject it, is refused, and acknowledges it, whereupon it fires again at once, and the guest gets no further. So
 * the refusal is kept from it: unacknowledged, the timer stays silent until the guest enables the interrupt, which
 * acknowledges it. The linker puts this function in front of the library's (--wrap in CMakeLists.txt).
 */
#include <sel4vm/guest_irq_controller.h>
#include <sel4vm/guest_vm.h>

/* Arm Base System Architecture, 4.1: the interrupt of the EL1 virtual timer. */
#define VIRTUAL_TIMER	27

int __real_vm_inject_irq(vm_vcpu_t *vcpu, int irq);
int __wrap_vm_inject_irq(vm_vcpu_t *vcpu, int irq);

int __wrap_vm_inject_irq(vm_vcpu_t *vcpu, int irq)
{
	int err = __real_vm_inject_irq(vcpu, irq);

	return irq == VIRTUAL_TIMER ? 0 : err;
}
