// SPDX-License-Identifier: Apache-2.0
import CShim

/// How long an event takes to the importer that a request of the importer's has caused: one clock for both ends.
///
/// A keyboard repeats its report after an idle time (HID 1.11, 7.2.4). SET_IDLE begins it anew, so the event comes at
/// the device that much later than the request: on the way here it is an interrupt transfer that waits there for it.
enum Interrupts {
    /// In units of 4 ms: longer than an interval of the endpoint, so that the transfer waits at the device by then.
    private static let idle: UInt16 = 5
    private static var pause: UInt64 { UInt64(idle) * 4_000_000 }
    private static let setIdle: UInt8 = 0x0A

    /// Each time is that from request to event, less the idle time.
    static func run(_ node: String, _ count: Int) -> Result<Times, Problem> {
        switch UsbDevice.open(node, interface: 0) {
        case .failure(let problem): return .failure(problem)
        case .success(let device): return run(device, count)
        }
    }

    private static func run(_ device: borrowing UsbDevice, _ count: Int) -> Result<Times, Problem> {
        let urb = Urb(endpoint: 0x81, packets: 0, size: 8, number: 0)
        var times = Times(bytes: 8 * count, count: count)
        // What comes too early is a repetition of an earlier report's: it does not count, and cannot be for ever.
        var early = 0
        while times.count < count {
            guard device.classRequest(setIdle, value: 0), device.submit(urb) else {
                return .failure(Problem("wait for an interrupt of", device.node))
            }
            let began = Times.now()
            guard device.classRequest(setIdle, value: idle << 8) else {
                return .failure(Problem("set the idle time of", device.node))
            }
            guard device.reap() != nil, urb.status == 0 else {
                return .failure(Problem("get an interrupt of", device.node))
            }
            let elapsed = Times.now() &- began
            if elapsed > pause {
                times.add(elapsed - pause)
            } else {
                early += 1
                guard early <= count else {
                    return .failure(Problem(status: 74, text: "interrupts of " + device.node + " come too early"))
                }
            }
        }
        // Nobody waits for what would come now.
        _ = device.classRequest(setIdle, value: 0)
        return .success(times)
    }
}
