// SPDX-License-Identifier: Apache-2.0
import RingTransport

/// The agent's log: whole lines on stderr, for whatever collects a service's output.
enum Log {
    static func info(_ message: Message) { Output.error("ringway: " + message.text + "\n") }
    static func error(_ message: Message) { Output.error("ringway: error: " + message.text + "\n") }
}
