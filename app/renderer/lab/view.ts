/** How machines are looked at: it stands in the address, so that it can be sent and gone back to, and kept by name. */
import { useCallback, useMemo } from 'react';
import { useSearchParams } from 'wouter';
import { bootPolicies } from '../../../shared/contract/machine.ts';
import { type Column, type MachineView, wholeView } from '../../../shared/lab/machines.ts';
import { phases } from '../../../shared/machine/life.ts';
import { keep, kept } from './kept.ts';

const columns: readonly Column[] = [
  'mac',
  'hostname',
  'phase',
  'policy',
  'image',
  'address',
  'seen',
  'flashed',
];

function known<Value extends string>(values: readonly string[], all: readonly Value[]): readonly Value[] {
  return all.filter((value) => values.includes(value));
}

/** The view that an address names; what it does not know in it is ignored. */
export function viewIn(search: URLSearchParams): MachineView {
  // Addresses of the pages of before.
  const filter = search.get('filter');
  const phase = search.getAll('phase');
  return {
    search: search.get('q') ?? '',
    phases: known(filter === 'discovered' ? [...phase, 'discovered'] : phase, phases),
    policies: known(search.getAll('policy'), bootPolicies),
    labels: search.getAll('label').slice(0, 20),
    image: search.get('image'),
    task: search.get('task') === 'failed' || filter === 'task-failed' ? 'failed' : null,
    sort: known([search.get('sort') ?? ''], columns)[0] ?? 'mac',
    descending: search.get('order') === 'down',
  };
}

export function searchOf(view: MachineView): URLSearchParams {
  const search = new URLSearchParams();
  if (view.search !== '') search.set('q', view.search);
  for (const phase of view.phases) search.append('phase', phase);
  for (const policy of view.policies) search.append('policy', policy);
  for (const label of view.labels) search.append('label', label);
  if (view.image !== null) search.set('image', view.image);
  if (view.task !== null) search.set('task', view.task);
  if (view.sort !== wholeView.sort) search.set('sort', view.sort);
  if (view.descending) search.set('order', 'down');
  return search;
}

export function useView(): readonly [MachineView, (view: MachineView) => void] {
  const [search, setSearch] = useSearchParams();
  const text = search.toString();
  const view = useMemo(() => viewIn(new URLSearchParams(text)), [text]);
  const set = useCallback((next: MachineView) => setSearch(searchOf(next), { replace: true }), [setSearch]);
  return [view, set];
}

/** Views that were saved in this browser: their names and addresses. */
export function savedViews(): Readonly<Record<string, string>> {
  try {
    const found: unknown = JSON.parse(kept('views') ?? '{}');
    if (typeof found !== 'object' || found === null) return {};
    return Object.fromEntries(
      Object.entries(found).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
    );
  } catch {
    return {};
  }
}

export function saveView(name: string, view: MachineView | null): void {
  const { [name]: _old, ...others } = savedViews();
  const next = view === null ? others : { ...others, [name]: searchOf(view).toString() };
  keep('views', JSON.stringify(next));
}
