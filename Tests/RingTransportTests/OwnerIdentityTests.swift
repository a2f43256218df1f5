// SPDX-License-Identifier: Apache-2.0
import CShim
import CTestShim
import Foundation
import TestSupport
import Testing

@testable import RingBuffer
@testable import RingTransport

@Suite struct OwnerIdentityTests {
    /// A child that waits until it is killed.
    private final class Sleeper {
        let pid: pid_t
        private var reaped = false

        /// - Parameter name: what it calls itself, before its parent goes on.
        init(name: String? = nil) throws {
            var ends: [Int32] = [-1, -1]
            guard pipe(&ends) == 0 else { throw SystemFailure("pipe") }
            let words = strdup(name ?? "sleeper")!
            let file = strdup("/proc/self/comm")!
            defer {
                free(words)
                free(file)
            }
            let child = ct_fork()
            if child == 0 {
                _ = cs_die_with_parent()
                ct_limit_life(60)
                _ = write(cs_open(file, O_WRONLY, 0), words, strlen(words))
                _ = write(ends[1], "x", 1)
                while true { pause() }
            }
            close(ends[1])
            var byte: UInt8 = 0
            let said = read(ends[0], &byte, 1)
            close(ends[0])
            guard child > 0, said == 1 else { throw SystemFailure("fork") }
            pid = child
        }

        /// Its identity, read from /proc with no code of the product's.
        func identity() throws -> UInt64 {
            let data = try Data(contentsOf: URL(fileURLWithPath: "/proc/\(pid)/stat"))
            let text = String(decoding: data, as: UTF8.self)
            let fields = text[text.range(of: ")", options: .backwards)!.upperBound...].split(separator: " ")
            let start = try #require(UInt64(fields[19]))
            return UInt64(pid) << 32 | start & 0xFFFF_FFFF
        }

        /// Kills it and waits until it is a zombie.
        func becomeZombie() throws {
            kill(pid, SIGKILL)
            var information = siginfo_t()
            guard waitid(P_PID, id_t(pid), &information, WEXITED | WNOWAIT) == 0 else { throw SystemFailure("waitid") }
        }

        func reap() {
            if !reaped { _ = ct_reap(pid) }
            reaped = true
        }

        deinit {
            if !reaped { kill(pid, SIGKILL) }
            reap()
        }
    }

    @Test func thisProcessLives() throws {
        let identity = try ProcessIdentity.attach()
        #expect(identity.current >> 32 == UInt64(getpid()))
        #expect(identity.current & 0xFFFF_FFFF != 0)
        #expect(ProcessIdentity.isAlive(identity.current))
        #expect(try ProcessIdentity.attach().current == identity.current, "the same process, the same word")
        #expect(identity.attachment.identity.pointee == identity.current)
    }

    /// An attachment that was made before a fork is dead in the child, and stays alive in the parent.
    @Test func aChildHasNoIdentity() throws {
        let identity = try ProcessIdentity.attach()
        let word = identity.attachment.identity
        let before = word.pointee
        let status = try inChild { word.pointee == 0 ? 0 : 1 }
        #expect(status == 0)
        #expect(word.pointee == before)
    }

    @Test func aLivingADyingAndADeadChild() throws {
        let child = try Sleeper()
        let identity = try child.identity()
        #expect(ProcessIdentity.isAlive(identity))
        try child.becomeZombie()
        #expect(!ProcessIdentity.isAlive(identity), "a zombie holds nothing")
        child.reap()
        #expect(!ProcessIdentity.isAlive(identity))
    }

    @Test func aNumberThatWasGivenAgain() throws {
        let identity = try ProcessIdentity.attach().current
        for bit in 0..<32 { #expect(!ProcessIdentity.isAlive(identity ^ 1 << UInt64(bit))) }
    }

    @Test func wordsThatNameNobody() {
        for word: UInt64 in [0, 1, 0xFFFF_FFFF, 1 << 63, UInt64.max, 0x7FFF_FFFF << 32 | 5, 0x8000_0001 << 32] {
            #expect(!ProcessIdentity.isAlive(word))
        }
    }

    /// The second field of /proc/PID/stat is whatever a program calls itself.
    @Test(arguments: ["a) Z 1 1", ") X (", ")))", "a b c d", "(", "x\n) Z 1"])
    func programsWithAwkwardNames(name: String) throws {
        let child = try Sleeper(name: name)
        #expect(ProcessIdentity.isAlive(try child.identity()))
    }

    @Test func theControlMemoryOfTheEnds() throws {
        let controls = try EndControls.create(channels: 3)
        #expect(controls.size % 4096 == 0)
        #expect(controls.block(2) - controls.block(0) == 2 * (controls.block(1) - controls.block(0)))
        #expect(controls.block(2) + (controls.block(1) - controls.block(0)) - controls.base <= controls.size)
        for offset in stride(from: 0, to: controls.size, by: 8) {
            #expect(controls.base.load(fromByteOffset: offset, as: UInt64.self) == 0)
        }
        #expect(ftruncate(controls.descriptor, 0) == -1)
        // Another process that has the descriptor maps the same memory.
        let other = try Mapping(fd: controls.descriptor, size: controls.size)
        controls.block(1).storeBytes(of: 42, as: UInt64.self)
        #expect(other.base.load(fromByteOffset: controls.block(1) - controls.base, as: UInt64.self) == 42)
    }
}
