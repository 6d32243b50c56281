-- Directory: the tables that existing Postfix maps know; our own columns stand behind theirs. Where a database has these tables already,
-- they stay as they are, with their rows, and get what they lack.
CREATE TABLE IF NOT EXISTS domains (
    id SERIAL PRIMARY KEY,
    domain_name VARCHAR(255) NOT NULL UNIQUE,
    transport VARCHAR(255) DEFAULT 'virtual:',
    company_id INTEGER,
    auth_type VARCHAR(5) DEFAULT 'local' CHECK (auth_type IN ('ldap', 'local')),
    ldap_base_dn VARCHAR(255),
    is_active BOOLEAN DEFAULT TRUE,
    created_at TIMESTAMP DEFAULT (now() AT TIME ZONE 'UTC')
);
UPDATE domains SET
    transport = coalesce(transport, 'virtual:'),
    auth_type = coalesce(auth_type, 'local'),
    is_active = coalesce(is_active, TRUE),
    created_at = coalesce(created_at, now() AT TIME ZONE 'UTC')
    WHERE transport IS NULL OR auth_type IS NULL OR is_active IS NULL OR created_at IS NULL;
ALTER TABLE domains
    ALTER COLUMN transport SET DEFAULT 'virtual:', ALTER COLUMN transport SET NOT NULL,
    ALTER COLUMN auth_type SET DEFAULT 'local', ALTER COLUMN auth_type SET NOT NULL,
    ALTER COLUMN is_active SET DEFAULT TRUE, ALTER COLUMN is_active SET NOT NULL,
    ALTER COLUMN created_at SET DEFAULT (now() AT TIME ZONE 'UTC'), ALTER COLUMN created_at SET NOT NULL;

CREATE TABLE IF NOT EXISTS virtual_users (
    id SERIAL PRIMARY KEY,
    email VARCHAR(255) NOT NULL UNIQUE,
    password VARCHAR(255),
    domain_id INTEGER NOT NULL REFERENCES domains (id),
    maildir_path VARCHAR(500),
    quota BIGINT DEFAULT 1073741824,
    used_quota BIGINT DEFAULT 0,
    auth_source VARCHAR(5) DEFAULT 'local' CHECK (auth_source IN ('ldap', 'local')),
    is_active BOOLEAN DEFAULT TRUE,
    last_login TIMESTAMP,
    created_at TIMESTAMP DEFAULT (now() AT TIME ZONE 'UTC'),
    updated_at TIMESTAMP DEFAULT (now() AT TIME ZONE 'UTC')
);
UPDATE virtual_users SET
    used_quota = coalesce(used_quota, 0),
    auth_source = coalesce(auth_source, 'local'),
    is_active = coalesce(is_active, TRUE),
    created_at = coalesce(created_at, now() AT TIME ZONE 'UTC'),
    updated_at = coalesce(updated_at, now() AT TIME ZONE 'UTC')
    WHERE used_quota IS NULL OR auth_source IS NULL OR is_active IS NULL OR created_at IS NULL OR updated_at IS NULL;
ALTER TABLE virtual_users
    ALTER COLUMN domain_id SET NOT NULL,
    ALTER COLUMN used_quota SET DEFAULT 0, ALTER COLUMN used_quota SET NOT NULL,
    ALTER COLUMN auth_source SET DEFAULT 'local', ALTER COLUMN auth_source SET NOT NULL,
    ALTER COLUMN is_active SET DEFAULT TRUE, ALTER COLUMN is_active SET NOT NULL,
    ALTER COLUMN created_at SET DEFAULT (now() AT TIME ZONE 'UTC'), ALTER COLUMN created_at SET NOT NULL,
    ALTER COLUMN updated_at SET DEFAULT (now() AT TIME ZONE 'UTC'), ALTER COLUMN updated_at SET NOT NULL,
    ADD COLUMN version BIGINT NOT NULL DEFAULT 1,
    ADD COLUMN last_uid_validity BIGINT NOT NULL DEFAULT 0,
    -- How many days a message stays after POP3 retrieved it first: none is what the configuration says, 0 is for ever.
    ADD COLUMN pop3_retention BIGINT CHECK (pop3_retention >= 0),
    -- Each delivery writes the row anew; there is room for that on its page.
    SET (fillfactor = 70);
CREATE INDEX virtual_users_domain ON virtual_users (domain_id);
CREATE INDEX virtual_users_active ON virtual_users (is_active);

-- Without a rule that a pair stands once: tables that exist may break it.
CREATE TABLE IF NOT EXISTS virtual_aliases (
    id SERIAL PRIMARY KEY,
    source VARCHAR(255) NOT NULL,
    destination VARCHAR(255) NOT NULL,
    domain_id INTEGER NOT NULL REFERENCES domains (id),
    is_active BOOLEAN DEFAULT TRUE
);
UPDATE virtual_aliases SET is_active = TRUE WHERE is_active IS NULL;
ALTER TABLE virtual_aliases
    ALTER COLUMN domain_id SET NOT NULL,
    ALTER COLUMN is_active SET DEFAULT TRUE, ALTER COLUMN is_active SET NOT NULL;
CREATE INDEX virtual_aliases_source ON virtual_aliases (source);
CREATE INDEX virtual_aliases_domain ON virtual_aliases (domain_id);

-- Numbers that only rise. `generation`: committed changes of the directory; who changes it holds this row. `mailbox`: highest mailbox given.
-- `reap`: rounds of Reap. `uid_validity`: highest value that a removed account used, so that its name never sees one again. `probe`: writes that only prove
-- that writing works.
CREATE TABLE counter (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    value BIGINT NOT NULL
) WITH (fillfactor = 50);
INSERT INTO counter (name, value) VALUES ('generation', 1), ('mailbox', 0), ('probe', 0), ('reap', 0), ('uid_validity', 0);
CREATE SEQUENCE blob_number;

-- Mail. Every key starts with the account, so that rows can be spread by it. Who changes what is an account's holds its row in
-- `virtual_users`. Times are microseconds since 1970. Names compare octet by octet.
CREATE TABLE mailbox (
    account_id BIGINT NOT NULL REFERENCES virtual_users (id),
    id BIGINT NOT NULL UNIQUE,
    name TEXT COLLATE "C" NOT NULL,
    selectable BOOLEAN NOT NULL,
    special_use TEXT COLLATE "C",
    uid_validity BIGINT NOT NULL,
    uid_next BIGINT NOT NULL,
    highest_modseq BIGINT NOT NULL,
    first_recent BIGINT NOT NULL,
    -- What vanished up to this modification sequence is no longer in `expunged`.
    vanished_floor BIGINT NOT NULL,
    messages BIGINT NOT NULL,
    unseen BIGINT NOT NULL,
    deleted BIGINT NOT NULL,
    size BIGINT NOT NULL,
    created BIGINT NOT NULL,
    PRIMARY KEY (account_id, id),
    UNIQUE (account_id, name)
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX mailbox_special_use ON mailbox (account_id, special_use) WHERE special_use IS NOT NULL;

CREATE TABLE mailbox_keyword (
    account_id BIGINT NOT NULL,
    mailbox_id BIGINT NOT NULL,
    number BIGINT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (account_id, mailbox_id, number),
    FOREIGN KEY (account_id, mailbox_id) REFERENCES mailbox (account_id, id) ON DELETE CASCADE
);

-- `birth_*`: what the first append answered, so that its repetition answers the same wherever the message went since. `doomed`: place
-- in the line of bodies that the store may delete. `line_size`: octets when they are sent as lines, where those are others than `size`.
CREATE TABLE blob (
    account_id BIGINT NOT NULL,
    id BIGINT NOT NULL,
    key TEXT COLLATE "C" NOT NULL UNIQUE,
    size BIGINT NOT NULL,
    sha256 BYTEA NOT NULL,
    birth_mailbox BIGINT NOT NULL,
    birth_uid BIGINT NOT NULL,
    birth_modseq BIGINT NOT NULL,
    doomed BIGINT,
    line_size BIGINT,
    PRIMARY KEY (account_id, id)
);
CREATE UNIQUE INDEX blob_id ON blob (id);
CREATE INDEX blob_doomed ON blob (doomed, id) WHERE doomed IS NOT NULL;
CREATE INDEX blob_lines ON blob (account_id) WHERE line_size IS NOT NULL;

-- Apart from its body's row, so that those rows stay small; in the row itself as long as it fits a page, for lists read many.
CREATE TABLE summary (
    account_id BIGINT NOT NULL,
    blob_id BIGINT NOT NULL,
    octets BYTEA NOT NULL,
    PRIMARY KEY (account_id, blob_id),
    FOREIGN KEY (account_id, blob_id) REFERENCES blob (account_id, id) ON DELETE CASCADE
) WITH (toast_tuple_target = 8160);

CREATE TABLE message (
    account_id BIGINT NOT NULL,
    mailbox_id BIGINT NOT NULL,
    uid BIGINT NOT NULL,
    modseq BIGINT NOT NULL,
    flags BIGINT NOT NULL,
    size BIGINT NOT NULL,
    internal_date BIGINT NOT NULL,
    save_date BIGINT NOT NULL,
    blob_id BIGINT NOT NULL,
    -- When POP3 retrieved it first, from this mailbox. A copy, or the message in another mailbox, was not retrieved there.
    retrieved_at BIGINT,
    PRIMARY KEY (account_id, mailbox_id, uid),
    FOREIGN KEY (account_id, mailbox_id) REFERENCES mailbox (account_id, id),
    FOREIGN KEY (account_id, blob_id) REFERENCES blob (account_id, id)
);
CREATE INDEX message_modseq ON message (account_id, mailbox_id, modseq);
CREATE INDEX message_blob ON message (account_id, blob_id);
CREATE INDEX message_deleted ON message (account_id, mailbox_id, uid) WHERE flags & 8 <> 0;
CREATE INDEX message_retrieved ON message (account_id, mailbox_id, uid) WHERE retrieved_at IS NOT NULL;

-- What went, with the modification sequence it went at. Outlives mailbox and account. Of a message that moved only the trace is kept
-- (not `recoverable`) and does not hold its body.
CREATE TABLE expunged (
    account_id BIGINT NOT NULL,
    mailbox_id BIGINT NOT NULL,
    uid BIGINT NOT NULL,
    modseq BIGINT NOT NULL,
    recoverable BOOLEAN NOT NULL,
    flags BIGINT NOT NULL,
    size BIGINT NOT NULL,
    internal_date BIGINT NOT NULL,
    expunged_at BIGINT NOT NULL,
    blob_id BIGINT NOT NULL,
    PRIMARY KEY (account_id, mailbox_id, uid)
);
CREATE INDEX expunged_modseq ON expunged (account_id, mailbox_id, modseq);
CREATE INDEX expunged_time ON expunged (expunged_at, account_id, mailbox_id, uid);
CREATE INDEX expunged_blob ON expunged (account_id, blob_id) WHERE recoverable;

CREATE TABLE subscription (
    account_id BIGINT NOT NULL REFERENCES virtual_users (id) ON DELETE CASCADE,
    name TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (account_id, name)
);
