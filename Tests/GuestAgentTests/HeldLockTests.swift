// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

@testable import GuestAgent

/// A status question while the kernel holds a device's lock.
@Suite(.serialized) struct HeldLockTests {
    private static let tooMany = "not read: too many requests at once"

    /// It is answered all the same; those who wait for the lock are counted until they have ended.
    @Test(
        .enabled(if: HeldFile.canBeMade, "needs root, /dev/fuse and a mount namespace to make a file that holds"),
        arguments: Setting.withDoorbells)
    func aStatusQuestionDoesNotWait(_ setting: Setting) throws {
        let guests = try Guests(setting)
        let held = try HeldFile()
        // The connect time-out is for those who do not ask: it is shorter than the answer takes.
        let agent = try guests.start(
            .a, ["--connect-timeout-ms=500"],
            through: held.mounted(at: "/sys/devices/platform/vhci_hcd.0/status", number: Program.firstDescriptor + 2),
            descriptors: [held.descriptor])
        try guests.start(.b)
        for side in Guests.Side.allCases { try guests.waitForLink(side) }
        let most = SysfsWorker.maximumJobs
        let request = ControlProtocol.request(.init(operation: .status, port: 0, flags: 0))
        let questions = try (0..<most).map { _ in
            let stream = try Stream(connectedTo: guests.runtime(.a) + "/agent.sock")
            try stream.write(request)
            return stream
        }
        try held.waitForReaders(most)
        #expect(try guests.status(.a)["usb"] as? String == Self.tooMany)
        let (client, service) = try guests.pair(from: .a, port: 33)
        try client.write([4, 5])
        #expect(try service.read(2) == [4, 5])
        for question in questions {
            let answer = String(decoding: try question.readToEnd().dropFirst(ControlProtocol.size), as: UTF8.self)
            #expect(answer.contains("\nusb: not read: the kernel did not answer in 2 s"), "\(answer)")
        }
        // Answered and killed, and still there.
        #expect(agent.children.count == most + 1)
        #expect(try guests.status(.a)["usb"] as? String == Self.tooMany)
        held.release()
        let free = "usbip-host: not loaded; vhci_hcd: not loaded"
        #expect(try guests.status(.a) { $0["usb"] as? String == free }["usb"] as? String == free)
    }
}
