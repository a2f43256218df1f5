// SPDX-License-Identifier: Apache-2.0
import CBench
import CShim

/// What agents, and relays, do when there is nothing to move.
enum Waiting: String {
    /// They look again for a while: as agents do in a guest of more than one processor. Bound to one, as here, they
    /// have to be told.
    case polling = ""
    /// As in a guest of one processor.
    case asleep = ", asleep at once"

    /// An agent's default, for both.
    static let microseconds: UInt64 = 50
    var flag: String { "--spin-us=\(self == .polling ? Self.microseconds : 0)" }
}

/// Through both agents: socket, agent, ring, agent, socket. What a program under `ringway run` has.
final class PumpCarrier: Carrier {
    let name: String
    let sleeps = true
    private let pair: AgentPair
    private let ends: Descriptors

    /// - Parameter agent: a built `ringway`.
    init(agent: String, processors: [Int32], _ waiting: Waiting = .polling) throws {
        name = BenchGoals.pump + waiting.rawValue
        pair = try AgentPair(
            agent: agent, ["--guard=off", "--ring-size=1M", "--channels=4", "--opens-a=2", waiting.flag],
            processors: processors)
        let listener = try pair.listen(port: 7)
        defer { close(listener) }
        let near = try pair.open(port: 7)
        let far = cs_accept(listener)
        guard far >= 0 else { throw BenchError.system("accept a connection", "read what the agents have said") }
        ends = Descriptors([near, far])
        pair.hide()
        for end in ends.numbers { _ = cs_fcntl_int(end, F_SETFL, 0) }
    }

    func open(message: Int) throws -> CarrierChannel? { KernelChannel(.unixStream, ends, from: 0, message: message) }

    func openBoth(message: Int) throws -> (there: CarrierChannel, back: CarrierChannel)? {
        (
            KernelChannel(.unixStream, ends, from: 0, message: message),
            KernelChannel(.unixStream, ends, from: 1, message: message)
        )
    }
}
