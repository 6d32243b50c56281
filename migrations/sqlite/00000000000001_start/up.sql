-- Directory: columns as existing Postfix maps know them; our own stand behind them.
CREATE TABLE domains (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    domain_name VARCHAR(255) NOT NULL UNIQUE,
    transport VARCHAR(255) NOT NULL DEFAULT 'virtual:',
    company_id INTEGER,
    auth_type VARCHAR(5) NOT NULL DEFAULT 'local' CHECK (auth_type IN ('ldap', 'local')),
    ldap_base_dn VARCHAR(255),
    is_active BOOLEAN NOT NULL DEFAULT TRUE,
    created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP
);

CREATE TABLE virtual_users (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    email VARCHAR(255) NOT NULL UNIQUE,
    password VARCHAR(255),
    domain_id INTEGER NOT NULL REFERENCES domains (id),
    maildir_path VARCHAR(500),
    quota BIGINT DEFAULT 1073741824,
    used_quota BIGINT NOT NULL DEFAULT 0,
    auth_source VARCHAR(5) NOT NULL DEFAULT 'local' CHECK (auth_source IN ('ldap', 'local')),
    is_active BOOLEAN NOT NULL DEFAULT TRUE,
    last_login TIMESTAMP,
    created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    version BIGINT NOT NULL DEFAULT 1,
    last_uid_validity BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX virtual_users_domain ON virtual_users (domain_id);
CREATE INDEX virtual_users_active ON virtual_users (is_active);

CREATE TABLE virtual_aliases (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    source VARCHAR(255) NOT NULL,
    destination VARCHAR(255) NOT NULL,
    domain_id INTEGER NOT NULL REFERENCES domains (id),
    is_active BOOLEAN NOT NULL DEFAULT TRUE,
    UNIQUE (source, destination)
);
CREATE INDEX virtual_aliases_domain ON virtual_aliases (domain_id);

-- Numbers that only rise. `generation`: committed changes of the directory. `mailbox`: highest mailbox given. `reap`: rounds of
-- Reap. `uid_validity`: highest value that a removed account used, so that its name never sees one again. `probe`: writes
-- that only prove that writing works.
CREATE TABLE counter (
    name TEXT NOT NULL PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO counter (name, value) VALUES
    ('generation', 1), ('mailbox', 0), ('probe', 0), ('reap', 0), ('uid_validity', 0);

-- Mail. Every key starts with the account. Times are microseconds since 1970.
CREATE TABLE mailbox (
    account_id INTEGER NOT NULL REFERENCES virtual_users (id),
    id INTEGER NOT NULL UNIQUE,
    name TEXT NOT NULL,
    selectable INTEGER NOT NULL,
    special_use TEXT,
    uid_validity INTEGER NOT NULL,
    uid_next INTEGER NOT NULL,
    highest_modseq INTEGER NOT NULL,
    first_recent INTEGER NOT NULL,
    -- What vanished up to this modification sequence is no longer in `expunged`.
    vanished_floor INTEGER NOT NULL,
    messages INTEGER NOT NULL,
    unseen INTEGER NOT NULL,
    deleted INTEGER NOT NULL,
    size INTEGER NOT NULL,
    created INTEGER NOT NULL,
    PRIMARY KEY (account_id, id),
    UNIQUE (account_id, name)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX mailbox_special_use ON mailbox (account_id, special_use) WHERE special_use IS NOT NULL;

CREATE TABLE mailbox_keyword (
    account_id INTEGER NOT NULL,
    mailbox_id INTEGER NOT NULL,
    number INTEGER NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (account_id, mailbox_id, number),
    FOREIGN KEY (account_id, mailbox_id) REFERENCES mailbox (account_id, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- `birth_*`: what the first append answered, so that its repetition answers the same wherever the message went since. `doomed`: place
-- in the line of bodies that the store may delete.
CREATE TABLE blob (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id INTEGER NOT NULL,
    key TEXT NOT NULL UNIQUE,
    size INTEGER NOT NULL,
    sha256 BLOB NOT NULL,
    birth_mailbox INTEGER NOT NULL,
    birth_uid INTEGER NOT NULL,
    birth_modseq INTEGER NOT NULL,
    doomed INTEGER
) STRICT;
CREATE INDEX blob_doomed ON blob (doomed, id) WHERE doomed IS NOT NULL;

-- Apart from its body's row, so that these rows stay small: COPY looks at each, and Reap rewrites them.
CREATE TABLE summary (
    blob_id INTEGER PRIMARY KEY REFERENCES blob (id) ON DELETE CASCADE,
    octets BLOB NOT NULL
) STRICT;

CREATE TABLE message (
    account_id INTEGER NOT NULL,
    mailbox_id INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    modseq INTEGER NOT NULL,
    flags INTEGER NOT NULL,
    size INTEGER NOT NULL,
    internal_date INTEGER NOT NULL,
    save_date INTEGER NOT NULL,
    blob_id INTEGER NOT NULL REFERENCES blob (id),
    PRIMARY KEY (account_id, mailbox_id, uid),
    FOREIGN KEY (account_id, mailbox_id) REFERENCES mailbox (account_id, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX message_modseq ON message (account_id, mailbox_id, modseq);
CREATE INDEX message_blob ON message (blob_id);
CREATE INDEX message_deleted ON message (account_id, mailbox_id, uid) WHERE flags & 8;

-- What went, with the modification sequence it went at. Outlives mailbox and account. Of a message that moved only the trace is kept
-- (`recoverable` is 0) and does not hold its body.
CREATE TABLE expunged (
    account_id INTEGER NOT NULL,
    mailbox_id INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    modseq INTEGER NOT NULL,
    recoverable INTEGER NOT NULL,
    flags INTEGER NOT NULL,
    size INTEGER NOT NULL,
    internal_date INTEGER NOT NULL,
    expunged_at INTEGER NOT NULL,
    blob_id INTEGER NOT NULL,
    PRIMARY KEY (account_id, mailbox_id, uid)
) STRICT, WITHOUT ROWID;
CREATE INDEX expunged_modseq ON expunged (account_id, mailbox_id, modseq);
CREATE INDEX expunged_time ON expunged (expunged_at, account_id, mailbox_id, uid);
CREATE INDEX expunged_blob ON expunged (blob_id) WHERE recoverable;

CREATE TABLE subscription (
    account_id INTEGER NOT NULL REFERENCES virtual_users (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    PRIMARY KEY (account_id, name)
) STRICT, WITHOUT ROWID;
