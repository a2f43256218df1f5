// SPDX-License-Identifier: Apache-2.0
import CSocketShim

/// A descriptor that the program does not know of. A child that another thread forks meanwhile closes its copy
/// (raw/temporaries.c). Whoever has one closes it.
struct Temporary: ~Copyable {
    /// Negative where there is none: the errno.
    let fd: Int32
    private let place: Int32

    /// - Parameter make: a call that does not wait, and gives a descriptor or a negative errno.
    init(_ make: () -> Int32) {
        var mask: UInt64 = 0
        shim_begin_change(&mask)
        fd = make()
        place = shim_keep(fd)
        shim_end_change(&mask)
    }

    /// One that is kept already.
    init(_ kept: shim_kept) { (fd, place) = (kept.fd, kept.place) }

    /// An AF_UNIX stream.
    static func stream() -> Temporary { Temporary { raw_unix_stream() } }

    /// Not while another thread forks: the kernel copies the descriptors first, and then the memory that says which of
    /// them are kept. Forgotten first: the number may be somebody else's as soon as it is closed.
    consuming func close() {
        guard fd >= 0 else { return }
        var mask: UInt64 = 0
        shim_begin_change(&mask)
        shim_forget(place)
        _ = raw_close(fd)
        shim_end_change(&mask)
    }
}
