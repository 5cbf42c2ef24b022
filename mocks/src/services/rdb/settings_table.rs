//! The settings of engines, as facts: what each may be set to.
//!
//! Source: recorded answers of `GET …/database-engines`. What texts may be is left
//! to the engine.

/// What a setting's value may be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    /// A whole number in this range.
    Whole(i64, i64),
    /// A number in this range.
    Fraction(f64, f64),
    /// `on` or `off`.
    Switch,
    /// Any text.
    Text,
}

/// A setting: its name, its form, its default, its unit, whether it takes effect at once, and the
/// first version of the engine that has it.
pub(super) type Setting = (&'static str, Form, &'static str, &'static str, bool, u32);

#[rustfmt::skip]
pub(super) const POSTGRESQL: &[Setting] = &[
    ("autovacuum_vacuum_insert_scale_factor", Form::Fraction(0.1, 100.0), "0.2", "", true, 16),
    ("autovacuum_vacuum_insert_threshold", Form::Whole(-1, 1147483647), "1000", "", true, 16),
    ("autovacuum_vacuum_scale_factor", Form::Fraction(0.1, 100.0), "0.2", "", true, 16),
    ("autovacuum_vacuum_threshold", Form::Whole(50, 2147483647), "50", "", true, 16),
    ("bgwriter_delay", Form::Whole(10, 10000), "200", "ms", true, 14),
    ("bgwriter_flush_after", Form::Whole(0, 2048), "512", "kB", true, 14),
    ("bgwriter_lru_maxpages", Form::Whole(0, 1073741823), "100", "", true, 14),
    ("bgwriter_lru_multiplier", Form::Whole(0, 10), "2", "", true, 14),
    ("checkpoint_timeout", Form::Whole(30, 21600), "30", "", true, 14),
    ("commit_delay", Form::Whole(0, 100000), "0", "", true, 14),
    ("cron.timezone", Form::Text, "GMT", "", false, 16),
    ("deadlock_timeout", Form::Whole(100, 60000), "1000", "ms", true, 14),
    ("default_statistics_target", Form::Whole(1, 10000), "100", "", true, 14),
    ("default_transaction_deferrable", Form::Switch, "off", "", true, 14),
    ("effective_cache_size", Form::Whole(64, 1048576), "4096", "MB", true, 14),
    ("effective_io_concurrency", Form::Whole(1, 32), "1", "", true, 14),
    ("hot_standby_feedback", Form::Switch, "off", "", true, 14),
    ("idle_in_transaction_session_timeout", Form::Whole(0, 2147483647), "3600000", "ms", true, 14),
    ("lock_timeout", Form::Whole(0, 2147483647), "0", "ms", false, 14),
    ("log_autovacuum_min_duration", Form::Whole(-1, 2147483647), "-1", "ms", true, 14),
    ("log_checkpoints", Form::Switch, "on", "", true, 16),
    ("log_lock_waits", Form::Switch, "on", "", true, 16),
    ("log_min_duration_statement", Form::Whole(-1, 2147483647), "5000", "ms", true, 16),
    ("log_replication_commands", Form::Switch, "on", "", false, 16),
    ("log_temp_files", Form::Whole(-1, 2147483647), "0", "kB", true, 16),
    ("maintenance_work_mem", Form::Whole(1, 2097151), "64", "MB", true, 14),
    ("max_connections", Form::Whole(50, 10000), "100", "", false, 14),
    ("max_locks_per_transaction", Form::Whole(10, 2147483647), "64", "", false, 14),
    ("max_parallel_workers", Form::Whole(0, 1024), "8", "", true, 14),
    ("max_parallel_workers_per_gather", Form::Whole(0, 1024), "2", "", true, 14),
    ("max_standby_streaming_delay", Form::Whole(0, 180000), "30000", "ms", true, 14),
    ("max_wal_size", Form::Whole(256, 10240), "1024", "MB", true, 14),
    ("pg_stat_statements.max", Form::Whole(100, 15000), "5000", "", false, 16),
    ("pg_stat_statements.track", Form::Text, "top", "", true, 16),
    ("pg_stat_statements.track_utility", Form::Switch, "on", "", true, 16),
    ("pgaudit.log", Form::Text, "none", "", true, 14),
    ("pgaudit.role", Form::Text, "", "", true, 14),
    ("random_page_cost", Form::Fraction(0.1, 10.0), "4.0", "", true, 14),
    ("rdb.enable_logical_replication", Form::Switch, "off", "", false, 17),
    ("rdb.enable_pgaudit", Form::Switch, "off", "", false, 14),
    ("seq_page_cost", Form::Fraction(0.1, 10.0), "1.0", "", true, 14),
    ("statement_timeout", Form::Whole(30000, 2147483647), "86400000", "ms", true, 14),
    ("sync_replication_slots", Form::Switch, "off", "", true, 17),
    ("tcp_keepalives_count", Form::Whole(0, 2147483647), "0", "", true, 14),
    ("tcp_keepalives_idle", Form::Whole(0, 2147483647), "0", "", true, 14),
    ("tcp_keepalives_interval", Form::Whole(0, 2147483647), "0", "", true, 14),
    ("temp_buffers", Form::Whole(800, 1073741824), "8192", "kB", true, 14),
    ("temp_file_limit", Form::Whole(-1, 2147483647), "-1", "kB", false, 14),
    ("timezone", Form::Text, "GMT", "", true, 14),
    ("track_activity_query_size", Form::Whole(100, 8192), "1024", "B", false, 14),
    ("track_commit_timestamp", Form::Switch, "off", "", false, 14),
    ("vacuum_cost_delay", Form::Whole(0, 100), "0", "ms", true, 14),
    ("vacuum_cost_limit", Form::Whole(1, 10000), "200", "", true, 14),
    ("vacuum_cost_page_dirty", Form::Whole(0, 10000), "20", "", true, 14),
    ("vacuum_cost_page_hit", Form::Whole(0, 10000), "1", "", true, 14),
    ("vacuum_cost_page_miss", Form::Whole(0, 10000), "10", "", true, 14),
    ("work_mem", Form::Whole(1, 2097151), "4", "MB", true, 14),
];

#[rustfmt::skip]
pub(super) const MYSQL: &[Setting] = &[
    ("auto_increment_increment", Form::Whole(1, 65535), "1", "", true, 8),
    ("auto_increment_offset", Form::Whole(1, 65535), "1", "", true, 8),
    ("character_set_server", Form::Text, "utf8mb4", "", true, 8),
    ("connect_timeout", Form::Whole(10, 300), "10", "", true, 8),
    ("default_authentication_plugin", Form::Text, "mysql_native_password", "", false, 8),
    ("default_time_zone", Form::Text, "UTC", "", false, 8),
    ("group_concat_max_len", Form::Whole(1024, 65536), "1024", "", true, 8),
    ("innodb_flush_method", Form::Text, "fsync", "", false, 8),
    ("innodb_ft_max_token_size", Form::Whole(10, 84), "84", "", false, 8),
    ("innodb_ft_min_token_size", Form::Whole(0, 16), "3", "", false, 8),
    ("innodb_lock_wait_timeout", Form::Whole(1, 600), "50", "", true, 8),
    ("innodb_print_all_deadlocks", Form::Switch, "OFF", "", true, 8),
    ("innodb_stats_persistent_sample_pages", Form::Whole(20, 1000), "200", "", true, 8),
    ("interactive_timeout", Form::Whole(60, 21600), "21600", "", true, 8),
    ("local_infile", Form::Switch, "OFF", "", true, 8),
    ("lock_wait_timeout", Form::Whole(60, 31536000), "31536000", "", true, 8),
    ("log_bin_trust_function_creators", Form::Switch, "OFF", "", true, 8),
    ("long_query_time", Form::Fraction(0.0, 3600.0), "10", "", true, 8),
    ("max_allowed_packet", Form::Whole(4, 1024), "64", "M", true, 8),
    ("max_connections", Form::Whole(50, 5000), "100", "", true, 8),
    ("max_digest_length", Form::Whole(1024, 8192), "1024", "", false, 8),
    ("max_prepared_stmt_count", Form::Whole(16382, 1048576), "16382", "", false, 8),
    ("min_examined_row_limit", Form::Whole(0, 2147483647), "0", "", true, 8),
    ("performance_schema_max_digest_length", Form::Whole(1024, 8192), "1024", "", false, 8),
    ("performance_schema_max_sql_text_length", Form::Whole(1024, 8192), "1024", "", false, 8),
    ("slow_query_log", Form::Switch, "OFF", "", false, 8),
    ("sort_buffer_size", Form::Whole(32768, 10485760), "262144", "", true, 8),
    ("sql_mode", Form::Text, "ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION", "", true, 8),
    ("table_definition_cache", Form::Whole(1000, 20000), "2000", "", true, 8),
    ("table_open_cache", Form::Whole(1000, 20000), "10000", "", true, 8),
    ("table_open_cache_instances", Form::Whole(1, 16), "16", "", true, 8),
    ("thread_stack", Form::Whole(128, 10240), "280", "K", false, 8),
    ("transaction_isolation", Form::Text, "REPEATABLE-READ", "", true, 8),
    ("wait_timeout", Form::Whole(60, 21600), "21600", "", false, 8),
];
