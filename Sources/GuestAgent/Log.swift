// SPDX-License-Identifier: Apache-2.0
import RingTransport

/// The agent's log: whole lines on stderr, for whatever collects a service's output.
enum Log {
    @inline(never)
    static func info(_ message: Message) { Output.error("ringway: " + message.text + "\n") }

    @inline(never)
    static func error(_ message: Message) { Output.error("ringway: error: " + message.text + "\n") }
}
