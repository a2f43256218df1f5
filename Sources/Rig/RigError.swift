// SPDX-License-Identifier: Apache-2.0

/// What went wrong in the rig: what was tried, what happened, and what its user can do about it.
public struct RigError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What the rig was doing, as the tail of "could not …": `download linux-image`.
    public let tried: String
    /// What happened instead, with the failing program's own words where there are any.
    public let happened: String
    /// What to do about it.
    public let remedy: String

    public init(tried: String, happened: String, remedy: String) {
        self.tried = tried
        self.happened = happened
        self.remedy = remedy
    }

    public var description: String { "could not \(tried): \(happened); \(remedy)" }
}
