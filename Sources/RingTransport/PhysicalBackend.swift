// SPDX-License-Identifier: Apache-2.0
import CShim

/// Physical memory through `/dev/mem`, at an address that the integrator knows.
enum PhysicalBackend {
    static func open(
        address: UInt64, offset: Int, size: Int, writable: Bool, deviceRoot: String
    ) throws(TransportError) -> MappingSource {
        let (end, overflow) = offset.addingReportingOverflow(size)
        guard !overflow, address <= UInt64(Int.max - end) else {
            throw TransportError(
                .tooSmall,
                "mapping physical memory: size \(size) at offset \(offset) goes beyond the last address; "
                    + "correct the address, offset= or size=")
        }
        let path = deviceRoot + "/mem"
        let fd = path.withCString { cs_open($0, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC, 0) }
        guard fd >= 0 else {
            throw .system(.io, "opening \(path)", cs_errno(), "run as root; the kernel needs CONFIG_DEVMEM")
        }
        // Which type the kernel chooses depends on architecture, address and firmware, and it does not tell:
        // the safe assumption is the one that works everywhere.
        return MappingSource(descriptor: fd, size: end, memoryType: .unknown, fileOffset: Int(address))
    }
}
