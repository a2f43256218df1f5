// SPDX-License-Identifier: Apache-2.0

/// Where sysfs lists devices by the names that their drivers gave them.
struct DeviceClass {
    let kind: String
    let nameFile: String

    static var uio: DeviceClass { DeviceClass(kind: "uio", nameFile: "name") }
    static var input: DeviceClass { DeviceClass(kind: "input", nameFile: "device/name") }

    /// - Returns: the device's name, such as `uio0`.
    func find(_ name: String, sysfsRoot: String) throws(TransportError) -> String {
        let directory = compose("\(sysfsRoot)/class/\(kind)")
        var others: [String] = []
        // Directories have no order: of several devices the same one is taken each time.
        for device in SysfsFile.names(directory).inOrder {
            guard let found = SysfsFile.line(compose("\(directory)/\(device)/\(nameFile)")) else { continue }
            if found == name { return device }
            others.append(found)
        }
        let there = others.isEmpty ? compose("there is no \(kind) device") : "there are " + others.joined(by: ", ")
        throw TransportError(.noSuch, "looking for \(kind) device `\(name)`: \(there); load its driver (modprobe)")
    }
}
