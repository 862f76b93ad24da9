/**
 * The ticket of a boot: what proves that who speaks is the live system that this appliance started on that machine.
 * The script names an address that works once; from it the machine loads a tiny second initrd with the token.
 * Secrets are kept as hashes. Who owns the wire first owns the boot: this cannot be helped over plain HTTP.
 */
import { hash, randomBytes } from 'node:crypto';
import type { Database } from '../store/database.ts';

export interface TicketRules {
  /** Milliseconds that a ticket is good since it was last used: a large disk takes longer than any fixed time. */
  readonly lifetime: number;
  /** Whether it is good only for the address that fetched the script. */
  readonly bindsAddress: boolean;
}

export type Redeemed = { readonly kind: 'token'; readonly token: string } | { readonly kind: 'refused' };
export type TicketCheck = 'good' | 'unknown' | 'expired' | 'foreign';

export class Tickets {
  readonly #database: Database;
  readonly #rules: TicketRules;

  constructor(database: Database, rules: TicketRules) {
    this.#database = database;
    this.#rules = rules;
  }

  /** Inside a write: a new boot of `mac`, which ends an older one. Answers the secret part of the one-use address. */
  issue(mac: string, address: string, at: number): string {
    const errand = randomBytes(24).toString('base64url');
    this.#database
      .prepare(
        `INSERT INTO tickets (mac, errand, token, address, expires_at) VALUES (?, ?, NULL, ?, ?)
         ON CONFLICT (mac) DO UPDATE SET errand = excluded.errand, token = NULL, address = excluded.address,
           expires_at = excluded.expires_at`,
      )
      .run(mac, hash('sha256', errand), address, at + this.#rules.lifetime);
    return errand;
  }

  /** Whether there is a ticket to fetch. */
  waits(mac: string, errand: string, address: string, at: number): boolean {
    const row = this.#row(mac);
    if (!row || row.errand === null || row.errand !== hash('sha256', errand)) return false;
    return at < row.expiresAt && this.#fits(row.address, address);
  }

  /** Inside a write: the token, once. */
  redeem(mac: string, errand: string, address: string, at: number): Redeemed {
    if (!this.waits(mac, errand, address, at)) return { kind: 'refused' };
    const token = randomBytes(32).toString('base64url');
    this.#database
      .prepare('UPDATE tickets SET errand = NULL, token = ? WHERE mac = ?')
      .run(hash('sha256', token), mac);
    return { kind: 'token', token };
  }

  /** Whether `token` is the one of the boot that runs on `mac`. */
  check(mac: string, token: string, address: string, at: number): TicketCheck {
    const row = this.#row(mac);
    if (!row || row.token === null || row.token !== hash('sha256', token)) return 'unknown';
    if (at >= row.expiresAt) return 'expired';
    return this.#fits(row.address, address) ? 'good' : 'foreign';
  }

  /** Inside a write: the live system that holds the token was heard, so that it is good for a whole lifetime again. */
  prolong(mac: string, at: number): void {
    this.#database
      .prepare('UPDATE tickets SET expires_at = ? WHERE mac = ? AND token IS NOT NULL')
      .run(at + this.#rules.lifetime, mac);
  }

  /** Whether `address` fetched the script of the boot that runs on `mac`. */
  isAddressOf(mac: string, address: string, at: number): boolean {
    const row = this.#row(mac);
    return row !== null && at < row.expiresAt && row.address === address;
  }

  /** Whether a live system of another address holds the token of the boot that runs on `mac`. */
  isHeldElsewhere(mac: string, address: string, at: number): boolean {
    const row = this.#row(mac);
    return row !== null && row.token !== null && at < row.expiresAt && row.address !== address;
  }

  /** Inside a write: the clock was set. */
  moveTime(by: number): void {
    this.#database.prepare('UPDATE tickets SET expires_at = expires_at + ?').run(by);
  }

  /** Inside a write: the boot is over. */
  end(mac: string): void {
    this.#database.prepare('DELETE FROM tickets WHERE mac = ?').run(mac);
  }

  #fits(bound: string, address: string): boolean {
    return !this.#rules.bindsAddress || bound === address;
  }

  #row(mac: string) {
    const row = this.#database
      .prepare('SELECT errand, token, address, expires_at FROM tickets WHERE mac = ?')
      .get(mac);
    if (!row) return null;
    const text = (value: unknown) => (value === null ? null : String(value));
    return {
      errand: text(row.errand),
      token: text(row.token),
      address: String(row.address),
      expiresAt: Number(row.expires_at),
    };
  }
}
