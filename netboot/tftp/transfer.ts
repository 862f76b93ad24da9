/**
 * One transfer to a client, as a value: time and packets in, packets and the next value out. Sockets, clocks and
 * files are elsewhere, so a test can lose, double, swap and delay packets in simulated time.
 *
 * Blocks are counted from 1 without end; the 16 bits on the wire are only their low part.
 */
import type { Agreement } from './options.ts';

export interface TransferRules {
  /** Times in milliseconds: first wait before sending again, its bounds, and how long no progress is borne. */
  readonly firstTimeout: number;
  readonly leastTimeout: number;
  readonly mostTimeout: number;
  readonly patience: number;
  /** How often the same blocks are sent again without progress. */
  readonly retries: number;
  /** How long late packets are taken quietly after the end. */
  readonly dally: number;
  /** Longest time of a whole transfer, which ends a client that acknowledges for ever. */
  readonly longest: number;
  /** Packets of no use that are borne before the transfer is given up. */
  readonly strays: number;
}

export const defaultRules: TransferRules = {
  firstTimeout: 1000,
  leastTimeout: 300,
  mostTimeout: 5000,
  patience: 30_000,
  retries: 6,
  dally: 1000,
  longest: 30 * 60_000,
  strays: 5000,
};

export type Outcome =
  | { readonly kind: 'done' }
  /** Broken off before the first block was wanted: the size was all that the client asked for. */
  | { readonly kind: 'probe' }
  | { readonly kind: 'aborted'; readonly code: number; readonly message: string }
  | { readonly kind: 'timeout' }
  | { readonly kind: 'refused'; readonly message: string };

export interface Transfer {
  readonly size: number;
  readonly agreement: Agreement;
  readonly rules: TransferRules;
  /** Number of the last block; it is shorter than the others, perhaps empty. */
  readonly blocks: number;
  readonly phase: 'agreeing' | 'sending' | 'dallying' | 'ended';
  /** Blocks that the client has, in order, and the highest block that was sent. */
  readonly acknowledged: number;
  readonly sent: number;
  /** Set from the end on. */
  readonly outcome: Outcome | null;
  readonly startedAt: number;
  readonly progressAt: number;
  /** When `tick` is to be called. */
  readonly deadline: number;
  readonly attempts: number;
  /** When the blocks in flight were sent for the first time; null when they were sent again (Karn's rule). */
  readonly timedFrom: number | null;
  /** Smoothed round trip and its variation, milliseconds. */
  readonly roundTrip: number | null;
  readonly variation: number;
  /** Acknowledgement for which the transfer already went back, so that its repetitions do nothing. */
  readonly wentBackTo: number;
  /** Blocks sent more than once, and packets that were of no use. */
  readonly resent: number;
  readonly strays: number;
}

/** What is to be sent now. */
export type Send =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'options' }
  /** The blocks `first` to `last`, counted from 1. */
  | { readonly kind: 'blocks'; readonly first: number; readonly last: number };

export interface Advance {
  readonly transfer: Transfer;
  readonly send: Send;
}

const nothing: Send = { kind: 'nothing' };

/** Number of `block` on the wire. */
export function wireNumber(block: number, rollover: 0 | 1): number {
  if (rollover === 0 || block === 0) return block & 0xffff;
  return ((block - 1) % 0xffff) + 1;
}

/** The block at or after `from` that has `number` on the wire. */
function blockOf(number: number, from: number, rollover: 0 | 1): number {
  const period = rollover === 0 ? 0x10000 : 0xffff;
  const distance = (number - wireNumber(from, rollover)) % period;
  return from + (distance < 0 ? distance + period : distance);
}

function waitOf(transfer: Transfer): number {
  const { rules, agreement, roundTrip, variation, attempts } = transfer;
  // The client that names a time resends by it; to be quicker than that doubles every packet.
  if (agreement.timeout !== null) return agreement.timeout;
  const base = roundTrip === null ? rules.firstTimeout : roundTrip + 4 * variation;
  const bounded = Math.min(Math.max(base, rules.leastTimeout), rules.mostTimeout);
  return Math.min(bounded * 2 ** attempts, rules.mostTimeout);
}

function window(transfer: Transfer, now: number, again: boolean): Advance {
  const first = transfer.acknowledged + 1;
  const last = Math.min(transfer.acknowledged + transfer.agreement.windowSize, transfer.blocks);
  const repeated = Math.max(0, Math.min(last, transfer.sent) - first + 1);
  const next: Transfer = {
    ...transfer,
    phase: 'sending',
    sent: Math.max(last, transfer.sent),
    timedFrom: again || repeated > 0 ? null : now,
    resent: transfer.resent + repeated,
  };
  return {
    transfer: { ...next, deadline: now + waitOf(next) },
    send: { kind: 'blocks', first, last },
  };
}

/** Begins the transfer of `size` bytes at the time `now` (milliseconds on a clock that never goes back). */
export function begin(size: number, agreement: Agreement, rules: TransferRules, now: number): Advance {
  const fresh: Transfer = {
    size,
    agreement,
    rules,
    blocks: Math.floor(size / agreement.blockSize) + 1,
    phase: 'agreeing',
    acknowledged: 0,
    sent: 0,
    outcome: null,
    startedAt: now,
    progressAt: now,
    deadline: now,
    attempts: 0,
    timedFrom: now,
    roundTrip: null,
    variation: 0,
    wentBackTo: -1,
    resent: 0,
    strays: 0,
  };
  if (agreement.accepted.length === 0) return window(fresh, now, false);
  return { transfer: { ...fresh, deadline: now + waitOf(fresh) }, send: { kind: 'options' } };
}

function end(transfer: Transfer, outcome: Outcome): Advance {
  return { transfer: { ...transfer, phase: 'ended', outcome }, send: nothing };
}

function tooLong(transfer: Transfer): Advance {
  return end(transfer, { kind: 'refused', message: 'the transfer takes too long' });
}

function timed(transfer: Transfer, now: number): Transfer {
  if (transfer.timedFrom === null) return transfer;
  const sample = now - transfer.timedFrom;
  if (transfer.roundTrip === null) return { ...transfer, roundTrip: sample, variation: sample / 2 };
  const variation = 0.75 * transfer.variation + 0.25 * Math.abs(transfer.roundTrip - sample);
  return { ...transfer, variation, roundTrip: 0.875 * transfer.roundTrip + 0.125 * sample };
}

function stray(transfer: Transfer): Advance {
  const strays = transfer.strays + 1;
  if (strays > transfer.rules.strays)
    return end({ ...transfer, strays }, { kind: 'refused', message: 'too many packets of no use' });
  return { transfer: { ...transfer, strays }, send: nothing };
}

/** The client acknowledges the block that has `number` on the wire. */
export function acknowledge(before: Transfer, number: number, now: number): Advance {
  if (before.phase === 'ended' || before.phase === 'dallying') return stray(before);
  if (before.phase === 'agreeing') {
    if (number !== 0) return stray(before);
    return window({ ...timed(before, now), progressAt: now, attempts: 0 }, now, false);
  }
  if (now - before.startedAt >= before.rules.longest) return tooLong(before);
  const block = blockOf(number, before.acknowledged, before.agreement.rollover);
  if (block > before.sent) return stray(before);
  if (block === before.acknowledged) return repeated(before, now);
  const transfer: Transfer = {
    ...timed(before, now),
    acknowledged: block,
    progressAt: now,
    attempts: 0,
    // An acknowledgement inside the window tells of a gap after it (RFC 7440 section 4): the next window starts there,
    // and the acknowledgements that the rest of this window still provokes are old news.
    wentBackTo: block < before.sent ? block : -1,
  };
  if (block < transfer.blocks) return window(transfer, now, block < before.sent);
  return {
    transfer: {
      ...transfer,
      phase: 'dallying',
      outcome: { kind: 'done' },
      deadline: now + transfer.rules.dally,
    },
    send: nothing,
  };
}

/** An acknowledgement came again. RFC 1123 4.2.3.1: answering it with data doubles every later packet. */
function repeated(transfer: Transfer, now: number): Advance {
  const flying = transfer.sent - transfer.acknowledged;
  // The first block of a window of several was lost, when the answer is new: once for each value, and not sooner
  // than the window can have been there.
  const sinceSent = transfer.timedFrom === null ? 0 : now - transfer.timedFrom;
  const plausible = transfer.timedFrom !== null && sinceSent * 2 >= (transfer.roundTrip ?? 0);
  if (flying < 2 || transfer.wentBackTo === transfer.acknowledged || !plausible) return stray(transfer);
  const step = window({ ...transfer, wentBackTo: transfer.acknowledged }, now, true);
  return { ...step, transfer: { ...step.transfer, strays: transfer.strays + 1 } };
}

/** The client sent ERROR. */
export function broken(transfer: Transfer, code: number, message: string): Advance {
  if (transfer.outcome !== null) return end(transfer, transfer.outcome);
  // EDK2 and Intel's ROMs ask for the size, break off, and come again for the file.
  const probe = transfer.phase === 'agreeing' && transfer.agreement.sizeAsked;
  return end(transfer, probe ? { kind: 'probe' } : { kind: 'aborted', code, message });
}

/** The client's first packet came again, since it did not see the answer. */
export function askedAgain(transfer: Transfer, now: number): Advance {
  if (transfer.phase === 'agreeing') {
    return {
      transfer: { ...transfer, timedFrom: null, deadline: now + waitOf(transfer) },
      send: { kind: 'options' },
    };
  }
  if (transfer.phase === 'sending' && transfer.acknowledged === 0) return window(transfer, now, true);
  return stray(transfer);
}

/** `now` has come; does nothing before the deadline. */
export function tick(transfer: Transfer, now: number): Advance {
  if (transfer.phase === 'ended' || now < transfer.deadline) return { transfer, send: nothing };
  if (transfer.phase === 'dallying') return end(transfer, transfer.outcome ?? { kind: 'done' });
  const { rules } = transfer;
  if (now - transfer.startedAt >= rules.longest) return tooLong(transfer);
  // A client may name a time longer than our patience; it gets the packet once more even so.
  const patience = Math.max(rules.patience, 2.5 * (transfer.agreement.timeout ?? 0));
  if (transfer.attempts >= rules.retries || now - transfer.progressAt >= patience)
    return end(transfer, { kind: 'timeout' });
  const later: Transfer = { ...transfer, attempts: transfer.attempts + 1, wentBackTo: -1 };
  if (later.phase === 'sending') return window(later, now, true);
  return {
    transfer: { ...later, timedFrom: null, deadline: now + waitOf(later) },
    send: { kind: 'options' },
  };
}

/** Bytes that the client has. */
export function bytesAcknowledged(transfer: Transfer): number {
  return Math.min(transfer.acknowledged * transfer.agreement.blockSize, transfer.size);
}
