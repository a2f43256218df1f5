/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * The guest's two connections. Each is a PCI function with two memories, the first of which is for events and the
 * second the dataport, and a name by which the guest's agent finds it: `out` has this guest's section, and a store to
 * its event page rings the peer; `in` has the peer's section and this guest's doorbell.
 */
#include <camkes.h>
#include <sel4vm/boot.h>
#include <sel4vm/guest_irq_controller.h>
#include <sel4vm/guest_vm.h>
#include <sel4vmmplatsupport/drivers/cross_vm_connection.h>
#include <utils/util.h>
#include <vmlinux.h>

#include "layout.h"

/* The connectors make these. */
extern dataport_caps_handle_t section_out_handle;
extern dataport_caps_handle_t section_in_handle;
seL4_Word rung_notification_badge(void);

#define NO_EVENT	((seL4_Word)-1)

static struct camkes_crossvm_connection connections[] = {
	{ &section_out_handle, ring_emit, NO_EVENT, "out" },
	{ &section_in_handle, NULL, NO_EVENT, "in" },
};

/*
 * The VMM's interrupt controller forgets an interrupt that is injected before the guest has finished the one before,
 * and one that the guest has not enabled yet. Without these the peer's doorbell would be lost then.
 */
static bool is_in_hand;
static bool is_wanted;

static void interrupt(vm_vcpu_t *vcpu)
{
	if (is_in_hand) {
		is_wanted = true;
		return;
	}
	is_in_hand = vm_inject_irq(vcpu, get_crossvm_irq_num()) == 0;
	is_wanted = !is_in_hand;
}

/* The guest has finished the interrupt, or enabled it. */
static void on_finished(vm_vcpu_t *vcpu, int irq, void *cookie)
{
	is_in_hand = false;
	if (is_wanted) {
		interrupt(vcpu);
	}
}

static int on_rung(vm_t *vm, void *cookie)
{
	/* Counts it on the event page, where the guest's driver looks whether an interrupt was this connection's. */
	consume_connection_event(vm, connections[1].consume_badge, false);
	interrupt(vm->vcpus[BOOT_VCPU]);
	return 0;
}

static void init(vm_t *vm, void *cookie)
{
	seL4_Word badge = rung_notification_badge();
	int err = register_async_event_handler(badge, on_rung, NULL);

	ZF_LOGF_IF(err, "ringway: no handler for the doorbell");
	/* Before the connections register theirs, which does nothing: the first one is called. */
	err = vm_register_irq(vm->vcpus[BOOT_VCPU], get_crossvm_irq_num(), on_finished, NULL);
	ZF_LOGF_IF(err, "ringway: no handler for the end of the doorbell's interrupt");
	connections[1].consume_badge = badge;
	err = cross_vm_connections_init(vm, CONNECTIONS_BASE, connections, ARRAY_SIZE(connections));
	ZF_LOGF_IF(err, "ringway: the sections have no place in the guest's PCI memory");
}

DEFINE_MODULE(ringway_connections, NULL, init)
