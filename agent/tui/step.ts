/** The state after an event, and what is to be done about it. Pure: no I/O, no clock. */
import { advance } from '../../shared/flash/advance.ts';
import { onKey } from './act.ts';
import { bad, clamp, plain, say, stay } from './next.ts';
import {
  type DiskRow,
  type Effect,
  type Event,
  filtered,
  type ImageRow,
  type Listing,
  type Next,
  type Source,
  type State,
  sourceText,
} from './state.ts';

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

function withImages(state: State, images: Listing<ImageRow>): Next {
  const at = filtered(state)[state.imageAt]?.location;
  const { image } = state;
  const next = { ...state, images };
  const rows = filtered(next);
  const found = rows.findIndex(({ location }) => location === at);
  const imageAt = clamp(found < 0 ? state.imageAt : found, rows.length);
  // What is looked at or written keeps what it was begun with.
  if (!isPicking(state)) return stay({ ...next, imageAt });
  const chosen = image && (images.rows.find((row) => row.location === image.location) ?? null);
  const settled = { ...next, imageAt, image: chosen };
  const gone = image !== null && chosen === null && images.kind === 'there';
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
