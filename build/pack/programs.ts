import { join } from 'node:path';
import { workerEntry, workerNames } from '../../agent/system/worker.ts';

/** A program that is packed: as one executable, or as a bundle beside a Node.js. */
export interface Program {
  readonly name: string;
  readonly entry: string;
  /** Entry file of each worker thread, by the name that it is started by. */
  readonly workers: Readonly<Record<string, string>>;
  /** The executable of this program is the one of that name; by which of them it is called decides what it does. */
  readonly twin?: string;
  /** It serves the pages of the appliance. */
  readonly pages?: true;
}

export const programs: readonly Program[] = [
  {
    name: 'bty',
    entry: 'agent/main.ts',
    workers: Object.fromEntries(
      workerNames.map((name) => [name, join('agent', 'system', workerEntry(name))]),
    ),
  },
  { name: 'bty-tui', entry: 'agent/bty-tui.ts', workers: {}, twin: 'bty' },
  { name: 'bty-web', entry: 'netboot/main.ts', workers: {}, pages: true },
];
