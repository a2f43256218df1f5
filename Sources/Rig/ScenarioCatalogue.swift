// SPDX-License-Identifier: Apache-2.0
import Foundation

/// The scenarios of the project: the files in `vm-configs/scenarios/`, and those for two guests on seL4.
public enum ScenarioCatalogue {
    /// The folder of the usual ones, below the project's root.
    public static let usual = "vm-configs/scenarios"

    /// Their names, sorted.
    public static func names(root: URL, in folder: String = usual) throws -> [String] {
        let folder = root.appendingPathComponent(folder)
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
    /// - Parameter folder: where it lies, below the root.
    public static func load(_ name: String, root: URL, in folder: String = usual) throws -> Scenario {
        let url = root.appendingPathComponent(folder).appendingPathComponent("\(name).scenario")
        guard let text = try? String(contentsOf: url, encoding: .utf8) else {
            throw RigError(
                tried: "read the scenario \(name)", happened: "there is no \(url.path)",
                remedy: "choose one of: \(try names(root: root, in: folder).joined(separator: ", "))")
        }
        return try Scenario.parse(text, name: name, file: url.lastPathComponent)
    }
}
