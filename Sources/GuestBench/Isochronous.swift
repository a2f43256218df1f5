// SPDX-License-Identifier: Apache-2.0

/// How evenly isochronous transfers end: a sound device takes a packet each millisecond, so that transfers of eight end
/// eight milliseconds apart. What matters is how far from that they are.
enum Isochronous {
    /// Under way at once: what may come late by their time before the device has nothing to play.
    private static let depth = 4
    private static let packets = 8
    private static var nominal: UInt64 { UInt64(packets) * 1_000_000 }
    /// Stereo, 16 bits, 48 kHz: a packet of a millisecond.
    private static let packet = 192

    /// Each time is how far two ends that follow each other were from eight milliseconds.
    static func run(_ node: String, _ count: Int) -> Result<Times, Problem> {
        switch UsbDevice.open(node, interface: 1) {
        case .failure(let problem): return .failure(problem)
        case .success(let device): return run(device, count)
        }
    }

    private static func run(_ device: borrowing UsbDevice, _ count: Int) -> Result<Times, Problem> {
        guard device.select(interface: 1, setting: 1) else {
            return .failure(Problem("select the setting with sound of", device.node))
        }
        var urbs: [Urb] = []
        for number in 0..<depth {
            urbs.append(Urb(endpoint: 0x01, packets: packets, size: packet, number: number))
            guard device.submit(urbs[number]) else { return .failure(Problem("play on", device.node)) }
        }
        var times = Times(bytes: count * packets * packet, count: count)
        var before: UInt64 = 0
        // The first ones end when the device has begun, and when it has its rhythm.
        for number in 0..<count + 3 * depth {
            guard let place = device.reap() else { return .failure(Problem("wait for sound on", device.node)) }
            let now = Times.now()
            let urb = urbs[place]
            guard urb.status == 0, urb.failedPackets == 0, device.submit(urb) else {
                return .failure(Problem("go on playing on", device.node))
            }
            let interval = now &- before
            before = now
            if number < 3 * depth { continue }
            times.add(interval > nominal ? interval - nominal : nominal - interval)
        }
        _ = device.select(interface: 1, setting: 0)
        return .success(times)
    }
}
