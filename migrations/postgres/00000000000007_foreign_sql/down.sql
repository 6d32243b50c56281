DELETE FROM counter WHERE name IN ('identity', 'mark');
DROP TRIGGER postrider_alias_changed ON virtual_aliases;
DROP TRIGGER postrider_domain_changed ON domains;
DROP TRIGGER postrider_user_removed ON virtual_users;
DROP TRIGGER postrider_user_changed ON virtual_users;
DROP FUNCTION postrider_directory_changed();
DROP FUNCTION postrider_user_changed();
