import Foundation

/// A value behind a lock. (`Synchronization.Mutex` would need newer systems than this package does.)
final class Guarded<Value>: @unchecked Sendable {
    private let lock = NSLock()
    private var value: Value

    init(_ value: Value) { self.value = value }

    func with<Result>(_ use: (inout Value) throws -> Result) rethrows -> Result {
        lock.lock()
        defer { lock.unlock() }
        return try use(&value)
    }
}

/// Numbers that are given once.
final class Numbers: Sendable {
    private let last = Guarded<UInt64>(0)

    func next() -> UInt64 {
        last.with { last in
            last += 1
            return last
        }
    }
}
