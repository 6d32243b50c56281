-- What deleted messages need to come back as they were: their keywords, by the numbers of their mailbox, and the names of mailboxes that are gone.
ALTER TABLE expunged ADD COLUMN keywords INTEGER NOT NULL DEFAULT 0;

-- `keywords`: their names by number, a space between them.
CREATE TABLE gone_mailbox (
    account_id INTEGER NOT NULL,
    id INTEGER NOT NULL,
    name TEXT NOT NULL,
    keywords TEXT NOT NULL,
    deleted_at INTEGER NOT NULL,
    PRIMARY KEY (account_id, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX gone_mailbox_time ON gone_mailbox (deleted_at);
