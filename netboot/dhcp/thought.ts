/** What the decision of one packet gathers on its way. */
import type { ReplyForm } from '../story/step.ts';
import { holds, type Ipv4 } from './address.ts';
import { type BootChoice, chooseBoot } from './boot.ts';
import { type Client, identify } from './client.ts';
import { ladderOf } from './form.ts';
import { climb } from './ladder.ts';
import type { Packet } from './packet.ts';
import type { Change, Decision, Reason, Situation } from './situation.ts';

/** What the decision of one packet gathers on its way. */
export class Thought {
  readonly packet: Packet;
  readonly situation: Situation;
  readonly client: Client;
  readonly reasons: Reason[] = [];
  readonly changes: Change[] = [];
  foreign: Ipv4 | null = null;
  alarm: Decision['alarm'] = null;

  constructor(packet: Packet, situation: Situation) {
    this.packet = packet;
    this.situation = situation;
    this.client = identify(packet);
  }

  because(rule: string, text: string): void {
    this.reasons.push({ rule, text });
  }

  silent(rule: string, text: string): Decision {
    this.because(rule, text);
    return this.finish(null);
  }

  finish(reply: Decision['reply'], probe: Ipv4 | null = null): Decision {
    const { changes, reasons, alarm, client, foreign } = this;
    return { reply, changes, probe, reasons, alarm, client, foreign };
  }

  /** What the client boots, and the form that says so; a DISCOVER moves the ladder, other messages stay on it. */
  boot(mode: 'proxy' | 'full', server: Ipv4, moves: boolean): { choice: BootChoice; form: ReplyForm } {
    const { client, situation, packet } = this;
    const choice = chooseBoot(client, situation, server);
    this.reasons.push(...choice.reasons);
    if (choice.kind === 'none') {
      if (choice.loop) this.alarm = { kind: 'boot-loop', text: choice.reasons.at(-1)?.text ?? '' };
      return { choice, form: 'address-only' };
    }
    if (choice.kind === 'file' && choice.chained && client.mac !== null) {
      this.changes.push({ kind: 'chained', mac: client.mac });
    }
    const { boot, now } = situation;
    const firmware = client.kind === 'http' ? 'http' : (client.architecture?.firmware ?? 'other');
    const forms = ladderOf(mode, firmware);
    const set = boot.overrideFor(client);
    if (set?.override.form) {
      this.because('form-override', `the form ${set.override.form} is set for ${set.from}`);
      return { choice, form: set.override.form };
    }
    // iPXE reads every form and asks twice before it takes an offer, so it climbs no ladder.
    if (client.ipxe || client.mac === null) return { choice, form: forms[0] ?? 'address-only' };
    const memory = situation.recall();
    const ladder = { name: `${mode}/${firmware}`, forms };
    if (!moves && memory.attempt?.ladder === ladder.name) {
      return { choice, form: memory.attempt.form };
    }
    const discover = { at: now, xid: packet.xid, seconds: packet.secs };
    const rung = climb(moves ? memory.attempt : null, discover, ladder, memory.remembered);
    this.because('form', rung.reason);
    if (moves) this.changes.push({ kind: 'attempt', mac: client.mac, attempt: rung.attempt });
    return { choice, form: rung.attempt.form };
  }
}

/** Our own address towards the client: in its network if we have one there, else the interface's first. */
export function ownAddress(situation: Situation, near: Ipv4): Ipv4 | null {
  const { addresses } = situation.place;
  const close = addresses.find(({ block }) => holds(block, near));
  return (close ?? addresses[0])?.address ?? null;
}
