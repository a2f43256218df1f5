// SPDX-License-Identifier: Apache-2.0
import CShim

/// Physical memory through `/dev/mem`, at an address that the integrator knows.
enum PhysicalBackend {
    static func open(
        address: UInt64, size: Int, writable: Bool, deviceRoot: String
    ) throws(TransportError) -> MappingSource {
        let path = deviceRoot + "/mem"
        let fd = path.withCString { cs_open($0, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC, 0) }
        guard fd >= 0 else {
            throw .system(.io, "opening \(path)", cs_errno(), "run as root; the kernel needs CONFIG_DEVMEM")
        }
        // Which type the kernel chooses depends on architecture, address and firmware, and it does not tell:
        // the safe assumption is the one that works everywhere.
        return MappingSource(descriptor: fd, size: size, fileOffset: Int(address), memoryType: .unknown)
    }
}
