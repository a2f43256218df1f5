// SPDX-License-Identifier: Apache-2.0
import RingTransport

enum RingwayVersion {
    /// Semantic version of this source.
    static let string = "0.1.0"
}
