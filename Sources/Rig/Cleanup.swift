// SPDX-License-Identifier: Apache-2.0
import CShim
import Foundation
import Synchronization

/// What must not outlive the rig: undone in reverse order at its end, also when that comes by a signal.
public final class Cleanup: Sendable {
    /// The one of this process.
    public static let shared = Cleanup()

    private struct State {
        var next = 0
        var hasEnded = false
        var actions: [(id: Int, undo: @Sendable () -> Void)] = []
    }
    private let state = Mutex(State())

    /// Has `undo` called at the end, unless the returned id is cancelled before.
    /// Once a signal has ended the rig, what is added is undone at once: another thread may be starting it just then.
    public func add(_ undo: @escaping @Sendable () -> Void) -> Int {
        let (id, isLate) = state.withLock { state in
            state.next += 1
            if !state.hasEnded { state.actions.append((state.next, undo)) }
            return (state.next, state.hasEnded)
        }
        if isLate { undo() }
        return id
    }

    /// Forgets an action that is not needed any more.
    public func cancel(_ id: Int) { state.withLock { $0.actions.removeAll { $0.id == id } } }

    /// Forgets all: what the rig started shall stay.
    public func cancelAll() { state.withLock { $0.actions = [] } }

    /// Undoes everything.
    public func run() {
        while let action = state.withLock({ $0.actions.popLast() }) { action.undo() }
    }

    /// From now on SIGINT, SIGTERM and SIGHUP undo everything and then end the rig with 128 + the signal.
    public func installSignalHandlers() {
        guard pipe(&signalPipe.0) == 0 else { return }
        let reader = signalPipe.0
        for descriptor in [signalPipe.0, signalPipe.1] { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
        for number in [SIGINT, SIGTERM, SIGHUP] {
            signal(number) { number in
                // Nothing but write() is safe here; the thread below does the work.
                var byte = UInt8(number)
                _ = write(signalPipe.1, &byte, 1)
            }
        }
        Thread.detachNewThread { [self] in
            var number: UInt8 = 0
            while read(reader, &number, 1) != 1 {}
            FileHandle.standardError.write(Data("\nstopping: cleaning up\n".utf8))
            state.withLock { $0.hasEnded = true }
            run()
            _exit(128 + Int32(number))
        }
    }
}

/// Written once, before the handler that reads it is installed.
nonisolated(unsafe) private var signalPipe: (Int32, Int32) = (-1, -1)
