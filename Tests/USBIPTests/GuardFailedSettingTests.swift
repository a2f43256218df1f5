// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import USBIP

/// `usb_set_interface` fails in the exporter's kernel, for lack of bandwidth or because the device stalls, and then the
/// device says yes to the request itself: the guard goes by the new setting, the kernel by the old one. Every small
/// case: whatever the kernel takes for a header then, it is none that it believes.
struct GuardFailedSettingTests {
    private typealias Kind = KernelModel.Kind

    /// When a request of the old setting is answered.
    private enum Early: CaseIterable { case none, before, late }

    private struct Case {
        let old: Kind?
        let new: Kind
        let isIn: Bool
        let early: Early
        let packets: Int32
        /// At which byte of the data a header begins; nil for none.
        let header: Int?
    }

    private static let cases: [Case] = {
        var all: [Case] = []
        for old in [nil, Kind.iso, .other] {
            for new in [Kind.iso, .other] {
                for isIn in [false, true] {
                    for early in Early.allCases where old != nil || early == .none {
                        for packets: Int32 in [-1, 0, 1, 3] {
                            for header in [nil, 0, 1, 12, 16, 48] {
                                all.append(
                                    Case(
                                        old: old, new: new, isIn: isIn, early: early, packets: packets, header: header))
                            }
                        }
                    }
                }
            }
        }
        return all
    }()

    private static func submit(_ session: GuardSession, _ this: Case, _ kind: Kind, packets: Int32, data: [UInt8]) {
        let descriptors = kind == .iso ? [IsoPacketDescriptor](repeating: .init(0, 0), count: max(0, Int(packets))) : []
        session.submit(
            1, this.isIn ? .in : .out, .bytes(this.isIn ? 0 : Int32(data.count), packets: packets),
            payload: this.isIn ? [] : data, descriptors: descriptors)
    }

    /// - Returns: what became of the kernel, and what the guard refused. A request without a body leaves nothing
    ///   unread: what comes behind it is a header to both.
    private static func run(_ this: Case) -> (KernelModel.Fault?, GuardViolation?) {
        let address: UInt8 = this.isIn ? 0x81 : 1
        let settings: [[UInt8: Kind]] = [this.old.map { [address: $0] } ?? [:], [address: this.new]]
        var model = KernelModel(devid: GuardSession.devid, truth: [settings])
        model.goesOn = true
        let parts = settings.enumerated().map { number, endpoints in
            TestDevice.interface(
                0, UInt8(number), endpoints.map { TestDevice.endpoint($0.key, $0.value == .iso ? 1 : 2) })
        }
        let session = GuardSession(.exporter)
        session.command(Sample.requestImport)
        session.reply(Sample.replyImport)
        let start = session.commands.count
        func check() { model.receive(commands: Array(session.commands[start...])) }
        session.configure(TestDevice.configuration(1, parts))
        check()
        if let old = this.old, this.early != .none {
            submit(session, this, old, packets: 0, data: [])
            check()
        }
        let early = session.seqnum
        if this.early == .before { session.answer(early) }
        model.failsToSet = true
        session.control(SetupPacket(requestType: 1, request: 11, value: 1))
        check()
        session.answer()
        if this.early == .late { session.answer(early) }
        let hidden = PDUHeader(
            seqnum: 0x9000, devid: GuardSession.devid, body: .cmdSubmit(CmdSubmit())
        ).encode()
        let data = this.header.map { zeros($0) + hidden } ?? zeros(96)
        submit(session, this, this.new, packets: this.packets, data: data)
        check()
        // And what is behind it, which the kernel needs to have 48 bytes.
        session.unlink(0x9001)
        check()
        let isBoundary = session.commandEnds.contains(model.commandEnds.last ?? 0)
        return (model.fault == .believes && isBoundary ? nil : model.fault, session.violation)
    }

    @Test("what the kernel then takes for a header is none that it believes")
    func none() {
        var left = 0
        for this in Self.cases {
            let (fault, violation) = Self.run(this)
            #expect(fault != .believes, "\(this): \(String(describing: violation))")
            if fault != nil || violation == .framingUnclear { left += 1 }
        }
        #expect(Self.cases.count == 672 && left > 100, "\(left) of \(Self.cases.count) say anything")
    }
}
