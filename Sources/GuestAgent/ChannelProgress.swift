// SPDX-License-Identifier: Apache-2.0
import CShim
import RingTransport
import USBIP

/// How the peer answers the USB requests on a channel.
struct ChannelProgress: Equatable {
    /// Requests that this guest's kernel has sent.
    let requests: UInt64
    /// For how long the latest of them have had no answer at all; nil when something came since.
    let unansweredSeconds: UInt64?

    var text: String {
        compose("\(requests) \(unansweredSeconds.map { digits($0) } ?? "-")")
    }

    init(requests: UInt64, unansweredSeconds: UInt64?) {
        self.requests = requests
        self.unansweredSeconds = unansweredSeconds
    }

    /// - Returns: nil when the text is none.
    init?(_ text: String) {
        let words = text.words
        guard words.count == 2, let requests = unsigned(words[0]) else { return nil }
        self.requests = requests
        unansweredSeconds = unsigned(words[1])
    }
}

extension DataPath {
    /// A withdrawal that data of other requests come before may take so many times as long.
    static let patienceWithData = 6

    /// Once a heartbeat: closes a connection whose peer has fallen silent, since only that frees the port, and with it
    /// the controller whose hub's worker waits for the answer.
    func watchAnswers(_ number: Int) {
        guard let connection = connections[number], let progress = connection.rules, progress.isImporter,
            channels[number].isEstablished
        else { return }
        connection.unansweredTicks = progress.isUnanswered ? connection.unansweredTicks + 1 : 0
        // Behind a setting without an answer everything waits, withdrawals too.
        let isSilent = progress.isUnlinkUnanswered && progress.answers == connection.answers
        connection.answers = progress.answers
        connection.unlinkTicks = isSilent || connection.outward?.isHeld == true ? connection.unlinkTicks + 1 : 0
        // Long data of other requests may go first, but not for ever.
        let isSame = progress.openUnlinks > 0 && progress.unlinkWatch == connection.unlinkWatch
        connection.openUnlinkTicks = isSame ? connection.openUnlinkTicks + 1 : 0
        connection.unlinkWatch = progress.unlinkWatch
        let ticks = max(connection.unlinkTicks, connection.openUnlinkTicks / Self.patienceWithData)
        // The first may come right behind what it counts.
        guard (ticks - 1) * settings.heartbeatMilliseconds >= settings.unlinkMilliseconds else { return }
        let what: Message =
            progress.openUnlinks > 0 ? "the withdrawal of a USB request" : "the setting of an interface"
        Log.error(
            "channel \(number) closed: the peer has not answered \(what.text) for "
                + "\(settings.unlinkMilliseconds) ms; its port is free again; look at the other side's log")
        channels[number].reset()
        counters.reset &+= 1
        release(number)
    }

    /// Answers `progress` of the control socket: "" when the channel carries no imported device.
    func progressText(_ number: Int) -> String {
        guard number < connections.count, let connection = connections[number], let progress = connection.rules,
            progress.isImporter
        else { return "" }
        let milliseconds = connection.unansweredTicks * settings.heartbeatMilliseconds
        return ChannelProgress(
            requests: progress.requests, unansweredSeconds: progress.isUnanswered ? UInt64(milliseconds / 1000) : nil
        ).text
    }
}

extension AgentClient {
    /// - Returns: nil when there is no agent, or the channel carries no imported device.
    func progress(channel: UInt32) -> ChannelProgress? {
        guard channel <= 255 else { return nil }
        do throws(Diagnostic) {
            return ChannelProgress(String(bytes: try askAgent(.progress, port: UInt16(channel))[...]))
        } catch {
            return nil
        }
    }
}
