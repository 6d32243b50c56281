-- What a directory (LDAP) says of an account. `source` is which directory, `stable_id` what stays when the entry is renamed (entryUUID as it
-- is, objectGUID in hexadecimal digits). `disabled_at`: when synchronisation switched the account off; none if it did not, or somebody else did.
CREATE TABLE directory_entry (
    account_id INTEGER NOT NULL PRIMARY KEY REFERENCES virtual_users (id) ON DELETE CASCADE,
    source TEXT NOT NULL,
    stable_id TEXT NOT NULL,
    display_name TEXT,
    department TEXT,
    seen_at INTEGER NOT NULL,
    disabled_at INTEGER,
    UNIQUE (source, stable_id)
) STRICT;

-- The account whose entry brought the alias; none for one that somebody made.
ALTER TABLE virtual_aliases ADD COLUMN directory_account INTEGER REFERENCES virtual_users (id) ON DELETE CASCADE;
CREATE INDEX virtual_aliases_directory ON virtual_aliases (directory_account) WHERE directory_account IS NOT NULL;

-- Work that one process does at a time. Who holds it may go on until `until`; then it is free.
CREATE TABLE lease (
    name TEXT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
