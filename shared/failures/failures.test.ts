import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { failureCodes } from '../failure.ts';

test('every code stands in one table only, and every table is part of the whole', async () => {
  const files = readdirSync(import.meta.dirname).filter(
    (name) => name.endsWith('.ts') && !name.endsWith('.test.ts') && name !== 'entry.ts',
  );
  const codes: string[] = [];
  for (const file of files) {
    const tables: Record<string, object> = await import(join(import.meta.dirname, file));
    codes.push(...Object.values(tables).flatMap((table) => Object.keys(table)));
  }
  assert.deepEqual(codes.toSorted(), [...failureCodes].sort());
});
