/** What must be there before machines can be flashed. Pure. */
import type { DhcpState } from '../contract/dhcp.ts';

export interface ReadyCheck {
  readonly name: string;
  readonly ok: boolean;
  readonly reason: string | null;
}

export type CheckName = 'database' | 'disk' | 'boot files' | 'tftp' | 'network' | 'images' | 'foreign';
/** Page that mends it, below /ui. */
export type Fix = '/settings' | '/images' | '/boot';

export interface Item {
  /** A name that the words know, or null for a check that they do not. */
  readonly name: CheckName | null;
  readonly title: string;
  readonly ok: boolean;
  /** Why not: the appliance's own sentence, or a key of the words (`lab.dashboard`) with what stands in its gaps. */
  readonly reason:
    | { readonly kind: 'told'; readonly text: string }
    | {
        readonly kind: 'word';
        readonly key: 'networkNone' | 'networkProblem' | 'imagesNone' | 'foreign';
        readonly values: { readonly name: string; readonly problem: string; readonly address: string };
      }
    | null;
  readonly fix: Fix;
}

export interface Situation {
  readonly ready: readonly ReadyCheck[];
  readonly dhcp: readonly DhcpState[];
  readonly images: number;
}

const known: Readonly<Record<string, { readonly name: CheckName; readonly fix: Fix }>> = {
  database: { name: 'database', fix: '/settings' },
  disk: { name: 'disk', fix: '/images' },
  'boot files': { name: 'boot files', fix: '/boot' },
  tftp: { name: 'tftp', fix: '/boot' },
};
const nothing = { name: '', problem: '', address: '' };

export function checklistOf({ ready, dhcp, images }: Situation): readonly Item[] {
  // What DHCP is asked for here says more than its own check, which is content where nothing is to be answered.
  const told = ready
    .filter(({ name }) => name !== 'dhcp')
    .map(({ name, ok, reason }): Item => {
      const found = known[name];
      return {
        name: found?.name ?? null,
        title: name,
        ok,
        reason: ok || reason === null ? null : { kind: 'told', text: reason },
        fix: found?.fix ?? '/boot',
      };
    });
  return [...told, network(dhcp), imagesThere(images), ...foreign(dhcp)];
}

function network(dhcp: readonly DhcpState[]): Item {
  const wanted = dhcp.filter(({ mode }) => mode !== 'off');
  const serving = wanted.filter(({ problem }) => problem === null);
  const common = { name: 'network', title: 'network', fix: '/boot' } as const;
  const [broken] = wanted.filter(({ problem }) => problem !== null);
  if (broken) {
    const values = { ...nothing, name: broken.interface, problem: broken.problem ?? '' };
    return { ...common, ok: false, reason: { kind: 'word', key: 'networkProblem', values } };
  }
  if (serving.length > 0) return { ...common, ok: true, reason: null };
  return { ...common, ok: false, reason: { kind: 'word', key: 'networkNone', values: nothing } };
}

function imagesThere(images: number): Item {
  const common = { name: 'images', title: 'images', fix: '/images' } as const;
  if (images > 0) return { ...common, ok: true, reason: null };
  return { ...common, ok: false, reason: { kind: 'word', key: 'imagesNone', values: nothing } };
}

/** Two servers that lease addresses in one network; beside a proxy another one is as it should be. */
function foreign(dhcp: readonly DhcpState[]): readonly Item[] {
  const found = dhcp.find(({ mode, foreign: others }) => mode === 'full' && others.length > 0);
  if (!found) return [];
  const values = { ...nothing, name: found.interface, address: found.foreign[0]?.address ?? '' };
  return [
    {
      name: 'foreign',
      title: 'foreign',
      ok: false,
      reason: { kind: 'word', key: 'foreign', values },
      fix: '/boot',
    },
  ];
}
