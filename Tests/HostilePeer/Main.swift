// SPDX-License-Identifier: Apache-2.0
import CShim
import CTestShim
import Foundation
import RingBuffer
import RingTransport
import TestSupport

/// A hostile side a against a real agent: `HostilePeer AGENT LOG MUTATIONS SEED`. LOG is the file that stderr goes to.
@main struct HostilePeer {
    static func main() {
        let words = CommandLine.arguments
        guard words.count == 5, let mutations = Int(words[3]), let seed = UInt64(words[4]) else {
            print("usage: HostilePeer AGENT LOG MUTATIONS SEED")
            exit(64)
        }
        do {
            let victim = try Victim(agent: words[1], log: words[2])
            let services = try Services(victim.runtime)
            let storm = try Storm(victim, seed: seed)
            try withExtendedLifetime(services) {
                try storm.run(mutations)
                try storm.cleanPeer()
                try storm.report()
            }
        } catch {
            print("FAILED with seed \(seed): \((error as? Failed)?.message ?? "\(error)")")
            exit(1)
        }
    }
}
