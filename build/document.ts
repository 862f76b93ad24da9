import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cliDocument } from '../agent/cli/document.ts';
import { httpDocument } from '../netboot/http/document.ts';
import { taskSchema } from '../shared/task/file.ts';

/** Writes the parts of docs/ that are made from the program itself. */
const docs = join(import.meta.dirname, '..', 'docs');
mkdirSync(docs, { recursive: true });
writeFileSync(join(docs, 'cli.md'), cliDocument());
writeFileSync(join(docs, 'http-api.md'), httpDocument());
writeFileSync(join(docs, 'task.schema.json'), `${JSON.stringify(taskSchema, null, 2)}\n`);
