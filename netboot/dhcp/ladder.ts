/** Which form of reply a machine's firmware gets next: a pure step from what was tried to what is tried. */
import type { ReplyForm } from '../story/step.ts';
import { offersPerForm } from './form.ts';

/** What was tried with one machine since it last did something with an offer. */
export interface Attempt {
  /** Mode and firmware, since each has its own ladder. */
  readonly ladder: string;
  readonly form: ReplyForm;
  /** Offers sent in this form without a sign of life. */
  readonly offers: number;
  readonly xid: number;
  /** Milliseconds since 1970 of the last DISCOVER. */
  readonly at: number;
}

export interface Discover {
  readonly at: number;
  readonly xid: number;
  /** What the client says in `secs`. */
  readonly seconds: number;
}

export interface Rung {
  readonly attempt: Attempt;
  readonly reason: string;
}

/** Copies that relays or switches make arrive within this time, in milliseconds. */
const duplicate = 500;
/** After this time in milliseconds an unanswered attempt says nothing about the next power-on. */
const forgotten = 600_000;

/**
 * The attempt that this DISCOVER makes. `remembered` is the form that worked before for this machine or its vendor
 * class. The same DISCOVER seen twice changes nothing.
 */
export function climb(
  before: Attempt | null,
  discover: Discover,
  ladder: { readonly name: string; readonly forms: readonly ReplyForm[] },
  remembered: { readonly form: ReplyForm; readonly from: string } | null,
): Rung {
  const first = ladder.forms[0] ?? 'address-only';
  const { at, xid } = discover;
  const stale = before === null || before.ladder !== ladder.name || at - before.at > forgotten;
  if (stale) {
    const known = remembered !== null && ladder.forms.includes(remembered.form) ? remembered : null;
    const form = known?.form ?? first;
    const reason = known
      ? `the form ${form} worked before for ${known.from}`
      : `the form ${form} comes first for this firmware`;
    return { attempt: { ladder: ladder.name, form, offers: 1, xid, at }, reason };
  }
  if (before.xid === xid && at - before.at < duplicate) {
    return { attempt: before, reason: `the same DISCOVER again: still the form ${before.form}` };
  }
  if (before.offers < offersPerForm) {
    const attempt = { ...before, offers: before.offers + 1, xid, at };
    return { attempt, reason: `the form ${before.form} is tried once more (secs ${discover.seconds})` };
  }
  const next = ladder.forms[(ladder.forms.indexOf(before.form) + 1) % ladder.forms.length] ?? first;
  const reason =
    next === before.form
      ? `${before.offers} offers led to nothing and there is no other form for this firmware`
      : `${before.offers} offers in the form ${before.form} led to nothing: now ${next} (secs ${discover.seconds})`;
  return { attempt: { ladder: ladder.name, form: next, offers: 1, xid, at }, reason };
}
