// SPDX-License-Identifier: Apache-2.0
import USBIP

@testable import GuestAgent

/// Any bytes as a policy: it is refused with its place, or decides each interface the same way whenever it is asked.
func fuzzPolicy(_ input: inout Input) {
    let product = UInt16(input.byte() & 1)
    let bytes = input.rest()
    let policy: Policy
    do throws(Diagnostic) {
        policy = try Policy.parse(String(decoding: bytes, as: UTF8.self), path: "/p")
    } catch {
        must(error.exitCode == .badConfiguration && error.message.hasPrefix("/p:"), error.message)
        return
    }
    let count = bytes.split(separator: 0x0A, omittingEmptySubsequences: false).count
    for line in policy.lines { must((1...count).contains(line.number), "line \(line.number) of \(count)") }
    let device = DeviceRecord(
        path: "/sys/x", busID: BusID("1-1")!, busnum: 1, devnum: 2, speed: .high, vendor: 0x46F4, product: product,
        release: 0, deviceClass: 0, deviceSubClass: 0, deviceProtocol: 0, configurationValue: 1, configurations: 1,
        interfaces: 1)
    for exports in [false, true] {
        for serial in [nil, "", "A7"] {
            let rules = policy.rules(exports: exports, device, serial: serial)
            for triple: UInt32 in [0, 0x03_0101, 0x08_0650, 0xFF_FFFF] {
                let line = rules.denial(triple)
                // What is denied before any interface is known stays so for each.
                if let all = rules.denial(nil) { must(line == all, "\(String(describing: line)), before \(all)") }
                // Without a serial number nothing is allowed that any serial number would have denied.
                if serial == nil, line == nil {
                    must(
                        policy.rules(exports: exports, device, serial: "no such").denial(triple) == nil,
                        "allowed only while the serial number was not known")
                }
                if let line, line > 0 {
                    must(policy.lines.contains { $0.number == line && !$0.allows }, "line \(line) denies nothing")
                }
            }
        }
    }
}
