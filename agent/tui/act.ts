/** What keys do. Pure, as `step.ts`, of which it is a part. */
import { type Action, actionFor } from './bindings.ts';
import type { Key } from './keys.ts';
import { bad, clamp, plain, say, stay } from './next.ts';
import { problemsOf } from './problems.ts';
import { filtered, type Next, nothingYet, type Pane, type State, writingMode } from './state.ts';
import { addressOf } from './where.ts';

/** Rows that a page key moves by. */
const page = 8;
/** Characters of a filter or an address. */
const longestText = 1024;

export function onKey(before: State, key: Key): Next {
  if (key.kind === 'position') return stay(before);
  // A message is read when a key is pressed after it.
  const state = before.message === null ? before : { ...before, message: null };
  const action = actionFor(state, key);
  if (action !== null) return onAction(state, action);
  if (key.kind === 'text') return typed(state, key.text);
  return stay(state);
}

function typed(state: State, text: string): Next {
  if (state.asks !== null) return stay(state);
  if (state.mode.kind === 'filter') return filterBy(state, (state.filter + text).slice(0, longestText));
  if (state.mode.kind !== 'source') return stay(state);
  return stay({ ...state, mode: { kind: 'source', text: (state.mode.text + text).slice(0, longestText) } });
}

const filterBy = (state: State, filter: string): Next => stay({ ...state, filter, imageAt: 0 });
const withoutLast = (text: string): string => [...text].slice(0, -1).join('');

function onAction(state: State, action: Action): Next {
  if (action === 'repaint') return stay(state, { kind: 'repaint' });
  if (state.asks !== null) return answer(state, state.asks, action === 'yes');
  switch (action) {
    case 'quit':
      return stay(state, { kind: 'quit' });
    case 'reboot':
      // After a flash it is what comes next; before one it may hit a machine that is at work.
      if (state.mode.kind === 'result' && state.setting.live)
        return stay({ ...state, mode: { kind: 'rebooting' } }, { kind: 'reboot' });
      return stay({ ...state, asks: 'reboot' });
    case 'power-off':
      return stay({ ...state, asks: 'power-off' });
    default:
      break;
  }
  switch (state.mode.kind) {
    case 'pick':
      return picking(state, action);
    case 'filter':
      return filtering(state, action);
    case 'source':
      return choosingSource(state, state.mode.text, action);
    case 'help':
      return stay({ ...state, mode: { kind: 'pick' } });
    case 'probing':
      return stay({ ...state, mode: { kind: 'pick' } }, { kind: 'drop' });
    case 'review':
      return reviewing(state, state.mode.armed, action);
    case 'writing':
      return writing(state, state.mode, action);
    case 'result':
      return stay({ ...state, mode: { kind: 'pick' }, disk: null, focus: 'disks' }, { kind: 'list-disks' });
    case 'rebooting':
      return stay(state);
  }
}

function answer(state: State, asks: 'reboot' | 'power-off', yes: boolean): Next {
  if (!yes) return stay({ ...state, asks: null });
  return stay({ ...state, asks: null, mode: { kind: 'rebooting' } }, { kind: asks });
}

const panes: readonly Pane[] = ['images', 'disks', 'write'];

function picking(state: State, action: Action): Next {
  switch (action) {
    case 'up':
      return moved(state, -1);
    case 'down':
      return moved(state, 1);
    case 'page-up':
      return moved(state, -page);
    case 'page-down':
      return moved(state, page);
    case 'first':
      return moved(state, Number.NEGATIVE_INFINITY);
    case 'last':
      return moved(state, Number.MAX_SAFE_INTEGER);
    case 'next-pane':
    case 'previous-pane': {
      const by = action === 'next-pane' ? 1 : panes.length - 1;
      return stay({ ...state, focus: panes[(panes.indexOf(state.focus) + by) % panes.length] ?? 'images' });
    }
    case 'pane-images':
      return stay({ ...state, focus: 'images' });
    case 'pane-disks':
      return stay({ ...state, focus: 'disks' });
    case 'pane-write':
      return stay({ ...state, focus: 'write' });
    case 'enter':
      return entered(state);
    case 'back':
      return undone(state);
    case 'filter':
      return stay({ ...state, focus: 'images', mode: { kind: 'filter' } });
    case 'source': {
      const text = state.source.kind === 'server' ? state.source.shown : '';
      return stay({ ...state, mode: { kind: 'source', text } });
    }
    case 'refresh': {
      const next = { ...state, images: { ...state.images, kind: 'waiting' as const } };
      return say(
        next,
        plain('Looking again ...'),
        { kind: 'list-images', source: state.source },
        { kind: 'list-disks' },
      );
    }
    case 'flash':
      return flashing(state);
    case 'help':
      return stay({ ...state, mode: { kind: 'help' } });
    default:
      return stay(state);
  }
}

function moved(state: State, by: number): Next {
  if (state.focus === 'images')
    return stay({ ...state, imageAt: clamp(state.imageAt + by, filtered(state).length) });
  if (state.focus === 'disks')
    return stay({ ...state, diskAt: clamp(state.diskAt + by, state.disks.rows.length) });
  return stay(state);
}

function entered(state: State): Next {
  switch (state.focus) {
    case 'images': {
      const image = filtered(state)[state.imageAt];
      if (!image) return stay(state);
      // Who changes the image alone stays where they are.
      return stay({
        ...state,
        image,
        focus: state.image === null || state.disk === null ? 'disks' : 'images',
      });
    }
    case 'disks': {
      const disk = state.disks.rows[state.diskAt];
      if (!disk) return stay(state);
      const [problem] = problemsOf(disk, state.image);
      if (problem) return say(state, bad(problem));
      const focus = state.image === null ? 'images' : state.disk === null ? 'write' : 'disks';
      return stay({ ...state, disk, focus });
    }
    case 'write':
      return flashing(state);
  }
}

function undone(state: State): Next {
  if (state.filter !== '') return stay({ ...state, filter: '', imageAt: 0 });
  if (state.disk) return stay({ ...state, disk: null, focus: 'disks' });
  return stay({ ...state, image: null, focus: 'images' });
}

/** `f`: what is picked, else what the cursors are on. */
function flashing(state: State): Next {
  const { readOnly } = state.setting;
  if (readOnly !== null) return say(state, { text: readOnly, tone: 'bad', sticky: true });
  const image = state.image ?? filtered(state)[state.imageAt] ?? null;
  const disk = state.disk ?? state.disks.rows[state.diskAt] ?? null;
  if (image === null) return say({ ...state, focus: 'images' }, plain('There is no image to write.'));
  if (disk === null) return say({ ...state, focus: 'disks' }, plain('There is no disk to write to.'));
  const [problem] = problemsOf(disk, image);
  if (problem) return say({ ...state, image, focus: 'disks' }, bad(problem));
  return stay(
    { ...state, image, disk, focus: 'write', mode: { kind: 'probing' } },
    { kind: 'probe', image, disk },
  );
}

function filtering(state: State, action: Action): Next {
  switch (action) {
    case 'enter':
      return stay({ ...state, mode: { kind: 'pick' } });
    case 'back':
      return stay({ ...state, mode: { kind: 'pick' }, filter: '', imageAt: 0 });
    case 'erase':
      return filterBy(state, withoutLast(state.filter));
    case 'clear':
      return filterBy(state, '');
    default:
      return stay(state);
  }
}

function choosingSource(state: State, text: string, action: Action): Next {
  switch (action) {
    case 'back':
      return stay({ ...state, mode: { kind: 'pick' } });
    case 'erase':
      return stay({ ...state, mode: { kind: 'source', text: withoutLast(text) } });
    case 'clear':
      return stay({ ...state, mode: { kind: 'source', text: '' } });
    case 'enter': {
      const found = addressOf(text, state.setting.folder);
      if (found.kind === 'invalid') return say(state, { text: found.problem, tone: 'bad', sticky: true });
      const kept =
        found.source.kind === 'server' && state.source.kind === 'server' && text === state.source.shown;
      const source = kept ? state.source : found.source;
      const next: State = {
        ...state,
        source,
        images: nothingYet,
        mode: { kind: 'pick' },
        image: null,
        disk: null,
        filter: '',
        imageAt: 0,
        focus: 'images',
      };
      return stay(next, { kind: 'list-images', source });
    }
    default:
      return stay(state);
  }
}

function reviewing(state: State, armed: boolean, action: Action): Next {
  switch (action) {
    case 'enter':
      if (!armed) return stay(state);
      return stay({ ...state, mode: writingMode(), message: null }, { kind: 'write', verify: state.verify });
    case 'verify':
      return stay({ ...state, verify: !state.verify });
    case 'back':
      return stay({ ...state, mode: { kind: 'pick' }, focus: 'write' }, { kind: 'drop' });
    default:
      return stay(state);
  }
}

function writing(
  state: State,
  mode: Extract<State['mode'], { readonly kind: 'writing' }>,
  action: Action,
): Next {
  switch (action) {
    case 'cancel':
      return stay({ ...state, mode: { ...mode, asking: true } });
    case 'no':
      return stay({ ...state, mode: { ...mode, asking: false } });
    case 'yes':
      return stay({ ...state, mode: { ...mode, asking: false, cancelling: true } }, { kind: 'cancel' });
    case 'skip':
      return stay({ ...state, mode: { ...mode, skipping: true } }, { kind: 'skip-verification' });
    default:
      return stay(state);
  }
}
