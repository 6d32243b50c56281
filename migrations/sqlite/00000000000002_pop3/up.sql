-- How many days a message stays after POP3 retrieved it first: none is what the configuration says, 0 is for ever.
ALTER TABLE virtual_users ADD COLUMN pop3_retention INTEGER CHECK (pop3_retention >= 0);

-- Octets when they are sent as lines, where those are others than `size`.
ALTER TABLE blob ADD COLUMN line_size INTEGER;
CREATE INDEX blob_lines ON blob (account_id) WHERE line_size IS NOT NULL;

-- When POP3 retrieved it first, from this mailbox. A copy, or the message in another mailbox, was not retrieved there.
ALTER TABLE message ADD COLUMN retrieved_at INTEGER;
CREATE INDEX message_retrieved ON message (account_id, mailbox_id, uid) WHERE retrieved_at IS NOT NULL;
