/**
 * What a Postgres error means for whoever wrote the statement:
 * - `unreachable`: the database is away, refuses us or is not the one we expect; nothing else will work either.
 * - `retry`: this attempt lost against others; the next may win.
 * - `rejected`: the statement or its data is at fault and will be again.
 */
export type SqlVerdict = 'unreachable' | 'retry' | 'rejected';

/** PostgreSQL 18, Appendix A "PostgreSQL Error Codes"; classes first, then the codes that differ from theirs. */
const CLASSES: Readonly<Record<string, SqlVerdict>> = {
  '08': 'unreachable', // connection_exception
  '28': 'unreachable', // invalid_authorization_specification
  '3D': 'unreachable', // invalid_catalog_name: no such database
  '3F': 'unreachable', // invalid_schema_name
  '40': 'retry', // transaction_rollback: serialization_failure, deadlock_detected
  '53': 'unreachable', // insufficient_resources: disk_full, out_of_memory, too_many_connections
  '55': 'retry', // object_not_in_prerequisite_state: lock_not_available
  '57': 'unreachable', // operator_intervention: admin_shutdown, crash_shutdown, cannot_connect_now
  '58': 'unreachable', // system_error: io_error
};

const CODES: Readonly<Record<string, SqlVerdict>> = {
  '25006': 'unreachable', // read_only_sql_transaction: we were failed over to a standby
  '42501': 'unreachable', // insufficient_privilege
  '42P01': 'unreachable', // undefined_table: not migrated, or not our database
  '42703': 'unreachable', // undefined_column: the same
  '57014': 'retry', // query_canceled: statement_timeout
};

/** @param sqlState five characters, such as `40P01` */
export const verdictOf = (sqlState: string): SqlVerdict =>
  CODES[sqlState] ?? CLASSES[sqlState.slice(0, 2)] ?? 'rejected';
