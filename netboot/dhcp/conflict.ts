/**
 * Whether somebody already uses an address, without raw sockets: a datagram makes the kernel ask for its hardware
 * address (ARP), and /proc/net/arp (proc(5)) says whether an answer came.
 */
import { readFile } from 'node:fs/promises';
import { formatAddress, type Ipv4 } from './address.ts';

/** RFC 863: a port that nothing answers on. */
const discardPort = 9;
/** Milliseconds that a machine has to answer. */
const patience = 250;
/** Milliseconds in which questions are gathered. */
const gatherTime = 50;
/** Milliseconds that an answer is good for. */
const shelfLife = 120_000;
/**
 * Questions in `questionLife` milliseconds: so long the kernel keeps one that nobody answers (three tries of a
 * second), and of its 1024 neighbours by default most must stay for real ones. What is over that is not asked.
 */
const mostQuestions = 192;
const questionLife = 3000;
const mostKept = 4096;
const complete = 0x2;

/** Hardware addresses that answered for one of `wanted` on `device`, by IP address. */
export function neighbours(
  table: string,
  device: string,
  wanted: readonly Ipv4[],
): ReadonlyMap<Ipv4, string> {
  const found = new Map<Ipv4, string>();
  const texts = new Map(wanted.map((address) => [formatAddress(address), address]));
  for (const line of table.split('\n')) {
    // The table may hold a thousand lines, of which a few matter.
    const address = texts.get(line.slice(0, line.indexOf(' ')));
    if (address === undefined) continue;
    const [, , flags = '0', mac = '', , on] = line.trim().split(/\s+/);
    if (on === device && (Number(flags) & complete) !== 0) found.set(address, mac.toLowerCase());
  }
  return found;
}

export interface Prober {
  readonly device: string;
  /** Sends an empty datagram on that interface. */
  readonly send: (address: Ipv4, port: number) => void;
}

interface Answer {
  readonly at: number;
  readonly mac: string | null;
}

export class Conflicts {
  private readonly prober: Prober;
  private readonly answers = new Map<Ipv4, Answer>();
  private readonly open = new Map<Ipv4, Promise<string | null>>();
  /** When the last questions were asked, oldest first. */
  private readonly asked: number[] = [];
  /** Addresses that are asked about together, so that the table is read once for them. */
  private gathering: { readonly addresses: Ipv4[]; readonly all: Promise<ReadonlyMap<Ipv4, string>> } | null =
    null;

  constructor(prober: Prober) {
    this.prober = prober;
  }

  /** What is known: a hardware address, null for nobody, undefined for not asked lately. */
  known(address: Ipv4): string | null | undefined {
    const answer = this.answers.get(address);
    return answer && performance.now() - answer.at < shelfLife ? answer.mac : undefined;
  }

  /** How many questions may be asked now. */
  private get room(): number {
    const since = performance.now() - questionLife;
    while (this.asked.length > 0 && (this.asked[0] ?? 0) <= since) this.asked.shift();
    return mostQuestions - this.asked.length;
  }

  get busy(): boolean {
    return this.room <= 0;
  }

  /** Who answers for `address`, or null. */
  ask(address: Ipv4): Promise<string | null> {
    const running = this.open.get(address);
    if (running) return running;
    const asked = this.together(address).then((answers) => answers.get(address) ?? null);
    this.open.set(address, asked);
    const done = () => void this.open.delete(address);
    asked.then(done, done);
    return asked;
  }

  private together(address: Ipv4): Promise<ReadonlyMap<Ipv4, string>> {
    if (this.gathering === null) {
      const addresses: Ipv4[] = [];
      const all = new Promise<void>((resolve) => setTimeout(resolve, gatherTime).unref()).then(() => {
        this.gathering = null;
        return this.readAfter(addresses);
      });
      this.gathering = { addresses, all };
    }
    this.gathering.addresses.push(address);
    this.question(address);
    return this.gathering.all;
  }

  private question(address: Ipv4): void {
    this.asked.push(performance.now());
    this.prober.send(address, discardPort);
  }

  /** Asks for addresses that will be given next, so that their offers need not wait. */
  async ahead(addresses: readonly Ipv4[]): Promise<void> {
    // Half of the room stays for clients that are here now.
    const room = Math.max(0, this.room - mostQuestions / 2);
    const fresh = addresses.filter((address) => this.known(address) === undefined).slice(0, room);
    if (fresh.length === 0) return;
    const all = this.askAll(fresh);
    for (const address of fresh) {
      const one = all.then((answers) => answers.get(address) ?? null);
      this.open.set(address, one);
      const done = () => void this.open.delete(address);
      one.then(done, done);
    }
    await all;
  }

  private askAll(addresses: readonly Ipv4[]): Promise<ReadonlyMap<Ipv4, string>> {
    for (const address of addresses) this.question(address);
    return this.readAfter(addresses);
  }

  private async readAfter(addresses: readonly Ipv4[]): Promise<ReadonlyMap<Ipv4, string>> {
    await new Promise((resolve) => setTimeout(resolve, patience).unref());
    const table = await readFile('/proc/net/arp', 'utf8').catch(() => '');
    const found = neighbours(table, this.prober.device, addresses);
    const at = performance.now();
    for (const address of addresses) this.answers.set(address, { at, mac: found.get(address) ?? null });
    while (this.answers.size > mostKept) this.answers.delete(this.answers.keys().next().value ?? 0);
    return found;
  }
}

export function conflictText(address: Ipv4, mac: string): string {
  return `${formatAddress(address)} is used by ${mac}, which did not get it from here`;
}
