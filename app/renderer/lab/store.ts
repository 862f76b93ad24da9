/** What all pages of the appliance share: who is there, how the connection is, what is said for a moment. */
import { create } from 'zustand';
import type { Refusal } from './api.ts';

export interface Said {
  readonly id: number;
  readonly tone: 'good' | 'bad';
  /** A key of the words, or a whole sentence. */
  readonly text: string;
  readonly values?: Readonly<Record<string, string | number>>;
}

export interface Lab {
  /** `unknown` until the appliance was asked. */
  readonly session: 'unknown' | 'in' | 'out';
  readonly scope: 'read' | 'operate' | 'admin';
  readonly link: 'connecting' | 'live' | 'lost';
  /** Version of the appliance when this page was loaded, and the one it has now if that is another. */
  readonly version: string | null;
  readonly newVersion: string | null;
  readonly said: readonly Said[];
  /** What failed last, until it is dismissed. */
  readonly trouble: Refusal | null;
  readonly say: (tone: Said['tone'], text: string, values?: Said['values']) => void;
}

let count = 0;
/** Milliseconds that a message stays. */
const shown = 6000;

export const useLab = create<Lab>()((set) => ({
  session: 'unknown',
  scope: 'read',
  link: 'connecting',
  version: null,
  newVersion: null,
  said: [],
  trouble: null,
  say: (tone, text, values) => {
    const id = ++count;
    set(({ said }) => ({ said: [...said, { id, tone, text, ...(values ? { values } : {}) }].slice(-3) }));
    setTimeout(() => set(({ said }) => ({ said: said.filter((one) => one.id !== id) })), shown);
  },
}));
