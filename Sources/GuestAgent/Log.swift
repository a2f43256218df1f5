// SPDX-License-Identifier: Apache-2.0

/// The agent's log: whole lines on stderr, for whatever collects a service's output.
enum Log {
    static func info(_ message: String) { Output.error("ringway: \(message)\n") }
    static func error(_ message: String) { Output.error("ringway: error: \(message)\n") }
}
