// SPDX-License-Identifier: Apache-2.0
import CShim

/// A relay to a service that answers, which passes each piece of its answers on later.
struct SlowService {
    let milliseconds: Int32
    let port: Int

    func run(_ listener: Int32) -> Int32 {
        Local.serve(listener) { pass($0, first: []) }
    }

    /// - Parameter first: what was read of the request already.
    func pass(_ fd: Int32, first: [UInt8]) {
        var path = "/run/ringway/port/"
        path += String(port) + ".4"
        let service = Local.connect(path)
        guard service >= 0, first.isEmpty || Local.send(service, first[...]) else { return }
        if fork() == 0 {
            relay(fd, service, delay: 0)
            _exit(0)
        }
        relay(service, fd, delay: milliseconds)
    }

    private func relay(_ from: Int32, _ to: Int32, delay: Int32) {
        while true {
            let bytes = Local.receive(from, atMost: 65536)
            if delay > 0 { _ = poll(nil, 0, delay) }
            guard !bytes.isEmpty, Local.send(to, bytes[...]) else { break }
        }
        shutdown(from, cs_shut_rdwr())
        shutdown(to, cs_shut_rdwr())
    }
}
