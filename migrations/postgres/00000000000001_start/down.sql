DROP TABLE subscription;
DROP TABLE expunged;
DROP TABLE message;
DROP TABLE summary;
DROP TABLE blob;
DROP TABLE mailbox_keyword;
DROP TABLE mailbox;
DROP SEQUENCE blob_number;
DROP TABLE counter;
-- The directory stays, with what it had before.
DROP INDEX virtual_aliases_source;
DROP INDEX virtual_aliases_domain;
DROP INDEX virtual_users_domain;
DROP INDEX virtual_users_active;
ALTER TABLE virtual_users DROP COLUMN version, DROP COLUMN last_uid_validity, DROP COLUMN pop3_retention;
