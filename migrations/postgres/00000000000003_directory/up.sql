-- What a directory (LDAP) says of an account. `source` is which directory, `stable_id` what stays when the entry is renamed (entryUUID as it
-- is, objectGUID in hexadecimal digits). `disabled_at`: when synchronisation switched the account off; none if it did not, or somebody else did.
CREATE TABLE directory_entry (
    account_id BIGINT NOT NULL PRIMARY KEY REFERENCES virtual_users (id) ON DELETE CASCADE,
    source TEXT COLLATE "C" NOT NULL,
    stable_id TEXT COLLATE "C" NOT NULL,
    display_name TEXT,
    department TEXT,
    seen_at BIGINT NOT NULL,
    disabled_at BIGINT,
    UNIQUE (source, stable_id)
);

-- The account whose entry brought the alias; none for one that somebody made.
ALTER TABLE virtual_aliases ADD COLUMN directory_account BIGINT REFERENCES virtual_users (id) ON DELETE CASCADE;
CREATE INDEX virtual_aliases_directory ON virtual_aliases (directory_account) WHERE directory_account IS NOT NULL;

-- Work that one process does at a time. Who holds it may go on until `until`; then it is free.
CREATE TABLE lease (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    until BIGINT NOT NULL
);
