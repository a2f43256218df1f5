// SPDX-License-Identifier: Apache-2.0
import Testing
import USBIP

/// Bytes that Debian's tools sent over a TCP socket on the loopback device, recorded once: `usbip` of
/// the package usbip 2.0+6.1.192-2 ("usbip-utils 2.0"). `usbipd` does not start without the kernel's modules, so
/// only the client's side was recorded. In return `usbip` was given `Sample.list` and listed its three devices.
struct StockToolTests {
    @Test("`usbip list -r 127.0.0.1`")
    func list() throws {
        let recorded = bytes("0111800500000000")
        var decoder = RequestDecoder()
        #expect(try decoder.feed(recorded, by: 100) == recorded.count)
        #expect(decoder.request == .deviceList)
        #expect(Operation.requestDeviceList() == recorded)
    }

    @Test("`usbip attach -r 127.0.0.1 -b 3-2.1`")
    func attach() throws {
        let recorded = bytes("0111800300000000332d322e31000000000000000000000000000000000000000000000000000000")
        let busID = try #require(BusID("3-2.1"))
        var decoder = RequestDecoder()
        #expect(try decoder.feed(recorded, by: 100) == recorded.count)
        #expect(decoder.request == .importDevice(busID))
        #expect(Operation.requestImport(busID) == recorded)
    }
}
