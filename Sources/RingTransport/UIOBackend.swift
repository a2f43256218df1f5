// SPDX-License-Identifier: Apache-2.0
import CShim

/// A UIO device, found by the name that its driver gave it (Documentation/driver-api/uio-howto.rst).
enum UIOBackend {
    /// Drivers whose maps are Normal cached memory; every other UIO driver maps uncached.
    static let cachedDrivers = ["ringway"]

    static func open(
        _ name: String, map: Int, writable: Bool, sysfsRoot: String, deviceRoot: String
    ) throws(TransportError) -> MappingSource {
        let device = try find(name, sysfsRoot: sysfsRoot)
        let directory = compose("\(sysfsRoot)/class/uio/\(device)/maps/map\(map)")
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
            descriptor: fd, size: size, fileOffset: map * 4096, mapsOnlyWhole: true,
            memoryType: cachedDrivers.contains(name) ? .cached : .uncached)
    }

    /// - Returns: the device's name, such as `uio0`.
    static func find(_ name: String, sysfsRoot: String) throws(TransportError) -> String {
        let directory = compose("\(sysfsRoot)/class/uio")
        var others: [String] = []
        var first: String?
        // Directories have no order: of several devices the same one is taken each time.
        for device in SysfsFile.names(directory) {
            guard let found = SysfsFile.line(compose("\(directory)/\(device)/name")) else { continue }
            if found != name {
                others.append(found)
            } else if first.map({ device.precedes($0) }) ?? true {
                first = device
            }
        }
        if let first { return first }
        let there = others.isEmpty ? "there is no UIO device" : "there are " + others.joined(by: ", ")
        throw TransportError(.noSuch, "looking for UIO device `\(name)`: \(there); load its driver (modprobe)")
    }
}
