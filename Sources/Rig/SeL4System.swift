// SPDX-License-Identifier: Apache-2.0
import Foundation

/// What puts both guests on one machine with seL4.
public enum SeL4System: Sendable {
    /// Microkit, whose image is built here of what an integrator has: `vm-configs/sel4-microkit`.
    case microkit(SeL4Kit)
    /// The CAmkES VM, as an image that an integrator has built with the guests in it: `vm-configs/sel4-camkes`.
    case camkes(URL)

    /// The folder of its scenarios, below the project's root.
    public var scenarios: String {
        switch self {
        case .microkit: "vm-configs/sel4-microkit/scenarios"
        case .camkes: "vm-configs/sel4-camkes/scenarios"
        }
    }

    /// What a run is called, behind the scenario's name.
    var suffix: String {
        switch self {
        case .microkit(let kit): kit.variant == .shared ? "sel4" : "sel4-oneway"
        case .camkes: "sel4-camkes"
        }
    }

    /// - Throws: where `path` is no file; the message says what it should be.
    public static func camkes(image path: String) throws -> SeL4System {
        let url = URL(fileURLWithPath: path).standardizedFileURL
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder), !isFolder.boolValue else {
            throw RigError(
                tried: "boot two guests on the CAmkES VM", happened: "\(path) is no file",
                remedy: "name the image that a CAmkES VM checkout has built of vm-configs/sel4-camkes, "
                    + "images/capdl-loader-image-arm-qemu-arm-virt of its build folder; docs/sel4.md says how")
        }
        return .camkes(url)
    }
}
