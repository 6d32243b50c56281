//! The tables as Diesel knows them: one description for every SQL back end.
//!
//! Portable column types only: BigInt, Bool, Text, Binary; times are BigInt microseconds but for the columns that
//! existing Postfix maps share. What the columns mean stands in the migrations.

diesel::table! {
    domains (id) {
        id -> BigInt,
        domain_name -> Text,
        transport -> Text,
        company_id -> Nullable<BigInt>,
        auth_type -> Text,
        ldap_base_dn -> Nullable<Text>,
        is_active -> Bool,
        created_at -> Timestamp,
    }
}

diesel::table! {
    virtual_users (id) {
        id -> BigInt,
        email -> Text,
        password -> Nullable<Text>,
        domain_id -> BigInt,
        maildir_path -> Nullable<Text>,
        quota -> Nullable<BigInt>,
        used_quota -> BigInt,
        auth_source -> Text,
        is_active -> Bool,
        last_login -> Nullable<Timestamp>,
        created_at -> Timestamp,
        updated_at -> Timestamp,
        version -> BigInt,
        last_uid_validity -> BigInt,
        pop3_retention -> Nullable<BigInt>,
        addressed_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    virtual_aliases (id) {
        id -> BigInt,
        source -> Text,
        destination -> Text,
        domain_id -> BigInt,
        is_active -> Bool,
        directory_account -> Nullable<BigInt>,
    }
}

diesel::table! {
    directory_entry (account_id) {
        account_id -> BigInt,
        source -> Text,
        stable_id -> Text,
        display_name -> Nullable<Text>,
        department -> Nullable<Text>,
        seen_at -> BigInt,
        disabled_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    lease (name) {
        name -> Text,
        holder -> Text,
        until -> BigInt,
    }
}

diesel::table! {
    counter (name) {
        name -> Text,
        value -> BigInt,
    }
}

diesel::table! {
    mailbox (account_id, id) {
        account_id -> BigInt,
        id -> BigInt,
        name -> Text,
        selectable -> Bool,
        special_use -> Nullable<Text>,
        uid_validity -> BigInt,
        uid_next -> BigInt,
        highest_modseq -> BigInt,
        first_recent -> BigInt,
        vanished_floor -> BigInt,
        messages -> BigInt,
        unseen -> BigInt,
        deleted -> BigInt,
        size -> BigInt,
        created -> BigInt,
    }
}

diesel::table! {
    mailbox_keyword (account_id, mailbox_id, number) {
        account_id -> BigInt,
        mailbox_id -> BigInt,
        number -> BigInt,
        name -> Text,
    }
}

diesel::table! {
    blob (id) {
        id -> BigInt,
        account_id -> BigInt,
        key -> Text,
        size -> BigInt,
        sha256 -> Binary,
        birth_mailbox -> BigInt,
        birth_uid -> BigInt,
        birth_modseq -> BigInt,
        doomed -> Nullable<BigInt>,
        line_size -> Nullable<BigInt>,
    }
}

diesel::table! {
    summary (blob_id) {
        blob_id -> BigInt,
        octets -> Binary,
    }
}

diesel::table! {
    message (account_id, mailbox_id, uid) {
        account_id -> BigInt,
        mailbox_id -> BigInt,
        uid -> BigInt,
        modseq -> BigInt,
        flags -> BigInt,
        size -> BigInt,
        internal_date -> BigInt,
        save_date -> BigInt,
        blob_id -> BigInt,
        retrieved_at -> Nullable<BigInt>,
        pop3_uidl -> Nullable<Text>,
    }
}

diesel::table! {
    expunged (account_id, mailbox_id, uid) {
        account_id -> BigInt,
        mailbox_id -> BigInt,
        uid -> BigInt,
        modseq -> BigInt,
        recoverable -> Bool,
        flags -> BigInt,
        size -> BigInt,
        internal_date -> BigInt,
        expunged_at -> BigInt,
        blob_id -> BigInt,
        keywords -> BigInt,
    }
}

diesel::table! {
    subscription (account_id, name) {
        account_id -> BigInt,
        name -> Text,
    }
}

diesel::joinable!(virtual_users -> domains (domain_id));
diesel::joinable!(virtual_aliases -> domains (domain_id));
diesel::allow_tables_to_appear_in_same_query!(domains, virtual_users, virtual_aliases);
