// SPDX-License-Identifier: Apache-2.0

/// What TCP has sent, in both guests together. Segments that were lost make it look slower than it is.
struct BenchNetwork: Codable, Equatable, Sendable {
    let sent: Int
    let sentAgain: Int

    init(sent: Int, sentAgain: Int) { (self.sent, self.sentAgain) = (sent, sentAgain) }

    /// - Parameter text: the two lines `Tcp:` of /proc/net/snmp: names, and the values of each.
    init(_ text: String) throws {
        let lines = text.split(separator: "\n").filter { $0.hasPrefix("Tcp:") }.map { $0.split(separator: " ") }
        func value(_ name: String) -> Int? {
            guard lines.count == 2, let place = lines[0].firstIndex(where: { $0 == name }), place < lines[1].count
            else { return nil }
            return Int(lines[1][place])
        }
        guard let sent = value("OutSegs"), let sentAgain = value("RetransSegs") else {
            throw RigError(
                tried: "read what TCP has sent in a guest", happened: "/proc/net/snmp says \(text)",
                remedy: "read the guest's console in the run's folder")
        }
        self.init(sent: sent, sentAgain: sentAgain)
    }

    func since(_ before: BenchNetwork) -> BenchNetwork {
        BenchNetwork(sent: sent - before.sent, sentAgain: sentAgain - before.sentAgain)
    }
}

extension BenchGuests {
    /// Since the guests have booted.
    func network() throws -> BenchNetwork {
        let counts = try guests.all.map {
            try BenchNetwork(try $0.demand("grep ^Tcp: /proc/net/snmp", "ask what TCP has sent"))
        }
        return BenchNetwork(
            sent: counts.reduce(0) { $0 + $1.sent }, sentAgain: counts.reduce(0) { $0 + $1.sentAgain })
    }
}
