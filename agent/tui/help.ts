/** All keys, from the same table by which they work. */
import { type Binding, bindingsOf } from './bindings.ts';
import { heading, type Line, line, type Sheet } from './lines.ts';
import { type Mode, type Review, type State, writingMode } from './state.ts';
import { cut, fit } from './text.ts';

const review: Review = {
  image: '',
  format: '',
  storedBytes: null,
  imageBytes: null,
  sha256: null,
  notes: [],
  refusals: [],
};

/** The modes that have keys of their own, with a state in which most of them work. */
export function keyGroups(
  state: State,
): readonly { readonly title: string; readonly bindings: readonly Binding[] }[] {
  const at = (mode: Mode) => bindingsOf({ ...state, asks: null, mode });
  const flash = { ...writingMode().flash, outcome: 'done' as const };
  return [
    { title: 'Here', bindings: at({ kind: 'pick' }) },
    { title: 'Filter', bindings: at({ kind: 'filter' }) },
    { title: 'Source', bindings: at({ kind: 'source', text: '' }) },
    { title: 'Before writing', bindings: at({ kind: 'review', review, armed: true }) },
    { title: 'While writing', bindings: at(writingMode()) },
    { title: 'Afterwards', bindings: at({ kind: 'result', flash, notes: [] }) },
  ];
}

const names: Readonly<Record<string, string>> = {
  up: 'Up',
  down: 'Down',
  left: 'Left',
  right: 'Right',
  home: 'Home',
  end: 'End',
  'page-up': 'PgUp',
  'page-down': 'PgDn',
  enter: 'Enter',
  tab: 'Tab',
  'back-tab': 'Shift+Tab',
  escape: 'Esc',
  backspace: 'Backspace',
  delete: 'Delete',
  'ctrl-c': 'Ctrl+C',
  'ctrl-l': 'Ctrl+L',
  'ctrl-u': 'Ctrl+U',
};

export const keyText = (keys: readonly string[]): string => keys.map((key) => names[key] ?? key).join(' ');

/** In as many columns as the lines need. */
export function helpBody(state: State, sheet: Sheet, rows: number): readonly Line[] {
  const lines: string[] = [];
  for (const { title, bindings } of keyGroups(state)) {
    lines.push(`${title}:`);
    for (const { keys, does } of bindings) lines.push(`  ${fit(keyText(keys), 15)} ${does}`);
  }
  const room = Math.max(1, rows - 1);
  const across = Math.max(1, Math.min(Math.ceil(lines.length / room), Math.floor(sheet.columns / 26)));
  const down = Math.max(room, Math.ceil(lines.length / across));
  const each = Math.floor(sheet.columns / across);
  const body = Array.from({ length: Math.min(down, lines.length) }, (_, row) => {
    const parts = Array.from({ length: across }, (_, column) =>
      fit(lines[column * down + row] ?? '', each - 1),
    );
    return line(cut(` ${parts.join(' ')}`.trimEnd(), sheet.columns));
  });
  return [heading('Keys', '', true, sheet), ...body];
}
