/**
 * The keys that mean something now. The one table from which they are obeyed, hinted at in the last line and listed by
 * the help: a key that is not here does nothing, and one that is here is shown.
 */
import type { Key } from './keys.ts';
import { filtered, type State, succeeded } from './state.ts';

export type Action =
  | 'up'
  | 'down'
  | 'page-up'
  | 'page-down'
  | 'first'
  | 'last'
  | 'enter'
  | 'back'
  | 'next-pane'
  | 'previous-pane'
  | 'pane-images'
  | 'pane-disks'
  | 'pane-write'
  | 'filter'
  | 'source'
  | 'refresh'
  | 'flash'
  | 'verify'
  | 'help'
  | 'repaint'
  | 'reboot'
  | 'power-off'
  | 'quit'
  | 'erase'
  | 'clear'
  | 'cancel'
  | 'skip'
  | 'yes'
  | 'no';

export interface Binding {
  /** Names of keys, or characters. */
  readonly keys: readonly string[];
  /** How the keys are called on the screen. */
  readonly label: string;
  readonly does: string;
  readonly action: Action;
  /** Left out of the last line where room is short; the help has it. */
  readonly minor?: true;
}

const bind = (keys: readonly string[], label: string, does: string, action: Action): Binding => ({
  keys,
  label,
  does,
  action,
});
const minor = (binding: Binding): Binding => ({ ...binding, minor: true });

const moves: readonly Binding[] = [
  bind(['up'], 'Up', 'one row up', 'up'),
  bind(['down'], 'Down', 'one row down', 'down'),
  bind(['page-up'], 'PgUp', 'one page up', 'page-up'),
  bind(['page-down'], 'PgDn', 'one page down', 'page-down'),
  bind(['home'], 'Home', 'first row', 'first'),
  bind(['end'], 'End', 'last row', 'last'),
].map(minor);

const panes: readonly Binding[] = [
  bind(['tab', 'right'], 'Tab, Right', 'next pane', 'next-pane'),
  bind(['back-tab', 'left'], 'Shift+Tab, Left', 'pane before', 'previous-pane'),
  bind(['1'], '1', 'images', 'pane-images'),
  bind(['2'], '2', 'disks', 'pane-disks'),
  bind(['3'], '3', 'write', 'pane-write'),
].map(minor);

const repaint = minor(bind(['ctrl-l'], 'Ctrl+L', 'redraw, everywhere', 'repaint'));
const quit = bind(['q', 'ctrl-c'], 'q', 'quit', 'quit');
const help = bind(['?'], '?', 'help', 'help');

/** The keys that work in this state, the most wanted first. */
export function bindingsOf(state: State): readonly Binding[] {
  const { mode, setting } = state;
  if (state.asks !== null) return answers;
  switch (mode.kind) {
    case 'pick':
      return picking(state);
    case 'filter':
      return [
        bind(['enter', 'down', 'tab'], 'Enter', 'to the images', 'enter'),
        bind(['escape'], 'Esc', 'no filter', 'back'),
        minor(bind(['backspace'], 'Backspace', 'erase', 'erase')),
        minor(bind(['ctrl-u'], 'Ctrl+U', 'erase all', 'clear')),
        ...leaving(state),
      ];
    case 'source':
      return [
        bind(['enter'], 'Enter', 'use it', 'enter'),
        bind(['escape'], 'Esc', 'leave it as it is', 'back'),
        bind(['backspace'], 'Backspace', 'erase', 'erase'),
        bind(['ctrl-u'], 'Ctrl+U', 'erase all', 'clear'),
        ...leaving(state),
      ];
    case 'help':
      return [bind(['escape', 'enter', 'backspace', '?', 'q'], 'Esc', 'close', 'back'), repaint];
    case 'probing':
      return [bind(['escape', 'backspace', 'ctrl-c'], 'Esc', 'stop', 'back'), repaint];
    case 'review':
      return [
        ...(mode.review.refusals.length === 0 && setting.readOnly === null
          ? [bind(['enter', 'f'], 'Enter', 'write now', 'enter')]
          : []),
        bind(['escape', 'backspace', 'ctrl-c'], 'Esc', 'back', 'back'),
        bind(['v'], 'v', state.verify ? 'do not verify' : 'verify', 'verify'),
        repaint,
      ];
    case 'writing':
      return writing(state, mode);
    case 'result':
      return [
        ...afterwards(succeeded(mode.flash), setting.live),
        ...(setting.live ? [bind(['P'], 'P', 'power off', 'power-off')] : [quit]),
        repaint,
      ];
    case 'rebooting':
      return [repaint];
  }
}

/** A machine that was booted for this reboots by Enter; any other one has other work, too. */
function afterwards(done: boolean, live: boolean): readonly Binding[] {
  if (!done) return [bind(['enter', 'escape', 'backspace'], 'Enter', 'back to the disks', 'back')];
  if (!live)
    return [
      bind(['enter', 'escape', 'backspace'], 'Enter', 'another disk', 'back'),
      bind(['R'], 'R', 'reboot', 'reboot'),
    ];
  return [
    bind(['enter', 'R'], 'Enter', 'reboot', 'reboot'),
    bind(['escape', 'backspace'], 'Esc', 'another disk', 'back'),
  ];
}

const answers: readonly Binding[] = [
  bind(['y'], 'y', 'yes', 'yes'),
  bind(['n', 'escape', 'backspace', 'ctrl-c'], 'n', 'no', 'no'),
  repaint,
];

/** Where letters are text, only Ctrl+C can quit. */
function leaving({ setting }: State): readonly Binding[] {
  return setting.live ? [repaint] : [bind(['ctrl-c'], 'Ctrl+C', 'quit', 'quit'), repaint];
}

function picking(state: State): readonly Binding[] {
  const { focus, setting, image, disk, filter } = state;
  const writable = setting.readOnly === null;
  const enter = {
    images: filtered(state).length > 0 ? [bind(['enter'], 'Enter', 'pick image', 'enter')] : [],
    disks: state.disks.rows.length > 0 ? [bind(['enter'], 'Enter', 'pick disk', 'enter')] : [],
    write: image && disk && writable ? [bind(['enter'], 'Enter', 'look and write', 'enter')] : [],
  }[focus];
  const undo = filter !== '' ? 'no filter' : disk ? 'other disk' : 'other image';
  return [
    ...enter,
    ...(filter !== '' || image || disk ? [bind(['escape', 'backspace'], 'Esc', undo, 'back')] : []),
    ...(writable ? [bind(['f'], 'f', 'flash', 'flash')] : []),
    bind(['/'], '/', 'filter', 'filter'),
    bind(['s'], 's', 'source', 'source'),
    bind(['r'], 'r', 'refresh', 'refresh'),
    help,
    ...(setting.live ? [] : [quit]),
    bind(['R'], 'R', 'reboot', 'reboot'),
    ...(setting.live ? [bind(['P'], 'P', 'power off', 'power-off')] : []),
    ...(focus === 'write' ? [] : moves),
    ...panes,
    repaint,
  ];
}

function writing(
  { verify }: State,
  { asking, cancelling, skipping, finishing }: Extract<State['mode'], { readonly kind: 'writing' }>,
): readonly Binding[] {
  if (asking)
    return [
      bind(['y', 'ctrl-c'], 'y', 'yes, cancel', 'yes'),
      bind(['n', 'escape', 'enter'], 'n', 'no, go on', 'no'),
      repaint,
    ];
  if (cancelling || finishing !== null) return [repaint];
  return [
    bind(['c', 'ctrl-c', 'escape'], 'c', 'cancel', 'cancel'),
    ...(verify && !skipping ? [bind(['v'], 'v', 'skip verification', 'skip')] : []),
    repaint,
  ];
}

/** What `key` does in this state, null when nothing. */
export function actionFor(state: State, key: Key): Action | null {
  const name = key.kind === 'text' ? key.text : key.kind === 'named' ? key.name : null;
  if (name === null) return null;
  return bindingsOf(state).find(({ keys }) => keys.includes(name))?.action ?? null;
}
