-- When the account got the address it has, in microseconds since 1970; none: with its row. Bodies made before belong to whoever had the
-- address then.
ALTER TABLE virtual_users ADD COLUMN addressed_at BIGINT;
