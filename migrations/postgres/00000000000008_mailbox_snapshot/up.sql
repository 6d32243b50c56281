-- What all messages of a large mailbox were at a modification sequence: one row in place of one for each. Made of the rows of `message`, by who read
-- them all; nobody keeps it up to date, and it may be deleted at any time.
CREATE TABLE mailbox_snapshot (
    account_id BIGINT NOT NULL,
    mailbox_id BIGINT NOT NULL,
    uid_validity BIGINT NOT NULL,
    modseq BIGINT NOT NULL,
    messages BYTEA NOT NULL,
    PRIMARY KEY (account_id, mailbox_id),
    FOREIGN KEY (account_id, mailbox_id) REFERENCES mailbox (account_id, id) ON DELETE CASCADE
);
-- As it is: numbers that were made small do not become smaller.
ALTER TABLE mailbox_snapshot ALTER COLUMN messages SET STORAGE EXTERNAL;
