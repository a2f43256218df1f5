// SPDX-License-Identifier: Apache-2.0
import Foundation

/// The scenarios of the project: the files in `vm-configs/scenarios/`.
public enum ScenarioCatalogue {
    private static func folder(_ root: URL) -> URL { root.appendingPathComponent("vm-configs/scenarios") }

    /// Their names, sorted.
    public static func names(root: URL) throws -> [String] {
        do {
            return try FileManager.default.contentsOfDirectory(atPath: folder(root).path)
                .filter { $0.hasSuffix(".scenario") }.map { String($0.dropLast(9)) }.sorted()
        } catch {
            throw RigError(
                tried: "list the scenarios", happened: "\(folder(root).path) cannot be read",
                remedy: "run the rig in the project's root, or name it with --root")
        }
    }

    /// Reads one.
    public static func load(_ name: String, root: URL) throws -> Scenario {
        let url = folder(root).appendingPathComponent("\(name).scenario")
        guard let text = try? String(contentsOf: url, encoding: .utf8) else {
            throw RigError(
                tried: "read the scenario \(name)", happened: "there is no \(url.path)",
                remedy: "choose one of: \(try names(root: root).joined(separator: ", "))")
        }
        return try Scenario.parse(text, name: name, file: url.lastPathComponent)
    }
}
