// SPDX-License-Identifier: Apache-2.0
import CShim
import USBIP

/// A program in a guest that misbehaves towards the peer, for scenarios. As a service it takes the place of `usbipd` at
/// the agent's socket of port 3240, and every other device comes from the service at PORT as it is:
///
///     uncooperative mute BUSID SPEED PORT         gives that device away, and never answers one of its requests
///     uncooperative slow BUSID MILLISECONDS PORT  answers for that device so much later, while /tmp/slow exists
///     uncooperative lie BUSID WORD PORT           adds 65,536 to that word of its replies, while
///                                                 /tmp/lie exists
///
/// As an importer it takes a device, and breaks the protocol in one of the ways of `HostileImporter`:
///
///     uncooperative import BUSID WRONG
///
/// And the well-behaved programs of a guest whose agent is attacked, `Programs`:
///
///     uncooperative programs
@c(ringway_main)
public func uncooperativeMain(
    _ argc: Int32, _ argv: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
) -> Int32 {
    var words: [String] = []
    for i in 1..<max(1, Int(argc)) {
        if let word = argv[i] { words.append(String(cString: word)) }
    }
    if words.count == 3, words[0] == "import", let busID = BusID(words[1]),
        let wrong = HostileImporter.Wrong(rawValue: words[2])
    {
        return HostileImporter.run(busID, wrong)
    }
    if words.count == 1, words[0] == "programs" {
        guard var programs = Programs() else { return 74 }
        programs.run()
    }
    guard words.count == 4, let busID = BusID(words[1]), let port = decimal(words[3]) else { return 64 }
    let manner: Service.Manner
    if let speed = USBSpeed(sysfs: words[2]), words[0].utf8.first == UInt8(ascii: "m") {
        manner = .mute(speed)
    } else if let delay = decimal(words[2]), words[0].utf8.first == UInt8(ascii: "s") {
        manner = .slow(Int32(truncatingIfNeeded: delay))
    } else if let word = decimal(words[2]), word < 12, words[0].utf8.first == UInt8(ascii: "l") {
        manner = .lie(word)
    } else {
        return 64
    }
    let listener = Local.listen("/run/ringway/port/3240.4")
    guard listener >= 0 else { return 74 }
    return Service(busID: busID, manner: manner, port: port).run(listener)
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
