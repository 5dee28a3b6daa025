"""The ledger: what happened, kept so that nobody can change it unnoticed, and the only place where standing is decided.

One process owns the store. `engine.LedgerEngine` opens it; `local.LocalLedger` is `ports.Ledger` inside that process,
`server.LinkServer` and `remote.RemoteLedger` are the same over a UNIX socket.

    schema store files          the tables, the one connection to them, files that are whole or not there
    codec seal chain            records as bytes, personal fields sealed, rows chained
    entries appending           rows read, rows added
    histories layers            their folds kept warm, never ahead of the store
    subjects directory people   whose data it is, who they are, who may act
    deliveries outbox evidence references volumes     the rest of what a transaction can ask and change
    txn book writer             one plain function, one group of them, one thread
    equipment engine subscribers    what they work with, all of it opened, who is told
    spool vault sweep           sealed mail before and after it became evidence
    anchor verify dump          how a change is found
    counters windows seen sliding   numbers a second old, in memory
    link server remote local copies batches    ways in

What holds: a function is in the store whole or not at all, and its result is handed out only when it is on disk.
Sequence numbers have no gap. A row that was changed, removed, added or moved is named by `verify`; rows cut off the end
are noticed back to the last anchor. Personal data is readable only with the subject's key; destroying the key is
erasure. Outbox work is done at least once. Counters may lose the seconds since their last flush.
"""
