-- The unique-id of POP3 that the message had where it came from, where it is not the usual one. A copy, or the message in another mailbox, has
-- none of its own.
ALTER TABLE message ADD COLUMN pop3_uidl TEXT;
CREATE INDEX message_uidl ON message (account_id, mailbox_id, uid) WHERE pop3_uidl IS NOT NULL;
