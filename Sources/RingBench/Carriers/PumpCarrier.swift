// SPDX-License-Identifier: Apache-2.0
import CBench
import CShim

/// Through both agents: socket, agent, ring, agent, socket. What a program under `ringway run` has.
final class PumpCarrier: Carrier {
    let name = BenchGoals.pump
    let sleeps = true
    private let pair: AgentPair
    private let ends: Descriptors

    /// - Parameter agent: a built `ringway`.
    init(agent: String, processors: [Int32]) throws {
        pair = try AgentPair(
            agent: agent, ["--guard=off", "--ring-size=1M", "--channels=4", "--opens-a=2"], processors: processors)
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
