// SPDX-License-Identifier: Apache-2.0

/// Properties of a device tree, as dtc prints one: a node a block, a property a line.
struct PrintedTree {
    private var properties: [String: [String: String]] = [:]

    init(_ text: String) {
        var path: [String] = []
        for line in text.split(separator: "\n").map({ $0.trimmingCharacters(in: .whitespaces) }) {
            if line.hasSuffix("{") {
                path.append(String(line.dropLast(2)))
                properties[Self.name(path)] = [:]
            } else if line == "};" {
                path.removeLast()
            } else if let equals = line.range(of: " = ") {
                properties[Self.name(path), default: [:]][String(line[..<equals.lowerBound])] =
                    String(line[equals.upperBound...].dropLast())
            }
        }
    }

    var nodes: [String] { properties.keys.sorted() }

    func cells(_ node: String, _ property: String) -> [UInt64] {
        (properties[node]?[property] ?? "").split { "<> ".contains($0) }.compactMap {
            UInt64($0.dropFirst(2), radix: 16)
        }
    }

    /// Of `reg` with two cells for an address and two for a size.
    func ranges(_ node: String) -> [Range<UInt64>]? {
        let cells = cells(node, "reg")
        guard !cells.isEmpty, cells.count % 4 == 0 else { return nil }
        return stride(from: 0, to: cells.count, by: 4).map { index in
            let start = cells[index] << 32 | cells[index + 1]
            return start..<start + (cells[index + 2] << 32 | cells[index + 3])
        }
    }

    private static func name(_ path: [String]) -> String {
        path.count == 1 ? "/" : "/" + path.dropFirst().joined(separator: "/")
    }
}
