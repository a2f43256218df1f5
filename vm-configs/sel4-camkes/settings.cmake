# SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
# What the whole CAmkES project is configured with for this application; the checkout's own settings.cmake reads it.

if(NOT "${PLATFORM}" STREQUAL "qemu-arm-virt")
    message(FATAL_ERROR "PLATFORM is \"${PLATFORM}\"; this application is for qemu-arm-virt. docs/sel4.md, "
                        "\"On a board\", says what another one needs")
endif()

# The connections are PCI functions, which the VMM emulates.
set(VmPCISupport ON CACHE BOOL "" FORCE)
# A guest gets what the composition gives it; an access to anything else is a fault, and no memory appears behind it.
set(VmOnDemandDeviceInstall OFF CACHE BOOL "" FORCE)
set(LibUSB OFF CACHE BOOL "" FORCE)

# Both guests share one processor and take turns of one tick. seL4's 5 ticks of 2 ms make a doorbell's round trip 20 ms.
set(KernelTimerTickMS 1 CACHE STRING "" FORCE)
set(KernelTimeSlice 1 CACHE STRING "" FORCE)

set(KernelArmCPU cortex-a53 CACHE STRING "" FORCE)
set(QEMU_MEMORY "2048")
