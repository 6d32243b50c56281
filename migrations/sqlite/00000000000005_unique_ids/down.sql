DROP INDEX message_uidl;
ALTER TABLE message DROP COLUMN pop3_uidl;
