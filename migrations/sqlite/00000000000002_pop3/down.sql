DROP INDEX message_retrieved;
ALTER TABLE message DROP COLUMN retrieved_at;
DROP INDEX blob_lines;
ALTER TABLE blob DROP COLUMN line_size;
ALTER TABLE virtual_users DROP COLUMN pop3_retention;
