DROP TABLE mailbox_snapshot;
