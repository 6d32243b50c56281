-- What deleted messages need to come back as they were: their keywords, by the numbers of their mailbox, and the names of mailboxes that are gone.
-- A program of the version before leaves the first empty and the second unnamed.
ALTER TABLE expunged ADD COLUMN keywords BIGINT NOT NULL DEFAULT 0;

-- `keywords`: their names by number, a space between them.
CREATE TABLE gone_mailbox (
    account_id BIGINT NOT NULL,
    id BIGINT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    keywords TEXT COLLATE "C" NOT NULL,
    deleted_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, id)
);
CREATE INDEX gone_mailbox_time ON gone_mailbox (deleted_at);
