/** What the screen shows: a pure function of the state and of what the terminal can draw. */
import { redacted } from '../../shared/address.ts';
import { type Binding, bindingsOf } from './bindings.ts';
import { helpBody } from './help.ts';
import { ends, filled, heading, type Line, line, paragraph, type Sheet, type Size } from './lines.ts';
import { pickBody, reviewBody } from './pick.ts';
import { progressBody, resultBody } from './progress.ts';
import type { State } from './state.ts';
import { type Charset, cut, shown, tail } from './text.ts';

/** Exactly `rows` lines, none wider than `columns`. Never throws, at any size from one column and row on. */
export function view(state: State, { columns, rows }: Size, charset: Charset): readonly Line[] {
  const sheet: Sheet = { columns: Math.max(1, columns), charset };
  const most = Math.max(1, rows);
  const hints = hintLines(bindingsOf(state), sheet, most >= 20 ? 2 : 1);
  const status = statusLines(state, sheet, most >= 20 ? 2 : 1);
  const head = most >= 8 ? [header(state, sheet)] : [];
  const room = most - hints.length - status.length - head.length;
  const lines = [...head, ...filled(body(state, sheet, Math.max(0, room)), room), ...status, ...hints];
  // The keys are the last to go.
  return lines
    .slice(Math.max(0, lines.length - most))
    .map((each) => ({ ...each, text: cut(each.text, sheet.columns) }));
}

function header({ setting }: State, sheet: Sheet): Line {
  const left = `bty ${setting.version}`;
  const right = setting.readOnly === null ? (setting.title ?? '') : 'READ-ONLY: not root';
  return ends(left, right, sheet, setting.readOnly === null ? 'title' : 'bad');
}

function body(state: State, sheet: Sheet, rows: number): readonly Line[] {
  const { mode } = state;
  switch (mode.kind) {
    case 'pick':
    case 'filter':
      return pickBody(state, sheet, rows);
    case 'source':
      return sourceBody(state, mode.text, sheet);
    case 'help':
      return helpBody(state, sheet);
    case 'probing':
      return [
        heading('Looking at image and disk ...', '', true, sheet),
        ...(state.image ? paragraph(`Image: ${redacted(state.image.location)}`, sheet) : []),
        ...(state.disk ? paragraph(`Disk: ${state.disk.path}`, sheet) : []),
        ...paragraph('Nothing is written yet.', sheet),
      ];
    case 'review':
      return reviewBody(state, mode.review, sheet, rows);
    case 'writing':
      return progressBody(state, mode, sheet, rows);
    case 'result':
      return resultBody(mode, sheet);
    case 'rebooting':
      return [heading('The machine goes down ...', '', true, sheet)];
  }
}

function sourceBody(state: State, text: string, sheet: Sheet): readonly Line[] {
  const room = Math.max(4, sheet.columns - 4);
  return [
    heading('Where are the images?', '', true, sheet),
    ...paragraph(
      `Type the address of a server (http://ADDRESS:PORT), or a folder. Nothing stands for ${state.setting.folder}.`,
      sheet,
    ),
    line(''),
    line(cut(` > ${tail(shown(text, sheet.charset), room - 2)}_`, sheet.columns), 'chosen'),
  ];
}

function statusLines(state: State, sheet: Sheet, most: number): readonly Line[] {
  if (state.asks !== null) {
    const what = state.asks === 'reboot' ? 'Reboot this machine now?' : 'Switch this machine off now?';
    return [line(cut(` ${what} (y/n)`, sheet.columns), 'bad')];
  }
  if (state.mode.kind === 'writing' && state.mode.asking)
    return [
      line(cut(' Cancel? The disk will look blank until it is written again. (y/n)', sheet.columns), 'bad'),
    ];
  const { message } = state;
  if (message === null) {
    const { readOnly } = state.setting;
    return [line(readOnly === null ? '' : cut(` ${shown(readOnly, sheet.charset)}`, sheet.columns), 'bad')];
  }
  const lines = paragraph(message.text, sheet, message.tone);
  if (lines.length <= most) return lines;
  const kept = lines.slice(0, most);
  const last = kept.at(-1) ?? line('');
  return [...kept.slice(0, -1), line(cut(`${last.text} ...`, sheet.columns), last.style)];
}

/** The keys in as many of `most` lines as they need; the minor ones only stand in the help. */
function hintLines(bindings: readonly Binding[], { columns }: Sheet, most: number): readonly Line[] {
  const words = bindings.filter(({ minor }) => !minor).map(({ label, does }) => `${label} ${does}`);
  const lines: string[] = [];
  for (const word of words) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 3 + word.length <= columns)
      lines[lines.length - 1] = `${last} | ${word}`;
    else lines.push(` ${word}`);
  }
  if (lines.length <= most)
    return (lines.length === 0 ? [''] : lines).map((text) => line(cut(text, columns), 'quiet'));
  // Where there is no room for all, the way to the help is among those that stay.
  const kept = lines.slice(0, most).join(' | ');
  const shortest = bindings.some(({ action }) => action === 'help') && !kept.includes('? help');
  const text = lines.slice(0, most).map((each) => cut(each, columns));
  const last = text.length - 1;
  if (shortest && columns > 8)
    text[last] = `${cut(text[last] ?? '', columns - 9).trimEnd()} | ? help`.slice(0, columns);
  return text.map((each) => line(each, 'quiet'));
}
