/** The state after an event, and what is to be done about it. Pure: no I/O, no clock. */
import type { FailureReport } from '../../shared/failure.ts';
import { advance } from '../../shared/flash/advance.ts';
import { type Action, actionFor } from './bindings.ts';
import type { Key } from './keys.ts';
import { problemsOf } from './problems.ts';
import {
  type DiskRow,
  type Effect,
  type Event,
  filtered,
  type ImageRow,
  type Listing,
  type Message,
  type Next,
  nothingYet,
  type Pane,
  type Source,
  type State,
  sourceText,
  writingMode,
} from './state.ts';
import { addressOf } from './where.ts';

/** Rows that a page key moves by. */
const page = 8;
/** Characters of a filter or an address. */
const longestText = 1024;

const stay = (state: State, ...effects: readonly Effect[]): Next => ({ state, effects });

/** What the program does first. */
export function firstEffects(state: State): readonly Effect[] {
  return [{ kind: 'list-images', source: state.source }, { kind: 'list-disks' }];
}

export function step(state: State, event: Event): Next {
  switch (event.kind) {
    case 'key':
      return onKey(state, event.key);
    case 'images':
      return sameSource(event.source, state.source) ? withImages(state, event.listing) : stay(state);
    case 'disks':
      return withDisks(state, event.listing);
    case 'probed':
      if (state.mode.kind !== 'probing') return stay(state, { kind: 'drop' });
      return stay(
        { ...state, mode: { kind: 'review', review: event.review, armed: false } },
        { kind: 'arm' },
      );
    case 'not-probed':
      if (state.mode.kind !== 'probing') return stay(state);
      return say({ ...state, mode: { kind: 'pick' } }, bad(event.failure));
    case 'armed':
      if (state.mode.kind !== 'review') return stay(state);
      return stay({ ...state, mode: { ...state.mode, armed: true } });
    case 'flash':
      if (state.mode.kind !== 'writing') return stay(state);
      return stay({ ...state, mode: { ...state.mode, flash: advance(state.mode.flash, event.event) } });
    case 'clock': {
      if (state.mode.kind !== 'writing') return stay(state);
      const began = state.mode.began ?? event.now;
      return stay({ ...state, mode: { ...state.mode, began, now: Math.max(began, event.now) } });
    }
    case 'finishing':
      if (state.mode.kind !== 'writing') return stay(state);
      return stay({ ...state, mode: { ...state.mode, finishing: event.text, asking: false } });
    case 'ended': {
      if (state.mode.kind !== 'writing') return stay(state);
      const { flash } = state.mode;
      const { notes, failure: found } = event;
      const ended =
        found === null ? flash : { ...flash, stage: 'finished' as const, outcome: 'failed' as const };
      const lines = found === null ? notes : [found.message, found.advice, ...notes];
      return stay(
        { ...state, mode: { kind: 'result', flash: ended, notes: lines }, message: null },
        { kind: 'list-disks' },
      );
    }
    case 'message':
      return say(state, event.message);
    case 'message-over':
      return stay(event.count === state.messages ? { ...state, message: null } : state);
    case 'not-rebooted':
      return say(
        { ...state, mode: state.mode.kind === 'rebooting' ? { kind: 'pick' } : state.mode },
        { text: event.problem, tone: 'bad', sticky: true },
      );
  }
}

const sameSource = (one: Source, other: Source): boolean =>
  one.kind === other.kind && sourceText(one) === sourceText(other);

const bad = ({ message, advice }: FailureReport): Message => ({
  text: `${message} ${advice}`,
  tone: 'bad',
  sticky: true,
});
const plain = (text: string): Message => ({ text, tone: 'plain', sticky: false });

function say(state: State, message: Message): Next {
  const count = state.messages + 1;
  const next = { ...state, message, messages: count };
  return message.sticky ? stay(next) : stay(next, { kind: 'expire', count });
}

function withImages(state: State, images: Listing<ImageRow>): Next {
  const at = filtered(state)[state.imageAt]?.location;
  const { image } = state;
  const next = { ...state, images };
  const rows = filtered(next);
  const found = rows.findIndex(({ location }) => location === at);
  const imageAt = clamp(found < 0 ? state.imageAt : found, rows.length);
  const chosen = image && (images.rows.find((row) => row.location === image.location) ?? null);
  const settled = { ...next, imageAt, image: chosen };
  const gone = image !== null && chosen === null && images.kind === 'there' && isPicking(state);
  const [note] = images.notes;
  if (gone) return say(unpicked(settled), plain(`${image.name} is gone.`));
  if (note === undefined) return stay(settled);
  return say(settled, { text: note, tone: images.kind === 'failed' ? 'bad' : 'plain', sticky: true });
}

const isPicking = ({ mode }: State): boolean =>
  mode.kind === 'pick' || mode.kind === 'filter' || mode.kind === 'help' || mode.kind === 'source';

const unpicked = (state: State): State => ({
  ...state,
  focus:
    state.image === null ? 'images' : state.disk === null && state.focus === 'write' ? 'disks' : state.focus,
});

const sameDisk = (one: DiskRow, other: DiskRow): boolean =>
  one.path === other.path &&
  one.size === other.size &&
  one.serial === other.serial &&
  one.diskseq === other.diskseq;

function withDisks(state: State, disks: Listing<DiskRow>): Next {
  const at = state.disks.rows[state.diskAt];
  const found = at ? disks.rows.findIndex((row) => sameDisk(row, at)) : -1;
  const first = disks.rows.findIndex(({ refusals }) => refusals.length === 0);
  // The first list puts the cursor on the first disk that can be written.
  const wanted = found >= 0 ? found : state.disks.kind === 'waiting' ? Math.max(0, first) : state.diskAt;
  const { disk } = state;
  const chosen = disk && (disks.rows.find((row) => sameDisk(row, disk)) ?? null);
  const next = { ...state, disks, diskAt: clamp(wanted, disks.rows.length) };
  // A flash that runs keeps what it was begun with.
  if (!isPicking(state)) return stay(next);
  const settled = { ...next, disk: chosen };
  if (disk && !chosen) return say(unpicked(settled), plain(`${disk.path} is gone, or is another disk now.`));
  const [note] = disks.notes;
  if (note === undefined || note === state.disks.notes[0]) return stay(settled);
  return say(settled, { text: note, tone: 'bad', sticky: true });
}

const clamp = (index: number, length: number): number => Math.max(0, Math.min(length - 1, index));

function onKey(before: State, key: Key): Next {
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
      return say1(
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

/** As `say`, with further effects. */
function say1(state: State, message: Message, ...effects: readonly Effect[]): Next {
  const said = say(state, message);
  return { state: said.state, effects: [...said.effects, ...effects] };
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
