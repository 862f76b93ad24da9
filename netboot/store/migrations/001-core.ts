import type { Migration } from '../migration.ts';

/** Machines and their life, boots, events, access. Times are milliseconds since 1970 unless a column says otherwise. */
export const core: Migration = {
  name: '001-core',
  run: (database) =>
    database.exec(`
      CREATE TABLE machines (
        mac TEXT PRIMARY KEY,
        image_sha256 TEXT,
        provisioning_mode TEXT NOT NULL DEFAULT 'none',
        hostname TEXT,
        cijoe_task_ref TEXT,
        boot_policy TEXT NOT NULL,
        discovered_at INTEGER,
        last_seen_at INTEGER,
        last_seen_ip TEXT,
        last_flashed_at INTEGER,
        last_task_run_at INTEGER,
        last_task_status TEXT,
        last_task_output_path TEXT,
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL,
        revision INTEGER NOT NULL DEFAULT 1,
        target_disk TEXT,
        labels TEXT NOT NULL DEFAULT '{}',
        notes TEXT,
        smbios_uuid TEXT,
        smbios_serial TEXT,
        phase TEXT NOT NULL,
        -- When its silence becomes too long, null when it never does.
        due_at INTEGER,
        life TEXT NOT NULL,
        -- The machine as it goes over the wire, null where that depends on the time.
        wire TEXT
      ) STRICT, WITHOUT ROWID;
      CREATE INDEX machines_by_policy ON machines (boot_policy, mac);
      CREATE INDEX machines_by_phase ON machines (phase, mac);
      CREATE INDEX machines_by_due ON machines (due_at) WHERE due_at IS NOT NULL;
      CREATE INDEX machines_by_image ON machines (image_sha256) WHERE image_sha256 IS NOT NULL;
      CREATE INDEX machines_by_serial ON machines (smbios_serial) WHERE smbios_serial IS NOT NULL;

      CREATE TABLE inventories (
        mac TEXT PRIMARY KEY REFERENCES machines (mac) ON DELETE CASCADE,
        taken_at INTEGER NOT NULL,
        document TEXT NOT NULL
      ) STRICT, WITHOUT ROWID;

      -- The boot that runs on a machine: who fetched its script, and what the live system proves itself by.
      CREATE TABLE tickets (
        mac TEXT PRIMARY KEY REFERENCES machines (mac) ON DELETE CASCADE,
        -- Hash of the one-use address from which the token is fetched, null once that was done.
        errand TEXT,
        -- Hash of the token, null before.
        token TEXT,
        address TEXT NOT NULL,
        expires_at INTEGER NOT NULL
      ) STRICT, WITHOUT ROWID;

      CREATE TABLE events (
        id INTEGER PRIMARY KEY,
        ts TEXT NOT NULL,
        kind TEXT NOT NULL,
        subject_kind TEXT,
        subject_id TEXT,
        actor TEXT,
        source_ip TEXT,
        summary TEXT NOT NULL,
        details TEXT,
        hash TEXT NOT NULL
      ) STRICT;
      CREATE INDEX events_by_kind ON events (kind, id);
      CREATE INDEX events_by_subject ON events (subject_kind, subject_id, id);
      CREATE INDEX events_by_actor ON events (actor, id);
      CREATE INDEX events_by_source ON events (source_ip, id);
      -- The last event that retention took away: the chain is proved from here on.
      CREATE TABLE event_anchor (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        id INTEGER NOT NULL,
        hash TEXT NOT NULL
      ) STRICT;

      CREATE TABLE passwords (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        hash TEXT NOT NULL,
        changed_at INTEGER NOT NULL
      ) STRICT;
      CREATE TABLE sessions (
        hash TEXT PRIMARY KEY,
        created_at INTEGER NOT NULL,
        used_at INTEGER NOT NULL,
        expires_at INTEGER NOT NULL,
        source_ip TEXT
      ) STRICT, WITHOUT ROWID;
      CREATE TABLE tokens (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        hash TEXT NOT NULL UNIQUE,
        scope TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        expires_at INTEGER,
        used_at INTEGER
      ) STRICT, WITHOUT ROWID;
    `),
};
