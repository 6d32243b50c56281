-- What other programs change with SQL of their own is heard at once: live sessions that lost their right end, and logins that were remembered no
-- longer count. Programs of the version before hear the same word, and find the raised version when they next look.
--
-- Whoever raises `version` itself (Postrider does) has told already. No row beside the changed one is touched, so no order of locks is disturbed.
CREATE FUNCTION postrider_user_changed() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    NEW.version := OLD.version + 1;
    -- Many rows of one transaction are one notice.
    PERFORM pg_catalog.pg_notify('postrider', 'sql d');
    RETURN NEW;
END
$$;
CREATE TRIGGER postrider_user_changed BEFORE UPDATE ON virtual_users
    FOR EACH ROW WHEN (NEW.version = OLD.version AND
        (NEW.password, NEW.is_active, NEW.auth_source, NEW.email, NEW.domain_id) IS DISTINCT FROM
        (OLD.password, OLD.is_active, OLD.auth_source, OLD.email, OLD.domain_id))
    EXECUTE FUNCTION postrider_user_changed();

-- Postrider says by which name it is here, and tells by itself. Where the URL of its database has another name, its changes are told of twice.
CREATE FUNCTION postrider_directory_changed() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_catalog.pg_notify('postrider', 'sql d');
    RETURN NULL;
END
$$;
CREATE TRIGGER postrider_user_removed AFTER DELETE ON virtual_users
    FOR EACH STATEMENT WHEN (current_setting('application_name') <> 'postrider') EXECUTE FUNCTION postrider_directory_changed();
CREATE TRIGGER postrider_domain_changed AFTER UPDATE OR DELETE ON domains
    FOR EACH STATEMENT WHEN (current_setting('application_name') <> 'postrider') EXECUTE FUNCTION postrider_directory_changed();
CREATE TRIGGER postrider_alias_changed AFTER INSERT OR UPDATE OR DELETE ON virtual_aliases
    FOR EACH STATEMENT WHEN (current_setting('application_name') <> 'postrider') EXECUTE FUNCTION postrider_directory_changed();

-- Which database this is, also after it was brought back from a backup, and a number that rises while it is changed. Servers remember both outside of
-- it: one that finds a lower number knows that commits are lost, and that UIDs would be given out again.
INSERT INTO counter (name, value) VALUES ('identity', (random() * 9e18)::bigint), ('mark', 0);
