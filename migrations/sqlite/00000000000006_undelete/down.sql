DROP TABLE gone_mailbox;
ALTER TABLE expunged DROP COLUMN keywords;
