DROP TABLE lease;
DROP INDEX virtual_aliases_directory;
ALTER TABLE virtual_aliases DROP COLUMN directory_account;
DROP TABLE directory_entry;
