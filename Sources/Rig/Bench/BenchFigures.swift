// SPDX-License-Identifier: Apache-2.0
import Foundation

/// What the guest's program has timed: its line of JSON.
struct BenchFigure: Codable, Equatable, Sendable {
    let requests: Int
    let bytes: Int
    /// All requests together.
    let nanoseconds: Double
    /// Percentiles of one request, in nanoseconds.
    let p50: Double
    let p90: Double
    let p99: Double
    let max: Double

    var megabytesPerSecond: Double { Double(bytes) * 1000 / nanoseconds }
    var microseconds: Double { p50 / 1000 }
}

/// What one guest's agent has done in some span.
struct AgentUse: Codable, Equatable, Sendable {
    /// User and system time of its processes, in nanoseconds.
    let processorTime: Double
    let doorbellsRung: Int
    /// How often it came back from waiting, or from a look whether there is more.
    let wakeUps: Int
}

/// What a guest's script has printed: lines of a word and its value, `cpu` and `status` twice where there are any.
struct BenchLines {
    private var values: [String: [String]] = [:]

    init(_ text: String) {
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ", maxSplits: 1)
            guard words.count == 2 else { continue }
            values[String(words[0]), default: []].append(String(words[1]))
        }
    }

    /// The only `figure`.
    func figure() throws -> BenchFigure {
        let texts = values["figure"] ?? []
        guard texts.count == 1,
            let figure = try? JSONDecoder().decode(BenchFigure.self, from: Data(texts[0].utf8)),
            figure.nanoseconds > 0, figure.requests > 0
        else { throw Self.failure("a figure", texts) }
        return figure
    }

    /// From the first `cpu` and `status` to the second.
    func agentUse() throws -> AgentUse {
        let times = (values["cpu"] ?? []).compactMap(Double.init)
        let statuses = values["status"] ?? []
        // An agent that has run at all has used some time: 0 is a kernel that does not say.
        guard times.count == 2, times[0] > 0, times[1] >= times[0] else {
            throw Self.failure("the agent's processor time twice", values["cpu"] ?? [])
        }
        let counters = try statuses.map(Self.counters)
        guard counters.count == 2, counters[1].rung >= counters[0].rung, counters[1].wakeUps >= counters[0].wakeUps
        else { throw Self.failure("its status twice", statuses) }
        return AgentUse(
            processorTime: times[1] - times[0], doorbellsRung: counters[1].rung - counters[0].rung,
            wakeUps: counters[1].wakeUps - counters[0].wakeUps)
    }

    /// From the first count of a device's requests to the second.
    func urbs() throws -> Int {
        let counts = (values["urbs"] ?? []).compactMap(Int.init)
        guard counts.count == 2, counts[1] >= counts[0] else {
            throw Self.failure("how many URBs there were, twice", values["urbs"] ?? [])
        }
        return counts[1] - counts[0]
    }

    /// The number behind `word`.
    func number(_ word: String) throws -> Double {
        let texts = values[word] ?? []
        guard texts.count == 1, let number = Double(texts[0]) else { throw Self.failure("a number `\(word)`", texts) }
        return number
    }

    private struct Status: Decodable {
        struct Counters: Decodable {
            let rung: Int
            let wakeUps: Int
            enum CodingKeys: String, CodingKey {
                case rung = "doorbells-rung"
                case wakeUps = "wake-ups"
            }
        }
        let counters: Counters
    }

    private static func counters(_ status: String) throws -> Status.Counters {
        guard let status = try? JSONDecoder().decode(Status.self, from: Data(status.utf8)) else {
            throw failure("the agent's status", [status])
        }
        return status.counters
    }

    private static func failure(_ wanted: String, _ found: [String]) -> RigError {
        RigError(
            tried: "read \(wanted) in what a guest has printed", happened: "there is \(found)",
            remedy: "read the guest's console in the run's folder; `make guest` builds its programs anew")
    }
}
