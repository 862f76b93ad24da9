/** What outlives a restart: leases, reservations and the forms that worked, from the journal and into it. */
import { copyFile } from 'node:fs/promises';
import { type Static, type TSchema, Type } from 'typebox';
import { Check } from 'typebox/value';
import { type DhcpBook, DhcpLease, DhcpReservation } from '../../shared/contract/dhcp.ts';
import { type Failure, failure } from '../../shared/failure.ts';
import { formatAddress, parseAddress } from './address.ts';
import { Book } from './book.ts';
import { Journal, type JournalOptions, readJournal } from './journal.ts';
import type { Lease, Reservation } from './lease.ts';
import { Memory } from './memory.ts';

const Worked = Type.Object({
  of: Type.String({ maxLength: 300 }),
  form: Type.Union(
    (['full-43', 'full-plain', 'proxy-43', 'proxy-4011', 'proxy-67', 'http'] as const).map((form) =>
      Type.Literal(form),
    ),
  ),
});
/** A line of the journal: exactly one of these. */
const Line = Type.Object({
  lease: Type.Optional(DhcpLease),
  reserve: Type.Optional(DhcpReservation),
  unreserve: Type.Optional(Type.String({ maxLength: 17 })),
  forget: Type.Optional(Type.String({ maxLength: 15 })),
  worked: Type.Optional(Worked),
});

function parsed<Schema extends TSchema>(schema: Schema, value: unknown): Static<Schema> | null {
  return Check(schema, value) ? value : null;
}

export function leaseWire(lease: Lease): DhcpLease | null {
  const { state } = lease;
  if (state === 'offered') return null;
  return { ...lease, state, address: formatAddress(lease.address) };
}

function leaseOf(wire: DhcpLease): Lease | null {
  const address = parseAddress(wire.address);
  return address === null ? null : { ...wire, address };
}

export function reservationWire(reservation: Reservation): DhcpReservation {
  return { ...reservation, address: formatAddress(reservation.address) };
}

function reservationOf(wire: DhcpReservation): Reservation | null {
  const address = parseAddress(wire.address);
  return address === null ? null : { mac: wire.mac, address, hostName: wire.hostName ?? null };
}

export interface StoreReport {
  readonly leases: number;
  readonly reservations: number;
  /** Lines that could not be read; a copy of the file is kept then. */
  readonly damaged: number;
}

export class Store {
  readonly book: Book;
  readonly memory: Memory;
  readonly report: StoreReport;
  private readonly journal: Journal;

  private constructor(book: Book, memory: Memory, journal: Journal, report: StoreReport) {
    this.book = book;
    this.memory = memory;
    this.journal = journal;
    this.report = report;
    memory.onWorked = (of, form) => journal.appendThen({ worked: { of, form } }, () => {});
  }

  /** What the journal at `path` says, for looking only. */
  static async read(path: string): Promise<{ book: Book; memory: Memory; damaged: number }> {
    const book = new Book();
    const memory = new Memory();
    let strange = 0;
    const { damaged } = await readJournal(path, (record) => {
      const line = parsed(Line, record);
      if (line === null || !Store.take(line, book, memory)) strange++;
    });
    return { book, memory, damaged: damaged + strange };
  }

  /** Reads the journal at `path` and goes on writing it. */
  static async open(
    path: string,
    told: Pick<JournalOptions, 'onFailure' | 'onRecovery' | 'retryAfter'> = {},
  ): Promise<Store> {
    const { book, memory, damaged } = await Store.read(path);
    if (damaged > 0) await copyFile(path, `${path}.damaged`);
    const journal = await Journal.open({ path, snapshot: () => Store.snapshot(book, memory), ...told });
    const reservations = [...book.reservations].length;
    return new Store(book, memory, journal, { leases: book.size, reservations, damaged });
  }

  private static take(line: Static<typeof Line>, book: Book, memory: Memory): boolean {
    if (line.lease) {
      const lease = leaseOf(line.lease);
      if (lease) book.put(lease);
      return lease !== null;
    }
    if (line.reserve) {
      const reservation = reservationOf(line.reserve);
      if (reservation) book.reserve(reservation);
      return reservation !== null;
    }
    if (line.unreserve !== undefined) book.unreserve(line.unreserve);
    else if (line.forget !== undefined) book.forget(parseAddress(line.forget) ?? 0);
    else if (line.worked) memory.learn(line.worked.of, line.worked.form);
    else return false;
    return true;
  }

  private static *snapshot(book: Book, memory: Memory): Iterable<unknown> {
    for (const reservation of book.reservations) yield { reserve: reservationWire(reservation) };
    for (const lease of book.leases) {
      const wire = leaseWire(lease);
      if (wire) yield { lease: wire };
    }
    for (const [of, form] of memory.learned) yield { worked: { of, form } };
  }

  /**
   * Writes `lease` into the book at once, and calls `done` when it is on the disk; offers live in memory only, and
   * `done` is called at once. `error` is null unless the disk refused.
   */
  put(lease: Lease, done: (error: unknown) => void): void {
    const ended = this.book.put(lease);
    const endedWire = ended && leaseWire(ended);
    if (endedWire) this.journal.appendThen({ lease: endedWire }, () => {});
    const wire = leaseWire(lease);
    if (wire) this.journal.appendThen({ lease: wire }, done);
    else done(null);
  }

  async reserve(wire: DhcpReservation): Promise<void> {
    const reservation = reservationOf(wire);
    const problem = reservation === null ? 'it is no IPv4 address' : this.conflict(reservation);
    if (reservation === null || problem !== null) {
      throw failure('RESERVATION_INVALID', { ...wire, problem: problem ?? '' });
    }
    this.book.reserve(reservation);
    await this.journal.append({ reserve: wire });
  }

  private conflict(reservation: Reservation): string | null {
    const other = this.book.reservedAt(reservation.address);
    return other && other.mac !== reservation.mac ? `it is reserved for ${other.mac}` : null;
  }

  async unreserve(mac: string): Promise<void> {
    if (!this.book.unreserve(mac)) throw failure('NO_SUCH_LEASE', { what: mac });
    await this.journal.append({ unreserve: mac });
  }

  /** Ends the lease of `address`, as if it had never been. */
  async forget(text: string): Promise<void> {
    const address = parseAddress(text);
    if (address === null || !this.book.at(address)) throw failure('NO_SUCH_LEASE', { what: text });
    this.book.forget(address);
    await this.journal.append({ forget: text });
  }

  export(): DhcpBook {
    const leases = [...this.book.leases].map(leaseWire).filter((lease) => lease !== null);
    return { leases, reservations: [...this.book.reservations].map(reservationWire) };
  }

  /** Adds everything of `given` to what is here; the given wins. Durable when it resolves. */
  async import(given: DhcpBook): Promise<void> {
    const written: Promise<void>[] = [];
    for (const wire of given.reservations) {
      const reservation = reservationOf(wire);
      if (!reservation) throw failure('RESERVATION_INVALID', { ...wire, problem: 'it is no IPv4 address' });
    }
    for (const wire of given.reservations) {
      const reservation = reservationOf(wire);
      if (reservation) this.book.reserve(reservation);
      written.push(this.journal.append({ reserve: wire }));
    }
    for (const wire of given.leases) {
      const lease = leaseOf(wire);
      if (lease) this.book.put(lease);
      written.push(this.journal.append({ lease: wire }));
    }
    await Promise.all(written);
  }

  /** The clock was set: leases last as long as before, also on the disk. Answers when they are there. */
  moveTime(by: number): Promise<void> {
    this.book.moveTime(by);
    this.memory.moveTime(by);
    return this.journal.rewrite();
  }

  get backlog(): number {
    return this.journal.backlog;
  }

  /** Why no lease can be confirmed, or null. */
  get problem(): Failure | null {
    return this.journal.problem;
  }

  close(): Promise<void> {
    return this.journal.close();
  }
}
