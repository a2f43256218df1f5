// SPDX-License-Identifier: Apache-2.0
import CShim
import USBIP

/// A service in a guest that misbehaves towards the peer, for scenarios. It takes the place of `usbipd` at the agent's
/// socket of port 3240.
///
///     uncooperative mute BUSID SPEED PORT   gives that device away, and never answers one of its requests; every other
///                                           device comes from another service port
///     uncooperative slow MILLISECONDS PORT  passes on to another service port, each answer that much later
@c(ringway_main)
public func uncooperativeMain(
    _ argc: Int32, _ argv: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
) -> Int32 {
    var words: [String] = []
    for i in 1..<max(1, Int(argc)) {
        if let word = argv[i] { words.append(String(cString: word)) }
    }
    guard words.count >= 3, let port = decimal(words[words.count - 1]) else { return 64 }
    let listener = Local.listen("/run/ringway/port/3240.4")
    guard listener >= 0 else { return 74 }
    if let busID = BusID(words[1]), let speed = USBSpeed(sysfs: words[2]) {
        return MuteService(busID: busID, speed: speed, port: port).run(listener)
    }
    if let delay = decimal(words[1]) {
        return SlowService(milliseconds: Int32(truncatingIfNeeded: delay), port: port).run(listener)
    }
    return 64
}

/// The number that decimal digits make.
func decimal(_ text: String) -> Int? {
    var value = 0
    for byte in text.utf8 {
        guard byte >= 0x30, byte <= 0x39, value < 1_000_000 else { return nil }
        value = value * 10 + Int(byte - 0x30)
    }
    return value
}
