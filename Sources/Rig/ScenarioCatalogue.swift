// SPDX-License-Identifier: Apache-2.0
import Foundation

/// The scenarios of the project: the files in `vm-configs/scenarios/`.
public enum ScenarioCatalogue {
    private static func folder(_ root: URL, sel4: Bool) -> URL {
        root.appendingPathComponent(sel4 ? "vm-configs/sel4-microkit/scenarios" : "vm-configs/scenarios")
    }

    /// Their names, sorted.
    public static func names(root: URL, sel4: Bool = false) throws -> [String] {
        let folder = folder(root, sel4: sel4)
        do {
            return try FileManager.default.contentsOfDirectory(atPath: folder.path)
                .filter { $0.hasSuffix(".scenario") }.map { String($0.dropLast(9)) }.sorted()
        } catch {
            throw RigError(
                tried: "list the scenarios", happened: "\(folder.path) cannot be read",
                remedy: "run the rig in the project's root, or name it with --root")
        }
    }

    /// Reads one.
    /// - Parameter sel4: one of those for two guests on seL4, in `vm-configs/sel4-microkit/scenarios/`.
    public static func load(_ name: String, root: URL, sel4: Bool = false) throws -> Scenario {
        let url = folder(root, sel4: sel4).appendingPathComponent("\(name).scenario")
        guard let text = try? String(contentsOf: url, encoding: .utf8) else {
            throw RigError(
                tried: "read the scenario \(name)", happened: "there is no \(url.path)",
                remedy: "choose one of: \(try names(root: root, sel4: sel4).joined(separator: ", "))")
        }
        return try Scenario.parse(text, name: name, file: url.lastPathComponent)
    }
}
