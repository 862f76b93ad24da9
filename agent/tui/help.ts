/** All keys, from the same table by which they work. */
import { type Binding, bindingsOf } from './bindings.ts';
import { blank, heading, type Line, line, paragraph, type Sheet } from './lines.ts';
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

/** The keys of the panes in a table, those of the other screens in a line each. */
export function helpBody(state: State, sheet: Sheet): readonly Line[] {
  const [here, ...others] = keyGroups(state);
  const across = Math.max(1, Math.floor(sheet.columns / 38));
  const each = Math.floor(sheet.columns / across);
  const cells = (here?.bindings ?? []).map(({ keys, does }) => `${fit(keyText(keys), 15)} ${does}`);
  const down = Math.ceil(cells.length / across);
  const table = Array.from({ length: down }, (_, row) => {
    const parts = Array.from({ length: across }, (_, column) =>
      fit(cells[column * down + row] ?? '', each - 2),
    );
    return line(cut(` ${parts.join(' ')}`.trimEnd(), sheet.columns));
  });
  const lines = others.flatMap(({ title, bindings }) =>
    paragraph(
      `${title}: ${bindings
        .filter(({ action }) => action !== 'repaint')
        .map(({ keys, does }) => `${keyText(keys)} = ${does}`)
        .join(', ')}`,
      sheet,
      'plain',
      [' ', '   '],
    ),
  );
  return [heading('Keys', '', true, sheet), ...table, blank, ...lines];
}
