// SPDX-License-Identifier: Apache-2.0
import CShim

/// A UIO device, found by the name that its driver gave it (Documentation/driver-api/uio-howto.rst).
enum UIOBackend {
    /// How our own driver calls a map that the page tables map write-back, once it has been mapped. Every other
    /// driver's maps are uncached: that is what the kernel's UIO does by itself.
    static let cachedName = "memory, cached"

    static func open(
        _ name: String, map: Int, sysfsRoot: String, deviceRoot: String
    ) throws(TransportError) -> MappingSource {
        let device = try DeviceClass.uio.find(name, sysfsRoot: sysfsRoot)
        let directory = Self.directory(device, map, sysfsRoot)
        guard let text = SysfsFile.line(directory + "/size"), let size = byteCount(text) else {
            throw TransportError(
                .noSuch, "mapping uio:\(name): /dev/\(device) has no map \(map); correct map=, or load the right driver"
            )
        }
        let fd = (deviceRoot + "/" + device).withCString { cs_open($0, O_RDWR | O_CLOEXEC, 0) }
        guard fd >= 0 else {
            throw .system(.io, "opening \(deviceRoot)/\(device) (uio:\(name))", cs_errno(), "run as root")
        }
        return MappingSource(
            descriptor: fd, size: size, memoryType: .uncached, fileOffset: map * 4096, mapsOnlyWhole: true,
            cachedIfNamed: directory + "/name")
    }

    private static func directory(_ device: String, _ map: Int, _ sysfsRoot: String) -> String {
        compose("\(sysfsRoot)/class/uio/\(device)/maps/map\(map)")
    }

    /// Which map of a device of our own driver wakes the peer, and whether that is ivshmem's register page.
    static func doorbellMap(
        of device: String, sysfsRoot: String
    ) throws(TransportError) -> (map: Int, isIvshmem: Bool) {
        for map in 0..<5 {
            guard let name = SysfsFile.line(directory(device, map, sysfsRoot) + "/name") else { continue }
            if name == "doorbell" { return (map, false) }
            if name == "ivshmem" { return (map, true) }
        }
        throw TransportError(
            .badContent,
            "using /dev/\(device) as a doorbell: no map is called doorbell or ivshmem; load ringway_uio, or use "
                + "connection: or generic-uio:")
    }
}
