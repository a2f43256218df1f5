// SPDX-License-Identifier: Apache-2.0
import CShim
import RingTransport

/// When the importer has to look for devices that its rules want.
final class AttachKeeper {
    static let retryMicroseconds: UInt64 = 1_000_000
    /// How often a peer is asked that announces nothing (usbipd, or no peer at all).
    static let pollMicroseconds: UInt64 = 2_000_000

    /// The stream on which the peer announces changes; -1 for none.
    private(set) var announcer: Int32 = -1
    /// Bytes of the agent's answer that are still to come.
    private var answer: [UInt8] = []
    private var isListening = false
    private var connectAt: UInt64 = 0
    /// When the next look is due; nil when only an event brings one.
    var sweepAt: UInt64?
    var isSweeping = false
    /// Something happened while a look was under way.
    private var isStale = false
    /// Looks that left something to do, since the peer last announced anything. A device that is let go each time
    /// that it was attached, as one that a guard refuses, is not asked for every second for ever.
    private var unsettled: UInt64 = 0
    private static let patience: UInt64 = 8

    func timeout(wanted: Bool) -> Int32 {
        guard wanted else { return -1 }
        var next = UInt64.max
        if announcer < 0 { next = connectAt }
        if let sweepAt, !isSweeping { next = min(next, sweepAt) }
        return next == UInt64.max ? -1 : Clock.millisecondsUntil(next)
    }

    func stop() {
        if announcer >= 0 { close(announcer) }
        announcer = -1
        isListening = false
        sweepAt = nil
        connectAt = 0
    }

    /// Asks the agent for a stream to the peer's announcements; the answer comes later.
    func connect(_ runtimeDirectory: String) {
        let now = Clock.microseconds()
        guard announcer < 0, now >= connectAt else { return }
        connectAt = now &+ Self.pollMicroseconds
        let socket = LocalSocket.connect(runtimeDirectory + "/agent.sock")
        guard socket >= 0 else { return }
        let request = ControlProtocol.request(
            .init(operation: .connect, port: ExportService.announcementPort, flags: 0))
        let flags = cs_msg_dontwait() | cs_msg_nosignal()
        let sent = request.withUnsafeBufferPointer { send(socket, $0.baseAddress, $0.count, flags) }
        guard sent == request.count else {
            close(socket)
            return
        }
        announcer = socket
        answer = []
        isListening = false
    }

    /// Something came from the announcer: the agent's answer, announcements, or the end.
    func hear() {
        var buffer = [UInt8](repeating: 0, count: 256)
        let wanted = isListening ? buffer.count : ControlProtocol.size - answer.count
        let count = buffer.withUnsafeMutableBufferPointer {
            recv(announcer, $0.baseAddress, wanted, cs_msg_dontwait())
        }
        if count < 0, cs_errno() == EAGAIN || cs_errno() == EINTR { return }
        if count > 0, !isListening {
            answer += buffer[0..<count]
            guard answer.count == ControlProtocol.size else { return }
            isListening = ControlProtocol.parseReply(answer).map { $0.result == 0 } ?? false
            if isListening { return look() }
        } else if count > 0 {
            return look()
        }
        // The end, or a refusal. A peer whose link is back has an unknown state.
        let wasListening = isListening
        close(announcer)
        announcer = -1
        isListening = false
        if wasListening { look() }
    }

    func look() {
        unsettled = 0
        if isSweeping { isStale = true }
        sweepAt = 0
    }

    func began() {
        isSweeping = true
        isStale = false
        sweepAt = nil
    }

    func swept(settled: Bool) {
        isSweeping = false
        let now = Clock.microseconds()
        if isStale {
            sweepAt = now
        } else if !settled {
            unsettled = isListening ? unsettled &+ 1 : 0
            let doublings = min(max(unsettled, Self.patience) &- Self.patience, 3)
            sweepAt = now &+ Self.retryMicroseconds << doublings
        } else if !isListening {
            sweepAt = now &+ Self.pollMicroseconds
        }
    }
}

extension DeviceManager {
    /// Looks for wanted devices when that is due.
    func keepAttached() {
        importer.connect(settings.runtimeDirectory)
        if importer.sweepAt == nil, !importer.isSweeping, importer.announcer < 0 { importer.sweepAt = 0 }
        guard let due = importer.sweepAt, !importer.isSweeping, Clock.microseconds() >= due else { return }
        let attachment = Attachment(
            agent: agent, driver: ImporterDriver(tree: settings.tree), policy: settings.policy)
        let rules = book.attachments
        importer.began()
        let started = start(.sweep) {
            do throws(Diagnostic) { return try attachment.sweep(rules) ? 0 : 1 } catch { return 1 }
        }
        if !started { importer.swept(settled: false) }
    }
}
