// SPDX-License-Identifier: Apache-2.0
import Foundation

/// What an integrator has to have before two guests boot on seL4. The project carries none of it.
public struct SeL4Kit: Sendable {
    /// Which system description the machine is made of.
    public enum Variant: String, Sendable, CaseIterable {
        /// Each guest may write the whole window.
        case shared = "ringway"
        /// Each guest may write its own section only.
        case oneWay = "ringway-oneway"
    }

    /// An installed Microkit SDK.
    public let microkit: URL
    /// A folder with libvmm's headers and library.
    public let libvmm: URL
    public var variant = Variant.shared

    /// From `MICROKIT_SDK` and `LIBVMM` of the environment.
    /// - Throws: where one is not set or is not what it should be; the message says what it is and where to find it.
    public init(environment: [String: String] = ProcessInfo.processInfo.environment) throws {
        microkit = try Self.folder(
            "MICROKIT_SDK", in: environment, holding: ["bin/microkit", "board/qemu_virt_aarch64"],
            "an installed Microkit SDK 2.0.1 with the board qemu_virt_aarch64",
            "https://docs.sel4.systems/projects/microkit/")
        libvmm = try Self.folder(
            "LIBVMM", in: environment, holding: ["include/libvmm", "lib/libvmm.a"],
            "a folder with libvmm 0.1.0, built for that board: include/libvmm and lib/libvmm.a",
            "https://github.com/au-ts/libvmm")
    }

    private static func folder(
        _ name: String, in environment: [String: String], holding files: [String], _ meaning: String, _ source: String
    ) throws -> URL {
        let remedy =
            "set \(name)= to \(meaning); upstream documents it at \(source), and docs/sel4.md says what is "
            + "needed of it"
        guard let path = environment[name], !path.isEmpty else {
            throw RigError(tried: "boot two guests on seL4", happened: "\(name)= is not set", remedy: remedy)
        }
        let folder = URL(fileURLWithPath: path).standardizedFileURL
        for file in files where !FileManager.default.fileExists(atPath: folder.appendingPathComponent(file).path) {
            throw RigError(
                tried: "boot two guests on seL4", happened: "\(name)=\(path) holds no \(file)", remedy: remedy)
        }
        return folder
    }
}
