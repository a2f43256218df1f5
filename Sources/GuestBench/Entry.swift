// SPDX-License-Identifier: Apache-2.0
import CShim

/// What `ringway-rig bench` times inside the importer's guest: requests one after the other, each by the monotonic
/// clock, and one line of JSON about them all.
///
///     ringway-guest-bench read NODE REQUEST COUNT           so many bytes each, from the beginning of a disk on
///     ringway-guest-bench write NODE REQUEST COUNT CONTENT  what the file CONTENT begins with
///     ringway-guest-bench control NODE COUNT                GET_STATUS of a device: two bytes of answer
///     ringway-guest-bench interrupt NODE COUNT              from a request to the event that it causes, of a keyboard
///     ringway-guest-bench isochronous NODE COUNT            how far a sound device's transfers are from their rhythm
///
/// A disk is opened with O_DIRECT: no request is answered from, or gathered in, the guest's page cache.
/// Exit status 64 for wrong arguments, 74 when something fails, with what was tried on standard error.
@c(ringway_main)
public func guestBenchMain(
    _ argc: Int32, _ argv: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
) -> Int32 {
    var words: [String] = []
    for i in 1..<max(1, Int(argc)) {
        if let word = argv[i] { words.append(String(cString: word)) }
    }
    switch run(words) {
    case .success(let times):
        Standard.write(1, times.json + "\n")
        return 0
    case .failure(let problem):
        Standard.write(2, problem.text + "\n")
        return problem.status
    }
}

private func run(_ words: [String]) -> Result<Times, Problem> {
    let numbers = words.map(decimal)
    if words.count == 4, names(words[0], "read"), let size = numbers[2], let count = numbers[3], count > 0 {
        return Disk.read(words[1], size, count)
    }
    if words.count == 5, names(words[0], "write"), let size = numbers[2], let count = numbers[3], count > 0 {
        return Disk.write(words[1], size, count, content: words[4])
    }
    if words.count == 3, names(words[0], "control"), let count = numbers[2], count > 0 {
        return ControlRequests.run(words[1], count)
    }
    if words.count == 3, names(words[0], "interrupt"), let count = numbers[2], count > 0 {
        return Interrupts.run(words[1], count)
    }
    if words.count == 3, names(words[0], "isochronous"), let count = numbers[2], count > 0 {
        return Isochronous.run(words[1], count)
    }
    return .failure(
        Problem(
            status: 64,
            text: "usage: ringway-guest-bench read NODE REQUEST COUNT | write NODE REQUEST COUNT CONTENT "
                + "| control NODE COUNT | interrupt NODE COUNT | isochronous NODE COUNT"))
}

/// Compared byte for byte: text's own equality brings Unicode's tables along.
private func names(_ word: String, _ other: StaticString) -> Bool {
    var bytes = word.utf8.makeIterator()
    for i in 0..<other.utf8CodeUnitCount {
        guard bytes.next() == other.utf8Start[i] else { return false }
    }
    return bytes.next() == nil
}

/// The number that decimal digits make; nil where they are none, or too many.
private func decimal(_ text: String) -> Int? {
    var value = 0
    for byte in text.utf8 {
        guard byte >= 0x30, byte <= 0x39, value < 1 << 40 else { return nil }
        value = value * 10 + Int(byte - 0x30)
    }
    return text.utf8.isEmpty ? nil : value
}
