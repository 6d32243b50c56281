ALTER TABLE virtual_users DROP COLUMN addressed_at;
