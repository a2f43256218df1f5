// SPDX-License-Identifier: Apache-2.0

@testable import USBIP

/// Any bytes in both directions, in any pieces, past a guard of either role, from memory that ends where they end.
func fuzzGuardBytes(_ input: inout Input) {
    let start = input.byte()
    var limits = GuardLimits()
    limits.outstanding = start & 4 != 0 ? 3 : 1024
    limits.holdsWithdrawals = start & 33 == 32
    let rules = Guard(start & 1 == 0 ? .exporter : .importer, limits: limits)
    let piece = [Int.max, 1, 7, 33][Int(start >> 3 & 3)]
    var streams = [Watched(), Watched()]
    if start & 2 == 0 {
        streams[0].waiting = Sample.requestImport
        pump(rules, &streams)
        streams[1].waiting = Sample.replyImport
        pump(rules, &streams)
        must(rules.phase == .requests, "an import did not pass")
    }
    while !input.isEmpty, rules.violation == nil {
        let what = input.byte()
        if what & 0x7C == 0 {
            rules.releaseWithdrawals(isClear: what & 2 == 0, now: 1)
            pump(rules, &streams)
            rules.recallWithdrawals()
        }
        var bytes = input.bytes(1 + Int(what >> 1))[...]
        while !bytes.isEmpty {
            streams[Int(what & 1)].waiting += bytes.prefix(piece)
            bytes = bytes.dropFirst(piece)
            pump(rules, &streams)
        }
    }
    guard let violation = rules.violation else { return }
    must(!rules.sentence.isEmpty && rules.sentence.utf8.allSatisfy { 0x20...0x7E ~= $0 }, "no words: \(rules.sentence)")
    // Whatever comes then, nothing passes any more.
    for direction in [GuardDirection.inward, .outward] {
        let verdict = withExactly([UInt8](repeating: 1, count: 64)) { rules.judge(direction, $0) }
        must(verdict == .refuse(violation), "after \(violation): \(verdict)")
    }
}

/// A direction's bytes that have come and not passed. Commands are 0, replies 1.
private struct Watched {
    var waiting: [UInt8] = []
}

private func pump(_ rules: Guard, _ streams: inout [Watched]) {
    var moves = true
    while moves {
        moves = false
        for index in [1, 0] {
            let direction: GuardDirection = (index == 0) == !rules.isImporter ? .inward : .outward
            takeInsertions(rules, direction)
            while step(rules, direction, &streams[index]) { moves = true }
        }
    }
}

private func takeInsertions(_ rules: Guard, _ direction: GuardDirection) {
    while withExactly(zeros(PDUHeader.size), { rules.insert(direction, $0) }) {
        must(!rules.isImporter && rules.violation == nil, "something to say, \(direction)")
    }
}

/// - Returns: whether bytes moved.
private func step(_ rules: Guard, _ direction: GuardDirection, _ stream: inout Watched) -> Bool {
    let unread = rules.unread(direction)
    must(unread >= 0, "\(unread) bytes need not be read")
    if unread > 0, rules.violation == nil {
        let count = min(unread, stream.waiting.count)
        rules.passed(direction, count)
        stream.waiting.removeFirst(count)
        return count > 0
    }
    let verdict = withExactly(stream.waiting) { rules.judge(direction, $0) }
    switch verdict {
    case .pass(let count), .drop(let count):
        must(count > 0 && count <= stream.waiting.count, "\(verdict) of \(stream.waiting.count) bytes")
        stream.waiting.removeFirst(count)
        return true
    case .more: must(stream.waiting.count < 320, "wants more than 320 bytes")
    case .wait: must(rules.settingsUnderWay > 0 || rules.unsettled > 0, "waits for nothing")
    case .refuse(let why): must(rules.violation == why, "\(why) is not kept")
    }
    return false
}
