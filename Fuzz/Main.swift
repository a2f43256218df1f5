// SPDX-License-Identifier: Apache-2.0
import CShim

/// One thing to fuzz. To add one: write its closure in a file of its own, name it in `targets`, and put a few inputs
/// into a folder of its name in `Fuzz/corpus`. Nothing else has to know.
struct Target: Sendable {
    let name: String
    let run: @Sendable (inout Input) -> Void
}

private let targets = [
    Target(name: "decoders", run: fuzzDecoders),
    Target(name: "guard-bytes", run: fuzzGuardBytes),
    Target(name: "guard-framing", run: fuzzGuardFraming),
    Target(name: "endpoints", run: fuzzEndpoints),
    Target(name: "channel-records", run: fuzzChannelRecords),
    Target(name: "section-header", run: fuzzSectionHeaders),
    Target(name: "configuration", run: fuzzConfiguration),
    Target(name: "rules", run: fuzzRules),
    Target(name: "policy", run: fuzzPolicy),
    Target(name: "control-requests", run: fuzzControlRequests),
    Target(name: "device-requests", run: fuzzDeviceRequests),
]

nonisolated(unsafe) private var chosen: Target?

/// Takes `target=NAME` out of the arguments that libFuzzer then reads; `targets` prints the names.
@c(LLVMFuzzerInitialize)
public func initialize(
    _ count: UnsafeMutablePointer<Int32>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>
) -> Int32 {
    var kept = 1
    for i in 1..<max(1, Int(count.pointee)) {
        guard let argument = arguments.pointee[i] else { continue }
        let text = String(cString: argument)
        if text == "targets" {
            for target in targets { print(target.name) }
            exit(0)
        }
        if text.hasPrefix("target=") {
            chosen = targets.first { "target=" + $0.name == text }
        } else {
            arguments.pointee[kept] = argument
            kept += 1
        }
    }
    arguments.pointee[kept] = nil
    count.pointee = Int32(kept)
    if chosen == nil {
        say("fuzz: name one of the targets: target=\(targets.map(\.name).joined(separator: " target="))")
        exit(64)
    }
    return 0
}

@c(LLVMFuzzerTestOneInput)
public func testOneInput(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    var input = Input(UnsafeRawBufferPointer(start: bytes, count: count))
    chosen?.run(&input)
    return 0
}

func say(_ text: String) {
    let line = Array((text + "\n").utf8)
    _ = line.withUnsafeBufferPointer { write(2, $0.baseAddress, $0.count) }
}

/// What must hold whatever the input; else the fuzzer has found something, and keeps the input.
@inline(__always)
func must(_ condition: Bool, _ what: @autoclosure () -> String) {
    if condition { return }
    say("fuzz: NOT AS IT MUST BE: \(what())")
    abort()
}
