// SPDX-License-Identifier: Apache-2.0
import CShim
import CTestShim
import Foundation
import RingBuffer
import RingTransport
import TestSupport

/// A hostile side a against a real agent.
///
///     HostilePeer AGENT LOG MUTATIONS SEED                 on this machine; LOG is the file that stderr goes to
///     HostilePeer guest SERVER QUESTIONS MUTATIONS SEED    in a virtual machine, as `GuestVictim` says
@main struct HostilePeer {
    static func main() {
        let words = CommandLine.arguments
        let isGuest = words.count == 6 && words[1] == "guest"
        guard isGuest || words.count == 5, let mutations = Int(words[words.count - 2]),
            let seed = UInt64(words[words.count - 1])
        else {
            print("usage: HostilePeer AGENT LOG MUTATIONS SEED")
            print("       HostilePeer guest SERVER QUESTIONS MUTATIONS SEED")
            exit(64)
        }
        do {
            if isGuest {
                try run(Storm(GuestVictim(server: words[2], questions: words[3]), seed: seed), mutations)
            } else {
                let victim = try HostVictim(agent: words[1], log: words[2])
                let services = try Services(victim.runtime)
                try withExtendedLifetime(services) { try run(Storm(victim, seed: seed), mutations) }
            }
        } catch {
            print("FAILED with seed \(seed): \((error as? Failed)?.message ?? "\(error)")")
            exit(1)
        }
    }

    private static func run(_ storm: Storm, _ mutations: Int) throws {
        try storm.run(mutations)
        try storm.cleanPeer()
        try storm.report()
    }
}
