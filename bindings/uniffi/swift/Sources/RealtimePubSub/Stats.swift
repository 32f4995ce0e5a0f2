internal import RealtimePubSubGenerated

/// What a client has done since it was made, and what it holds now.
public struct Stats: Sendable, Equatable {
    /// Sessions started.
    public let sessions: UInt64
    /// Attempts to connect that failed.
    public let failedAttempts: UInt64
    /// Messages written.
    public let messagesSent: UInt64
    /// Bytes of frames written.
    public let bytesSent: UInt64
    /// Messages received, acks and replies included.
    public let messagesReceived: UInt64
    /// Bytes of frames received.
    public let bytesReceived: UInt64
    /// Acks received for messages of this client.
    public let acks: UInt64
    /// Replies received for messages of this client.
    public let replies: UInt64
    /// Messages that no listener wanted.
    public let unmatched: UInt64
    /// Messages dropped because the inbox was full.
    public let dropped: UInt64
    /// Messages dropped because they repeat another.
    public let duplicates: UInt64
    /// Frames that could not be understood.
    public let unreadable: UInt64
    /// Publishes that were queued or unacknowledged when they were given up.
    public let lost: UInt64
    /// Messages that wait to be written.
    public let outboxMessages: UInt64
    /// Their bytes.
    public let outboxBytes: UInt64
    /// Deliveries that wait for the listeners.
    public let inboxLen: UInt64
    /// Messages whose ack or replies somebody can still ask for.
    public let receipts: UInt64
    /// Waits that are going on.
    public let waits: UInt64
    /// Batches that were taken from Rust.
    public let batches: UInt64

    init(_ core: CoreStats) {
        sessions = core.sessions
        failedAttempts = core.failedAttempts
        messagesSent = core.messagesSent
        bytesSent = core.bytesSent
        messagesReceived = core.messagesReceived
        bytesReceived = core.bytesReceived
        acks = core.acks
        replies = core.replies
        unmatched = core.unmatched
        dropped = core.dropped
        duplicates = core.duplicates
        unreadable = core.unreadable
        lost = core.lost
        outboxMessages = core.outboxMessages
        outboxBytes = core.outboxBytes
        inboxLen = core.inboxLen
        receipts = core.receipts
        waits = core.waits
        batches = core.batches
    }
}
