// SPDX-License-Identifier: Apache-2.0
import CShim
import RingBuffer

/// Taking an end that others of this guest use too: waits for a living owner, replaces a dead one.
enum EndTaking {
    /// Yields between two looks at whether the owner still lives (a look reads /proc).
    static let yieldsPerLook = 1024

    /// Waits a little for the owner that `error` names.
    /// - Returns: the owner's identity if it is dead, nil when it is worth trying again.
    /// - Throws: `error` itself when it is no `busy`, or when the owner lives and `looks` is used up.
    static func wait(_ error: RingError, looks: inout Int) throws(RingError) -> UInt64? {
        guard case .busy(let owner) = error else { throw error }
        if !ProcessIdentity.isAlive(owner) { return owner }
        guard looks > 0 else { throw error }
        looks -= 1
        for _ in 0..<yieldsPerLook { sched_yield() }
        return nil
    }
}

extension ProducerEnd {
    /// Takes the end for a batch.
    /// - Parameters:
    ///   - recovered: set when a dead owner was replaced; the doorbell has to be rung then.
    ///   - looks: how often to look whether a living owner is done, about a millisecond each.
    /// - Throws: what ``ProducerEnd/hold()`` throws; `busy` when a living owner keeps the end.
    public func take(_ recovered: inout Recovery?, looks: Int = 1000) throws(RingError) -> ProducerHold {
        var left = looks
        while true {
            do throws(RingError) {
                return try hold()
            } catch {
                guard let dead = try EndTaking.wait(error, looks: &left) else { continue }
                do throws(RingError) {
                    recovered = try recover(from: dead)
                } catch {
                    // Somebody else was faster: the next round meets a free end or a living owner.
                    if case .busy = error { continue }
                    throw error
                }
            }
        }
    }
}

extension ConsumerEnd {
    /// Takes the end for a batch; as ``ProducerEnd/take(_:looks:)``. After a dead owner was replaced the end
    /// has the sticky fault `consumerDied`, and this throws it.
    public func take(_ recovered: inout Recovery?, looks: Int = 1000) throws(RingError) -> ConsumerHold {
        var left = looks
        while true {
            do throws(RingError) {
                return try hold()
            } catch {
                guard let dead = try EndTaking.wait(error, looks: &left) else { continue }
                do throws(RingError) {
                    recovered = try recover(from: dead)
                } catch {
                    if case .busy = error { continue }
                    throw error
                }
            }
        }
    }
}
