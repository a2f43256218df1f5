/* SPDX-License-Identifier: Apache-2.0 */
/* What the guest is started with, carried in the VMM's own image. The paths come from the Makefile. */
	.section .rodata, "a"

	.macro image name, path
	.balign	4096
	.global	\name
\name:
	.incbin	"\path"
	.global	\name\()_end
\name\()_end:
	.endm

	image	guest_kernel, KERNEL_PATH
	image	guest_initrd, INITRD_PATH
	image	guest_dtb, DTB_PATH
