import type { Migration } from '../migration.ts';

/** The last event, told a second time: events that are cut off at the end are missed. */
export const head: Migration = {
  name: '004-head',
  run: (database) =>
    database.exec(`
      CREATE TABLE event_head (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        id INTEGER NOT NULL,
        hash TEXT NOT NULL
      ) STRICT;
      INSERT INTO event_head SELECT 1, id, hash FROM
        (SELECT id, hash FROM events UNION ALL SELECT id, hash FROM event_anchor) ORDER BY id DESC LIMIT 1;
    `),
};
